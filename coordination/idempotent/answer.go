package idempotent

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/serialize"
)

// A stored answer is
//
//	0         1      2        3
//	| version | kind | format | attachments, and then the reply or the exception, in the format
//
// and for an answer that is not kept, behind the format, a text that says what it was.
const (
	answerVersion = 1
	answerHeader  = 3
)

const (
	kindReply byte = iota
	kindNothing
	kindError
	kindDropped
)

// A codec turns a call's answer into bytes and back.
type codec struct {
	format  serialize.Serializer               // that answers are written in
	formats func(id byte) serialize.Serializer // those that they may be found in, written by another provider
	limits  serialize.Limits
}

// encode writes the answer of a call that ended with err, nil or an answer of the service. One of more than most bytes, or
// that the format cannot write, is replaced by a note that it was there.
func (k codec) encode(c *protocol.Invocation, err error, most int) []byte {
	b, werr := k.write(c, err)
	if werr == nil && len(b) <= most {
		return b
	}
	note := ""
	if werr != nil {
		note = "it cannot be encoded: " + werr.Error()
	} else {
		note = fmt.Sprintf("%d bytes, sha256 %x, over the limit of %d (idempotent.result)", len(b), sha256.Sum256(b), most)
	}
	const longest = 300
	return append([]byte{answerVersion, kindDropped, 0}, note[:min(len(note), longest)]...)
}

func (k codec) write(c *protocol.Invocation, err error) (b []byte, werr error) {
	defer func() {
		if r := recover(); r != nil { // a type's own code
			werr = fmt.Errorf("panic: %v", r)
		}
	}()
	kind := kindReply
	switch {
	case err != nil:
		kind = kindError
	case c.Reply == nil || c.Reply.Len() == 0:
		kind = kindNothing
	}
	w := k.format.Writer([]byte{answerVersion, kind, k.format.ID()})
	defer w.Free()
	w.WriteMap(c.ReplyAttachments)
	switch kind {
	case kindReply:
		werr = w.Write(c.Reply)
	case kindError:
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

// JavaClassName returns the class that the error had when it was recorded.
func (e *classed) JavaClassName() string { return e.class }

// A remembered is a typed error with the text that it had where it was recorded.
type remembered struct {
	message string
	error
}

func (e *remembered) Error() string { return e.message }

// Unwrap returns the typed error.
func (e *remembered) Unwrap() error { return e.error }

// decode fills c with a stored answer and returns the service's error, if it was one. broken is for answers that are not
// there or cannot be read.
func (k codec) decode(c *protocol.Invocation, b []byte) (answer, broken error) {
	if len(b) < answerHeader || b[0] != answerVersion {
		return nil, errors.New("idempotent: the recorded answer is of an unknown form")
	}
	if b[1] == kindDropped {
		return nil, fmt.Errorf("%w: the call ran, its answer was not kept: %s", protocol.ErrAnswerDropped, b[answerHeader:])
	}
	f := k.formats(b[2])
	if f == nil {
		return nil, fmt.Errorf("idempotent: the recorded answer is in the serialization %d, which is not known here", b[2])
	}
	r := f.Reader(b[answerHeader:], k.limits)
	defer r.Free()
	pairs, err := r.ReadMap(nil)
	if err != nil {
		return nil, fmt.Errorf("idempotent: the recorded answer: %w", err)
	}
	c.ReplyAttachments = pairs
	switch b[1] {
	case kindReply:
		if c.Reply == nil {
			return nil, errors.New("idempotent: the recorded answer has a reply, the method has none")
		}
		if err := r.Read(c.Reply); err != nil {
			return nil, fmt.Errorf("idempotent: the recorded reply: %w", err)
		}
	case kindError:
		var x serialize.Exception
		if err := r.Read(&x); err != nil {
			return nil, fmt.Errorf("idempotent: the recorded error: %w", err)
		}
		return thrown(&x), nil
	}
	return nil, nil
}

// thrown is the error that a recorded exception was.
func thrown(x *serialize.Exception) error {
	if err, ok := x.Value.(error); ok {
		return &remembered{x.Message, err}
	}
	if x.Class == "" || x.Class == "java.lang.RuntimeException" {
		return errors.New(x.Message)
	}
	return &classed{x.Class, x.Message}
}
