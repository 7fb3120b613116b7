package protocol

import (
	"context"
	"errors"
	"io"
	"iter"
)

// A Stream carries the messages of one streaming call, the same on both sides. Send and Receive may be called from two
// goroutines at once, each by one. It is valid until the function that was given it returns.
type Stream interface {
	// Send sends one message and waits while the peer takes none. io.EOF means that the peer wants no more messages;
	// Receive says why.
	Send(m Row) error
	// CloseSend says that no more messages follow. A provider need not call it: its last word is what the handler returns.
	CloseSend() error
	// Receive reads the next message into m. io.EOF follows the last one.
	Receive(m Row) error
}

// ErrStop ends a consumer's stream early: returned by Invocation.Converse it cancels what is left, and is no failure.
var ErrStop = errors.New("protocol: the consumer wants no more messages")

// errNoStream means that a streaming method came by a protocol without streams.
var errNoStream = errors.New("protocol: the method streams, which its protocol cannot: use tri")

// Streams says whether a method exchanges more than one message in either direction.
func (m *Method) Streams() bool { return m.Kind >= ServerStream }

// Incoming turns the messages that arrive on s into an iterator; get takes the value out of a message's row. An error
// ends it.
func Incoming[T, R any, P interface {
	*R
	Row
}](s Stream, get func(P) T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		for s != nil {
			row := P(new(R))
			switch err := s.Receive(row); {
			case err == io.EOF:
				return
			case err != nil:
				yield(zero, err)
				return
			}
			if !yield(get(row), nil) {
				return
			}
		}
		yield(zero, errNoStream)
	}
}

// SendAll sends what seq yields; row puts a value into a message's row. It ends with the first error of either, and
// without one when the peer wants no more.
func SendAll[T any](s Stream, seq iter.Seq2[T, error], row func(T) Row) error {
	if s == nil {
		return errNoStream
	}
	if seq == nil {
		return nil
	}
	for v, err := range seq {
		if err == nil {
			err = s.Send(row(v))
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// CallServerStream makes a call of one request and many replies when the result is ranged over. Leaving the loop early
// cancels the call. A failure is the last thing that comes.
func CallServerStream[T, R any, P interface {
	*R
	Row
}](ctx context.Context, in Invoker, begin func() *Invocation, get func(P) T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		converse(ctx, in, begin(), yield, get, nil)
	}
}

// CallBidiStream makes a call of many requests and many replies when the result is ranged over. Requests are taken from
// out by a goroutine of their own, until it has no more or the call is over; then it is left at its next message.
func CallBidiStream[In, Out, R any, P interface {
	*R
	Row
}](ctx context.Context, in Invoker, begin func() *Invocation, out iter.Seq2[Out, error], row func(Out) Row, get func(P) In) iter.Seq2[In, error] {
	return func(yield func(In, error) bool) {
		converse(ctx, in, begin(), yield, get, func(s Stream) error {
			if err := SendAll(s, out, row); err != nil {
				return err
			}
			return s.CloseSend()
		})
	}
}

// converse runs one streaming call: send, in a goroutine of its own, and yield for what arrives.
func converse[T, R any, P interface {
	*R
	Row
}](ctx context.Context, in Invoker, c *Invocation, yield func(T, error) bool, get func(P) T, send func(Stream) error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stopped := false
	c.Converse = func(s Stream) error {
		if send != nil {
			go func() {
				if err := send(s); err != nil {
					cancel(err)
				}
			}()
		}
		for v, err := range Incoming(s, get) {
			if err != nil {
				return err
			}
			if stopped = !yield(v, nil); stopped {
				return ErrStop
			}
		}
		return nil
	}
	if err := in.Invoke(ctx, c); err != nil && !stopped {
		var zero T
		yield(zero, err)
	}
}

// CallClientStream makes a call of many requests and one reply, which is in c.Reply when it returns nil.
func CallClientStream[T any](ctx context.Context, in Invoker, c *Invocation, out iter.Seq2[T, error], row func(T) Row) error {
	c.Converse = func(s Stream) error {
		if err := SendAll(s, out, row); err != nil {
			return err
		}
		if err := s.CloseSend(); err != nil {
			return err
		}
		if err := s.Receive(c.Reply); err != nil {
			return noReply(err)
		}
		return drained(s, c)
	}
	return in.Invoke(ctx, c)
}

func noReply(err error) error {
	if err == io.EOF {
		return errors.New("protocol: the stream ended without a reply")
	}
	return err
}

// drained reads the end of a stream that has brought its only message.
func drained(s Stream, c *Invocation) error {
	switch err := s.Receive(c.Method.New().Reply); err {
	case io.EOF:
		return nil
	case nil:
		return errors.New("protocol: the stream brought a second reply")
	default:
		return err
	}
}
