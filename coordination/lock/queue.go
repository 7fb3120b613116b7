package lock

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/ferryrpc/ferry/internal/zk"
)

// An Owner names who acquires, for re-entry: whoever acquires a lock under an owner that holds it already gets another lease
// at once. Owners are known within one Client; the empty one is nobody's.
type Owner string

type ownerKey struct{}

// WithOwner returns a context under which locks are acquired for an owner.
func WithOwner(ctx context.Context, owner Owner) context.Context {
	return context.WithValue(ctx, ownerKey{}, owner)
}

// NewOwner returns an owner that nobody else is.
func NewOwner() Owner { return Owner(strings.Trim(newPrefix(), "_c-")) }

func ownerOf(ctx context.Context) Owner {
	owner, _ := ctx.Value(ownerKey{}).(Owner)
	return owner
}

// A request is what somebody wants of a queue.
type request struct {
	mark   string
	owner  Owner
	policy Policy
	data   []byte
	wait   bool // false: give up when somebody is before us
}

func (r request) shared() bool { return r.mark == readMark }

// A queue is what this process does at one path. One waiter at a time contends; the others wait for their turn here.
type queue struct {
	c        *Client
	dir, top string // dir is a container, and so are the nodes from top down to it
	users    int    // guarded by c.mu; requests and holds

	mu      sync.Mutex // guards the following
	busy    bool       // somebody contends
	waiting []*waiter
	holds   []*hold // that were granted and not removed
}

// A waiter waits for its turn.
type waiter struct {
	owner Owner
	ready chan bool // has one place; true: it is your turn, false: your owner has got in, look again
}

// queue returns the queue of a path, with one more user.
func (c *Client) queue(dir, top string) *queue {
	c.mu.Lock()
	defer c.mu.Unlock()
	q := c.queues[dir]
	if q == nil {
		q = &queue{c: c, dir: dir, top: top}
		c.queues[dir] = q
	}
	q.users++
	return q
}

// drop takes a user away.
func (q *queue) drop() {
	q.c.mu.Lock()
	defer q.c.mu.Unlock()
	if q.users--; q.users == 0 {
		delete(q.c.queues, q.dir)
	}
}

// acquire gets a lease at a path. The nodes from top down are containers.
func (c *Client) acquire(ctx context.Context, dir, top string, r request) (*Lease, error) {
	inner, cancel := c.within(ctx)
	defer cancel()
	q := c.queue(dir, top)
	defer q.drop()
	r.owner = ownerOf(ctx)
	l, err := q.acquire(inner, ctx, r)
	if end := context.Cause(ctx); end != nil && errors.Is(err, end) && !errors.Is(err, zk.ErrDisconnected) {
		if s := c.zk.Status(); !s.Connected {
			err = c.away(s, err)
		}
	}
	if err != nil {
		return nil, c.fault("acquire", dir, err)
	}
	return l, nil
}

// acquire waits under ctx; the lease gets the values of caller.
func (q *queue) acquire(ctx, caller context.Context, r request) (*Lease, error) {
	for {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		l, err := q.reenter(ctx, caller, r)
		if l != nil || err != nil {
			return l, err
		}
		if !r.wait {
			if q.taken(r) {
				return nil, ErrHeld
			}
			return q.admit(ctx, caller, r)
		}
		mine, err := q.turn(ctx, r.owner)
		if err != nil {
			return nil, err
		}
		if mine {
			defer q.pass()
			if l, err = q.reenter(ctx, caller, r); l != nil || err != nil {
				return l, err
			}
			return q.admit(ctx, caller, r)
		}
	}
}

// admit contends and enters the hold.
func (q *queue) admit(ctx, caller context.Context, r request) (*Lease, error) {
	for {
		h, err := q.contend(ctx, r)
		if err != nil {
			return nil, err
		}
		if l := q.enter(h, caller); l != nil {
			return l, nil
		}
		_ = h.remove(ctx) // lost as soon as it was granted
	}
}

