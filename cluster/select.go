package cluster

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/loadbalance"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/url"
)

// core is what all clusters do alike: find the list and the prepared plan of a method, choose a target, make an attempt.
type core struct {
	env       extension.Env
	url       *url.URL // the consumer's own
	directory Directory
	balancer  loadbalance.Balancer
	retries   int // the default
	sticky    atomic.Pointer[stuck]
}

// stuck is the provider that a sticky client stays with, and the list in which it was seen.
type stuck struct {
	list   *Snapshot
	target *loadbalance.Target
}

// plans holds what an Invoker prepared from a snapshot.
type plans struct {
	owner *core
	slots *protocol.Slots[plan]
	next  *plans // of another Invoker over the same directory
}

// A plan is a method's picker and settings for one list.
type plan struct {
	picker loadbalance.Picker
	settings
	keys     *keys // nil unless providers record the method's calls
	attempts int
}

func (x *core) plan(s *Snapshot, m *protocol.Method) *plan {
	p := s.plans.Load()
	for p == nil || p.owner != x {
		if p == nil {
			p = x.addPlans(s)
		} else if p = p.next; p == nil {
			p = x.addPlans(s)
		}
	}
	return p.slots.Get(m)
}

func (x *core) addPlans(s *Snapshot) *plans {
	for {
		first := s.plans.Load()
		for p := first; p != nil; p = p.next {
			if p.owner == x {
				return p
			}
		}
		p := &plans{owner: x, next: first, slots: protocol.NewSlots(func(m *protocol.Method) *plan { return x.prepare(s, m) })}
		if s.plans.CompareAndSwap(first, p) {
			return p
		}
	}
}

func (x *core) prepare(s *Snapshot, m *protocol.Method) *plan {
	p := &plan{picker: x.balancer.Prepare(m, s.Targets)}
	u := x.url
	if len(s.Targets) > 0 {
		if merged := s.Targets[0].Ref.URL(); merged != nil {
			u = u.WithAll(merged)
		}
	}
	var err error
	if p.settings, err = readSettings(u.ForMethod(m.Key())); err != nil {
		x.env.Log().Warn("cluster: a provider publishes bad parameters, the consumer's own are used", "service", m.Service, "error", err)
		p.settings, _ = readSettings(x.url.ForMethod(m.Key())) // checked when the cluster was made
	}
	p.keys = x.newKeys(s.Targets, m)
	p.attempts = 1 + max(p.Retries, 0)
	if !p.set {
		p.attempts = 1 + x.retries
	}
	return p
}

// choose returns the provider for an attempt, nil when there is none worth trying. tried is nil on the first attempt.
func (x *core) choose(s *Snapshot, p *plan, c *protocol.Invocation, tried loadbalance.Tried) *loadbalance.Target {
	if len(s.aside) > 0 && len(tried) == 0 {
		if t := s.probe(p.repeatable(c.Method)); t != nil {
			return t
		}
	}
	if p.Sticky && p.AvailableCheck {
		if t := x.stickTo(s, tried); t != nil {
			return t
		}
	}
	var t *loadbalance.Target
	switch n := len(s.Targets); {
	case n == 0:
		return nil
	case n == 1 && len(tried) == 0:
		return s.Targets[0] // called even when it seems away: its error says more than ours could
	case n == 1:
	default:
		t = p.picker.Pick(c, tried)
	}
	if t == nil || len(tried) > 0 && tried.Has(t) || p.AvailableCheck && !t.Ref.Available() {
		t = reselect(s, p, c, tried, t)
	}
	if p.Sticky && t != nil {
		x.sticky.Store(&stuck{s, t})
	}
	return t
}

// stickTo returns the sticky provider while it is in the list, not tried and available.
func (x *core) stickTo(s *Snapshot, tried loadbalance.Tried) *loadbalance.Target {
	k := x.sticky.Load()
	if k == nil || tried.Has(k.target) || !k.target.Ref.Available() {
		return nil
	}
	if k.list == s {
		return k.target
	}
	for _, t := range s.Targets {
		if t == k.target {
			x.sticky.CompareAndSwap(k, &stuck{s, t})
			return t
		}
	}
	return nil
}

