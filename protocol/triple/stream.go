package triple

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"sync"

	"github.com/ferryrpc/ferry/protocol"
)

// clientStream is a streaming call as its consumer has it.
type clientStream struct {
	*call
	cancel context.CancelCauseFunc
	pipe   *io.PipeWriter // nil when the only request is sent
	begun  chan struct{}  // closed when resp, attempt and err are set

	resp    *http.Response
	attempt *attempt
	err     error

	final error // of Receive, which stays

	sending sync.Mutex // guards the following, and writing
	over    bool       // the call belongs to its caller again

	mu sync.Mutex // guards Exchanged
}

var errNoConverse = errors.New("a call of a streaming method needs somebody to exchange its messages; of the clusters, failover, failfast, failsafe and available carry them")

// stream makes a call of many messages. It has no timeout but the caller's deadline.
func (k *call) stream() error {
	switch {
	case k.Converse == nil:
		return k.failure(protocol.Serialization, protocol.NotSent, "", errNoConverse)
	case k.Exchanged:
		return k.failure(protocol.Serialization, protocol.NotSent, "messages of this stream were exchanged with another provider", nil)
	}
	ctx, cancel := context.WithCancelCause(k.caller)
	defer cancel(nil)
	k.ctx = ctx
	h, err := k.header()
	if err != nil {
		return err
	}
	s := &clientStream{call: k, cancel: cancel, begun: make(chan struct{})}
	if k.Method.Kind == protocol.ServerStream {
		err = s.openServerStream(h)
	} else {
		err = s.open(h)
	}
	if err != nil {
		return err
	}
	err = k.Converse(s)
	return s.finish(err)
}

// openServerStream sends the only request.
func (s *clientStream) openServerStream(h http.Header) error {
	b, err := s.encode(s.Args)
	if err != nil {
		return err
	}
	defer close(s.begun)
	s.resp, s.attempt, s.err = s.roundTrip(h, mostTrips, func() io.ReadCloser { return io.NopCloser(bytes.NewReader(b)) })
	if s.err != nil {
		return s.lost(s.attempt, s.err)
	}
	return nil
}

// open begins a stream whose requests follow. It finds the connection first: until then another provider may be tried.
func (s *clientStream) open(h http.Header) error {
	if _, err := s.line.connection(s.ctx); err != nil {
		return s.lost(nil, err)
	}
	r, w := io.Pipe()
	s.pipe = w
	// Once the answer has begun, net/http looks at the context only between two reads of the body.
	context.AfterFunc(s.ctx, func() { _ = w.CloseWithError(context.Cause(s.ctx)) })
	go func() {
		defer close(s.begun)
		const once = 1 // what was taken out of the pipe is gone
		s.resp, s.attempt, s.err = s.roundTrip(h, once, func() io.ReadCloser { return r })
		if s.err != nil {
			_ = r.CloseWithError(s.err)
		}
	}()
	return nil
}

// finish ends the stream when Converse has returned.
func (s *clientStream) finish(err error) error {
	if s.final != io.EOF {
		s.cancel(protocol.ErrStop) // whatever is left is of no interest
	}
	if s.pipe != nil {
		_ = s.pipe.CloseWithError(io.ErrClosedPipe)
	}
	s.sending.Lock()
	s.over = true
	s.sending.Unlock()
	<-s.begun
	if s.resp != nil {
		_ = s.resp.Body.Close()
	}
	if err == nil || errors.Is(err, protocol.ErrStop) {
		return nil
	}
	var own *protocol.Error
	if errors.As(err, &own) {
		return err
	}
	// The consumer's own code gave up.
	return s.failure(protocol.Canceled, protocol.OutcomeUnknown, "", err)
}

// Send implements protocol.Stream.
func (s *clientStream) Send(m protocol.Row) error {
	s.sending.Lock()
	defer s.sending.Unlock()
	if s.over || s.pipe == nil {
		return io.EOF
	}
	b, err := s.encode(m)
	if err != nil {
		return err
	}
	s.exchanged()
	if _, err := s.pipe.Write(b); err != nil {
		return io.EOF // Receive says why
	}
	return nil
}

func (s *clientStream) exchanged() {
	s.mu.Lock()
	s.Exchanged = true
	s.mu.Unlock()
}

// CloseSend implements protocol.Stream.
func (s *clientStream) CloseSend() error {
	if s.pipe != nil {
		_ = s.pipe.Close()
	}
	return nil
}

// Receive implements protocol.Stream.
func (s *clientStream) Receive(m protocol.Row) error {
	if s.final == nil {
		s.final = s.receive(m)
	}
	return s.final
}

func (s *clientStream) receive(m protocol.Row) error {
	<-s.begun
	if s.err != nil {
		return s.lost(s.attempt, s.err)
	}
	b, err := s.message(s.resp)
	if err == io.EOF {
		if err := s.status(s.resp); err != nil {
			return err
		}
		return io.EOF
	}
	if err != nil {
		return s.unreadable(s.attempt, err)
	}
	s.exchanged()
	if m == nil {
		return nil
	}
	return s.decode(s.resp, b, m)
}
