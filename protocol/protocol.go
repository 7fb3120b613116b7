// Package protocol holds what all layers of a call speak about: the Invocation, the Method it calls, the Invoker that
// carries it one layer further, the Filter around an Invoker, and the Protocol that takes it to another process.
//
// A call goes down through Invokers and comes back as an error; the reply is filled in place. Invoke is called from any
// number of goroutines. The Invocation and its arguments belong to the caller again when Invoke returns, whatever
// happened: no layer keeps them, and what must run later works on Method.Clone or on encoded bytes.
package protocol

import (
	"context"
	"time"

	"github.com/ferryrpc/ferry/url"
)

// An Invocation is one call; it has the same shape on both sides.
type Invocation struct {
	Method *Method
	// Args and Reply hold pointers to the arguments and to the place of the reply. Reply has no value for a method
	// without one; it is filled when Invoke returns nil. A nil Row is an empty one.
	Args, Reply Row
	// Timeout bounds one attempt, from queueing to the reply. 0: the reference decides.
	Timeout time.Duration
	// Attachments travel with the call, ReplyAttachments come back with its answer.
	Attachments, ReplyAttachments Attachments
	// Attempt counts from 1; the cluster sets it. Attempts is how many there may be.
	Attempt, Attempts int
	// Started is set on the provider's side when the handler is called: until then a failure proves that it did not run.
	Started bool
	// Unanswered is set on the consumer's side when nil from Invoke does not mean that the service answered: the call went one
	// way, or a cluster or mock put an empty or other reply in the place of a failure.
	Unanswered bool
	// Converse exchanges the messages of a consumer's streaming call. The protocol calls it from Invoke, once the stream is
	// open; when it returns, so does Invoke. A streaming call without it fails.
	Converse func(s Stream) error
	// Exchanged is set by the protocol when a message of a stream has gone or come: such a call cannot be repeated.
	Exchanged bool
	// Stream carries the messages of a streaming call that is being served.
	Stream Stream
}

// A Row is a sequence of values, each given by a pointer to it. It is the same interface as serialize.Row.
type Row interface {
	Len() int
	At(i int) any
}

// Kind is how a method exchanges messages.
type Kind uint8

// The kinds of methods.
const (
	Unary        Kind = iota // one request, one reply
	OneWay                   // one request, nothing comes back
	ServerStream             // one request, many replies
	ClientStream             // many requests, one reply
	BidiStream               // many of both
)

// A Method describes one method of a service. Generated code makes one for each; it never changes afterwards.
type Method struct {
	Service    string // interface name, for instance com.example.Greeter
	Name       string // name on the wire, for instance sayHello
	Descriptor string // JVM descriptor of the parameters, for instance Ljava/lang/String;I
	Return     string // JVM descriptor of the result; empty when unknown, V for none
	Index      int    // position in its Interface; -1 for a method that belongs to none
	Kind       Kind
	Idempotent bool // declared in the source: a repeat has no second effect
	// Invokes is the method that $invoke calls, where this description is for that one alone; see Key.
	Invokes string
	// Params are the names of the parameters, for formats that name them; nil when they are not known.
	Params []string
	// RPC is the name in gRPC paths when it is another than Name: a .proto file's own spelling.
	RPC string

	// New returns an Invocation with empty Args and Reply of the method's types.
	New func() *Invocation
	// Free takes back an Invocation that New made, once nobody uses it any more. It may be nil.
	Free func(c *Invocation)
	// Clone copies arguments for a call that outlives its caller.
	Clone func(args Row) Row
	// Serve calls the method of impl with the arguments of c and stores its reply there.
	Serve func(ctx context.Context, impl any, c *Invocation) error
}

// Key is the name under which the method's parameters are looked up: its own, or for $invoke that of the method it calls.
func (m *Method) Key() string {
	if m.Invokes != "" {
		return m.Invokes
	}
	return m.Name
}

// An Interface is a service's name with its methods, each at the position that its Index says.
type Interface struct {
	Name    string
	Methods []*Method
}

// An Invoker takes a call one layer further.
type Invoker interface {
	// Invoke returns nil when the reply is there. Any other error than *Error is the answer of the service itself,
	// or comes from a filter.
	Invoke(ctx context.Context, c *Invocation) error
}

// InvokerFunc makes a function an Invoker.
type InvokerFunc func(ctx context.Context, c *Invocation) error

// Invoke calls f.
func (f InvokerFunc) Invoke(ctx context.Context, c *Invocation) error { return f(ctx, c) }

// A Filter wraps an Invoker. It is applied once, when the chain is built.
type Filter func(next Invoker) Invoker

// Chain puts filters around in; the first one is the outermost.
func Chain(in Invoker, filters ...Filter) Invoker {
	for i := len(filters) - 1; i >= 0; i-- {
		in = filters[i](in)
	}
	return in
}

// A Reference is one provider of one service as a consumer sees it.
type Reference interface {
	Invoker
	// URL is the provider's address with the parameters that are in force for it.
	URL() *url.URL
	// Available says whether a call now has a chance: connected, or able to connect, and not in READONLY.
	// It is asked on every call and takes no lock.
	Available() bool
	// Close ends the reference. Calls in flight may finish for as long as the URL's shutdown parameter says.
	Close() error
}

// A Service is what a provider exports: an interface and the Invoker that runs its methods.
type Service struct {
	Interface *Interface
	// Invoker is called once per request, from a goroutine of the protocol's server, behind all provider filters.
	Invoker Invoker
}

// Implementation is the innermost Invoker of a provider: it calls the methods of impl.
func Implementation(impl any) Invoker {
	return InvokerFunc(func(ctx context.Context, c *Invocation) error {
		c.Started = true
		return c.Method.Serve(ctx, impl, c)
	})
}

// An Exporter is a service on the air.
type Exporter interface {
	// URL is the service's address as it is published: the port is the real one.
	URL() *url.URL
	// Close takes the service away from new callers and waits for running calls until ctx ends.
	Close(ctx context.Context) error
}

// A Protocol exports services to other processes and refers to theirs. All methods are safe from any number of goroutines.
type Protocol interface {
	// Export puts a service on the address that u names; port 0 means a free one. Services share a port.
	Export(s *Service, u *url.URL) (Exporter, error)
	// Refer returns a Reference to the provider at u. Unless lazy=true it waits for the first attempt to connect, as long
	// as ctx allows; a provider that cannot be reached is no error, but not available until it can.
	Refer(ctx context.Context, s *Interface, u *url.URL) (Reference, error)
	// Close ends all that is left; references and exporters should be closed before.
	Close() error
}
