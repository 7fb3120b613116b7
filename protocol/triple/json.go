package triple

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/ferryrpc/ferry/exchange"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/serialize"
)

// Calls in JSON, over HTTP/1.1 or HTTP/2:
//
//	POST /com.example.Greeter/sayHello    {"name": "x"}, or ["x"], or "x"      → 200  "hello x"
//	                                                                           → 4xx or 5xx  {"code": "not_found", "message": "…"}
//
// An array is the arguments in their order. An object is the arguments by the names of the parameters or, for a method of
// one parameter, this argument itself; anything else is the only argument. protobuf messages have their JSON form.

// serveJSON serves one request that is no gRPC.
func (pt *port) serveJSON(w http.ResponseWriter, hr *http.Request) {
	r := &request{port: pt, http: hr, writer: w, control: http.NewResponseController(w)}
	if hr.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		r.putJSON(http.StatusMethodNotAllowed, refusal(Unimplemented, "calls are made with POST"))
		return
	}
	if !isJSON(hr.Header.Get("Content-Type")) {
		r.putJSON(http.StatusUnsupportedMediaType, refusal(Unimplemented, "the content type is neither application/json nor application/grpc"))
		return
	}
	if f := r.serveJSONCall(); f != nil {
		r.putJSON(httpCode(f.Code), f)
	}
}

// isJSON takes what curl -d says of itself too.
func isJSON(contentType string) bool {
	t, _, err := mime.ParseMediaType(contentType)
	return contentType == "" || err == nil && (t == "application/json" || t == "application/x-www-form-urlencoded")
}

// serveJSONCall runs the call; the result is why it did not come to an answer.
func (r *request) serveJSONCall() *failure {
	// A page in somebody's browser must not call services that it reaches from there.
	if err := r.port.origin.Check(r.http); err != nil {
		return refusal(PermissionDenied, err.Error())
	}
	timeout, err := time.Duration(0), error(nil)
	if text := r.http.Header.Get(grpcTimeout); text != "" {
		if timeout, err = parseTimeout(text); err != nil {
			return refusal(InvalidArgument, err.Error())
		}
	}
	if f := r.find(r.http.URL.Path); f != nil {
		return f
	}
	defer r.done()
	if f := r.count(); f != nil {
		return f
	}
	if !r.exporter.params.JSON {
		return refusal(Unimplemented, fmt.Sprintf("service %s takes no calls in JSON (parameter json)", r.exporter.url.Service()))
	}
	ctx, cancel := deadline(r.http.Context(), timeout)
	defer cancel()
	if f := r.port.admit(ctx); f != nil {
		return f
	}
	defer r.port.release()
	body, f := r.readBody()
	if f == nil {
		f = r.decodeJSON(body)
	}
	if f != nil {
		return f
	}
	err = r.invoke(ctx)
	f = r.answerJSON(ctx, err)
	r.ctx.finish()
	r.free()
	return f
}

// readBody reads a whole body within frame.timeout, up to the limit.
func (r *request) readBody() ([]byte, *failure) {
	x := r.port.params.exchange
	_ = r.control.SetReadDeadline(time.Now().Add(x.FrameTimeout))
	if r.http.ContentLength > x.Payload {
		return nil, unreadable(&exchange.TooLargeError{Size: r.http.ContentLength, Limit: x.Payload})
	}
	b, err := io.ReadAll(io.LimitReader(r.http.Body, x.Payload+1))
	switch {
	case err != nil:
		return nil, unreadable(err)
	case int64(len(b)) > x.Payload:
		return nil, unreadable(&exchange.TooLargeError{Size: int64(len(b)), Limit: x.Payload})
	}
	_ = r.control.SetReadDeadline(time.Time{})
	return b, nil
}

// decodeJSON makes the call of a body.
func (r *request) decodeJSON(body []byte) *failure {
	values, f := r.arguments(body)
	if f != nil {
		return f
	}
	r.call = r.method.New()
	var err error
	if r.method.proto {
		options := protojson.UnmarshalOptions{DiscardUnknown: true, RecursionLimit: r.port.protocol.config.Limits.WithDefaults().Depth}
		err = options.Unmarshal(values[0], r.call.Args.At(0).(proto.Message))
	} else if len(values) > 0 {
		err = readValue(r.port.protocol.json, append(bytes.Join(values, []byte("\n")), '\n'), r.port.protocol.config.Limits, r.call.Args)
	}
	if err != nil {
		return refusal(InvalidArgument, fmt.Sprintf("the arguments of %s.%s cannot be decoded: %v", r.method.Service, r.method.Name, err))
	}
	r.call.Attachments = attachments(r.call.Attachments, r.http.Header)
	return nil
}

