package zk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	gozk "github.com/go-zookeeper/zk"
)

// AnyVersion makes Set, Delete and Check take whatever version a node has.
const AnyVersion int32 = -1

// A Stat is what the servers know of a node.
type Stat struct {
	Created  int64 // transaction that created it (czxid): grows over all nodes of an ensemble
	Modified int64 // transaction that last wrote its data
	Version  int32 // writes of its data
	Owner    int64 // session of an ephemeral node, 0 of others
	Children int32
}

func statOf(s *gozk.Stat) Stat {
	return Stat{Created: s.Czxid, Modified: s.Mzxid, Version: s.Version, Owner: s.EphemeralOwner, Children: s.NumChildren}
}

// A Node is what Create makes.
type Node struct {
	Path      string
	Data      []byte
	Session   *Generation // not nil: ephemeral, in this generation and no other
	Sequence  bool        // the servers append ten digits to Path
	Container bool        // the servers may delete it when its last child is gone
	Parents   bool        // persistent parents are made where they are missing
}

func (n Node) flags() int32 {
	f := int32(gozk.FlagPersistent)
	if n.Session != nil {
		f |= gozk.FlagEphemeral
	}
	if n.Sequence {
		f |= gozk.FlagSequence
	}
	if n.Container {
		f |= gozk.FlagContainer
	}
	return f
}

// Create makes a node and returns its path. An ephemeral node is made on a connection of its generation's session or not
// at all; when the caller leaves before the answer, the node is deleted once the answer comes. With ErrConnectionLost
// the node may be there: whoever needs to know looks for it.
func (c *Client) Create(ctx context.Context, n Node) (string, error) {
	path, err := c.createOnce(ctx, n)
	for try := 0; n.Parents && errors.Is(err, ErrNoNode) && try < 3; try++ { // a container parent may be taken away again
		if err = c.MakeParents(ctx, n.Path); err != nil {
			return "", err
		}
		path, err = c.createOnce(ctx, n)
	}
	return path, err
}

func (c *Client) createOnce(ctx context.Context, n Node) (string, error) {
	o := op{name: "create", path: n.Path, gen: n.Session}
	return do(ctx, c, o, func(l *link) (string, error) {
		if n.Container {
			return l.lib.CreateContainer(n.Path, n.Data, n.flags(), c.acl())
		}
		return l.lib.Create(n.Path, n.Data, n.flags(), c.acl())
	}, func(l *link, path string) {
		if n.Session != nil {
			_ = l.lib.Delete(path, AnyVersion) // fails only when the connection does, and its session's end deletes it too
		}
	})
}

// MakeParents makes what is missing above path, level by level.
func (c *Client) MakeParents(ctx context.Context, path string) error {
	parent := path[:max(strings.LastIndexByte(path, '/'), 0)]
	if parent == "" {
		return nil
	}
	_, err := c.createOnce(ctx, Node{Path: parent})
	if errors.Is(err, ErrNoNode) {
		if err = c.MakeParents(ctx, parent); err == nil {
			_, err = c.createOnce(ctx, Node{Path: parent})
		}
	}
	if errors.Is(err, ErrNodeExists) {
		return nil
	}
	return err
}

func (c *Client) acl() []gozk.ACL {
	if c.cfg.User != "" {
		return gozk.AuthACL(gozk.PermAll)
	}
	return gozk.WorldACL(gozk.PermAll)
}

// Delete deletes a node of that version.
func (c *Client) Delete(ctx context.Context, path string, version int32) error {
	_, err := do(ctx, c, op{name: "delete", path: path}, func(l *link) (struct{}, error) {
		return struct{}{}, l.lib.Delete(path, version)
	}, nil)
	return err
}

// DeleteIn deletes a node on a connection of a generation's session or not at all.
func (c *Client) DeleteIn(ctx context.Context, gen *Generation, path string, version int32) error {
	_, err := do(ctx, c, op{name: "delete", path: path, gen: gen}, func(l *link) (struct{}, error) {
		return struct{}{}, l.lib.Delete(path, version)
	}, nil)
	return err
}

// Set writes a node's data if it has that version.
func (c *Client) Set(ctx context.Context, path string, data []byte, version int32) (Stat, error) {
	return do(ctx, c, op{name: "set", path: path}, func(l *link) (Stat, error) {
		s, err := l.lib.Set(path, data, version)
		if err != nil {
			return Stat{}, err
		}
		return statOf(s), nil
	}, nil)
}

// Exists says whether there is a node. The watch, if any, is told of its creation, deletion or change of data.
func (c *Client) Exists(ctx context.Context, path string, w *Watch) (Stat, bool, error) {
	type answer struct {
		stat  Stat
		found bool
	}
	a, err := do(ctx, c, op{name: "exists", path: path, read: true}, func(l *link) (a answer, err error) {
		p := l.watch(watchKey{path, false}, w)
		defer func() { p.settle(err == nil) }()
		found, s, err := l.lib.Exists(path)
		if err == nil && found {
			a = answer{statOf(s), true}
		}
		return a, err
	}, nil)
	return a.stat, a.found, err
}

