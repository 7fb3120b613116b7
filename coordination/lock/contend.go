package lock

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/ferryrpc/ferry/internal/zk"
)

// maxTries bounds how often a container is made again that the servers took away between its creation and that of its child.
const maxTries = 10

var errNotYet = errors.New("no attempt has ended yet")

// contend makes nodes until one of them is granted.
func (q *queue) contend(ctx context.Context, r request) (*hold, error) {
	for {
		h, err := q.attempt(ctx, r)
		switch {
		case err == nil:
			return h, nil
		case ctx.Err() != nil && !errors.Is(err, zk.ErrDisconnected): // that one says why no server was reached
			return nil, context.Cause(ctx)
		case ctx.Err() != nil, !again(err):
			return nil, err
		}
	}
}

// again says whether an attempt failed for a reason that a new one, with a new node, does not have.
func again(err error) bool {
	return errors.Is(err, errGone) || errors.Is(err, zk.ErrConnectionLost) ||
		errors.Is(err, zk.ErrSessionEnded) && !errors.Is(err, zk.ErrClosed)
}

// attempt contends with one node. Whatever becomes of it, no node is left that is not a hold's.
func (q *queue) attempt(ctx context.Context, r request) (*hold, error) {
	gen, err := q.c.zk.Session(ctx)
	if err != nil {
		return nil, err
	}
	life, err := q.c.incarnation(ctx, gen)
	if err == nil {
		err = q.c.online(ctx, gen)
	}
	if err != nil {
		return nil, err
	}
	h := q.c.newHold(gen, life, r)
	prefix := newPrefix()
	n := zk.Node{Path: q.dir + "/" + prefix + r.mark, Data: r.data, Session: gen, Sequence: true}
	for try := 0; h.path == "" && err == nil; try++ {
		h.path, err = q.c.create(ctx, gen, q.dir, prefix, func(ctx context.Context) (string, error) { return q.c.zk.Create(ctx, n) })
		if errors.Is(err, zk.ErrNoNode) && try < maxTries {
			err = q.c.containers(ctx, q.dir, q.top)
		}
	}
	if err != nil {
		return nil, err
	}
	q.own(h)
	if err := q.stand(ctx, h, r); err != nil {
		_ = h.remove(ctx) // what it cannot delete is with the sweeper, and the first error is the one to see
		return nil, err
	}
	return h, nil
}

// own makes the hold one of the queue's, which then has a user more.
func (q *queue) own(h *hold) {
	h.q = q
	h.node, _ = parseName(h.path[strings.LastIndexByte(h.path, '/')+1:])
	q.c.mu.Lock()
	q.users++
	q.c.mu.Unlock()
}

// stand stays in the queue until nobody is before the hold, which is then granted.
func (q *queue) stand(ctx context.Context, h *hold, r request) error {
	for look := true; ; {
		if look {
			if err := h.look(ctx); err != nil {
				return err
			}
		}
		children, err := q.c.zk.Children(ctx, q.dir, nil)
		if errors.Is(err, zk.ErrNoNode) {
			return errGone
		}
		if err != nil {
			return err
		}
		name, present := predecessor(children, h.node)
		switch {
		case !present:
			return errGone
		case name == "":
			if look, err = h.grant(); err != nil || !look {
				return err
			}
			continue
		case !r.wait:
			return ErrHeld
		}
		if look, err = q.await(ctx, h, q.dir+"/"+name); err != nil {
			return err
		}
	}
}

