// Package leader elects one of several processes, on the locks of package lock.
//
// A Latch is always in the line for leadership, tells its state, and calls back when it changes. A Selector runs a function
// while it leads, once or again and again. Both stand in the queue of a lock.Mutex at their path: leaders follow each other in
// the order in which they came, with growing epochs.
//
//	waiting -> leading(epoch) -> waiting ...        Latch: OnGain, OnLoss, OnGain, OnLoss, never two at once
//
// An epoch is the fence of the lease: a leader passes it on with what it orders, and those who obey refuse smaller ones than
// they have seen (lock.Gate). What a lease promises, and what it cannot, is said in package lock.
//
// A Latch has one goroutine, which waits, and calls back. A Selector has none: Run is the caller's.
package leader

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/ferryrpc/ferry/coordination/lock"
)

// ErrRunning means that a Selector's Run was called while another one is under way.
var ErrRunning = errors.New("the selector runs already")

// leaving bounds the wait for the servers when leadership is given up; after it the node is deleted in the background.
const leaving = 2 * time.Second

// Options are what a participant may be told. The zero value works.
type Options struct {
	ID     string        // of the participant, for Leader and Participants
	Policy lock.Policy   // when leadership is given up
	Retry  time.Duration // mean pause after an error that the servers answered; 0 means a second
	// OnError is told of errors after which the participant tries again, from the goroutine that waits. nil: nobody is.
	OnError func(error)
}

func (o Options) withDefaults() Options {
	if o.Retry <= 0 {
		o.Retry = time.Second
	}
	if o.OnError == nil {
		o.OnError = func(error) {}
	}
	return o
}

// A Participant is somebody in the line.
type Participant struct {
	ID      string
	Leading bool
}

// election is what a Latch and a Selector have in common.
type election struct {
	mutex *lock.Mutex
	o     Options
}

func newElection(c *lock.Client, path string, o Options) (election, error) {
	m, err := c.Mutex(path, lock.Options{Policy: o.Policy, Data: []byte(o.ID)})
	if err != nil {
		return election{}, fmt.Errorf("leader: %w", err)
	}
	return election{m, o.withDefaults()}, nil
}

// Leader returns the id of the participant that leads; found is false when nobody does.
func (e election) Leader(ctx context.Context) (id string, found bool, err error) {
	line, err := e.Participants(ctx)
	if err != nil || len(line) == 0 {
		return "", false, err
	}
	return line[0].ID, line[0].Leading, nil
}

// Participants returns those in the line, in order. Of one process and path, the one who leads and the first who waits are
// in it.
func (e election) Participants(ctx context.Context) ([]Participant, error) {
	line, err := e.mutex.Participants(ctx)
	if err != nil {
		return nil, fmt.Errorf("leader: %w", err)
	}
	out := make([]Participant, len(line))
	for i, p := range line {
		out[i] = Participant{ID: string(p.Data), Leading: p.Holds}
	}
	return out, nil
}

// win waits for leadership until ctx ends or the client is closed.
func (e election) win(ctx context.Context) (*lock.Lease, error) {
	for {
		lease, err := e.mutex.Lock(ctx)
		switch {
		case err == nil && lease.Held():
			return lease, nil
		case err == nil: // lost as soon as it was won: nobody learns of it
			_ = leave(lease)
			continue
		case ctx.Err() != nil, errors.Is(err, lock.ErrClosed):
			return nil, fmt.Errorf("leader: %w", err)
		}
		e.o.OnError(fmt.Errorf("leader: %w", err))
		e.pause(ctx)
	}
}

func (e election) pause(ctx context.Context) {
	t := time.NewTimer(e.o.Retry/2 + rand.N(e.o.Retry))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// leave unlocks; what the servers do not answer in time is done in the background.
func leave(lease *lock.Lease) error {
	ctx, cancel := context.WithTimeout(context.Background(), leaving)
	defer cancel()
	err := lease.Unlock(ctx)
	if errors.Is(err, lock.ErrLost) {
		return err
	}
	return nil // the section is over, and the node goes
}
