package lock

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/ferryrpc/ferry/internal/zk"
)

// A Barrier keeps everybody waiting as long as its node is there, whether or not the process that set it lives.
type Barrier struct {
	c    *Client
	path string
}

// Barrier returns the barrier at a path, which begins with a slash.
func (c *Client) Barrier(path string) (*Barrier, error) {
	full, err := c.full(path)
	if err != nil {
		return nil, err
	}
	return &Barrier{c, full}, nil
}

// Set closes the barrier. It may be closed already.
func (b *Barrier) Set(ctx context.Context) error {
	for {
		_, err := b.c.zk.Create(ctx, zk.Node{Path: b.path, Parents: true})
		switch {
		case errors.Is(err, zk.ErrConnectionLost): // a second one does no harm
			continue
		case errors.Is(err, zk.ErrNodeExists):
			return nil
		}
		return b.c.fault("set", b.path, err)
	}
}

// Remove opens the barrier. It may be open already.
func (b *Barrier) Remove(ctx context.Context) error {
	for {
		err := b.c.zk.Delete(ctx, b.path, zk.AnyVersion)
		switch {
		case errors.Is(err, zk.ErrConnectionLost): // as in Set
			continue
		case errors.Is(err, zk.ErrNoNode):
			return nil
		}
		return b.c.fault("remove", b.path, err)
	}
}

// Wait returns when the barrier is open: at once when there is none. Servers that are away end the wait only with ctx.
func (b *Barrier) Wait(ctx context.Context) error {
	ctx, cancel := b.c.within(ctx)
	defer cancel()
	err := b.c.until(ctx, func(w *zk.Watch) (bool, error) {
		_, found, err := b.c.zk.Exists(ctx, b.path, w)
		return !found, err
	})
	return b.c.fault("wait", b.path, err)
}

// until reads again after each event until what was read is what is waited for.
func (c *Client) until(ctx context.Context, read func(w *zk.Watch) (done bool, err error)) error {
	for {
		w, events := zk.WatchChan()
		done, err := read(w)
		if !done && err == nil {
			select {
			case <-events:
			case <-ctx.Done():
				err = context.Cause(ctx)
			}
		}
		w.Stop()
		if done || err != nil {
			return err
		}
	}
}

// A DoubleBarrier lets a number of members begin together and end together. Members that come when it is open enter at once. It
// may be used again when all have left.
//
//	<path>/_c_<guid>-member    one for each, ephemeral
//	<path>/ready               the number was reached
type DoubleBarrier struct {
	c       *Client
	path    string
	members int
}

// DoubleBarrier returns the barrier of so many members at a path, which begins with a slash.
func (c *Client) DoubleBarrier(path string, members int) (*DoubleBarrier, error) {
	full, err := c.full(path)
	if err != nil {
		return nil, err
	}
	if members <= 0 {
		return nil, c.fault("open", full, fmt.Errorf("%w: %d members, it must be positive", ErrLimit, members))
	}
	return &DoubleBarrier{c, full, members}, nil
}

const memberMark = "member"

// A Member has entered a DoubleBarrier.
type Member struct {
	b     *DoubleBarrier
	lease *Lease
	ready int64 // transaction that created the node: which opening it was
}

// Enter waits until all members have come. Who gives up, or dies, is counted no more.
func (b *DoubleBarrier) Enter(ctx context.Context) (*Member, error) {
	inner, cancel := b.c.within(ctx)
	defer cancel()
	for {
		m, err := b.enter(inner, ctx)
		switch {
		case err == nil:
			return m, nil
		case inner.Err() != nil && !errors.Is(err, zk.ErrDisconnected):
			return nil, b.c.fault("enter", b.path, context.Cause(inner))
		case inner.Err() != nil, !again(err):
			return nil, b.c.fault("enter", b.path, err)
		}
	}
}

func (b *DoubleBarrier) enter(ctx, caller context.Context) (*Member, error) {
	gen, err := b.c.zk.Session(ctx)
	if err != nil {
		return nil, err
	}
	h := b.c.newHold(gen, Incarnation{}, request{})
	prefix := newPrefix()
	n := zk.Node{Path: b.path + "/" + prefix + memberMark, Session: gen}
	for try := 0; h.path == "" && err == nil; try++ {
		h.path, err = b.c.create(ctx, gen, b.path, prefix, func(ctx context.Context) (string, error) { return b.c.zk.Create(ctx, n) })
		if errors.Is(err, zk.ErrNoNode) && try < maxTries {
			err = b.c.containers(ctx, b.path, b.path)
		}
	}
	if err != nil {
		return nil, err
	}
	err = h.settle(ctx)
	var lease *Lease
	if err == nil {
		if lease = h.lease(caller); lease == nil {
			err = errGone
		}
	}
	m := &Member{b: b, lease: lease}
	if err == nil {
		err = m.gather(ctx)
	}
	if err != nil {
		_ = h.remove(ctx) // what it cannot delete is with the sweeper
		return nil, err
	}
	return m, nil
}

// gather waits until the barrier is open, and opens it when all are there.
func (m *Member) gather(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(m.lease.ctx, func() { cancel(errGone) })()
	b := m.b
	err := b.c.until(ctx, func(w *zk.Watch) (bool, error) {
		stat, found, err := b.c.zk.Exists(ctx, b.path+"/ready", w)
		if found || err != nil {
			m.ready = stat.Created
			return found, err
		}
		n, err := b.count(ctx, w)
		if err == nil && n >= b.members {
			_, err = b.c.zk.Create(ctx, zk.Node{Path: b.path + "/ready"})
			if errors.Is(err, zk.ErrNodeExists) || errors.Is(err, zk.ErrConnectionLost) {
				err = nil // the event tells
			}
		}
		return false, err
	})
	if m.lease.ctx.Err() != nil {
		return errGone
	}
	return err
}

// count returns the number of members that are there.
func (b *DoubleBarrier) count(ctx context.Context, w *zk.Watch) (n int, err error) {
	names, err := b.c.zk.Children(ctx, b.path, w)
	if errors.Is(err, zk.ErrNoNode) {
		return 0, nil
	}
	for _, name := range names {
		if strings.HasSuffix(name, memberMark) {
			n++
		}
	}
	return n, err
}

// Context ends when the member may be counted as dead by the others.
func (m *Member) Context() context.Context { return m.lease.Context() }

// Leave waits until all members have left or died. The member has left also when it returns an error.
func (m *Member) Leave(ctx context.Context) error {
	if err := m.lease.Unlock(ctx); err != nil {
		return err
	}
	b := m.b
	ctx, cancel := b.c.within(ctx)
	defer cancel()
	err := b.c.until(ctx, func(w *zk.Watch) (bool, error) {
		stat, found, err := b.c.zk.Exists(ctx, b.path+"/ready", w)
		if err != nil || !found || stat.Created != m.ready { // somebody saw the end before us
			return err == nil, err
		}
		n, err := b.count(ctx, w)
		if n > 0 || err != nil {
			return false, err
		}
		err = b.c.zk.Delete(ctx, b.path+"/ready", zk.AnyVersion)
		if errors.Is(err, zk.ErrNoNode) || errors.Is(err, zk.ErrConnectionLost) {
			return false, nil // the event tells
		}
		return err == nil, err
	})
	return b.c.fault("leave", b.path, err)
}