// arguments takes a body apart, one compact value for each parameter, and finds the method among those of one name.
func (r *request) arguments(body []byte) ([][]byte, *failure) {
	body = bytes.TrimSpace(body)
	if len(body) > 0 && !json.Valid(body) {
		return nil, refusal(InvalidArgument, "the body is no JSON")
	}
	err := errors.New("calls in JSON have one answer, the method streams")
	for _, m := range r.methods {
		if m.Streams() || m.Index < 0 { // $invoke and $echo are for programs
			continue
		}
		var raw []json.RawMessage
		if raw, err = m.arguments(body); err != nil {
			continue
		}
		r.method = m
		values := make([][]byte, len(raw))
		for i, v := range raw {
			var b bytes.Buffer
			if err := json.Compact(&b, v); err != nil {
				return nil, refusal(InvalidArgument, err.Error())
			}
			values[i] = b.Bytes()
		}
		return values, nil
	}
	return nil, refusal(InvalidArgument, fmt.Sprintf("%s.%s: %v", r.method.Service, r.method.Name, err))
}

// arguments gives each parameter its value.
func (m *method) arguments(body []byte) ([]json.RawMessage, error) {
	n := len(m.argTypes)
	if m.proto {
		n = 1
	}
	empty := len(body) == 0 || string(body) == "{}" || string(body) == "[]"
	switch {
	case n == 0 && empty:
		return nil, nil
	case len(body) == 0 && m.proto:
		return []json.RawMessage{[]byte("{}")}, nil
	case len(body) == 0:
		return nil, fmt.Errorf("it takes %d arguments, the body is empty", n)
	case body[0] == '[':
		var list []json.RawMessage
		if err := json.Unmarshal(body, &list); err != nil {
			return nil, err
		}
		if len(list) == n {
			return list, nil
		}
		if n != 1 {
			return nil, fmt.Errorf("it takes %d arguments, the body has %d", n, len(list))
		}
	case body[0] == '{' && !m.proto:
		if list := m.named(body); list != nil {
			return list, nil
		}
	}
	if n != 1 {
		return nil, fmt.Errorf("it takes %d arguments: an array of them or an object with the members %q", n, m.Params)
	}
	return []json.RawMessage{body}, nil
}

// named reads an object whose members are parameters; nil when one is none. Those that are left out are null.
func (m *method) named(body []byte) []json.RawMessage {
	if len(m.Params) != len(m.argTypes) {
		return nil
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(body, &members) != nil || len(members) == 0 {
		return nil
	}
	list := make([]json.RawMessage, len(m.Params))
	for i := range list {
		list[i] = []byte("null")
	}
	for name, v := range members {
		i := slices.Index(m.Params, name)
		if i < 0 {
			return nil
		}
		list[i] = v
	}
	return list
}

// answerJSON writes what became of a call.
func (r *request) answerJSON(ctx context.Context, err error) *failure {
	if err != nil {
		return failed(err, r.call, ctx.Err() == context.DeadlineExceeded, r.http.Context().Err() != nil)
	}
	b, err := r.port.protocol.jsonReply(r.call.Reply)
	if err != nil {
		return r.unsendable(Internal, fmt.Sprintf("the reply of %s.%s cannot be encoded: %v", r.call.Method.Service, r.call.Method.Name, err))
	}
	if size, limit := int64(len(b)), r.port.params.exchange.Payload; size > limit {
		return r.unsendable(ResourceExhausted, fmt.Sprintf("the reply of %s.%s is too large: %v", r.call.Method.Service, r.call.Method.Name,
			&exchange.TooLargeError{Size: size, Limit: limit}))
	}
	r.writeJSON(http.StatusOK, b)
	return nil
}

func (p *Protocol) jsonReply(row protocol.Row) ([]byte, error) {
	if row == nil || row.Len() == 0 {
		return []byte("null\n"), nil
	}
	if m, ok := row.At(0).(proto.Message); ok {
		b, err := protojson.Marshal(m)
		return append(b, '\n'), err
	}
	w := p.json.Writer(nil)
	defer w.Free()
	err := w.Write(serialize.Row(row))
	return w.Bytes(), err
}

// putJSON answers with a failure.
func (r *request) putJSON(status int, f *failure) {
	b, err := json.Marshal(struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}{f.Code.String(), f.Message})
	if err != nil {
		b = []byte("{}") // strings always have a form
	}
	if f.outcome != "" {
		r.writer.Header()[ferryOutcome] = []string{f.outcome}
	}
	r.writeJSON(status, append(b, '\n'))
}

func (r *request) writeJSON(status int, b []byte) {
	h := r.writer.Header()
	h["Content-Type"], h["X-Content-Type-Options"] = []string{"application/json"}, []string{"nosniff"}
	if r.ctx != nil {
		_ = putAttachments(h, "", r.ctx.takeHeader())
		_ = putAttachments(h, "", r.call.ReplyAttachments)
	}
	_ = r.control.SetWriteDeadline(time.Now().Add(r.port.params.WriteStall))
	r.writer.WriteHeader(status)
	_, _ = r.writer.Write(b)
	_ = r.control.SetWriteDeadline(time.Time{})
}
