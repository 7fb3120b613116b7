package dubbo

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/ferryrpc/ferry/exchange"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/serialize"
	"github.com/ferryrpc/ferry/transport"
)

// A refusal is a request that is answered with a status other than 20.
type refusal struct {
	status byte
	reason string
}

// Error returns the reason.
func (r *refusal) Error() string { return r.reason }

func refuse(status byte, format string, args ...any) *refusal {
	return &refusal{status, fmt.Sprintf(format, args...)}
}

// Handle implements exchange.Handler.
func (pt *port) Handle(conn *exchange.ServerConn, m exchange.Message) (*transport.Frame, byte) {
	format := pt.table.format(m.Serialization())
	if format == nil {
		m.Body.Free()
		_ = conn.Refuse(m.Header, exchange.BadRequest, fmt.Sprintf("serialization %d is not accepted here", m.Serialization()))
		return nil, exchange.BadRequest
	}
	rd := format.Reader(m.Body.B, pt.protocol.config.Limits)
	f, status := pt.serve(conn, m, format, rd)
	rd.Free()
	m.Body.Free()
	if !m.TwoWay() && f != nil {
		f.Free()
		f = nil
	}
	return f, status
}

// serve runs one request from its body to its answer. A panic in a type's own code, such as the Error of a nil error,
// ends here.
func (pt *port) serve(conn *exchange.ServerConn, m exchange.Message, format serialize.Serializer, rd serialize.Reader) (f *transport.Frame, status byte) {
	r := request{port: pt, conn: conn, format: format, body: m.Body.B, version: protocolVersion}
	var ctx *callContext
	defer func() {
		if v := recover(); v != nil {
			f, status = r.panicked(ctx, v)
		}
	}()
	targets, err := r.find(rd)
	if err == nil {
		err = r.decode(rd, targets)
	}
	if err != nil {
		return r.refused(err)
	}
	e := r.target.exporter
	e.calls.Add(callBegins)
	defer e.calls.Add(callEnds)
	if e.gone.Load() {
		return r.refused(refuse(exchange.BadRequest, "service %q is not here any more", e.url.Service()))
	}
	ctx = newCallContext(conn, &r, m.At)
	err = r.invoke(ctx)
	if r.outOfTime(ctx, err) {
		f, status = textFrame(r.format, firstLine(err.Error())), exchange.ServerTimeout
	} else {
		f, status = r.answer(err)
	}
	ctx.finish()
	if free := r.call.Method.Free; free != nil {
		free(r.call)
	}
	return f, status
}

// panicked answers a request whose decoding or encoding panicked.
func (r *request) panicked(ctx *callContext, v any) (*transport.Frame, byte) {
	r.port.protocol.config.Env.Log().Error("dubbo: panic outside the handler", "panic", v)
	if ctx != nil {
		ctx.finish()
	}
	reason := "panic: " + firstLine(fmt.Sprint(v))
	if r.call != nil && r.call.Started {
		return textFrame(r.format, "the reply cannot be encoded: "+reason), exchange.BadResponse
	}
	return textFrame(r.format, "the request cannot be decoded: "+reason), exchange.BadRequest
}

// A request is one call on its way through the server. It lives on the worker's stack.
type request struct {
	port    *port
	conn    *exchange.ServerConn
	format  serialize.Serializer
	body    []byte
	version string // the caller's protocol version
	target  *target
	call    *protocol.Invocation
	generic bool // the reply goes back generalized
	invoked bool // it came as $invoke
}

// find passes over the prefix and returns the methods that it names, one for each group.
func (r *request) find(rd serialize.Reader) ([]*target, error) {
	t := r.port.table
	last := &t.last[r.format.ID()&exchange.MaskID]
	if l := last.Load(); l != nil && len(r.body) >= len(l.key)-1 && string(r.body[:len(l.key)-1]) == l.key[1:] && t.byPrefix.holds(l) {
		if rd, ok := rd.(serialize.Passer); ok {
			rd.Pass(len(l.key) - 1)
			return l.value, nil
		}
	}
	const parts = 5
	for range parts {
		if err := rd.SkipString(); err != nil {
			return nil, refuse(exchange.BadRequest, "the request cannot be decoded: %v", err)
		}
	}
	n := len(r.body) - rd.Rest()
	// The key is put together on the stack.
	var space [512]byte
	if n < len(space) {
		key := append(append(space[:0], r.format.ID()), r.body[:n]...)
		if l := t.byPrefix.find(key); l != nil {
			last.Store(l)
			return l.value, nil
		}
	}
	return r.findSlowly()
}

// findSlowly reads the prefix of a peer that writes it in another way, or asks for something else than a declared method.
func (r *request) findSlowly() ([]*target, error) {
	rd := r.format.Reader(r.body, r.port.protocol.config.Limits)
	defer rd.Free()
	var parts [5]string
	for i := range parts {
		var err error
		if parts[i], err = rd.ReadString(); err != nil {
			return nil, refuse(exchange.BadRequest, "the request cannot be decoded: %v", err)
		}
	}
	r.version = parts[0]
	key := methodKey{serviceKey{parts[1], normal(parts[2])}, parts[3], parts[4]}
	if targets := r.port.table.targets(key); targets != nil {
		return targets, nil
	}
	if targets := r.common(key); targets != nil {
		return targets, nil
	}
	return nil, refuse(exchange.BadRequest, "%s", r.port.table.describe(key))
}

