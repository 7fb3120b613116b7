package cluster

import (
	"context"
	"reflect"
	"sync"
	"time"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/loadbalance"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/url"
)

// ForkingParams are the parameters of the cluster forking.
type ForkingParams struct {
	Forks int `url:"forks" default:"2" doc:"providers that forking calls at the same time; 0: all"`
}

// NewForking returns the cluster that sends a call to several providers at once and takes the first answer, be it an error
// of the service; the others are cancelled. When all fail, the error is the last one's, with the outcome of the whole call. It is for reads that must be fast, at the price of the copies: each is a call that runs. Copies work on
// Invocations of their own, so that a loser neither reads the caller's arguments nor writes his reply after the call.
// Its Invoker is an io.Closer that waits for the losers.
func NewForking(e extension.Env, u *url.URL) (Cluster, error) {
	params, err := protocol.DecodePerMethod[ForkingParams](u, nil)
	if err != nil {
		return nil, err
	}
	return newCluster(e, u, func(x *core) protocol.Invoker { return &forking{core: x, params: params} })
}

type forking struct {
	*core
	params *protocol.PerMethod[ForkingParams]

	mu     sync.RWMutex // keeps calls from starting copies while Close waits
	closed bool
	copies sync.WaitGroup
}

// A fork is one copy of a call.
type fork struct {
	call   *protocol.Invocation
	target *loadbalance.Target
	err    error
}

func (x *forking) Invoke(ctx context.Context, c *protocol.Invocation) error {
	s := x.directory.List(c)
	if k := x.plan(s, c.Method).keys; k != nil && !marked(c) {
		return x.keyed(ctx, k, c, x.Invoke)
	}
	for {
		err, moved := x.race(ctx, s, c)
		if !moved {
			return err
		}
		n := x.moved(s, c, err)
		if n == nil {
			return err
		}
		s = n
	}
}

// race makes the copies and waits for the first answer. moved is false when the error cannot mean that all of them found
// their providers gone.
func (x *forking) race(ctx context.Context, s *Snapshot, c *protocol.Invocation) (err error, moved bool) {
	targets := x.targets(s, c)
	switch {
	case len(targets) == 0:
		return s.noProvider(c), false
	case len(targets) == 1 || c.Method.New == nil || c.Method.Clone == nil: // cannot be copied
		return x.single(ctx, s, c, targets[0]), true
	}
	s.home.budget.call()
	begun := s.home.now()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done, err := x.start(ctx, s.home, c, targets)
	if err != nil {
		return err, false
	}
	var v verdict
	moved = true
	for n := 1; ; n++ {
		f := <-done
		if f.err == nil {
			take(c, f.call)
			return nil, false
		}
		v.note(f.err)
		e := errorOf(f.err)
		moved = moved && e != nil && e.Code == protocol.Closed && e.Outcome == protocol.NotSent
		if n < len(targets) && !fromService(f.err) {
			continue
		}
		c.Attempt, c.Attempts = n, len(targets)
		c.ReplyAttachments = f.call.ReplyAttachments
		return v.apply(described(f.err, c, f.target, time.Duration(s.home.now()-begun))), moved
	}
}

// targets chooses distinct providers.
func (x *forking) targets(s *Snapshot, c *protocol.Invocation) []*loadbalance.Target {
	n := x.params.For(c.Method).Forks
	if n <= 0 || n >= len(s.Targets) {
		return s.Targets
	}
	p := x.plan(s, c.Method)
	var chosen loadbalance.Tried
	for range n {
		t := x.choose(s, p, c, chosen)
		if t == nil || chosen.Has(t) {
			break
		}
		chosen = append(chosen, t)
	}
	return chosen
}

// start sends the copies off. Each has arguments of its own, since a call belongs to one goroutine.
func (x *forking) start(ctx context.Context, h *home, c *protocol.Invocation, targets []*loadbalance.Target) (<-chan *fork, error) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if x.closed {
		return nil, &protocol.Error{Code: protocol.Closed, Outcome: protocol.NotSent, Service: c.Method.Service, Method: c.Method.Name,
			Message: "the cluster is closed"}
	}
	done := make(chan *fork, len(targets)) // room for all: losers must not wait for a reader
	for i, t := range targets {
		f := &fork{call: copied(c), target: t}
		f.call.Attempt, f.call.Attempts = i+1, len(targets)
		x.copies.Go(func() {
			f.err = x.attempt(ctx, h, f.call, t, h.now())
			done <- f
		})
	}
	return done, nil
}

// Close waits for copies that are still running, and refuses new calls.
func (x *forking) Close() error {
	x.mu.Lock()
	x.closed = true
	x.mu.Unlock()
	x.copies.Wait()
	return nil
}

// copied returns a call of its own with the same arguments.
func copied(c *protocol.Invocation) *protocol.Invocation {
	n := c.Method.New()
	n.Method, n.Timeout = c.Method, c.Timeout
	if c.Args != nil {
		n.Args = c.Method.Clone(c.Args)
	}
	n.Attachments = append(protocol.Attachments(nil), c.Attachments...)
	return n
}

// take puts the reply of a copy into the caller's places. Only clusters that copy calls come here, so reflection is
// affordable.
func take(c, from *protocol.Invocation) {
	c.ReplyAttachments, c.Unanswered = from.ReplyAttachments, from.Unanswered
	if c.Reply == nil || from.Reply == nil {
		return
	}
	for i := range min(c.Reply.Len(), from.Reply.Len()) {
		to, v := reflect.ValueOf(c.Reply.At(i)), reflect.ValueOf(from.Reply.At(i))
		if to.Kind() == reflect.Pointer && to.Type() == v.Type() && !to.IsNil() && !v.IsNil() {
			to.Elem().Set(v.Elem())
		}
	}
}
