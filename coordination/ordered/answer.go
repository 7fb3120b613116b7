package ordered

import (
	"errors"
	"fmt"

	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/serialize"
)

// A kept answer is one byte that says what it is, the id of a format, and the reply or exception in it with the attachments before.
const (
	answerReply byte = iota
	answerNothing
	answerError
	answerDropped // a text says what it was
	answerHeader  = 2
)

// A codec turns a call's answer into bytes and back.
type codec struct {
	format serialize.Serializer
	others func(id byte) serialize.Serializer
	limits serialize.Limits
}

// encode writes the answer of a call that ended with err, nil or an answer of the service.
func (k codec) encode(c *protocol.Invocation, err error, most int) []byte {
	b, werr := k.write(c, err)
	switch {
	case werr != nil:
		b = fmt.Appendf([]byte{answerDropped, 0}, "it cannot be encoded: %v", werr)
	case len(b) > most:
		b = fmt.Appendf([]byte{answerDropped, 0}, "it has %d bytes, over the limit of %d (ordered.result)", len(b), most)
	}
	return b
}

func (k codec) write(c *protocol.Invocation, err error) (b []byte, werr error) {
	defer func() {
		if r := recover(); r != nil { // a type's own code
			werr = fmt.Errorf("panic: %v", r)
		}
	}()
	kind := answerReply
	switch {
	case err != nil:
		kind = answerError
	case c.Reply == nil || c.Reply.Len() == 0:
		kind = answerNothing
	}
	const room = 32
	w := k.format.Writer(append(make([]byte, 0, room), kind, k.format.ID()))
	defer w.Free()
	w.WriteMap(c.ReplyAttachments)
	switch kind {
	case answerReply:
		werr = w.Write(c.Reply)
	case answerError:
		werr = w.Write(exceptionOf(err, c.Method))
	}
	return w.Bytes(), werr
}

// exceptionOf brings an error of the service into the form in which it crosses the wire.
func exceptionOf(err error, m *protocol.Method) *serialize.Exception {
	x := &serialize.Exception{Message: err.Error()}
	var e *protocol.Error
	if errors.As(err, &e) && e.Message != "" && e.Address == "" && e.Service == m.Service && e.Method == m.Name {
		x.Message = e.Message // a filter's, about this very call
	}
	var named interface {
		error
		JavaClassName() string
	}
	if errors.As(err, &named) {
		x.Class, x.Value = named.JavaClassName(), named
	}
	return x
}

// A classed is an error of a class that has no Go type here.
type classed struct{ class, message string }

func (e *classed) Error() string { return e.message }

// JavaClassName returns the class that the error had when it was kept.
func (e *classed) JavaClassName() string { return e.class }

// decode fills c with a kept answer and returns the service's error, if it was one. broken is for answers that are not there or cannot
// be read.
func (k codec) decode(c *protocol.Invocation, b []byte) (answer, broken error) {
	if len(b) < answerHeader {
		return nil, errDropped("it is of an unknown form")
	}
	if b[0] == answerDropped {
		return nil, errDropped(string(b[answerHeader:]))
	}
	f := k.others(b[1])
	if f == nil {
		return nil, errDropped(fmt.Sprintf("it is in serialization %d, which is not known here", b[1]))
	}
	r := f.Reader(b[answerHeader:], k.limits)
	defer r.Free()
	pairs, err := r.ReadMap(nil)
	if err != nil {
		return nil, errDropped(err.Error())
	}
	c.ReplyAttachments = pairs
	switch {
	case b[0] == answerReply && c.Reply != nil:
		if err := r.Read(c.Reply); err != nil {
			return nil, errDropped(err.Error())
		}
	case b[0] == answerError:
		var x serialize.Exception
		if err := r.Read(&x); err != nil {
			return nil, errDropped(err.Error())
		}
		return thrown(&x), nil
	}
	return nil, nil
}

// errDropped is the error of a repeat whose first answer is not there any more.
func errDropped(why string) error {
	return fmt.Errorf("ordered: the call ran before, its answer was not kept: %s", why)
}

// thrown is the error that a kept exception was.
func thrown(x *serialize.Exception) error {
	if err, ok := x.Value.(error); ok {
		return err
	}
	if x.Class == "" || x.Class == "java.lang.RuntimeException" {
		return errors.New(x.Message)
	}
	return &classed{x.Class, x.Message}
}

// refused is the answer to a call that has none of the service. Consumers that number their calls read attachments, since the
// wire has no status for it; others get a refusal, after which they may turn to another provider.
func (h *host) refused(c *protocol.Invocation, a arrival, err error) error {
	e := &protocol.Error{Code: protocol.Network, Outcome: protocol.NotStarted, Service: c.Method.Service, Method: c.Method.Name, Message: err.Error()}
	unknown := errors.Is(err, ErrOutcomeUnknown)
	if a.client == "" && !unknown {
		return e
	}
	var no *notOwner
	switch {
	case errors.As(err, &no):
		c.ReplyAttachments.Set(attachError, ErrNotOwner.Error())
		c.ReplyAttachments.Set(attachOwner, no.owner)
		c.ReplyAttachments.Set(attachEpoch, no.epoch)
	case errors.Is(err, ErrGap):
		c.ReplyAttachments.Set(attachError, ErrGap.Error())
	case errors.Is(err, ErrKey):
		c.ReplyAttachments.Set(attachError, ErrKey.Error())
	case unknown:
		c.ReplyAttachments.Set(attachError, ErrOutcomeUnknown.Error())
		if !errors.Is(err, errLate) {
			c.ReplyAttachments.Set(attachFinal, "true")
		}
	case c.Started: // it ran, and its answer is lost
	default:
		return e
	}
	c.Started = true // or else nothing but a text would cross
	e.Code, e.Outcome = protocol.Application, protocol.Executed
	return e
}