// decode reads the arguments and the attachments, which say for whose group the call is.
func (r *request) decode(rd serialize.Reader, targets []*target) error {
	first := targets[0]
	for i := 1; i < len(targets) && !first.takes(r.format); i++ {
		first = targets[i]
	}
	if !first.takes(r.format) {
		return refuse(exchange.BadRequest, "%s does not accept serialization %d", first.exporter.url.Service(), r.format.ID())
	}
	r.target, r.call = first, first.method.New()
	if r.call.Args != nil {
		if err := rd.Read(r.call.Args); err != nil {
			return refuse(exchange.BadRequest, "the arguments of %s.%s cannot be decoded: %v", first.method.Service, first.method.Name, err)
		}
	}
	pairs, err := r.attachments(rd)
	if err != nil {
		return refuse(exchange.BadRequest, "the attachments of %s.%s cannot be decoded: %v", first.method.Service, first.method.Name, err)
	}
	r.call.Attachments = pairs
	return r.choose(targets)
}

// takes says whether the service accepts calls in a format.
func (t *target) takes(s serialize.Serializer) bool { return t.accepts&(1<<s.ID()) != 0 }

// attachments reads the map behind the arguments, unless it is byte for byte the one that the method saw last.
func (r *request) attachments(rd serialize.Reader) (protocol.Attachments, error) {
	raw := r.body[len(r.body)-rd.Rest():]
	if len(raw) == 0 {
		return nil, nil
	}
	seen := &r.target.seen[r.format.ID()]
	if a := seen.Load(); a != nil && bytes.Equal(a.raw, raw) {
		return a.pairs, nil
	}
	pairs, err := rd.ReadMap(nil)
	if err != nil {
		return nil, err
	}
	const most = 1 << 10
	if len(raw) <= most && r.plain(raw, pairs) {
		seen.Store(&attachments{bytes.Clone(raw), pairs[:len(pairs):len(pairs)]})
	}
	return pairs, nil
}

// plain says whether raw is nothing but the pairs: other bytes may refer to the arguments before them, and mean
// something else behind other arguments.
func (r *request) plain(raw []byte, pairs []string) bool {
	f := transport.NewFrame(len(raw) + room)
	defer f.Free()
	w := r.format.Writer(f.B)
	defer w.Free()
	w.WriteMap(pairs)
	f.B = w.Bytes()
	return bytes.Equal(f.B, raw)
}

// choose finds the service of the caller's group and path. Attachments decide over the prefix (Dubbo,
// DubboProtocol.getInvoker).
func (r *request) choose(targets []*target) error {
	group, path := r.call.Attachments.Value("group"), r.call.Attachments.Value("path")
	for _, t := range targets {
		if e := t.exporter; e.group == group && (path == "" || path == e.path) {
			if !t.takes(r.format) {
				return refuse(exchange.BadRequest, "%s does not accept serialization %d", e.url.Service(), r.format.ID())
			}
			if t.method != r.call.Method {
				if err := r.retarget(t); err != nil {
					return err
				}
			}
			r.target = t
			return r.resolve()
		}
	}
	e := targets[0].exporter
	if e.group != group {
		return refuse(exchange.ServiceError, "service %s is here, but not in group %q", e.service.Interface.Name, name(group))
	}
	return refuse(exchange.BadRequest, "service %s is at path %q, the call is for path %q", e.service.Interface.Name, e.path, name(path))
}

// retarget reads the arguments again for a service of the same name whose types are others.
func (r *request) retarget(t *target) error {
	rd := r.format.Reader(r.body, r.port.protocol.config.Limits)
	defer rd.Free()
	const parts = 5
	for range parts {
		if err := rd.SkipString(); err != nil {
			return refuse(exchange.BadRequest, "the request cannot be decoded: %v", err)
		}
	}
	call := t.method.New()
	if call.Args != nil {
		if err := rd.Read(call.Args); err != nil {
			return refuse(exchange.BadRequest, "the arguments of %s.%s cannot be decoded: %v", t.method.Service, t.method.Name, err)
		}
	}
	call.Attachments = r.call.Attachments
	r.call = call
	return nil
}

// invoke calls the service. A panic that no filter caught ends here, as the call's own error.
func (r *request) invoke(ctx context.Context) (err error) {
	defer func() {
		if v := recover(); v != nil {
			r.port.protocol.config.Env.Log().Error("dubbo: handler panicked", "service", r.call.Method.Service, "method", r.call.Method.Name, "panic", v)
			err = fmt.Errorf("panic in %s.%s: %v", r.call.Method.Service, r.call.Method.Name, v)
		}
	}()
	if r.call.Method.Name == protocol.Echo {
		// Before all filters, as in Dubbo (EchoFilter): it asks whether the service is alive, not who may call it.
		r.call.Started = true
		return r.call.Method.Serve(ctx, nil, r.call)
	}
	return r.target.exporter.service.Invoker.Invoke(ctx, r.call)
}

// timeout is what the caller allows, from its attachment; 0 when it does not say.
func (r *request) timeout() time.Duration {
	text := r.call.Attachments.Value("timeout")
	if text == "" {
		return 0 // an error of ParseInt is an allocation
	}
	ms, err := strconv.ParseInt(text, 10, 64)
	const most = int64(24 * time.Hour / time.Millisecond)
	if err != nil || ms <= 0 || ms > most {
		return 0
	}
	return time.Duration(ms) * time.Millisecond
}

// Refuse implements exchange.Handler. A peer reads the reason in the serialization that it asked with if this process
// has it, whether or not a service accepts it; otherwise in one that the services do accept.
func (pt *port) Refuse(h exchange.Header, status byte, reason string) (*transport.Frame, byte) {
	s := pt.table.format(h.Serialization())
	if s == nil {
		s = pt.protocol.byID(h.Serialization())
	}
	for id := byte(0); s == nil && id <= exchange.MaskID; id++ {
		s = pt.table.format(id)
	}
	if s == nil {
		return nil, 0
	}
	return textFrame(s, reason), s.ID()
}
