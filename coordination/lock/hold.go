package lock

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/ferryrpc/ferry/internal/zk"
)

// errGone means that our node is not there, or is not ours: a new one has to be made.
var errGone = errors.New("the lock's node was deleted")

// errCut means that the connection was lost under a lease that is to end with it.
var errCut = errors.New("connection lost")

// A hold is one node of ours that contends for a lock or holds it.
//
//	contending -> granted -> over       the leases' contexts are cancelled, the node is still there
//	      |__________|________|____-> removed   the node is deleted, or left to the sweeper
//
// A hold that is lost keeps its node until it is unlocked, if the session lets it: whoever holds the lease may not have
// noticed yet.
type hold struct {
	c       *Client
	q       *queue // nil for a permit of a semaphore
	gen     *zk.Generation
	policy  Policy
	owner   Owner
	path    string
	node    contender
	created int64 // transaction; set by the first look
	fence   Fence
	watch   *zk.Watch
	moved   chan struct{} // has an element when the node has to be looked at, before the grant
	revoked chan struct{} // closed when somebody asked for the lock; see Revoke
	asked   sync.Once     // closes revoked

	ctx    context.Context // ends when the hold is over
	cancel context.CancelCauseFunc

	mu      sync.Mutex // guards the following
	granted bool
	cause   error // why it is over
	leases  map[*Lease]struct{}
	unhook  func() bool

	removal sync.Once
	removed error
}

func (c *Client) newHold(gen *zk.Generation, life Incarnation, r request) *hold {
	h := &hold{c: c, gen: gen, policy: r.policy, owner: r.owner, fence: Fence{Incarnation: life},
		moved: make(chan struct{}, 1), revoked: make(chan struct{}), leases: map[*Lease]struct{}{}}
	h.ctx, h.cancel = context.WithCancelCause(context.Background())
	h.watch = zk.NewWatch(h.fire)
	return h
}

// fire is told that something happened to the node. It runs on the connection's goroutine.
func (h *hold) fire(e zk.Event) {
	h.mu.Lock()
	granted := h.granted
	if !granted {
		select {
		case h.moved <- struct{}{}:
		default:
		}
	}
	h.mu.Unlock()
	switch {
	case granted && h.policy == OnDisconnect && e.Type == zk.Lost:
		h.end(fmt.Errorf("%w: %w", ErrLost, errCut))
	case granted:
		h.c.begin(h.lookAgain)
	}
}

// look makes sure that the node is there and ours, and watches it.
func (h *hold) look(ctx context.Context) error {
	stat, found, err := h.c.zk.Exists(ctx, h.path, h.watch)
	switch {
	case err != nil:
		return err
	case !found, stat.Owner != h.gen.ID(), h.created != 0 && stat.Created != h.created:
		return errGone
	}
	if h.created == 0 {
		h.created = stat.Created
	}
	if h.fence.Token == 0 {
		h.fence.Token = stat.Created
	}
	if stat.Version == 0 { // nobody has written to it
		return nil
	}
	data, _, err := h.c.zk.Get(ctx, h.path, nil)
	if err == nil && string(data) == revocation {
		h.asked.Do(func() { close(h.revoked) })
	}
	if errors.Is(err, zk.ErrNoNode) {
		return errGone
	}
	return err
}

// lookAgain follows an event of a hold that was granted.
func (h *hold) lookAgain() {
	if err := h.look(h.ctx); err != nil && h.ctx.Err() == nil {
		h.end(fmt.Errorf("%w: %w", ErrLost, err))
	}
}