// reselect looks for a provider when the balancer's choice was tried already or is not available: in this order one that
// is available and was not tried, one that was set aside, one that was tried but is available, one that was not tried.
func reselect(s *Snapshot, p *plan, c *protocol.Invocation, tried loadbalance.Tried, first *loadbalance.Target) *loadbalance.Target {
	passed := append(make(loadbalance.Tried, 0, len(tried)+8), tried...)
	for t, n := first, 0; t != nil && n < 10 && len(s.Targets) > 1; n++ { // by weight, which nearly always finds one
		if !tried.Has(t) && t.Ref.Available() {
			return t
		}
		passed = append(passed, t)
		t = p.picker.Pick(c, passed)
	}
	start := 0
	if n := len(s.Targets); n > 1 {
		start = rand.IntN(n)
	}
	untried := func(t *loadbalance.Target) bool { return !tried.Has(t) }
	again := func(t *loadbalance.Target) bool { return tried.Has(t) }
	if t := firstAvailable(s.Targets, start, untried); t != nil {
		return t
	}
	if t := firstAvailable(s.aside, 0, untried); t != nil {
		return t
	}
	if t := firstAvailable(s.Targets, start, again); t != nil {
		return t
	}
	if first != nil && !tried.Has(first) {
		return first
	}
	for i := range s.Targets {
		if t := s.Targets[(start+i)%len(s.Targets)]; untried(t) {
			return t
		}
	}
	return nil
}

func firstAvailable(list []*loadbalance.Target, start int, cond func(*loadbalance.Target) bool) *loadbalance.Target {
	for i := range list {
		if t := list[(start+i)%len(list)]; cond(t) && t.Ref.Available() {
			return t
		}
	}
	return nil
}

// attempt calls one provider and counts on it.
func (x *core) attempt(ctx context.Context, h *home, c *protocol.Invocation, t *loadbalance.Target, start int64) error {
	c.ReplyAttachments = nil // of the attempt before
	t.Load.Begin(start)
	err := t.Ref.Invoke(ctx, c)
	took := time.Duration(h.now() - start)
	if err == nil {
		t.Load.End(took, true)
		if t.Health.Failures.Load() != 0 {
			h.answered(t)
		}
		return nil
	}
	e := errorOf(err)
	if e != nil && len(c.ReplyAttachments) > 0 {
		if j := judged(c, e); j != e {
			e, err = j, j
		}
	}
	answered := e == nil || e.Outcome == protocol.Executed
	t.Load.End(took, answered)
	switch {
	case !answered:
		h.failed(t, e)
	case t.Health.Failures.Load() != 0:
		h.answered(t)
	}
	return err
}

// described returns err with service, method, address, attempt and time filled in, in a copy: the error may be shared.
// Errors that are none of ours are returned as they are.
func described(err error, c *protocol.Invocation, t *loadbalance.Target, elapsed time.Duration) error {
	e := errorOf(err)
	if e == nil {
		return err
	}
	d := *e
	if error(e) != err { // somebody wrapped it; what he added must stay reachable
		d.Message, d.Cause = err.Error(), err
	}
	if d.Service == "" {
		d.Service, d.Method = c.Method.Service, c.Method.Name
	}
	if t != nil && d.Address == "" {
		if u := t.Ref.URL(); u != nil {
			d.Address = u.Address()
		}
	}
	d.Attempt, d.Attempts, d.Elapsed = c.Attempt, c.Attempts, elapsed
	return &d
}

// once makes the only attempt of clusters that do not repeat.
func (x *core) once(ctx context.Context, c *protocol.Invocation) error {
	s := x.directory.List(c)
	for {
		p := x.plan(s, c.Method)
		if p.keys != nil && !marked(c) {
			return x.keyed(ctx, p.keys, c, x.once)
		}
		t := x.choose(s, p, c, nil)
		if t == nil {
			return s.noProvider(c)
		}
		err := x.single(ctx, s, c, t)
		if err == nil {
			return nil
		}
		n := x.moved(s, c, err)
		if n == nil {
			return err
		}
		s = n
	}
}

// moved returns the list to choose from again when a call failed only because its provider left the list between choice
// and call, or was replaced by one with other parameters: that was no attempt. It returns nil for all other failures.
func (x *core) moved(s *Snapshot, c *protocol.Invocation, err error) *Snapshot {
	e := errorOf(err)
	if e == nil || e.Code != protocol.Closed || e.Outcome != protocol.NotSent {
		return nil
	}
	if n := x.directory.List(c); n != s {
		return n
	}
	return nil
}

// single makes the only attempt, at t.
func (x *core) single(ctx context.Context, s *Snapshot, c *protocol.Invocation, t *loadbalance.Target) error {
	s.home.budget.call()
	c.Attempt, c.Attempts = 1, 1
	start := s.home.now()
	if err := x.attempt(ctx, s.home, c, t, start); err != nil {
		return described(err, c, t, time.Duration(s.home.now()-start))
	}
	return nil
}
