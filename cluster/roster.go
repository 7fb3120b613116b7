package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/loadbalance"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/registry"
	"github.com/ferryrpc/ferry/url"
)

const (
	openers     = 16                    // references opened at a time
	listPause   = 20 * time.Millisecond // between two lists, while many references are opened
	reopenFirst = time.Second           // until a reference that could not be opened is tried again
	reopenMost  = 30 * time.Second      // doubles up to this
	deadAfter   = 10 * time.Second      // without connection, then a provider that the registry no longer lists is given up
	watchEvery  = time.Second
	closeAfter  = 100 * time.Millisecond // from leaving the list to the end of a reference
)

// A Config is what a Roster is made of.
type Config struct {
	Env extension.Env
	// Consumer is the consumer's own URL. Its parameters go over those of each provider; see Merge.
	Consumer *url.URL
	// Refer opens a provider; u is the merged URL. It is called by up to 16 goroutines at a time. A provider of a protocol
	// that nobody knows (extension.ErrUnknown) is logged and left out, any other failure is tried again later.
	Refer func(ctx context.Context, u *url.URL) (protocol.Reference, error)
	// Configure may change merged URLs: it is where live overrides come in. It may be nil and is changed by Roster.Configure.
	Configure func(merged *url.URL) *url.URL
	// Routers narrow the list down for each call, in this order. Roster.Route changes them.
	Routers []Router
	// Budget bounds retries; nil makes one of its own.
	Budget *Budget
}

// A Roster is the Directory fed by a registry. It keeps one reference per provider and, over changes of the list, those
// that did not change. References are opened in the background; a list that becomes empty does not empty it, as long as
// its providers answer. All methods are safe from any number of goroutines.
type Roster struct {
	cfg     Config
	service string
	home    *home
	current atomic.Pointer[inForce]
	closing sync.WaitGroup // openers, watcher, closing references
	ctx     context.Context
	cancel  context.CancelFunc

	mu         sync.Mutex // guards the following
	closed     bool
	state      registry.State
	heard      bool      // state is set
	configured int       // how often Configure was called
	disabled   int       // listed providers that an override takes out
	kept       bool      // state lists nobody, members are of an earlier one
	members    []*member // in the order of the list
	leaving    []*member // no longer listed, but still called until their successors are open
	merger     merger
	problem    error     // why the last reference could not be opened
	stale      bool      // members were opened that the list does not have yet
	listedAt   time.Time // when the list was made
	queue      []*member
	opening    int  // openers running
	watching   bool // the watcher runs
	changed    chan struct{}
}

// inForce is the list with the routers, so that List needs one load.
type inForce struct {
	list    *Snapshot
	routers []Router
}

// NewDirectory returns a Roster without providers, to be fed by Update.
func NewDirectory(cfg Config) (*Roster, error) {
	if cfg.Consumer == nil || cfg.Refer == nil {
		return nil, errors.New("cluster: a directory needs a consumer URL and a way to refer to providers")
	}
	var outlier OutlierParams
	if err := cfg.Consumer.Decode(&outlier); err != nil {
		return nil, err
	}
	if outlier.Interval <= 0 {
		return nil, fmt.Errorf("cluster: outlier.interval=%s: want a time over 0", outlier.Interval)
	}
	d := &Roster{cfg: cfg, service: cfg.Consumer.Service(), merger: newMerger(cfg.Consumer), changed: make(chan struct{})}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	d.home = newHome(cfg.Budget, outlier)
	d.home.publish = d.republish
	d.home.refused = d.refused
	d.mu.Lock()
	defer d.mu.Unlock()
	d.publishLocked()
	return d, nil
}

// List returns the providers for a call, after routing.
func (d *Roster) List(c *protocol.Invocation) *Snapshot {
	r := d.current.Load()
	s := r.list
	for _, router := range r.routers {
		s = router.Route(c, s)
	}
	return s
}

// Budget returns the retry budget of the service.
func (d *Roster) Budget() *Budget { return d.home.budget }

