package leader

import (
	"context"
	"sync"

	"github.com/ferryrpc/ferry/coordination/lock"
)

// LatchOptions are what a Latch may be told. The zero value works.
type LatchOptions struct {
	Options
	// OnGain is called when the latch leads, OnLoss when it does no more, by turns and never two at once, from the latch's
	// goroutine. ctx ends with leadership; nobody else leads before both have returned, unless the lease is lost. nil: nothing is
	// called.
	OnGain func(ctx context.Context, epoch lock.Fence)
	// OnLoss has the cause: it matches lock.ErrLost, or lock.ErrReleased after Resign and Close.
	OnLoss func(epoch lock.Fence, cause error)
}

// A Latch takes part in an election from Join to Close. Its methods are safe from any number of goroutines; Close and Await
// must not be called from a callback.
type Latch struct {
	election
	o    LatchOptions
	stop context.CancelFunc
	done chan struct{}

	mu      sync.Mutex    // guards the following
	held    *held         // nil while it does not lead
	changed chan struct{} // closed and replaced when held changes
	closed  bool
}

// Join enters the line at a path.
func Join(c *lock.Client, path string, o LatchOptions) (*Latch, error) {
	e, err := newElection(c, path, o.Options)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	l := &Latch{election: e, o: o, stop: stop, done: make(chan struct{}), changed: make(chan struct{})}
	go func() {
		defer close(l.done)
		for l.term(ctx) {
		}
	}()
	return l, nil
}

// term waits for leadership and stays until it is over; false when the latch is to end.
func (l *Latch) term(ctx context.Context) bool {
	lease, err := l.win(ctx)
	if err != nil {
		if ctx.Err() == nil {
			l.election.o.OnError(err) // the client is closed
		}
		l.enter(nil, true)
		return false
	}
	term, resign := context.WithCancelCause(lease.Context())
	defer context.AfterFunc(ctx, func() { resign(lock.ErrReleased) })()
	l.enter(&held{lease, term, resign}, false)
	if l.o.OnGain != nil {
		l.o.OnGain(term, lease.Fence())
	}
	<-term.Done()
	l.enter(nil, false)
	if l.o.OnLoss != nil {
		l.o.OnLoss(lease.Fence(), context.Cause(term))
	}
	_ = leave(lease) // whether it was ours until the end has been told
	return ctx.Err() == nil
}

// held is one term of leadership.
type held struct {
	lease  *lock.Lease
	ctx    context.Context // ends with the lease, Resign and Close
	resign context.CancelCauseFunc
}

func (h *held) leads() bool { return h.ctx.Err() == nil && h.lease.Held() }

func (l *Latch) enter(h *held, closed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held, l.closed = h, closed
	close(l.changed)
	l.changed = make(chan struct{})
}

// State says whether the latch leads at this moment, and in which epoch. It is right also in a process that was stopped.
func (l *Latch) State() (epoch lock.Fence, leading bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held == nil || !l.held.leads() {
		return lock.Fence{}, false
	}
	return l.held.lease.Fence(), true
}

// Await waits until the latch leads and returns the epoch and a context that ends with leadership.
func (l *Latch) Await(ctx context.Context) (context.Context, lock.Fence, error) {
	for {
		l.mu.Lock()
		h, changed, closed := l.held, l.changed, l.closed
		l.mu.Unlock()
		if h != nil && h.leads() {
			return h.ctx, h.lease.Fence(), nil
		}
		if closed {
			return nil, lock.Fence{}, lock.ErrClosed
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, lock.Fence{}, context.Cause(ctx)
		}
	}
}

// Resign gives leadership up, if the latch leads, and enters the line again at its end.
func (l *Latch) Resign() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held != nil {
		l.held.resign(lock.ErrReleased)
	}
}

// Close leaves the line and waits until the callbacks have returned, OnLoss being the last one if the latch led.
func (l *Latch) Close() error {
	l.stop()
	<-l.done
	l.enter(nil, true)
	return nil
}
