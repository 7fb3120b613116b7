package proxy

import (
	"context"
	"reflect"
	"sync"

	"github.com/ferryrpc/ferry/protocol"
)

// A Future is the reply of a call that is under way. All methods are safe from any number of goroutines.
//
// The context with which the call was begun governs it as it would if somebody waited: its deadline, its end, its
// attachments. The error is the call's, with its outcome; Cancel, like the end of the context, makes it Canceled, and the
// outcome says whether the call may have run. A call without a reply has a Future[struct{}].
type Future[T any] struct {
	done            chan struct{}
	cancel          context.CancelFunc
	service, method string // empty when it is not one call

	mu    sync.Mutex // guards the following until done is closed; afterwards they do not change
	then  []func(T, error)
	reply T
	err   error
}

// Go runs f in a goroutine of its own and returns its Future. f may make several calls; what it refers to is its own until
// it returns. To begin a single call, use the generated asynchronous client or a func field that returns a *Future, which
// copy the arguments.
func Go[T any](ctx context.Context, f func(context.Context) (T, error)) *Future[T] {
	r := newFuture[T](nil)
	ctx, r.cancel = context.WithCancel(ctx)
	go func() { r.end(f(ctx)) }()
	return r
}

// Start begins a call and returns its Future. c is its own from now on: it must share nothing with what the caller may
// change. Generated code calls it.
func Start[T any](ctx context.Context, in protocol.Invoker, c *protocol.Invocation) *Future[T] {
	r := newFuture[T](c.Method)
	r.start(ctx, in, c)
	return r
}

func newFuture[T any](m *protocol.Method) *Future[T] {
	r := &Future[T]{done: make(chan struct{})}
	if m != nil {
		r.service, r.method = m.Service, m.Name
	}
	return r
}

// start runs the call. A goroutine waits for the reply, as one does in every call: clusters, filters and protocols are
// written for that, and it is what makes repeats, limits and outcomes the same in both forms.
func (r *Future[T]) start(ctx context.Context, in protocol.Invoker, c *protocol.Invocation) {
	ctx, r.cancel = context.WithCancel(ctx)
	go func() {
		var reply T
		err := in.Invoke(ctx, c)
		if err == nil && c.Reply != nil && c.Reply.Len() > 0 {
			if p, ok := c.Reply.At(0).(*T); ok {
				reply = *p
			}
		}
		if free := c.Method.Free; free != nil {
			free(c)
		}
		r.end(reply, err)
	}()
}

// end notes the reply and tells those who asked for it.
func (r *Future[T]) end(reply T, err error) {
	r.cancel()
	r.mu.Lock()
	r.reply, r.err = reply, err
	then := r.then
	r.then = nil
	close(r.done)
	r.mu.Unlock()
	for _, f := range then {
		f(reply, err)
	}
}

// Done returns a channel that is closed when the call has ended, for use in a select.
func (r *Future[T]) Done() <-chan struct{} { return r.done }

// Wait waits for the reply. When ctx ends first it returns an error that says so, with the outcome Unknown; the call goes
// on, and Wait may be called again.
func (r *Future[T]) Wait(ctx context.Context) (T, error) {
	select {
	case <-r.done:
		return r.reply, r.err
	default:
	}
	select {
	case <-r.done:
		return r.reply, r.err
	case <-ctx.Done():
	}
	var zero T
	code := protocol.Canceled
	if ctx.Err() == context.DeadlineExceeded {
		code = protocol.Timeout
	}
	return zero, &protocol.Error{Code: code, Outcome: protocol.OutcomeUnknown, Service: r.service, Method: r.method,
		Message: "nobody waits any more, but the call goes on", Cause: context.Cause(ctx)}
}

// Then has f called once with the reply or the error: in the call's goroutine when it ends, or at once if it has ended.
// Several are called in turn. f must not block for long.
func (r *Future[T]) Then(f func(reply T, err error)) {
	r.mu.Lock()
	select {
	case <-r.done:
	default:
		r.then = append(r.then, f)
		r.mu.Unlock()
		return
	}
	r.mu.Unlock()
	f(r.reply, r.err)
}

// Cancel gives the call up. It has no effect on one that has ended.
func (r *Future[T]) Cancel() { r.cancel() }

// future is a *Future of any type, for func fields.
type future interface {
	init(m *protocol.Method)
	start(ctx context.Context, in protocol.Invoker, c *protocol.Invocation)
	replyType() reflect.Type
}

func (r *Future[T]) init(m *protocol.Method) {
	r.done, r.service, r.method = make(chan struct{}), m.Service, m.Name
}

func (*Future[T]) replyType() reflect.Type { return reflect.TypeFor[T]() }

// futureType returns the reply type of a func that returns a *Future alone; nil for none.
func futureType(t reflect.Type) (reply reflect.Type, ok bool) {
	if t.NumOut() != 1 || t.Out(0).Kind() != reflect.Pointer || !t.Out(0).Implements(reflect.TypeFor[future]()) {
		return nil, false
	}
	reply = reflect.New(t.Out(0).Elem()).Interface().(future).replyType()
	if reply == reflect.TypeFor[struct{}]() {
		return nil, true
	}
	return reply, true
}