// Update takes what the registry delivers. It does not wait for connections.
func (d *Roster) Update(state registry.State) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return
	}
	listed := slices.DeleteFunc(slices.Clone(state.URLs), func(u *url.URL) bool { return !isProvider(u) })
	if len(listed) == 0 && state.Err != nil && state.Source != registry.Live {
		d.state.Err = state.Err // nothing is known, which is not the same as nobody there
		d.publishLocked()
		return
	}
	d.state, d.heard = state, true
	d.kept = len(listed) == 0 && len(d.members) > 0
	if d.kept {
		d.watchLocked()
	} else {
		d.applyLocked(d.wantedLocked(listed))
	}
	d.publishLocked()
}

// isProvider says whether an entry of a list is a provider's.
func isProvider(u *url.URL) bool {
	return registry.Category(u) == registry.Providers && u.Scheme() != "empty" && u.Address() != ""
}

// Configure replaces what changes merged URLs and applies it to the providers that are there, also to those of a list
// that is kept. A provider whose URL changes serves with the old one until it is open with the new one, and one that is
// disabled then (disabled=true or enabled=false) leaves.
func (d *Roster) Configure(f func(merged *url.URL) *url.URL) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cfg.Configure = f
	d.configured++
	if !d.heard || d.closed {
		return
	}
	listed := d.state.URLs
	if d.kept {
		listed = nil
		for _, m := range d.members {
			listed = append(listed, m.raw)
		}
	}
	d.applyLocked(d.wantedLocked(listed))
	d.publishLocked()
}

// Route replaces the routers.
func (d *Roster) Route(routers ...Router) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cfg.Routers = slices.Clone(routers)
	d.publishLocked()
}

// wantedLocked returns the members that a list asks for, one per address, in the order of the list.
func (d *Roster) wantedLocked(listed []*url.URL) []*member {
	have := make(map[string]*member, len(d.members))
	for _, m := range d.members {
		have[m.key] = m
	}
	wanted := make([]*member, 0, len(listed))
	places := make(map[string]int, len(listed))
	d.disabled = 0
	for _, u := range listed {
		if !isProvider(u) {
			continue
		}
		next := d.memberLocked(u, have)
		if next.url.Param("disabled") == "true" || next.url.Param("enabled") == "false" {
			d.disabled++
			continue
		}
		i, twice := places[next.key]
		if !twice {
			places[next.key] = len(wanted)
			wanted = append(wanted, next)
		} else if wanted[i].target.Started.Before(next.target.Started) {
			wanted[i] = next // a provider that restarted is listed twice until the old entry's session ends
		}
	}
	return wanted
}

// memberLocked returns the member for a provider's entry: the one that is there if the entry did not change.
func (d *Roster) memberLocked(u *url.URL, have map[string]*member) *member {
	key := u.Scheme() + "://" + u.Address() + "/" + u.Service()
	if old := have[key]; old != nil && old.merged == d.configured && old.raw.Equal(u) {
		return old
	}
	merged := d.merger.merge(u)
	if d.cfg.Configure != nil {
		merged = d.cfg.Configure(merged)
	}
	next := &member{key: key, raw: u, url: merged, merged: d.configured, tagged: tagged(merged), target: shape(merged)}
	next.target.Published = u
	return next
}

// applyLocked makes wanted the members: those that did not change stay, new ones are opened, others leave.
func (d *Roster) applyLocked(wanted []*member) {
	have := make(map[string]*member, len(d.members))
	for _, m := range d.members {
		have[m.key] = m
	}
	for i, w := range wanted {
		old := have[w.key]
		if old == w {
			delete(have, w.key)
			continue
		}
		if old == nil || !sameProvider(old.url, w.url) {
			d.queueLocked(w)
			continue
		}
		delete(have, w.key)
		if !sameShape(old.target, w.target) {
			w.target.Ref = old.target.Ref
			old.target, old.url = w.target, w.url
		}
		old.raw, old.merged = w.raw, w.merged
		wanted[i] = old
	}
	for _, m := range d.members { // in order, not by the map
		if have[m.key] == m {
			m.left = true
			d.leaving = append(d.leaving, m)
		}
	}
	d.members = wanted
}

// republish makes a new list from what is there.
func (d *Roster) republish() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.publishLocked()
}

