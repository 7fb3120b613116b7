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

	members  atomic.Pointer[membership]
	keys     atomic.Int64
	buckets  [Buckets]bucket
	watches  [Buckets]*zk.Watch
	wake     chan struct{}
	leaving  atomic.Bool // no bucket is claimed any more
	sweeping atomic.Bool // by one goroutine

	mu      sync.Mutex // guards the following
	era     *era       // nil while there is no session
	queue   []int      // buckets to claim or look at
	working int
	closed  bool
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
