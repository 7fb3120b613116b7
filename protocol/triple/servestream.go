package triple

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/ferryrpc/ferry/protocol"
)

// serverStream is a streaming call as its handler has it.
type serverStream struct {
	request *request
	err     error // of Receive, which stays

	mu   sync.Mutex // guards the following, and writing
	over bool       // the handler has returned
}

var errOver = errors.New("triple: the handler of this stream has returned")

// serveStream runs a call of many messages.
func (r *request) serveStream(ctx context.Context) {
	s := &serverStream{request: r}
	if r.method.Kind == protocol.ServerStream {
		b, f := r.readOnly()
		if f == nil {
			f = r.decode(b)
		}
		if f != nil {
			r.refuse(f)
			return
		}
	} else {
		r.call = r.method.New()
		r.call.Attachments = attachments(r.call.Attachments, r.http.Header)
	}
	r.call.Stream = s
	err := r.invoke(ctx)
	s.end()
	if err == nil && r.method.Kind == protocol.ClientStream {
		r.answer(ctx, nil)
	} else if err != nil {
		r.finish(failed(s.cause(err), r.call, ctx.Err() == context.DeadlineExceeded, r.http.Context().Err() != nil))
	} else {
		r.finish(&failure{})
	}
	r.ctx.finish()
	r.call.Stream = nil
	r.free()
}

// end waits for a Send that is under way; those that come later fail.
func (s *serverStream) end() {
	_ = s.request.control.SetReadDeadline(time.Now().Add(-time.Second)) // a Receive of the handler's own goroutines ends
	s.mu.Lock()
	s.over = true
	s.mu.Unlock()
}

// cause is a handler's error; one that Receive gave it is this protocol's own.
func (s *serverStream) cause(err error) error {
	var f *failure
	if errors.As(err, &f) {
		f.outcome = outcomeExecuted
	}
	return err
}

// Send implements protocol.Stream.
func (s *serverStream) Send(m protocol.Row) error {
	r := s.request
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return errOver
	}
	b, err := r.port.protocol.response(&r.method.shape, r.format, r.wire, m)
	if err != nil {
		return r.unsendable(Internal, "a message of "+r.call.Method.Name+" cannot be encoded: "+err.Error())
	}
	if f := r.tooLarge(b); f != nil {
		return f
	}
	r.begin()
	if _, err = r.writer.Write(b); err == nil {
		err = r.control.Flush()
	}
	if err != nil && r.ctx.Err() != nil {
		return r.ctx.Err()
	}
	return err
}

// CloseSend implements protocol.Stream.
func (s *serverStream) CloseSend() error { return nil }

// Receive implements protocol.Stream.
func (s *serverStream) Receive(m protocol.Row) error {
	r := s.request
	if s.err == nil && r.method.Kind == protocol.ServerStream {
		s.err = io.EOF
	}
	if s.err == nil {
		s.err = s.receive(m)
	}
	return s.err
}

func (s *serverStream) receive(m protocol.Row) error {
	r := s.request
	b, err := readMessage(r.http.Body, room, r.port.params.exchange.Payload, r.http.Header.Get(grpcEncoding))
	if err != nil {
		if err == io.EOF {
			return err
		}
		if cause := r.ctx.Err(); cause != nil {
			return cause
		}
		return unreadable(err)
	}
	if r.method.proto {
		if err := r.port.protocol.readMessage(b, m.At(0)); err != nil {
			return r.undecoded(err)
		}
		return nil
	}
	w, err := parseWrapper(b[room:])
	if err != nil {
		return r.undecoded(err)
	}
	if f := r.choose(&w); f != nil {
		return f
	}
	if err := w.readValues(r.format.Serializer, r.port.protocol.config.Limits, m, r.method.argTypes); err != nil {
		return r.undecoded(err)
	}
	return nil
}