// grant makes the hold count. again means that the node has to be looked at first.
func (h *hold) grant() (again bool, err error) {
	h.mu.Lock()
	select {
	case <-h.moved:
		again = true
	default:
		h.granted = true
	}
	h.mu.Unlock()
	if again {
		return true, nil
	}
	if !h.c.deadlineOff {
		unhook := context.AfterFunc(h.gen.Context(), func() {
			h.end(fmt.Errorf("%w: %w", ErrLost, context.Cause(h.gen.Context())))
		})
		h.mu.Lock()
		h.unhook = unhook
		h.mu.Unlock()
	}
	h.c.mu.Lock()
	closed := h.c.closed
	if !closed {
		h.c.holds[h] = struct{}{}
	}
	h.c.mu.Unlock()
	switch {
	case closed:
		return false, ErrClosed
	case !h.gen.Alive():
		return false, fmt.Errorf("while it was granted: %w", zk.ErrSessionEnded)
	}
	return false, nil
}

// settle grants a hold that nobody can be before.
func (h *hold) settle(ctx context.Context) error {
	for {
		if err := h.look(ctx); err != nil {
			return err
		}
		if again, err := h.grant(); err != nil || !again {
			return err
		}
	}
}

// alive says whether the hold counts at this moment, also when no timer has fired in a process that was stopped.
func (h *hold) alive() bool { return h.ctx.Err() == nil && (h.c.deadlineOff || h.gen.Alive()) }

// end makes the hold over; the first cause stays.
func (h *hold) end(cause error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.endLocked(cause)
}

func (h *hold) endLocked(cause error) {
	if h.cause != nil {
		return
	}
	h.cause = cause
	h.cancel(cause)
	for l := range h.leases {
		l.cancel(cause)
	}
}

// lease adds a lease to the hold, with the values of ctx. It returns nil when the hold is over.
func (h *hold) lease(ctx context.Context) *Lease {
	l := &Lease{h: h}
	l.ctx, l.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.cause != nil {
		l.cancel(h.cause)
		return nil
	}
	h.leases[l] = struct{}{}
	return l
}

// leave takes a lease away. It says whether it was the last, and what had ended it before.
func (h *hold) leave(l *Lease) (last bool, lost error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.cause == nil && !h.c.deadlineOff && !h.gen.Alive() { // the timer is late
		h.endLocked(fmt.Errorf("%w: %w", ErrLost, zk.ErrSessionEnded))
	}
	lost = h.cause
	delete(h.leases, l)
	if last = len(h.leases) == 0; last {
		h.endLocked(ErrReleased)
	}
	l.cancel(ErrReleased)
	return last, lost
}

// remove ends the hold and deletes its node, or leaves that to the sweeper when ctx ends before. It returns errGone when the
// node was not there, and an error when that is not known.
func (h *hold) remove(ctx context.Context) error {
	h.removal.Do(func() {
		h.end(ErrReleased)
		h.mu.Lock()
		unhook := h.unhook
		h.mu.Unlock()
		if unhook != nil {
			unhook()
		}
		h.watch.Stop()
		h.removed = h.delete(ctx)
		h.c.mu.Lock()
		delete(h.c.holds, h)
		h.c.mu.Unlock()
		if h.q != nil {
			h.q.forget(h)
		}
	})
	return h.removed
}

func (h *hold) delete(ctx context.Context) error {
	if h.path == "" {
		return nil
	}
	if !h.gen.Alive() { // the node may be gone, but it need not
		h.c.zk.Sweep(h.path, h.gen.ID())
		return nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(h.gen.Context(), func() { cancel(zk.ErrSessionEnded) })()
	for sure := true; ; sure = false {
		err := h.c.zk.Delete(ctx, h.path, zk.AnyVersion)
		switch {
		case err == nil, !sure && errors.Is(err, zk.ErrNoNode) && h.gen.Alive(): // the one before was carried out
			return nil
		case errors.Is(err, zk.ErrNoNode):
			return errGone
		case errors.Is(err, zk.ErrConnectionLost):
			continue
		}
		h.c.zk.Sweep(h.path, h.gen.ID())
		if end := context.Cause(h.gen.Context()); end != nil { // it may have ended at the servers before we began
			return fmt.Errorf("%w: %w", errGone, end)
		}
		return fmt.Errorf("the node will be deleted later: %w", err)
	}
}
