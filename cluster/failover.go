package cluster

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/loadbalance"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/url"
)

// FailoverParams are the parameters of the cluster failover.
type FailoverParams struct {
	Retries int `url:"retries" default:"2" doc:"repeats after the first attempt; set by hand it also allows repeating calls that may have run"`
}

// NewFailover returns Dubbo's default cluster: a failed call is repeated on another provider, up to retries times. What
// may be repeated depends on the outcome: a call that did not run always, one that may have run where retries was set by
// hand (in either URL, or as the call's attachment), the method is idempotent, or the providers involved record calls,
// and never below a call that is itself such a repeat (protocol.RetryOfUnknown) or beyond the retry Budget. An answer of
// the service, be it an error, is never asked for twice.
func NewFailover(e extension.Env, u *url.URL) (Cluster, error) {
	if err := checked(u); err != nil {
		return nil, err
	}
	return clusterFunc(func(d Directory, b loadbalance.Balancer) protocol.Invoker {
		return &failover{core{env: e, url: u, directory: d, balancer: b, retries: 2}}
	}), nil
}

type clusterFunc func(d Directory, b loadbalance.Balancer) protocol.Invoker

func (f clusterFunc) Join(d Directory, b loadbalance.Balancer) protocol.Invoker { return f(d, b) }

type failover struct{ core }

func (x *failover) Invoke(ctx context.Context, c *protocol.Invocation) error {
	s := x.directory.List(c)
	for {
		p := x.plan(s, c.Method)
		if p.keys != nil && !marked(c) {
			return x.keyed(ctx, p.keys, c, x.Invoke)
		}
		t := x.choose(s, p, c, nil)
		if t == nil {
			return s.noProvider(c)
		}
		h := s.home
		h.budget.call()
		c.Attempt, c.Attempts = 1, p.attempts
		start := h.now()
		err := x.attempt(ctx, h, c, t, start)
		if err == nil {
			return nil
		}
		if n := x.moved(s, c, err); n != nil {
			s = n
			continue
		}
		r := repeat{core: &x.core, s: s, p: p, c: c, begun: start}
		return r.run(ctx, t, err)
	}
}

// repeat is the rest of a call whose first attempt failed.
type repeat struct {
	*core
	s       *Snapshot
	p       *plan
	c       *protocol.Invocation
	begun   int64
	tried   loadbalance.Tried
	unknown bool // an attempt may have run
	byHand  bool // the call itself says how often to repeat
	why     string
}

func (r *repeat) run(ctx context.Context, t *loadbalance.Target, err error) error {
	c := r.c
	attachments := c.Attachments
	defer func() { c.Attachments = attachments }()
	if n, ok := perCallRetries(c); ok {
		c.Attempts, r.byHand = 1+max(n, 0), true
	}
	inherited := belowRetry(ctx, c)
	for {
		e := errorOf(err)
		r.unknown = r.unknown || e != nil && e.Outcome == protocol.OutcomeUnknown
		if e == nil || c.Attempt >= c.Attempts || over(ctx) || !r.may(t, e, inherited) {
			return r.result(t, err)
		}
		r.tried = append(r.tried, t)
		r.s = r.directory.List(c)
		r.p = r.plan(r.s, c.Method)
		next := r.next()
		if next == nil {
			return r.result(t, err)
		}
		if e.Outcome == protocol.OutcomeUnknown && !r.s.home.budget.withdraw() {
			r.why = "retry budget is spent"
			return r.result(t, err)
		}
		if r.unknown {
			c.Attachments = attachments
			c.Attachments.Set(protocol.RetryOfUnknown, "true")
		}
		t = next
		c.Attempt++
		again(c)
		err = r.attempt(ctx, r.s.home, c, t, r.s.home.now())
		if err == nil {
			return nil
		}
	}
}

// over says whether the caller's time is up. The context itself may learn of that a moment later than the attempt did.
func over(ctx context.Context) bool {
	if ctx.Err() != nil {
		return true
	}
	d, ok := ctx.Deadline()
	return ok && !time.Now().Before(d)
}

// belowRetry says whether the call is a repeat of one that may have run, or is made while serving such a repeat.
func belowRetry(ctx context.Context, c *protocol.Invocation) bool {
	if _, ok := c.Attachments.Get(protocol.RetryOfUnknown); ok {
		return true
	}
	_, ok := protocol.IncomingAttachments(ctx).Get(protocol.RetryOfUnknown)
	return ok
}

// may says whether the failure e at t may be repeated.
func (r *repeat) may(t *loadbalance.Target, e *protocol.Error, inherited bool) bool {
	if r.c.Exchanged {
		return false // messages of a stream cannot be had again
	}
	switch e.Code {
	case protocol.Serialization, protocol.Canceled, protocol.DeadlineExceeded:
		return false // the next provider would meet the same
	}
	if settled(e) {
		return false
	}
	switch e.Outcome {
	case protocol.NotSent, protocol.NotStarted:
		return true
	case protocol.OutcomeUnknown:
		return !inherited && (r.anywhere() || recorded(t, r.c))
	}
	return false
}

// anywhere says whether a repeat of a call that may have run is allowed at every provider.
func (r *repeat) anywhere() bool { return r.byHand || r.p.repeatable(r.c.Method) }

// next chooses the provider for the next attempt. Where only their records make repeats harmless, all providers that may
// have run the call and the next one must keep them.
func (r *repeat) next() *loadbalance.Target {
	if !r.unknown || r.anywhere() {
		return r.choose(r.s, r.p, r.c, r.tried)
	}
	tried := slices.Clone(r.tried)
	for range len(r.s.Targets) {
		t := r.choose(r.s, r.p, r.c, tried)
		if t == nil || recorded(t, r.c) {
			return t
		}
		if tried.Has(t) {
			break
		}
		tried = append(tried, t)
	}
	return nil
}

// result is the error of the whole call: the last attempt's, but if an earlier attempt may have run, so may the call.
func (r *repeat) result(t *loadbalance.Target, err error) error {
	err = described(err, r.c, t, time.Duration(r.s.home.now()-r.begun))
	var e *protocol.Error
	if !errors.As(err, &e) {
		return err
	}
	if r.unknown && e.Outcome != protocol.Executed {
		e.Outcome = protocol.OutcomeUnknown
	}
	if r.why != "" {
		if e.Message == "" && e.Cause != nil {
			e.Message = e.Cause.Error()
		}
		e.Message += ", not repeated: " + r.why
	}
	return err
}
