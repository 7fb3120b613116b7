package ordered

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ferryrpc/ferry/coordination/lock"
	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/internal/zk"
	ferryurl "github.com/ferryrpc/ferry/url"
)

// root is where ordered services are kept in ZooKeeper.
const root = "/ferry/ordered"

const (
	claimers = 64                     // requests in flight when buckets change hands
	beat     = 100 * time.Millisecond // between two looks at what is overdue
	pause    = 300 * time.Millisecond // after a failure
)

// A host is one service of a provider that runs ordered calls.
type host struct {
	env     extension.Env
	params  HostParams
	service string
	self    string // the address that consumers know
	codec   codec
	weak    weakness
	named   Store // nil: memory or zookeeper, by params.Store

	zk      *zk.Client
	release func() error
	locks   atomic.Pointer[lock.Client] // for ordered=lock; nil before Start, when calls may come already
	path    string                      // of the service
	store   Store                       // nil: memory
	ctx     context.Context
	stop    context.CancelFunc
	wg      sync.WaitGroup

	members atomic.Pointer[membership]
	keys    atomic.Int64
	buckets [Buckets]bucket
	watches [Buckets]*zk.Watch
	wake    chan struct{}
	leaving atomic.Bool // no bucket is claimed any more

	mu      sync.Mutex // guards the following
	era     *era       // nil while there is no session
	queue   []int      // buckets to claim or look at
	working int
	closed  bool
}

// An era is the time under one generation.
type era struct {
	gen  *zk.Generation
	life lock.Incarnation
}

func newHost(e extension.Env, p HostParams, c codec, named Store) *host {
	h := &host{env: e, params: p, codec: c, named: named, wake: make(chan struct{}, 1)}
	for i := range h.buckets {
		h.buckets[i].number = i
		h.buckets[i].keys = map[string]*key{}
		h.watches[i] = zk.NewWatch(func(zk.Event) { h.poke(i) })
	}
	h.members.Store(newMembership(nil))
	h.ctx, h.stop = context.WithCancel(context.Background())
	return h
}

// Start implements extension.Part: it takes part in the ordering, as soon as ZooKeeper can be reached.
func (h *host) Start(published, registry *ferryurl.URL) error {
	at := registry
	if h.params.ZooKeeper != "" {
		var err error
		if at, err = ferryurl.Parse(h.params.ZooKeeper); err != nil {
			return fmt.Errorf("ordered.zookeeper: %w", err)
		}
	}
	if at == nil || at.Scheme() != "zookeeper" {
		return errors.New("ordered calls need ZooKeeper: a registry zookeeper://… or the parameter ordered.zookeeper")
	}
	cfg, err := zk.FromURL(at, h.env.TLS)
	if err != nil {
		return err
	}
	if h.zk, h.release, err = share(h.env.Shared, cfg); err != nil {
		return err
	}
	locks, err := lock.New(h.env, at.WithPath("").Without("application", "group"))
	if err != nil {
		return errors.Join(err, h.release())
	}
	h.service, h.self = published.Service(), published.Address()
	h.path = root + "/" + url.PathEscape(h.service)
	h.locks.Store(locks) // last: who finds it reads the path
	switch {
	case h.named != nil:
		h.store = h.named
	case h.params.Store == "zookeeper":
		h.store = &zkStore{h.zk, h.path + "/state"}
	}
	h.wg.Go(h.main)
	return nil
}

// share takes part in the process's session, or opens one.
func share(shared *extension.Shared, cfg zk.Config) (*zk.Client, func() error, error) {
	if shared == nil {
		c, err := zk.Open(cfg)
		if err != nil {
			return nil, nil, err
		}
		return c, c.Close, nil
	}
	v, release, err := shared.Acquire(cfg.Key(), func() (io.Closer, error) { return zk.Open(cfg) })
	if err != nil {
		return nil, nil, err
	}
	return v.(*zk.Client), release, nil
}

// main takes part in one generation after the other.
func (h *host) main() {
	for h.ctx.Err() == nil {
		gen, err := h.zk.Session(h.ctx)
		if err != nil {
			return // closed
		}
		if err := h.partake(gen); err != nil && h.ctx.Err() == nil && gen.Alive() {
			h.env.Log().Warn("ordered: not taking part", "service", h.service, "address", h.self, "cause", err)
			h.failAll(err)
			h.sleep(pause)
		}
		h.endEra(gen)
	}
}

func (h *host) sleep(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-h.ctx.Done():
	}
}

