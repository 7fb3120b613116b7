package leader

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/ferryrpc/ferry/coordination/lock"
)

// A Selector runs a function while it leads. Interrupt and Leading are safe from any number of goroutines.
type Selector struct {
	election
	lead    func(ctx context.Context, epoch lock.Fence) error
	requeue bool
	running atomic.Bool

	mu        sync.Mutex // guards the following
	lease     *lock.Lease
	interrupt context.CancelFunc
}

// SelectorOptions are what a Selector may be told. The zero value works.
type SelectorOptions struct {
	Options
	Requeue bool // enter the line again after each term
}

// NewSelector returns a selector that runs lead each time it leads. lead's context ends with leadership, with Interrupt and with
// Run's context; lead should then return soon, since nobody else leads before it does unless the lease is lost.
func NewSelector(c *lock.Client, path string, o SelectorOptions, lead func(ctx context.Context, epoch lock.Fence) error) (*Selector, error) {
	e, err := newElection(c, path, o.Options)
	if err != nil {
		return nil, err
	}
	return &Selector{election: e, lead: lead, requeue: o.Requeue}, nil
}

// Run waits for leadership, runs the function, and returns its error, or lock.ErrLost when it returned none and leadership
// was lost meanwhile. With Requeue such errors go to OnError, and Run goes on until ctx ends or the client is closed, whose error
// it returns.
func (s *Selector) Run(ctx context.Context) error {
	if !s.running.CompareAndSwap(false, true) {
		return ErrRunning
	}
	defer s.running.Store(false)
	for {
		lease, err := s.win(ctx)
		if err != nil {
			return err
		}
		err = s.term(ctx, lease)
		if !s.requeue {
			return err
		}
		if err != nil {
			s.o.OnError(err)
		}
	}
}

func (s *Selector) term(ctx context.Context, lease *lock.Lease) error {
	term, interrupt := context.WithCancel(lease.Context())
	defer context.AfterFunc(ctx, interrupt)()
	s.set(lease, interrupt)
	err := s.lead(term, lease.Fence())
	s.set(nil, nil)
	interrupt()
	if lost := leave(lease); err == nil {
		err = lost
	}
	return err
}

func (s *Selector) set(lease *lock.Lease, interrupt context.CancelFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lease, s.interrupt = lease, interrupt
}

// Interrupt ends the context of the function, if it runs.
func (s *Selector) Interrupt() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.interrupt != nil {
		s.interrupt()
	}
}

// Leading says whether the selector leads at this moment.
func (s *Selector) Leading() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lease != nil && s.lease.Held()
}
