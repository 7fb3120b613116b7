// Package ferry calls services of other processes and serves its own to them.
//
// A service is a Go interface (or a service of a .proto file) for which "ferry gen" writes a typed client and a
// description. A Server exports an implementation and publishes it in a registry; a Client refers to a service by its
// description and calls it through the registry's providers. Everything in between is chosen by URL parameters, for
// which Options are Go names:
//
//	s := ferry.NewServer("zookeeper://127.0.0.1:2181")
//	err := greeter.ExportGreeter(s, impl{}, ferry.Weight(200))
//
//	c := ferry.NewClient("zookeeper://127.0.0.1:2181")
//	g, err := greeter.ReferGreeter(c, ferry.Timeout(800*time.Millisecond), ferry.Retries(1))
//	reply, err := g.SayHello(ctx, "world")
//
// One call passes these rooms, down once and up once:
//
//	stub -> filters -> cluster -> balancer -> reference filters -> protocol -> exchange -> transport -> network
//	     -> transport -> exchange -> protocol -> service filters -> service
//
// An error from a call is a *protocol.Error unless a filter made it. Its Outcome says whether the call ran.
package ferry

import (
	"context"
	"net"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/proxy"
)

// process holds what all clients and servers of the process have together: one session per ZooKeeper ensemble.
var process extension.Shared

// Error is the error of a failed call; find it with errors.As.
type Error = protocol.Error

// A Future is the reply of a call that is under way: Wait waits for it, Then is told of it, Cancel gives the call up. The
// asynchronous clients of "ferry gen -async" return one, and so may the func fields of proxy.Fill.
type Future[T any] = proxy.Future[T]

// Go runs f in a goroutine of its own and returns its Future, for instance to begin several calls at once:
//
//	hello := ferry.Go(ctx, func(ctx context.Context) (string, error) { return g.SayHello(ctx, "world") })
func Go[T any](ctx context.Context, f func(context.Context) (T, error)) *Future[T] {
	return proxy.Go(ctx, f)
}

// Start begins a call of generated code; c belongs to it.
func Start[T any](ctx context.Context, in protocol.Invoker, c *protocol.Invocation) *Future[T] {
	return proxy.Start[T](ctx, in, c)
}

// WithAttachment returns a context whose calls carry a string pair beside their arguments. Keys that belong to the
// framework make the call fail.
func WithAttachment(ctx context.Context, key, value string) context.Context {
	return protocol.WithAttachment(ctx, key, value)
}

// WithIdempotencyKey returns a context whose calls are recorded under key by providers that record the method (parameter
// idempotent): a call with the same key, of the same application to the same method, gets the first one's answer.
func WithIdempotencyKey(ctx context.Context, key string) context.Context {
	return protocol.WithIdempotencyKey(ctx, key)
}

// WithIdempotencyOutcome returns a context whose call stores in outcome whether its answer was "executed", "replayed" or
// "unknown"; it stays empty when the provider kept no record. It is for one call at a time.
func WithIdempotencyOutcome(ctx context.Context, outcome *string) context.Context {
	return protocol.WithIdempotencyOutcome(ctx, outcome)
}

// Attachments returns the pairs that came with the call which ctx, a handler's context, serves.
func Attachments(ctx context.Context) protocol.Attachments { return protocol.IncomingAttachments(ctx) }

// ReplyAttachment sends a string pair back with the answer of the call that ctx serves. It says whether ctx serves one.
func ReplyAttachment(ctx context.Context, key, value string) bool {
	return protocol.SetReplyAttachment(ctx, key, value)
}

// Peer returns the address of the caller that ctx, a handler's context, serves, or nil.
func Peer(ctx context.Context) net.Addr { return protocol.Peer(ctx) }