// Get reads a node's data. The watch, if any, is told of its change or deletion; it is not set when there is no node.
func (c *Client) Get(ctx context.Context, path string, w *Watch) ([]byte, Stat, error) {
	type answer struct {
		data []byte
		stat Stat
	}
	a, err := do(ctx, c, op{name: "get", path: path, read: true}, func(l *link) (a answer, err error) {
		p := l.watch(watchKey{path, false}, w)
		defer func() { p.settle(err == nil) }()
		data, s, err := l.lib.Get(path)
		if err == nil {
			a = answer{data, statOf(s)}
		}
		return a, err
	}, nil)
	return a.data, a.stat, err
}

// Children lists the names below a node, in no order. The watch, if any, is told when the list changes or the node is
// deleted; it is not set when there is no node.
func (c *Client) Children(ctx context.Context, path string, w *Watch) ([]string, error) {
	return do(ctx, c, op{name: "list", path: path, read: true}, func(l *link) (names []string, err error) {
		p := l.watch(watchKey{path, true}, w)
		defer func() { p.settle(err == nil) }()
		names, _, err = l.lib.Children(path)
		return names, err
	}, nil)
}

// Sync waits until the server that we read from has all transactions that were complete when it was called.
func (c *Client) Sync(ctx context.Context, path string) error {
	_, err := do(ctx, c, op{name: "sync", path: path, read: true}, func(l *link) (string, error) {
		return l.lib.Sync(path)
	}, nil)
	return err
}

// An op says what is asked, for errors, and how it may be carried out.
type op struct {
	name, path string
	gen        *Generation // not nil: only in this generation
	read       bool        // may be repeated on another connection
}

// do runs call on the present connection, or on the next one if there is none, and returns no later than ctx ends. late,
// if not nil, is called with the result when it comes after that.
func do[T any](ctx context.Context, c *Client, o op, call func(*link) (T, error), late func(*link, T)) (T, error) {
	var zero T
	for {
		l, err := c.acquire(ctx, o.gen)
		if err != nil {
			return zero, &opError{o.name, o.path, err}
		}
		v, err := runOn(ctx, l, call, late)
		switch {
		case err == nil:
			return v, nil
		case errors.Is(err, ErrConnectionLost) && c.ctx.Err() != nil:
			return zero, &opError{o.name, o.path, ErrClosed}
		case errors.Is(err, ErrConnectionLost) && o.read:
			<-l.dead // a read has no effect that a repeat could double
			continue
		}
		return zero, &opError{o.name, o.path, err}
	}
}

// acquire waits for a connection, of gen's session if gen is not nil, and for a free place on it.
func (c *Client) acquire(ctx context.Context, gen *Generation) (*link, error) {
	if gen != nil { // the end of the generation ends the wait
		inner, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		defer context.AfterFunc(gen.ctx, func() { cancel(context.Cause(gen.ctx)) })()
		ctx = inner
	}
	for {
		var l *link
		err := c.await(ctx, func() bool {
			if l = c.link; l == nil || l.failed() || gen != nil && l.session != gen.id {
				return false
			}
			l.calls.Add(1) // under c.mu and while the link is published: its end waits
			return true
		})
		if err == nil && gen != nil && !gen.Alive() {
			l.calls.Done()
			err = cmp.Or(context.Cause(gen.ctx), errLease) // the timer may be late, in a process that was stopped
		}
		if err != nil {
			if gen != nil && gen.ctx.Err() != nil {
				return nil, context.Cause(gen.ctx)
			}
			return nil, err
		}
		select {
		case l.slots <- struct{}{}:
			return l, nil
		case <-l.dead:
			l.calls.Done()
		case <-ctx.Done():
			l.calls.Done()
			return nil, fmt.Errorf("%d calls are in flight: %w", maxCalls, context.Cause(ctx))
		}
	}
}

// runOn runs one library call, which knows no context, on a goroutine of its own.
func runOn[T any](ctx context.Context, l *link, call func(*link) (T, error), late func(*link, T)) (T, error) {
	type answer struct {
		v   T
		err error
	}
	var settled atomic.Bool
	ch := make(chan answer, 1)
	go func() {
		defer func() { <-l.slots; l.calls.Done() }()
		v, err := call(l)
		if settled.CompareAndSwap(false, true) {
			ch <- answer{v, err}
		} else if err == nil && late != nil {
			late(l, v)
		}
	}()
	var a answer
	select {
	case a = <-ch:
	case <-ctx.Done():
		if settled.CompareAndSwap(false, true) {
			return a.v, fmt.Errorf("%w: %w", ErrAbandoned, context.Cause(ctx))
		}
		a = <-ch
	}
	return a.v, translate(l, a.err)
}
