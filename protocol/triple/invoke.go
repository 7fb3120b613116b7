package triple

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ferryrpc/ferry/exchange"
	"github.com/ferryrpc/ferry/protocol"
)

// A call is one Invoke on its way.
type call struct {
	*reference
	*protocol.Invocation
	plan    *plan
	start   time.Time
	timeout time.Duration   // 0 for a stream
	caller  context.Context // the caller's own
	ctx     context.Context // with the timeout
	line    *line
}

// An attempt is a request on one connection, and what became of it.
type attempt struct {
	wrote    atomic.Bool // its header, at least
	answered atomic.Bool // the answer has begun
}

// Invoke implements protocol.Invoker.
func (r *reference) Invoke(ctx context.Context, c *protocol.Invocation) error {
	k := &call{reference: r, Invocation: c, start: time.Now(), caller: ctx}
	var err error
	if k.plan, err = r.plan(c.Method); err != nil {
		return k.failure(protocol.Serialization, protocol.NotSent, "", err)
	}
	if r.closed.Load() {
		return k.failure(protocol.Closed, protocol.NotSent, "the reference is closed", nil)
	}
	k.line = r.line()
	k.line.calls.Add(1)
	defer k.line.calls.Add(-1)
	if c.Method.Streams() {
		return k.stream()
	}
	k.timeout = k.plan.timeout
	if c.Timeout > 0 {
		k.timeout = c.Timeout
	}
	var cancel context.CancelFunc
	k.ctx, cancel = context.WithTimeout(ctx, k.timeout)
	defer cancel()
	return k.unary()
}

// unary makes a call of one request and one reply.
func (k *call) unary() error {
	b, err := k.encode(k.Args)
	if err != nil {
		return err
	}
	h, err := k.header()
	if err != nil {
		return err
	}
	resp, a, err := k.roundTrip(h, mostTrips, func() io.ReadCloser { return io.NopCloser(bytes.NewReader(b)) })
	if err != nil {
		return k.lost(a, err)
	}
	err = k.reply(resp, a)
	_ = resp.Body.Close()
	k.Unanswered = k.plan.oneway
	if k.plan.oneway && protocol.OutcomeOf(err) == protocol.Executed {
		return nil // gRPC has no calls without an answer; it only says that the call was taken
	}
	return err
}

// encode makes a message of a row.
func (k *call) encode(row protocol.Row) ([]byte, error) {
	b, err := k.protocol.request(&k.plan.shape, k.format, row)
	if err != nil {
		return nil, k.failure(protocol.Serialization, protocol.NotSent, "the arguments cannot be encoded", err)
	}
	if size := int64(len(b) - prefixLen); size > k.payload {
		return nil, k.failure(protocol.Serialization, protocol.NotSent, "the request is too large", &exchange.TooLargeError{Size: size, Limit: k.payload})
	}
	return b, nil
}

// header is the method's own with the call's attachments.
func (k *call) header() (http.Header, error) {
	h := maps.Clone(k.plan.header)
	if err := putAttachments(h, "", k.Attachments); err != nil {
		return nil, k.failure(protocol.Serialization, protocol.NotSent, "", err)
	}
	for key, value := range k.plan.header {
		h[key] = value // the reference's own cannot be replaced
	}
	return h, nil
}

// mostTrips is how often a request is sent whose provider proves each time that it did not begin.
const mostTrips = 3

// roundTrip sends a request and returns the header of its answer. It tries again where it is certain that the provider has
// not begun: nothing was written, or the provider refused the stream or left it out of its GOAWAY.
func (k *call) roundTrip(h http.Header, most int, body func() io.ReadCloser) (*http.Response, *attempt, error) {
	var a *attempt
	for n := 1; ; n++ {
		if err := k.ctx.Err(); err != nil {
			return nil, a, err
		}
		conn, err := k.line.connection(k.ctx)
		if err != nil {
			return nil, nil, err
		}
		a = &attempt{}
		if d, ok := k.ctx.Deadline(); ok {
			h[grpcTimeout] = []string{string(appendTimeout(nil, time.Until(d)))}
		}
		resp, err := conn.RoundTrip(k.request(h, body(), a))
		if err == nil {
			return resp, a, nil
		}
		if n == most || k.ctx.Err() != nil || a.wrote.Load() && !a.notStarted(err) {
			return nil, a, err
		}
	}
}

func (k *call) request(h http.Header, body io.ReadCloser, a *attempt) *http.Request {
	trace := &httptrace.ClientTrace{WroteHeaders: func() { a.wrote.Store(true) }, GotFirstResponseByte: func() { a.answered.Store(true) }}
	r := &http.Request{Method: http.MethodPost, URL: k.plan.url, Host: k.address, Header: h, Body: body, ContentLength: -1, Proto: "HTTP/2.0", ProtoMajor: 2}
	return r.WithContext(httptrace.WithClientTrace(k.ctx, trace))
}

