package cluster

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/loadbalance"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/url"
)

// FailbackParams are the parameters of the cluster failback.
type FailbackParams struct {
	Retries int `url:"retries" default:"3" doc:"repeats in the background (failback)"`
	Tasks   int `url:"failbacktasks" default:"100" doc:"calls that may wait for a repeat; more are dropped with a log"`
}

const (
	failbackPause = 5 * time.Second
	mostTasks     = 1 << 20
)

// NewFailback returns the cluster for calls that should arrive some time, such as notifications: a call that fails is
// answered with an empty reply and repeated in the background, 5 s later, up to retries times, at whatever providers
// there are then. What may be repeated is decided by the outcome as in failover; a failure that may not be repeated is
// returned. Its Invoker is an io.Closer: Close drops what waits and waits for what runs. It is a Failback as well.
func NewFailback(e extension.Env, u *url.URL) (Cluster, error) {
	var p FailbackParams
	if err := u.Decode(&p); err != nil {
		return nil, err
	}
	if p.Tasks <= 0 || p.Tasks > mostTasks {
		return nil, fmt.Errorf("cluster: failbacktasks=%d: want 1 to %d", p.Tasks, mostTasks)
	}
	return newCluster(e, u, func(x *core) protocol.Invoker {
		x.retries = 3
		f := &failback{core: x, most: p.Tasks}
		f.ctx, f.cancel = context.WithCancel(context.Background())
		return f
	})
}

// Failback is what an Invoker of the cluster failback shows of itself.
type Failback interface {
	// State returns how many calls wait for a repeat, and how many were delivered late and given up ever.
	State() FailbackState
}

// FailbackState counts the calls that failed at first.
type FailbackState struct {
	Waiting   int
	Delivered int64 // by a repeat
	Dropped   int64 // after the last repeat, at Close, or because too many waited
}

type failback struct {
	*core
	most      int
	ctx       context.Context // of the repeats; ends at Close
	cancel    context.CancelFunc
	delivered atomic.Int64
	dropped   atomic.Int64
	done      sync.WaitGroup

	mu      sync.Mutex // guards the following
	closed  bool
	waiting []*late // in the order in which they are due, since all wait equally long
	running bool    // the goroutine that repeats
}

// late is a call that waits for a repeat.
type late struct {
	call    *protocol.Invocation
	due     time.Time
	left    int // repeats
	made    int // attempts
	unknown bool
	last    *loadbalance.Target
}

func (x *failback) Invoke(ctx context.Context, c *protocol.Invocation) error {
	if !marked(c) {
		if k := x.plan(x.directory.List(c), c.Method).keys; k != nil {
			return x.keyed(ctx, k, c, x.Invoke)
		}
	}
	p, t, err := x.first(ctx, c)
	if err == nil {
		return nil
	}
	if !x.mayRepeat(err, p, c, t, belowRetry(ctx, c)) || c.Method.New == nil || c.Method.Clone == nil {
		return err
	}
	n := p.attempts - 1
	if p.Retries < 0 {
		n = x.retries
	}
	if n == 0 {
		return err
	}
	l := &late{call: copied(c), left: n, made: 1, last: t, unknown: protocol.OutcomeOf(err) == protocol.OutcomeUnknown}
	if why := x.put(l); why != "" {
		x.drop(l, why, err)
	}
	c.Unanswered = true
	return nil
}

// first makes the first attempt, at the provider that it returns; nil when there is none.
func (x *failback) first(ctx context.Context, c *protocol.Invocation) (*plan, *loadbalance.Target, error) {
	for s := x.directory.List(c); ; {
		p := x.plan(s, c.Method)
		t := x.choose(s, p, c, nil)
		if t == nil {
			return p, nil, s.noProvider(c)
		}
		err := x.single(ctx, s, c, t)
		if s = x.moved(s, c, err); s == nil {
			return p, t, err
		}
	}
}