// await waits until something happens to the node at path or to the hold's own; look says that it is the latter.
func (q *queue) await(ctx context.Context, h *hold, path string) (look bool, err error) {
	w, events := zk.WatchChan()
	defer w.Stop()
	switch _, _, err := q.c.zk.Get(ctx, path, w); { // not Exists: it would leave a watch on a node that is gone
	case errors.Is(err, zk.ErrNoNode):
		return false, nil
	case err != nil:
		return false, err
	}
	select {
	case <-events:
		return false, nil
	case <-h.moved:
		return true, nil
	case <-h.gen.Context().Done():
		return false, context.Cause(h.gen.Context())
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
}

// downgrade gives the owner of a write lock a read lock, which has the write lock's place in the queue: nobody who waits for
// the write lock gets in between.
func (q *queue) downgrade(ctx, caller context.Context, write *hold, r request) (*Lease, error) {
	for {
		if !write.alive() {
			return nil, write.lost()
		}
		h := q.c.newHold(write.gen, write.fence.Incarnation, r)
		h.fence = write.fence // the reader's own transaction is later than those of writers that will come after it
		prefix := newPrefix()
		n := zk.Node{Path: q.dir + "/" + prefix + readMark + write.node.digits(), Data: r.data, Session: write.gen}
		var err error
		h.path, err = q.c.create(ctx, write.gen, q.dir, prefix, func(ctx context.Context) (string, error) {
			_, err := q.c.zk.Multi(ctx, zk.CheckOp(write.path, zk.AnyVersion), zk.CreateOp(n))
			return n.Path, err
		})
		switch {
		case err != nil && again(err):
			continue
		case errors.Is(err, zk.ErrNoNode):
			write.end(fmt.Errorf("%w: %w", ErrLost, errGone))
			continue
		case err != nil:
			return nil, err
		}
		q.own(h)
		if err = h.settle(ctx); err == nil {
			if l := q.enter(h, caller); l != nil {
				return l, nil
			}
			err = errGone
		}
		_ = h.remove(ctx) // as in attempt
		if !again(err) {
			return nil, err
		}
	}
}

// containers makes what is missing of the nodes from top down to dir, as containers, and plain nodes above.
func (c *Client) containers(ctx context.Context, dir, top string) error {
	_, err := c.zk.Create(ctx, zk.Node{Path: dir, Container: true, Parents: dir == top})
	if errors.Is(err, zk.ErrNoNode) && dir != top {
		if err = c.containers(ctx, dir[:strings.LastIndexByte(dir, '/')], top); err == nil {
			_, err = c.zk.Create(ctx, zk.Node{Path: dir, Container: true})
		}
	}
	if errors.Is(err, zk.ErrNodeExists) || errors.Is(err, zk.ErrConnectionLost) || errors.Is(err, zk.ErrNoNode) {
		return nil // the caller creates what belongs below, and comes again
	}
	return err
}

// online waits for a connection, so that a caller who gives up while there is none leaves no create behind.
func (c *Client) online(ctx context.Context, gen *zk.Generation) error {
	for {
		changed := c.zk.Changed()
		status := c.zk.Status()
		if status.Connected {
			return nil
		}
		select {
		case <-changed:
		case <-gen.Context().Done():
			return context.Cause(gen.Context())
		case <-ctx.Done():
			return c.away(status, context.Cause(ctx))
		}
	}
}

// away is the error of a caller whose time is over while no server can be reached.
func (c *Client) away(s zk.Status, end error) error {
	return fmt.Errorf("%w to %s: %w (%w)", zk.ErrDisconnected, c.zk.Addresses(), cmpOr(s.Err, errNotYet), end)
}

// create makes ephemeral nodes below dir whose names begin with prefix. It returns when ctx ends, but the request goes on:
// whatever it makes without the caller's knowledge is deleted.
func (c *Client) create(ctx context.Context, gen *zk.Generation, dir, prefix string, call func(context.Context) (string, error)) (string, error) {
	type made struct {
		path string
		err  error
	}
	var settled atomic.Bool
	answers := make(chan made, 1)
	begun := c.begin(func() {
		path, err := call(context.Background()) // ends with the generation, the connection or the session's client
		mine := settled.CompareAndSwap(false, true)
		if (!mine && err == nil || err != nil && !refused(err)) && !c.sweepOff {
			c.zk.SweepNamed(dir, prefix)
		}
		if mine {
			answers <- made{path, err}
		}
	})
	if !begun {
		return "", ErrClosed
	}
	var a made
	select {
	case a = <-answers:
	case <-ctx.Done():
		if settled.CompareAndSwap(false, true) {
			return "", context.Cause(ctx)
		}
		a = <-answers
	}
	if a.err != nil {
		return "", a.err
	}
	return a.path, nil
}

// refused says whether an error of a create proves that nothing was made.
func refused(err error) bool {
	if errors.Is(err, zk.ErrConnectionLost) || errors.Is(err, zk.ErrAbandoned) {
		return false
	}
	for _, sure := range []error{zk.ErrNoNode, zk.ErrNodeExists, zk.ErrNoAuth, zk.ErrBadPath, zk.ErrSessionEnded, zk.ErrDisconnected} {
		if errors.Is(err, sure) {
			return true
		}
	}
	return false
}
