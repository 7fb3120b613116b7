package triple

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"

	"github.com/ferryrpc/ferry/protocol"
)

type headerKey struct{}

// A callContext is a handler's context. It ends with the caller's deadline, when the caller cancels or its connection is
// lost, and when the handler has returned.
type callContext struct {
	context.Context
	peer   net.Addr
	cancel context.CancelFunc

	mu     sync.Mutex           // guards the following
	call   *protocol.Invocation // nil when it is over
	header protocol.Attachments
}

func newCallContext(ctx context.Context, r *request) *callContext {
	c := &callContext{call: r.call, peer: peer(r.http)}
	c.Context, c.cancel = context.WithCancel(ctx)
	return c
}

// peer is the caller's address.
func peer(r *http.Request) net.Addr {
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return nil
	}
	return net.TCPAddrFromAddrPort(a)
}

// Value implements context.Context.
func (c *callContext) Value(key any) any {
	switch key.(type) {
	case protocol.PeerKey:
		if c.peer == nil {
			return nil
		}
		return c.peer
	case headerKey:
		return c
	case protocol.ServingKey:
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.call
	case protocol.AttachmentsKey:
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.call == nil {
			return protocol.Attachments(nil)
		}
		return slices.Clone(c.call.Attachments)
	}
	return c.Context.Value(key)
}

// takeHeader returns what is to be sent ahead of the answer.
func (c *callContext) takeHeader() protocol.Attachments {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.header
}

// finish ends the context when the handler has returned.
func (c *callContext) finish() {
	c.mu.Lock()
	c.call = nil
	c.mu.Unlock()
	c.cancel()
}
