package dubbo

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/ferryrpc/ferry/exchange"
	"github.com/ferryrpc/ferry/protocol"
)

// A callContext is a handler's context: one allocation per call, and a timer only for a handler that asks for Done. It
// may be kept after the handler has returned; it is cancelled then.
type callContext struct {
	conn     *exchange.ServerConn
	deadline time.Time // zero: the caller set none
	onLoss   bool

	mu     sync.Mutex // guards the following
	call   *protocol.Invocation
	ended  bool            // call is nil then
	inner  context.Context // made when somebody asks for Done
	cancel context.CancelFunc
}

// newCallContext makes the context of a call that arrived at a time: waiting for a worker counts as the caller's time.
func newCallContext(conn *exchange.ServerConn, r *request, at time.Time) *callContext {
	c := &callContext{conn: conn, call: r.call, onLoss: r.target.exporter.params.CancelOnLoss}
	if d := r.timeout(); d > 0 {
		c.deadline = at.Add(d)
	}
	return c
}

// Deadline implements context.Context.
func (c *callContext) Deadline() (time.Time, bool) { return c.deadline, !c.deadline.IsZero() }

// Done implements context.Context.
func (c *callContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inner == nil {
		parent := context.Background()
		if c.onLoss {
			parent = c.conn.Context()
		}
		if c.deadline.IsZero() {
			c.inner, c.cancel = context.WithCancel(parent)
		} else {
			c.inner, c.cancel = context.WithDeadline(parent, c.deadline)
		}
		if c.ended {
			c.cancel()
		}
	}
	return c.inner.Done()
}

// Err implements context.Context.
func (c *callContext) Err() error {
	c.mu.Lock()
	inner, ended := c.inner, c.ended
	c.mu.Unlock()
	switch {
	case inner != nil:
		return inner.Err()
	case ended:
		return context.Canceled
	case !c.deadline.IsZero() && !time.Now().Before(c.deadline):
		return context.DeadlineExceeded
	case c.onLoss:
		return c.conn.Context().Err()
	}
	return nil
}

// Value implements context.Context.
func (c *callContext) Value(key any) any {
	if _, ok := key.(protocol.PeerKey); ok {
		return c.conn.RemoteAddr()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch key.(type) {
	case protocol.ServingKey:
		return c.call
	case protocol.AttachmentsKey:
		if c.call == nil {
			return protocol.Attachments(nil)
		}
		return slices.Clone(c.call.Attachments)
	}
	if c.inner != nil {
		return c.inner.Value(key) // context.WithCancel finds its parent so, and needs no goroutine
	}
	return nil
}

// finish ends the context when the handler has returned.
func (c *callContext) finish() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended, c.call = true, nil
	if c.cancel != nil {
		c.cancel()
	}
}
