package triple

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/ferryrpc/ferry/exchange"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/serialize"
)

// refuse answers a call that did not reach its handler: one header block, which is the end too.
func (r *request) refuse(f *failure) {
	h := r.writer.Header()
	putStatus(h, "", f)
	if f.Code == Unimplemented {
		h[grpcAccept] = []string{"gzip"}
	}
	r.writer.WriteHeader(http.StatusOK)
}

// putStatus puts a status into headers or, with http.TrailerPrefix, into trailers.
func putStatus(h http.Header, prefix string, f *failure) {
	h[prefix+grpcStatus] = []string{strconv.FormatUint(uint64(f.Code), 10)}
	if f.Message != "" {
		h[prefix+grpcMessage] = []string{encodeMessage(limited(f.Message))}
	}
	if len(f.Details) > 0 {
		h[prefix+grpcDetails] = []string{base64.RawStdEncoding.EncodeToString(f.Details)}
	}
	if f.outcome != "" {
		h[prefix+ferryOutcome] = []string{f.outcome}
	}
}

// limited keeps a text to what peers take in a header.
func limited(s string) string {
	const most = 4 << 10
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

// answer writes what became of a unary call.
func (r *request) answer(ctx context.Context, err error) {
	b, thrown, f := r.encode(ctx, err)
	if f != nil {
		r.finish(f)
		return
	}
	if thrown {
		r.writer.Header()[triException] = []string{businessException}
	}
	if err := r.send(b); err != nil {
		r.port.protocol.config.Env.Log().Debug("triple: answer dropped", "peer", r.http.RemoteAddr, "cause", err)
		return
	}
	r.finish(&failure{})
}

// businessException is Dubbo's number for an error of the service (RpcException.BIZ_EXCEPTION).
const businessException = "3"

// encode makes the message of an answer; thrown says that it is an error of the service, inside a wrapper.
func (r *request) encode(ctx context.Context, err error) (b []byte, thrown bool, f *failure) {
	defer func() {
		if v := recover(); v != nil {
			r.port.protocol.config.Env.Log().Error("triple: panic while an answer was encoded", "panic", v)
			f = &failure{Status{Code: Internal, Message: "the reply cannot be encoded: panic: " + shorten(fmt.Sprint(v), 128)}, outcomeExecuted}
		}
	}()
	p := r.port.protocol
	if err != nil {
		f = failed(err, r.call, ctx.Err() == context.DeadlineExceeded, r.http.Context().Err() != nil)
		var chosen *Status
		if r.method.proto || f.outcome != outcomeExecuted || errors.As(err, &chosen) || !takesExceptions(r.http.Header.Get("Content-Type")) {
			return nil, false, f
		}
		x := r.exception(err)
		if b, err = p.wrap(r.format, r.wire, x, x.Class); err != nil {
			return nil, false, f
		}
		return b, true, nil
	}
	if r.generic {
		b, err = r.generalized()
	} else {
		b, err = p.response(&r.method.shape, r.format, r.wire, r.call.Reply)
	}
	if err != nil {
		return nil, false, r.unsendable(Internal, fmt.Sprintf("the reply of %s.%s cannot be encoded: %v", r.call.Method.Service, r.call.Method.Name, err))
	}
	if f := r.tooLarge(b); f != nil {
		return nil, false, f
	}
	return b, false, nil
}

// takesExceptions says whether a caller can read the service's error in place of a reply. Java's and Ferry's can; dubbo-go, which names its
// format in the content type, takes every answer for the reply, and 3.3.0 ends its whole process at one of another type.
func takesExceptions(contentType string) bool {
	sub, named := strings.CutPrefix(contentType, "application/grpc+")
	return !named || sub == "proto"
}

// unsendable is a reply that cannot be sent: the service has run.
func (r *request) unsendable(c Code, text string) *failure {
	return &failure{Status{Code: c, Message: text}, outcomeExecuted}
}

func (r *request) tooLarge(b []byte) *failure {
	if size, limit := int64(len(b)-prefixLen), r.port.params.exchange.Payload; size > limit {
		return r.unsendable(ResourceExhausted, fmt.Sprintf("the reply of %s.%s is too large: %v", r.call.Method.Service, r.call.Method.Name,
			&exchange.TooLargeError{Size: size, Limit: limit}))
	}
	return nil
}

// exception is a handler's error in the form in which it crosses the wire. A registered type travels with its fields.
func (r *request) exception(err error) *serialize.Exception {
	x := &serialize.Exception{Class: "java.lang.RuntimeException", Message: ownMessage(err, r.call.Method)}
	var named interface{ JavaClassName() string }
	if errors.As(err, &named) {
		x.Class, x.Value = named.JavaClassName(), named
	}
	if r.invoked {
		x = &serialize.Exception{Class: genericException, Message: x.Message, Value: &genericFailure{x.Class, x.Message}}
	}
	return x
}

// begin puts the header of an answer together, before the first message.
func (r *request) begin() {
	if r.began {
		return
	}
	r.began = true
	_ = putAttachments(r.writer.Header(), "", r.ctx.takeHeader())
}

// send writes a sealed message. A peer that takes nothing for write.stall is given up.
func (r *request) send(b []byte) error {
	r.begin()
	_ = r.control.SetWriteDeadline(time.Now().Add(r.port.params.WriteStall))
	_, err := r.writer.Write(b)
	return err
}

// finish ends an answer with its status and the reply attachments.
func (r *request) finish(f *failure) {
	prefix := http.TrailerPrefix
	if !r.began {
		prefix = "" // one header block is the whole answer
		r.begin()
	}
	h := r.writer.Header()
	if err := putAttachments(h, prefix, r.call.ReplyAttachments); err != nil {
		r.port.protocol.config.Env.Log().Warn("triple: reply attachment dropped", "service", r.call.Method.Service, "method", r.call.Method.Name, "cause", err)
	}
	putStatus(h, prefix, f)
	if prefix == "" {
		r.writer.WriteHeader(http.StatusOK)
	}
}

// SetHeader sends a pair ahead of the answer of the call that ctx serves, where protocol.SetReplyAttachment sends it behind.
// It must be called before the handler's first message or return; it says whether ctx serves a call of this protocol.
func SetHeader(ctx context.Context, key, value string) bool {
	c, ok := ctx.Value(headerKey{}).(*callContext)
	if !ok || protocol.Reserved(key) {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.header.Set(key, value)
	return c.call != nil
}