// partake joins the members and looks after the buckets until the generation ends.
func (h *host) partake(gen *zk.Generation) error {
	ctx, cancel := context.WithCancel(gen.Context())
	defer cancel()
	defer context.AfterFunc(h.ctx, cancel)()
	life, err := lock.IncarnationOf(ctx, h.zk)
	if err == nil {
		err = h.prepare(ctx)
	}
	if err == nil {
		err = h.join(ctx, gen)
	}
	if err != nil {
		return err
	}
	h.mu.Lock()
	h.era = &era{gen, life}
	h.mu.Unlock()
	changed, events := zk.WatchChan()
	defer changed.Stop()
	tick := time.NewTicker(beat)
	defer tick.Stop()
	owed := 0.0 // buckets that may be given away now
	for stale := true; ; {
		if stale {
			if err := h.list(ctx, changed); err != nil {
				return err
			}
			stale = false
		}
		owed = h.settle(gen, owed)
		select {
		case <-events:
			stale = true
			if err := h.join(ctx, gen); err != nil { // our own node may be what changed
				return err
			}
		case <-h.wake:
		case <-tick.C:
			owed = min(owed+float64(h.params.Move)*beat.Seconds(), float64(h.params.Move))
			h.tend()
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// prepare makes the service's nodes and refuses those of a provider that counts in another way.
func (h *host) prepare(ctx context.Context) error {
	config := fmt.Sprintf("%s %d", hashName, Buckets)
	for _, n := range []zk.Node{{Path: h.path + "/config", Data: []byte(config), Parents: true}, {Path: h.path + "/members"}, {Path: h.path + "/own"}} {
		if _, err := h.zk.Create(ctx, n); err != nil && !errors.Is(err, zk.ErrNodeExists) {
			return err
		}
	}
	data, _, err := h.zk.Get(ctx, h.path+"/config", nil)
	if err == nil && string(data) != config {
		err = fmt.Errorf("keys of %s fall into buckets by %q, here by %q", h.service, data, config)
	}
	return err
}

// join makes this provider a member, or takes it out once it is leaving. A node of an earlier session of ours is replaced: it would vanish
// with that session.
func (h *host) join(ctx context.Context, gen *zk.Generation) error {
	node := zk.Node{Path: h.path + "/members/" + url.PathEscape(h.self), Session: gen}
	for {
		if h.leaving.Load() {
			return nil
		}
		_, err := h.zk.Create(ctx, node)
		if errors.Is(err, zk.ErrConnectionLost) {
			continue
		}
		if !errors.Is(err, zk.ErrNodeExists) {
			return err
		}
		stat, found, err := h.zk.Exists(ctx, node.Path, nil)
		if err != nil {
			return err
		}
		if found && stat.Owner == gen.ID() {
			return nil
		}
		if found {
			if err := h.zk.Delete(ctx, node.Path, zk.AnyVersion); err != nil && !errors.Is(err, zk.ErrNoNode) && !errors.Is(err, zk.ErrConnectionLost) {
				return err
			}
		}
	}
}

// list reads the members.
func (h *host) list(ctx context.Context, w *zk.Watch) error {
	names, err := h.zk.Children(ctx, h.path+"/members", w)
	if err != nil {
		return err
	}
	addresses := make([]string, 0, len(names))
	for _, n := range names {
		if a, err := url.PathUnescape(n); err == nil {
			addresses = append(addresses, a)
		}
	}
	h.members.Store(newMembership(addresses))
	return nil
}

// settle has buckets claimed that should be ours, and gives away those that should not, as many as the pace allows.
func (h *host) settle(gen *zk.Generation, owed float64) float64 {
	m, now, leaving := h.members.Load(), time.Now(), h.leaving.Load()
	for i := range h.buckets {
		b := &h.buckets[i]
		ours := m.of(i) == h.self && !leaving
		b.mu.Lock()
		t, stale := b.tenure, b.state == owning && b.tenure.gen != gen && !b.tenure.deadlineOff // claimed when its generation ended
		free := b.state == idle && !b.queued && !b.releasing && now.After(b.retry)
		claim := free && (ours && !b.blocked || !ours && b.made == gen.ID()) || b.suspect
		b.suspect = false
		give := !ours && b.state == owning && m.of(i) != "" && now.After(b.retry)
		if !ours && b.state == idle {
			b.owner, b.ownerEpoch, b.failure = "", "", nil // whoever the members say
		}
		b.mu.Unlock()
		switch {
		case stale:
			h.lose(b, t, errors.New("the session ended"))
		case claim:
			h.enqueue(i)
		case give && !leaving && owed >= 1:
			owed--
			h.wg.Go(func() { h.give(h.ctx, gen, b, h.params.Drain, false) })
		}
	}
	return owed
}

// poke has a bucket looked at: its node may have changed.
func (h *host) poke(i int) {
	b := &h.buckets[i]
	b.mu.Lock()
	b.blocked = false
	look := b.state == owning || h.members.Load().of(i) == h.self
	b.mu.Unlock()
	if look {
		h.enqueue(i)
	}
}

// enqueue has a bucket claimed or looked at by one of the claimers.
func (h *host) enqueue(i int) {
	b := &h.buckets[i]
	b.mu.Lock()
	if b.queued {
		b.again = true
		b.mu.Unlock()
		return
	}
	b.queued = true
	b.mu.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || h.era == nil {
		h.unqueue(b)
		return
	}
	h.queue = append(h.queue, i)
	if h.working < claimers {
		h.working++
		h.wg.Go(h.work)
	}
}

// unqueue says whether the bucket has to be looked at again.
func (h *host) unqueue(b *bucket) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	again := b.again
	b.queued, b.again = false, false
	return again
}

// work claims buckets until the queue is empty.
func (h *host) work() {
	for {
		h.mu.Lock()
		e := h.era
		if len(h.queue) == 0 || h.closed {
			h.working--
			h.mu.Unlock()
			return
		}
		i := h.queue[0]
		h.queue = h.queue[1:]
		h.mu.Unlock()
		if e != nil {
			h.claim(e, &h.buckets[i])
		}
		if h.unqueue(&h.buckets[i]) {
			h.enqueue(i)
		}
	}
}

func (h *host) nudge() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}