// streamError has the fields of HTTP/2's error for one stream; net/http fills it by errors.As.
type streamError struct {
	StreamID uint32
	Code     streamCode
	Cause    error
}

type streamCode uint32

const refusedStream streamCode = 7

// Error implements error.
func (e streamError) Error() string { return "stream error " + strconv.FormatUint(uint64(e.Code), 10) }

// leftOut is net/http's error for a stream that the provider's GOAWAY leaves out. It has no name there, so its text is
// compared; a test sees to it that the text is still the one of the Go release in use. Should it change, such a call's
// outcome is unknown, which is less than could be known, but not wrong.
const leftOut = "http2: Transport received Server's graceful shutdown GOAWAY"

// notStarted says whether the provider proved that it did not begin: by REFUSED_STREAM, or by a GOAWAY that leaves the
// stream out.
func (a *attempt) notStarted(err error) bool {
	var s streamError
	if errors.As(err, &s) {
		return s.Code == refusedStream
	}
	return !a.answered.Load() && err.Error() == leftOut
}

// reply reads the answer of a unary call.
func (k *call) reply(resp *http.Response, a *attempt) error {
	b, err := k.message(resp)
	if err != nil && err != io.EOF {
		return k.unreadable(a, err)
	}
	missing := err == io.EOF
	if !missing {
		if err := k.end(resp); err != nil {
			return k.unreadable(a, err)
		}
	}
	if err := k.status(resp); err != nil {
		return err
	}
	if missing {
		return k.failure(protocol.Serialization, protocol.Executed, "the answer has no reply", nil)
	}
	return k.decode(resp, b, k.Reply)
}

// message reads the next message of an answer; io.EOF means that its status follows.
func (k *call) message(resp *http.Response) ([]byte, error) {
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/grpc") || resp.StatusCode != http.StatusOK {
		return nil, io.EOF
	}
	return readMessage(resp.Body, room, k.payload, resp.Header.Get(grpcEncoding))
}

// end finds the end of an answer.
func (k *call) end(resp *http.Response) error {
	var one [1]byte
	switch _, err := io.ReadFull(resp.Body, one[:]); err {
	case io.EOF:
		return nil
	case nil:
		return errMore
	default:
		return err
	}
}

// status reads an answer's end: nil for success.
func (k *call) status(resp *http.Response) error {
	h := resp.Trailer
	if h.Get(grpcStatus) == "" && resp.Header.Get(grpcStatus) != "" {
		h = resp.Header // one header block is the whole answer
	}
	k.ReplyAttachments = attachments(attachments(nil, resp.Header), resp.Trailer)
	text := h.Get(grpcStatus)
	if text == "" {
		s := &Status{Code: fromHTTP(resp.StatusCode), Message: fmt.Sprintf("the provider answered with HTTP status %d and no gRPC status", resp.StatusCode)}
		return k.failure(codeOf(s.Code), outcomeOf(s.Code, ""), s.Message, s)
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return k.failure(protocol.Network, protocol.OutcomeUnknown, fmt.Sprintf("the provider answered with gRPC status %q", shorten(text, 32)), nil)
	}
	if n == 0 {
		return nil
	}
	s := &Status{Code: Code(n), Message: decodeMessage(h.Get(grpcMessage))}
	if d, err := decodeBase64(h.Get(grpcDetails)); err == nil && len(d) > 0 {
		s.Details = d
	}
	return k.answered(s, h.Get(ferryOutcome))
}

// answered is a provider's status as the call's error.
func (k *call) answered(s *Status, said string) error {
	code := codeOf(s.Code)
	message := s.Message
	if code != protocol.Application || message == "" {
		message = shorten(s.Error(), 512)
	}
	e := k.failure(code, outcomeOf(s.Code, said), message, s).(*protocol.Error)
	if s.Code == Unknown && said == "" && !k.plan.proto {
		// The service's own errors come in a wrapper; this one is of Dubbo's code around it, before the call or behind it.
		e.Outcome = protocol.OutcomeUnknown
	}
	if code == protocol.Application && e.Outcome != protocol.Executed {
		e.Code = protocol.Unknown
	}
	return e
}

// decode reads a reply. An error of the service inside it is the call's.
func (k *call) decode(resp *http.Response, b []byte, row protocol.Row) error {
	thrown := resp.Header.Get(triException) != "" && resp.Header.Get(triException) != "0"
	x, err := k.protocol.readResponse(&k.plan.shape, k.format, b, row, thrown)
	if err != nil {
		return k.failure(protocol.Serialization, protocol.Executed, "the reply cannot be decoded", err)
	}
	if x != nil {
		cause, _ := x.Value.(error)
		e := k.failure(protocol.Application, protocol.Executed, x.Message, cause).(*protocol.Error)
		e.Class = x.Class
		return e
	}
	return nil
}