// publishLocked puts the list in force and lets those go that are not needed any more.
func (d *Roster) publishLocked() {
	d.stale, d.listedAt = false, time.Now()
	listed := d.listedLocked()
	s := &Snapshot{home: d.home, listing: &listing{service: d.service, source: d.state.Source, at: d.state.At, kept: d.kept, closed: d.closed,
		err: cmp.Or(d.problem, d.state.Err)}}
	if d.heard && s.listing.at.IsZero() {
		s.listing.at = time.Now()
	}
	for _, u := range d.state.URLs {
		if isProvider(u) {
			s.listing.given++
		}
	}
	if d.kept {
		s.listing.given = len(d.members)
	}
	s.Removed = d.removedLocked()
	s.tagged = slices.ContainsFunc(d.members, func(m *member) bool { return m.tagged }) ||
		slices.ContainsFunc(d.leaving, func(m *member) bool { return m.tagged })
	d.home.split(s, listed)
	d.current.Store(&inForce{s, d.cfg.Routers})
	close(d.changed)
	d.changed = make(chan struct{})
}

// listedLocked returns the targets that may be called, and closes the leaving ones that are not among them.
func (d *Roster) listedLocked() []*loadbalance.Target {
	var out []*loadbalance.Target
	waiting := false
	stay := map[*member]bool{}
	leaving := make(map[string]*member, len(d.leaving))
	for _, m := range d.leaving {
		if m.target.Ref != nil {
			leaving[m.key] = m
		}
	}
	for _, m := range d.members {
		switch {
		case m.target.Ref != nil:
			out = append(out, m.target)
		case leaving[m.key] != nil: // also when it cannot be opened, since then its parameters are bad and the old ones were not
			old := leaving[m.key]
			out = append(out, old.target)
			stay[old] = true
		case m.waiting:
			waiting = true
		}
	}
	if len(out) == 0 && waiting { // a wholly new list: the old one serves until one of the new can
		for _, m := range d.leaving {
			if m.target.Ref != nil {
				out = append(out, m.target)
				stay[m] = true
			}
		}
	}
	d.leaving = slices.DeleteFunc(d.leaving, func(m *member) bool {
		if !stay[m] {
			d.closeLocked(m)
		}
		return !stay[m]
	})
	return out
}

// removedLocked says which listed providers have no reference.
func (d *Roster) removedLocked() []Removal {
	var removed []Removal
	connecting, failed, unknown := 0, 0, 0
	for _, m := range d.members {
		switch {
		case m.target.Ref != nil:
		case m.unknown:
			unknown++
		case m.waiting && m.failures == 0:
			connecting++
		default:
			failed++
		}
	}
	for _, r := range []Removal{{"unknown protocol", unknown}, {"failure to open", failed}, {"opening", connecting}, {"a configurator", d.disabled}} {
		if r.Count > 0 {
			removed = append(removed, r)
		}
	}
	return removed
}

// Ready waits until a provider can be called. Its error says why none could until ctx ended.
func (d *Roster) Ready(ctx context.Context) error {
	look := time.NewTicker(10 * time.Millisecond) // a reference does not say when it becomes available
	defer look.Stop()
	for {
		d.mu.Lock()
		changed, closed, s := d.changed, d.closed, d.current.Load().list
		d.mu.Unlock()
		if closed {
			return fmt.Errorf("cluster: %s: the directory is closed", d.service)
		}
		if slices.ContainsFunc(s.Targets, func(t *loadbalance.Target) bool { return t.Ref.Available() }) {
			return nil
		}
		select {
		case <-changed:
		case <-look.C:
		case <-ctx.Done():
			why := ""
			if n := len(s.Targets); n > 0 {
				why = fmt.Sprintf(", %d not connected", n)
			}
			return fmt.Errorf("cluster: %s: %w to call: %s%s: %w", d.service, ErrNoProvider, s, why, context.Cause(ctx))
		}
	}
}

// Changed returns a channel that is closed when the list next changes.
func (d *Roster) Changed() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.changed
}

// Close ends all references and waits for them; calls in flight have the time that each reference gives them.
func (d *Roster) Close() error {
	d.mu.Lock()
	if !d.closed {
		d.closed = true
		d.cancel()
		for _, m := range append(d.members, d.leaving...) {
			d.closeLocked(m)
		}
		d.members, d.leaving, d.queue = nil, nil, nil
		d.publishLocked()
	}
	d.mu.Unlock()
	d.closing.Wait()
	return nil
}
