package protocol

import (
	"context"
	"net"
	"slices"
)

// RetryOfUnknown is the attachment of a call that repeats an attempt whose outcome is not known. Whoever serves such a
// call may pass it on, and Unknown failures of the calls below it are not repeated again: one layer repeats, not each.
const RetryOfUnknown = "retry-of-unknown"

type outgoingKey struct{}

// WithAttachment returns a context whose calls carry the pair. Later pairs replace earlier ones with the same key. Keys
// that the framework sets itself (see Reserved) make calls fail.
func WithAttachment(ctx context.Context, key, value string) context.Context {
	a := append(make(Attachments, 0, len(AttachmentsFrom(ctx))+2), AttachmentsFrom(ctx)...)
	a.Set(key, value)
	return context.WithValue(ctx, outgoingKey{}, a)
}

// AttachmentsFrom returns the pairs that WithAttachment put into ctx; the caller must not change them.
func AttachmentsFrom(ctx context.Context) Attachments {
	a, _ := ctx.Value(outgoingKey{}).(Attachments)
	return a
}

// Reserved says whether an attachment key belongs to the framework, so that user code can neither set nor override it.
func Reserved(key string) bool {
	switch key {
	case "path", "interface", "group", "version", "dubbo", "token", "timeout", "_TO", "_to", "async", "return", "generic",
		"order-call", "order-key", "order-epoch", "order-error", "order-owner", "order-final",
		"id", "input", "output", "remote.application", "serialization", "lb_adaptive", RetryOfUnknown,
		IdempotencyKey, IdempotencyTTL, IdempotencyAttempt, IdempotencyOutcome, IdempotencyError:
		return true
	}
	const callback = "sys_callback_arg-"
	return len(key) >= len(callback) && key[:len(callback)] == callback
}

// ServingKey is the key under which a serving context keeps its *Invocation. Protocols whose contexts answer to it
// themselves save WithServing's allocation.
type ServingKey struct{}

// AttachmentsKey is the key under which a serving context keeps its call's Attachments. A context that outlives its call
// answers with a copy that nobody changes, and with none once the call is over.
type AttachmentsKey struct{}

// serving is a context with the call that is being served: one allocation instead of context.WithValue's two.
type serving struct {
	context.Context
	call *Invocation
}

func (s *serving) Value(key any) any {
	switch key.(type) {
	case ServingKey:
		return s.call
	case AttachmentsKey:
		if known := s.Context.Value(key); known != nil {
			return known // of the protocol, which knows when the call is over
		}
		return slices.Clone(s.call.Attachments)
	}
	return s.Context.Value(key)
}

// WithServing returns the context in which a provider's handler serves c. Providers' filters and protocols call it.
func WithServing(ctx context.Context, c *Invocation) context.Context { return &serving{ctx, c} }

// Serving returns the call that ctx serves, or nil outside a handler. It is valid until the handler returns.
func Serving(ctx context.Context) *Invocation {
	c, _ := ctx.Value(ServingKey{}).(*Invocation)
	return c
}

// IncomingAttachments returns a copy of the pairs that came with the call that ctx serves; nil outside a handler. It may
// be called from any goroutine and when the handler has returned.
func IncomingAttachments(ctx context.Context) Attachments {
	a, _ := ctx.Value(AttachmentsKey{}).(Attachments)
	return a
}

// SetReplyAttachment sends a pair back with the answer of the call that ctx serves. It must be called before the handler
// returns and not from two goroutines at once; it says whether ctx serves a call and the key is not reserved.
func SetReplyAttachment(ctx context.Context, key, value string) bool {
	c := Serving(ctx)
	if c == nil || Reserved(key) {
		return false
	}
	c.ReplyAttachments.Set(key, value)
	return true
}

// PeerKey is the key under which a serving context keeps the caller's net.Addr.
type PeerKey struct{}

// Peer returns the address of the caller that ctx serves; nil outside a handler or when the protocol does not know it.
func Peer(ctx context.Context) net.Addr {
	a, _ := ctx.Value(PeerKey{}).(net.Addr)
	return a
}
