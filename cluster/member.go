package cluster

import (
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/loadbalance"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/registry"
	"github.com/ferryrpc/ferry/url"
)

// A member is a provider that the registry lists. Its fields are guarded by Roster.mu.
//
//	queued -> opening -> open -> left
//	             |  ^
//	             v  | after a pause
//	           failed (or unknown, for good)
type member struct {
	key      string
	raw      *url.URL            // the registry's entry
	url      *url.URL            // consumer, provider and overrides merged
	merged   int                 // the Roster's configured when it was
	tagged   bool                // has a tag of its own
	target   *loadbalance.Target // its Ref is nil until the member is open
	waiting  bool                // queued or opening
	left     bool                // no longer wanted
	unknown  bool                // nobody knows its protocol
	failures int                 // of opening, in a row
	reopen   time.Time           // when to try again
	away     time.Time           // since when it is seen without connection, in a kept list
	refused  bool                // a call found its port closed
}

// queueLocked has m opened by one of the openers.
func (d *Roster) queueLocked(m *member) {
	m.waiting = true
	d.queue = append(d.queue, m)
	if d.opening < openers {
		d.opening++
		d.closing.Go(d.open)
	}
}

// open opens queued members until there are none.
func (d *Roster) open() {
	d.mu.Lock()
	defer d.mu.Unlock()
	defer func() { d.opening-- }()
	for len(d.queue) > 0 {
		m := d.queue[0]
		d.queue = d.queue[1:]
		if m.left { // Close marks all
			continue
		}
		d.mu.Unlock()
		ref, err := d.refer(m.url)
		d.mu.Lock()
		d.openedLocked(m, ref, err)
	}
}

// refer guards against a Refer that breaks its promises.
func (d *Roster) refer(u *url.URL) (ref protocol.Reference, err error) {
	defer func() {
		if r := recover(); r != nil {
			ref, err = nil, fmt.Errorf("cluster: opening %s: panic: %v", u.Address(), r)
		}
	}()
	ref, err = d.cfg.Refer(d.ctx, u)
	if err == nil && ref == nil {
		err = errors.New("cluster: opening " + u.Address() + " gave no reference")
	}
	return ref, err
}

func (d *Roster) openedLocked(m *member, ref protocol.Reference, err error) {
	m.waiting = false
	switch {
	case err == nil:
		m.target.Ref, m.failures, d.problem = ref, 0, nil
		if m.left || d.closed {
			d.closeLocked(m)
			return
		}
	case errors.Is(err, extension.ErrUnknown):
		m.unknown, m.failures, d.problem = true, 0, err
		d.cfg.Env.Log().Warn("cluster: provider left out", "service", d.service, "address", m.url.Address(), "error", err)
	default:
		m.failures++
		d.problem = err
		m.reopen = time.Now().Add(min(reopenFirst<<min(m.failures-1, 10), reopenMost))
		d.cfg.Env.Log().Warn("cluster: provider cannot be opened", "service", d.service, "address", m.url.Address(), "error", err)
		d.watchLocked()
	}
	switch {
	case m.left || d.closed:
	case len(d.queue) == 0 || len(d.current.Load().list.Targets) == 0 || time.Since(d.listedAt) >= listPause:
		d.publishLocked()
	default: // one of the next will, or else the watcher
		d.stale = true
		d.watchLocked()
	}
}

// closeLocked ends a member's reference in the background, since calls in flight may finish. It waits a moment for those
// that chose the member from the list before and did not begin yet.
func (d *Roster) closeLocked(m *member) {
	m.left = true
	if ref := m.target.Ref; ref != nil {
		d.closing.Go(func() {
			pause := time.NewTimer(closeAfter)
			defer pause.Stop()
			select {
			case <-pause.C:
			case <-d.ctx.Done():
			}
			if err := ref.Close(); err != nil {
				d.cfg.Env.Log().Warn("cluster: closing a provider", "service", d.service, "address", m.url.Address(), "error", err)
			}
		})
	}
}

// watchLocked starts the watcher, which runs while there is something to look after.
func (d *Roster) watchLocked() {
	if !d.watching && !d.closed {
		d.watching = true
		d.closing.Go(d.watch)
	}
}

func (d *Roster) watch() {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-d.ctx.Done():
			return
		}
		d.mu.Lock()
		if d.stale {
			d.publishLocked()
		}
		d.reopenLocked(time.Now())
		if d.kept {
			d.buryLocked(time.Now())
		}
		d.watching = d.kept || d.stale || slices.ContainsFunc(d.members, func(m *member) bool { return m.failures > 0 })
		again := d.watching && !d.closed
		d.mu.Unlock()
		if !again {
			return
		}
	}
}

// reopenLocked tries members again that could not be opened.
func (d *Roster) reopenLocked(now time.Time) {
	for _, m := range d.members {
		if m.target.Ref == nil && !m.waiting && m.failures > 0 && !now.Before(m.reopen) {
			d.queueLocked(m)
		}
	}
}

// buryLocked takes those out of a kept list that are proved dead: their port is closed, or they have had no connection
// for a while. Those that never opened have proved nothing else.
func (d *Roster) buryLocked(now time.Time) {
	before := len(d.members)
	d.members = slices.DeleteFunc(d.members, func(m *member) bool {
		if m.target.Ref != nil && m.target.Ref.Available() {
			m.away, m.refused = time.Time{}, false
			return false
		}
		if m.away.IsZero() {
			m.away = now
		}
		dead := m.refused || now.Sub(m.away) >= deadAfter
		if dead {
			d.closeLocked(m)
		}
		return dead
	})
	if len(d.members) != before {
		d.publishLocked()
	}
}

// refused is told of calls that found no connection.
func (d *Roster) refused(t *loadbalance.Target, err error) {
	if !errors.Is(err, syscall.ECONNREFUSED) || t.Ref.Available() {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.kept {
		return
	}
	for _, m := range d.members {
		if m.target == t {
			m.refused = true
		}
	}
}

// Provider is what is known of one provider.
type Provider struct {
	Address   string
	URL       *url.URL // consumer, provider and overrides merged
	Open      bool     // there is a reference
	Available bool     // it can be called now
	Published *url.URL // the registry's entry
	SetAside  bool     // it failed too often, and is only probed
	RetryAt   time.Time
	Failures  int // in a row
	Active    int64
	Calls     int64
	Failed    int64
	Latency   time.Duration // smoothed
}

// Providers returns the state of all listed providers, in the order of the list.
func (d *Roster) Providers() []Provider {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := make([]Provider, 0, len(d.members))
	for _, m := range d.members {
		t := m.target
		p := Provider{Address: m.url.Address(), URL: m.url, Published: m.raw, Open: t.Ref != nil, SetAside: t.Health.Aside.Load(),
			Failures: int(t.Health.Failures.Load()), Active: t.Load.Active.Load(), Calls: t.Load.Calls.Load(),
			Failed: t.Load.Failed.Load(), Latency: time.Duration(t.Load.EWMA.Load())}
		p.Available = p.Open && t.Ref.Available()
		if p.SetAside {
			p.RetryAt = time.Unix(0, t.Health.Retry.Load())
		}
		out = append(out, p)
	}
	return out
}

// Snapshot returns the unrouted list in force; its String says where it comes from.
func (d *Roster) Snapshot() *Snapshot { return d.current.Load().list }

// State returns what the registry delivered last: the list, where it comes from, and how old it is.
func (d *Roster) State() registry.State {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.state
}

var _ Directory = (*Roster)(nil)