// mayRepeat is failover's rule for a single failure.
func (x *failback) mayRepeat(err error, p *plan, c *protocol.Invocation, t *loadbalance.Target, inherited bool) bool {
	e := errorOf(err)
	if e == nil || e.Code == protocol.Closed && errors.Is(err, ErrNoProvider) {
		return false
	}
	if t == nil {
		return true // nobody there: nothing was sent
	}
	r := repeat{core: x.core, p: p, c: c}
	return r.may(t, e, inherited)
}

// put queues a call, or says why it cannot.
func (x *failback) put(l *late) string {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case x.closed:
		return "closed"
	case len(x.waiting) >= x.most:
		return "too many wait"
	}
	l.due = time.Now().Add(failbackPause)
	x.waiting = append(x.waiting, l)
	if !x.running {
		x.running = true
		x.done.Go(x.run)
	}
	return ""
}

func (x *failback) drop(l *late, why string, err error) {
	x.dropped.Add(1)
	x.env.Log().Warn("cluster: failback: a call is lost", "why", why, "service", l.call.Method.Service, "method", l.call.Method.Name, "error", err)
}

// run repeats calls as they become due, and ends when none waits.
func (x *failback) run() {
	timer := time.NewTimer(failbackPause)
	defer timer.Stop()
	for {
		x.mu.Lock()
		if x.closed || len(x.waiting) == 0 {
			x.running = false
			x.mu.Unlock()
			return
		}
		next := x.waiting[0]
		wait := time.Until(next.due)
		if wait <= 0 {
			x.waiting = x.waiting[1:]
		}
		x.mu.Unlock()
		if wait > 0 {
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-x.ctx.Done():
			}
			continue
		}
		x.again(next)
	}
}

// again makes one repeat.
func (x *failback) again(l *late) {
	c := l.call
	s := x.directory.List(c)
	p := x.plan(s, c.Method)
	l.left--
	err := x.repeatOnce(s, p, l)
	switch {
	case err == nil || fromService(err):
		x.delivered.Add(1)
	case l.left <= 0:
		x.drop(l, "last repeat failed", err)
	case !x.mayRepeat(err, p, c, l.last, false):
		x.drop(l, "it may have run", err)
	default:
		if why := x.put(l); why != "" {
			x.drop(l, why, err)
		}
	}
}

func (x *failback) repeatOnce(s *Snapshot, p *plan, l *late) error {
	c := l.call
	r := repeat{core: x.core, s: s, p: p, c: c, unknown: l.unknown}
	if l.last != nil {
		r.tried = loadbalance.Tried{l.last}
	}
	t := r.next()
	if t == nil {
		return s.noProvider(c)
	}
	if l.unknown {
		if !s.home.budget.withdraw() {
			return s.noBudget(c)
		}
		c.Attachments.Set(protocol.RetryOfUnknown, "true")
	}
	if l.made++; marked(c) {
		c.Attachments.Set(protocol.IdempotencyAttempt, strconv.Itoa(l.made))
	}
	for {
		l.last = t
		err := x.single(x.ctx, s, c, t)
		n := x.moved(s, c, err)
		if n == nil {
			l.unknown = l.unknown || err != nil && protocol.OutcomeOf(err) == protocol.OutcomeUnknown
			return err
		}
		r.s, r.p = n, x.plan(n, c.Method)
		if s, t = n, r.next(); t == nil {
			return s.noProvider(c)
		}
	}
}

// State returns the counts.
func (x *failback) State() FailbackState {
	x.mu.Lock()
	defer x.mu.Unlock()
	return FailbackState{Waiting: len(x.waiting), Delivered: x.delivered.Load(), Dropped: x.dropped.Load()}
}

// Close drops what waits and waits for what runs. Nothing runs afterwards.
func (x *failback) Close() error {
	x.mu.Lock()
	waiting := x.waiting
	x.closed, x.waiting = true, nil
	x.mu.Unlock()
	x.cancel()
	for _, l := range waiting {
		x.drop(l, "closed", nil)
	}
	x.done.Wait()
	return nil
}
