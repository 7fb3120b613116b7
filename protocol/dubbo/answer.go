package dubbo

import (
	"context"
	"errors"
	"fmt"

	"github.com/ferryrpc/ferry/exchange"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/serialize"
	"github.com/ferryrpc/ferry/transport"
)

// outOfTime says that a handler failed because the caller's time was over. Caller and handler see that at the same moment,
// so the answer has to say what the caller would have said without it: a timeout, and not an error of the service.
func (r *request) outOfTime(ctx *callContext, err error) bool {
	return err != nil && r.call.Started && errors.Is(err, context.DeadlineExceeded) && ctx.Err() == context.DeadlineExceeded
}

// answer encodes what became of the call.
func (r *request) answer(err error) (*transport.Frame, byte) {
	if err != nil && !r.call.Started {
		return r.refused(err)
	}
	f := r.target.guess.frame(exchange.HeaderLen + room)
	w := r.format.Writer(f.B[:exchange.HeaderLen])
	werr := r.writeAnswer(w, err)
	f.B = w.Bytes()
	if r.format.ID() == serialize.Hessian2ID {
		f.B = withoutNull(f.B, exchange.HeaderLen)
	}
	r.target.guess.learn(len(f.B))
	w.Free()
	size, limit := int64(len(f.B)-exchange.HeaderLen), r.conn.Payload()
	if werr == nil && size <= limit {
		return f, exchange.OK
	}
	f.Free()
	if werr != nil {
		return textFrame(r.format, fmt.Sprintf("the reply of %s.%s cannot be encoded: %v", r.call.Method.Service, r.call.Method.Name, werr)), exchange.BadResponse
	}
	return textFrame(r.format, fmt.Sprintf("the reply of %s.%s is too large: %v", r.call.Method.Service, r.call.Method.Name,
		&exchange.TooLargeError{Size: size, Limit: limit})), exchange.SerializationError
}

// withoutNull makes the answer whose body begins at n one without a value, if its value is a null: Java has a flag for that, and
// dubbo-go fails at a null where a value should stand. Whether a reply is null shows only in what was written.
func withoutNull(answer []byte, n int) []byte {
	const zero, null = 0x90, 'N' // of hessian2
	if len(answer) < n+2 || answer[n+1] != null || answer[n] != zero+flagValue && answer[n] != zero+flagValueAttached {
		return answer
	}
	answer[n] += flagNull - flagValue
	return append(answer[:n+1], answer[n+2:]...)
}

// writeAnswer writes the body of an answer.
func (r *request) writeAnswer(w serialize.Writer, err error) (werr error) {
	attached := 0
	if supportsAttachments(r.version) {
		attached = flagExceptionAttached
	}
	switch {
	case err != nil:
		if werr = w.Write(&flags[flagException+attached]); werr == nil {
			werr = w.Write(r.exception(err))
		}
	case r.call.Reply == nil || r.call.Reply.Len() == 0:
		werr = w.Write(&flags[flagNull+attached])
	default:
		reply := serialize.Row(r.call.Reply)
		if r.generic {
			reply, werr = r.generalized()
		}
		if werr == nil {
			werr = w.Write(&flags[flagValue+attached])
		}
		if werr == nil {
			werr = w.Write(reply)
		}
	}
	if werr == nil && attached != 0 {
		pairs := answerAttachments
		if own := r.call.ReplyAttachments; len(own) > 0 {
			pairs = append(pairs[:len(pairs):len(pairs)], own...)
		}
		w.WriteMap(pairs)
	}
	return werr
}

// exception brings a handler's error into the form in which it crosses the wire. A registered type travels with its
// fields; anything else is a java.lang.RuntimeException with the error's text.
func exception(err error, m *protocol.Method) *serialize.Exception {
	x := &serialize.Exception{Message: err.Error()}
	var e *protocol.Error
	if errors.As(err, &e) && e.Message != "" && e.Address == "" && e.Service == m.Service && e.Method == m.Name {
		x.Message, x.Class = e.Message, e.Class // a filter's, about this very call
	}
	var named interface{ JavaClassName() string }
	if errors.As(err, &named) {
		x.Class, x.Value = named.JavaClassName(), named
	}
	return x
}

// refused answers a request that did not reach its handler, with a status that says so.
func (r *request) refused(err error) (*transport.Frame, byte) {
	status := exchange.BadRequest
	var own *refusal
	var e *protocol.Error
	switch {
	case errors.As(err, &own):
		status = own.status
	case errors.As(err, &e) && e.Code == protocol.LimitExceeded:
		status = exchange.Exhausted
	}
	text := err.Error()
	if e != nil && e.Message != "" {
		text = e.Message
	}
	return textFrame(r.format, firstLine(text)), status
}