// enter notes a hold that was granted, and calls the waiters of the same owner in.
func (q *queue) enter(h *hold, caller context.Context) *Lease {
	l := h.lease(caller)
	if l == nil {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.holds = append(q.holds, h)
	if h.owner != "" {
		q.waiting = slices.DeleteFunc(q.waiting, func(w *waiter) bool {
			if w.owner == h.owner {
				w.ready <- false
			}
			return w.owner == h.owner
		})
	}
	return l
}

// forget takes a hold out that was removed.
func (q *queue) forget(h *hold) {
	q.mu.Lock()
	q.holds = slices.DeleteFunc(q.holds, func(o *hold) bool { return o == h })
	q.mu.Unlock()
	q.drop()
}

// taken says whether somebody of this process is before a request.
func (q *queue) taken(r request) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !r.shared() && q.busy {
		return true
	}
	return slices.ContainsFunc(q.holds, func(h *hold) bool { return h.alive() && !(r.shared() && h.node.shared()) })
}

// reenter gives the owner of a hold another lease on it.
func (q *queue) reenter(ctx, caller context.Context, r request) (*Lease, error) {
	if r.owner == "" {
		return nil, nil
	}
	q.mu.Lock()
	var write, read *hold
	for _, h := range q.holds {
		switch {
		case h.owner != r.owner:
		case !h.node.shared():
			write = h
		case read == nil || h.alive(): // there may be two, after two downgrades
			read = h
		}
	}
	q.mu.Unlock()
	outer := write
	switch {
	case r.shared() && read != nil:
		outer = read
	case r.shared() && write != nil:
		return q.downgrade(ctx, caller, write, r)
	case write == nil && read != nil:
		return nil, ErrUpgrade
	}
	if outer == nil {
		return nil, nil
	}
	if outer.alive() {
		if l := outer.lease(caller); l != nil {
			return l, nil
		}
	}
	return nil, outer.lost()
}

// lost says why an owner cannot enter again: a section of his is broken and not left yet, and a new contender would wait for
// its end. nil means that it is being left at this moment.
func (h *hold) lost() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if errors.Is(h.cause, ErrReleased) {
		return nil
	}
	return fmt.Errorf("the owner's outer lease: %w", cmpOr(h.cause, ErrLost))
}

func cmpOr(err, otherwise error) error {
	if err == nil {
		return otherwise
	}
	return err
}

// turn waits until it is the caller's turn to contend; false means that his owner has got in meanwhile.
func (q *queue) turn(ctx context.Context, owner Owner) (mine bool, err error) {
	q.mu.Lock()
	if !q.busy {
		q.busy = true
		q.mu.Unlock()
		return true, nil
	}
	w := &waiter{owner: owner, ready: make(chan bool, 1)}
	q.waiting = append(q.waiting, w)
	q.mu.Unlock()
	select {
	case mine = <-w.ready:
		return mine, nil
	case <-ctx.Done():
	}
	q.mu.Lock()
	n := len(q.waiting)
	q.waiting = slices.DeleteFunc(q.waiting, func(o *waiter) bool { return o == w })
	called := len(q.waiting) == n
	q.mu.Unlock()
	if called && <-w.ready {
		q.pass()
	}
	return false, context.Cause(ctx)
}

// pass gives the turn to the next waiter.
func (q *queue) pass() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		q.busy = false
		return
	}
	w := q.waiting[0]
	q.waiting = slices.Delete(q.waiting, 0, 1)
	w.ready <- true
}

// fault turns an error into this package's.
func (c *Client) fault(op, path string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, zk.ErrClosed):
		err = ErrClosed
	case errors.Is(err, zk.ErrBadPath):
		err = fmt.Errorf("%w: %w", ErrPath, err)
	case errors.Is(err, zk.ErrConnectionLost), errors.Is(err, zk.ErrAbandoned) && op == "do":
		err = fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	if path == "" {
		return fmt.Errorf("lock: %s: %w", op, err)
	}
	return fmt.Errorf("lock: %s %s: %w", op, path, err)
}
