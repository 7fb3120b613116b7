package dubbo

import (
	"context"
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
	ended  bool
	inner  context.Context // made when somebody asks for Done
	cancel context.CancelFunc
}

func newCallContext(conn *exchange.ServerConn, r *request) *callContext {
	c := &callContext{conn: conn, call: r.call, onLoss: r.target.exporter.params.CancelOnLoss}
	if d := r.timeout(); d > 0 {
		c.deadline = time.Now().Add(d)
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
	switch key.(type) {
	case protocol.ServingKey:
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.ended {
			return (*protocol.Invocation)(nil)
		}
		return c.call
	case protocol.PeerKey:
		return c.conn.RemoteAddr()
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
