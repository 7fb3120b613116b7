package cluster

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/ferryrpc/ferry/loadbalance"
	"github.com/ferryrpc/ferry/protocol"
)

// OutlierParams say when a failing provider is set aside.
type OutlierParams struct {
	Failures int           `url:"outlier.failures" default:"5" doc:"failures in a row after which a provider is set aside; 0: never"`
	Interval time.Duration `url:"outlier.interval" default:"1000" doc:"time until a provider that was set aside is tried again; doubles up to 30 s"`
}

// longestAside is the longest time between two tries.
const longestAside = 30 * time.Second

// home is what all snapshots of a directory share.
type home struct {
	budget  *Budget
	params  OutlierParams
	epoch   time.Time
	base    int64                            // epoch in unix ns
	publish func()                           // makes a new snapshot; nil where targets are never set aside
	refused func(*loadbalance.Target, error) // told of calls that could not be sent; may be nil

	mu sync.Mutex // makes decisions about setting aside one after the other
}

func newHome(b *Budget, p OutlierParams) *home {
	if b == nil {
		b = &Budget{}
	}
	now := time.Now()
	return &home{budget: b, params: p, epoch: now, base: now.UnixNano()}
}

// now is the time in unix ns by the monotonic clock, which is cheaper to read than both.
func (h *home) now() int64 { return h.base + int64(time.Since(h.epoch)) }

// answered notes that a provider answered, after it had failed.
func (h *home) answered(t *loadbalance.Target) {
	t.Health.Failures.Store(0)
	if !t.Health.Aside.Load() || h.publish == nil {
		return
	}
	h.mu.Lock()
	changed := t.Health.Aside.CompareAndSwap(true, false)
	t.Health.Times.Store(0)
	h.mu.Unlock()
	if changed {
		h.publish()
	}
}

// failed notes a failure and sets the provider aside when it was one too many. That may be refused when the directory
// makes the list, since at most half of the providers are set aside.
func (h *home) failed(t *loadbalance.Target, e *protocol.Error) {
	if h.refused != nil && e.Outcome == protocol.NotSent && e.Code == protocol.Network {
		h.refused(t, e)
	}
	if !speaksAgainst(e) {
		return
	}
	n := int(t.Health.Failures.Add(1))
	if h.publish == nil || h.params.Failures <= 0 {
		return
	}
	if n%h.params.Failures != 0 || t.Health.Aside.Load() {
		return // others saw to it; a list that would not have it set aside is asked again after as many failures
	}
	h.mu.Lock()
	t.Health.Times.Store(1)
	t.Health.Retry.Store(h.now() + int64(h.pause(1)))
	t.Health.Aside.Store(true)
	h.mu.Unlock()
	h.publish()
}

// pause is how long a provider rests when it is set aside for the times-th time in a row.
func (h *home) pause(times int32) time.Duration {
	d := h.params.Interval
	for ; times > 1 && d < longestAside; times-- {
		d *= 2
	}
	return min(d, longestAside)
}

// speaksAgainst says whether a failure tells something about the provider: it was not reached, broke off or did not
// answer in time. That the caller gave up, or that limits here refused the call, does not.
func speaksAgainst(e *protocol.Error) bool {
	switch e.Code {
	case protocol.Network, protocol.Timeout:
		return e.Outcome == protocol.OutcomeUnknown || e.Outcome == protocol.NotSent
	}
	return false
}

// probe returns a provider that was set aside and is due for a try, if this call may make it: one call at a time and
// pause. A call that must not be repeated waits another interval, in the hope that one that may comes first.
func (s *Snapshot) probe(repeatable bool) *loadbalance.Target {
	now := s.home.now()
	grace := int64(s.home.params.Interval)
	for _, t := range s.aside {
		due := t.Health.Retry.Load()
		if !repeatable {
			due += grace
		}
		if now < due || !t.Ref.Available() {
			continue
		}
		old := t.Health.Retry.Load()
		if next := now + int64(s.home.pause(t.Health.Times.Load()+1)); old <= now && t.Health.Retry.CompareAndSwap(old, next) {
			t.Health.Times.Add(1)
			return t
		}
	}
	return nil
}

// split fills the snapshot's lists: targets that are set aside go apart, as long as they are no more than half; those
// that rest longest are let back in otherwise.
func (h *home) split(s *Snapshot, listed []*loadbalance.Target) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range listed {
		if t.Health.Aside.Load() {
			s.aside = append(s.aside, t)
		}
	}
	if len(s.aside) == 0 {
		s.Targets = listed
		return
	}
	slices.SortStableFunc(s.aside, func(a, b *loadbalance.Target) int {
		return cmp.Compare(a.Health.Retry.Load(), b.Health.Retry.Load())
	})
	for most := len(listed) / 2; len(s.aside) > most; {
		last := s.aside[len(s.aside)-1]
		last.Health.Aside.Store(false)
		s.aside = s.aside[:len(s.aside)-1]
	}
	for _, t := range listed {
		if !slices.Contains(s.aside, t) {
			s.Targets = append(s.Targets, t)
		}
	}
}
