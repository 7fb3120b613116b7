package triple

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ferryrpc/ferry/exchange"
	"github.com/ferryrpc/ferry/protocol"
)

// ServeHTTP implements http.Handler: one request, whatever its form.
func (pt *port) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
		pt.serveGRPC(w, r)
		return
	}
	pt.serveJSON(w, r)
}

// admit takes a place among the running handlers, which release gives back. It waits for one in a bounded queue.
func (pt *port) admit(ctx context.Context) *failure {
	select {
	case pt.slots <- struct{}{}:
		return nil
	default:
	}
	if pt.waiting.Add(1) > int64(pt.params.ServerParams.Queue) {
		pt.waiting.Add(-1)
		return refusal(ResourceExhausted, fmt.Sprintf("%d requests are waiting for a handler (parameters threads=%d, queues=%d)",
			pt.params.ServerParams.Queue, pt.params.Threads, pt.params.ServerParams.Queue))
	}
	defer pt.waiting.Add(-1)
	select {
	case pt.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return refusal(DeadlineExceeded, "the caller's time was over before a handler was free")
	}
}

func (pt *port) release() { <-pt.slots }

// A request is one call on its way through the server.
type request struct {
	port     *port
	http     *http.Request
	writer   http.ResponseWriter
	control  *http.ResponseController
	exporter *exporter
	methods  []*method // of the name asked for; most names have one
	method   *method
	call     *protocol.Invocation
	format   format
	wire     string // what the request calls the format
	generic  bool   // the reply goes back generalized
	invoked  bool   // it came as $invoke
	ctx      *callContext
	began    bool // the answer's header is written
}

// find looks for the service and the method in the path.
func (r *request) find(path string) *failure {
	path = strings.TrimPrefix(path, "/")
	i := strings.LastIndexByte(path, '/')
	if i <= 0 {
		return refusal(Unimplemented, fmt.Sprintf("%q is no /service/method", shorten(path, 128)))
	}
	h := r.http.Header
	e, f := r.port.table.Load().find(path[:i], h.Get(triVersion), h.Get(triGroup))
	if f != nil {
		return f
	}
	r.exporter, r.format, r.wire = e, e.formats[0], wireName(e.formats[0].name)
	r.methods = e.methods[path[i+1:]]
	if len(r.methods) == 0 {
		r.methods = e.common(path[i+1:])
	}
	if len(r.methods) == 0 {
		return refusal(Unimplemented, fmt.Sprintf("service %s has no method %q", e.path, shorten(path[i+1:], 128)))
	}
	r.method = r.methods[0]
	return nil
}

// count counts the call, so that whoever closes the service does not miss it. done must follow.
func (r *request) count() *failure {
	r.exporter.runs.Add(1)
	told := len(r.http.Header[triApp]) > 0
	r.exporter.load.begun(told)
	r.port.load.begun(told)
	if r.exporter.gone.Load() {
		return refusal(Unimplemented, fmt.Sprintf("service %q is not here any more", r.exporter.url.Service()))
	}
	return nil
}

func (r *request) done() { r.exporter.runs.Add(-1) }

// serveGRPC serves one stream.
func (pt *port) serveGRPC(w http.ResponseWriter, hr *http.Request) {
	h := w.Header()
	h["Content-Type"] = []string{hr.Header.Get("Content-Type")}
	r := &request{port: pt, http: hr, writer: w, control: http.NewResponseController(w)}
	if hr.ProtoMajor < 2 || hr.Method != http.MethodPost {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	timeout := time.Duration(0)
	if text := hr.Header.Get(grpcTimeout); text != "" {
		var err error
		if timeout, err = parseTimeout(text); err != nil {
			r.refuse(refusal(Internal, err.Error()))
			return
		}
	}
	if f := r.find(hr.URL.Path); f != nil {
		r.refuse(f)
		return
	}
	defer r.done()
	if f := r.count(); f != nil {
		r.refuse(f)
		return
	}
	ctx, cancel := deadline(hr.Context(), timeout)
	defer cancel()
	if f := pt.admit(ctx); f != nil {
		r.refuse(f)
		return
	}
	defer pt.release()
	if r.method.Streams() {
		r.serveStream(ctx)
		return
	}
	r.serveUnary(ctx)
}

func deadline(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	if timeout <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, timeout)
}

// serveUnary runs a call of one request and one reply.
func (r *request) serveUnary(ctx context.Context) {
	b, f := r.readOnly()
	if f == nil {
		f = r.decode(b)
	}
	if f != nil {
		r.refuse(f)
		return
	}
	err := r.invoke(ctx)
	r.answer(ctx, err)
	r.ctx.finish()
	r.free()
}

func (r *request) free() {
	if free := r.call.Method.Free; free != nil {
		free(r.call)
	}
}

// readOnly reads the only message of a request, within frame.timeout.
func (r *request) readOnly() ([]byte, *failure) {
	x := r.port.params.exchange
	_ = r.control.SetReadDeadline(time.Now().Add(x.FrameTimeout))
	b, err := readOnly(r.http.Body, room, x.Payload, r.http.Header.Get(grpcEncoding))
	if err != nil {
		if errors.Is(err, exchange.ErrTooLarge) {
			// A caller that is still writing when its stream ends may see only that: Dubbo's does.
			_, _ = io.CopyN(io.Discard, r.http.Body, 2*x.Payload)
		}
		return nil, unreadable(err)
	}
	_ = r.control.SetReadDeadline(time.Time{})
	return b, nil
}

// unreadable is a request whose message cannot be read.
func unreadable(err error) *failure {
	switch {
	case errors.Is(err, exchange.ErrTooLarge):
		return refusal(ResourceExhausted, "request of "+err.Error())
	case errors.Is(err, errCompressed):
		return refusal(Unimplemented, err.Error()+"; gzip is known here")
	case errors.Is(err, io.EOF):
		return refusal(Internal, "the request has no message")
	case errors.Is(err, context.Canceled):
		return refusal(Canceled, "the caller gave up before its request was here")
	}
	return refusal(Internal, "the request cannot be read: "+err.Error())
}

// decode reads the arguments of the request's only message, and makes the call. A panic in a type's own code ends here.
func (r *request) decode(b []byte) (f *failure) {
	defer func() {
		if v := recover(); v != nil {
			r.port.protocol.config.Env.Log().Error("triple: panic while a request was decoded", "panic", v)
			f = refusal(Internal, "the request cannot be decoded: panic: "+shorten(fmt.Sprint(v), 128))
		}
	}()
	if r.method.proto {
		r.call = r.method.New()
		if err := r.port.protocol.readMessage(b, r.call.Args.At(0)); err != nil {
			return r.undecoded(err)
		}
	} else {
		w, err := parseWrapper(b[room:])
		if err != nil {
			return r.undecoded(err)
		}
		if f := r.choose(&w); f != nil {
			return f
		}
		r.call = r.method.New()
		if err := w.readValues(r.format.Serializer, r.port.protocol.config.Limits, r.call.Args, r.method.argTypes); err != nil {
			return r.undecoded(err)
		}
	}
	r.call.Attachments = attachments(r.call.Attachments, r.http.Header)
	return r.resolve()
}

func (r *request) undecoded(err error) *failure {
	return refusal(Internal, fmt.Sprintf("the arguments of %s.%s cannot be decoded: %v", r.method.Service, r.method.Name, err))
}

// choose finds the format that a wrapper names, and the method among those of one name.
func (r *request) choose(w *wrapped) *failure {
	name := formatName(w.format)
	found := false
	for _, f := range r.exporter.formats {
		if f.name == name {
			r.format, r.wire, found = f, w.format, true
		}
	}
	if !found {
		return refusal(Internal, fmt.Sprintf("%s does not accept serialization %q", r.exporter.url.Service(), shorten(w.format, 32)))
	}
	if len(r.methods) == 1 {
		return nil
	}
	for _, m := range r.methods {
		if slices.Equal(m.wireTypes, w.types) {
			r.method = m
			return nil
		}
	}
	return refusal(Unimplemented, fmt.Sprintf("service %s has no method %s with the parameter types %q", r.exporter.path, r.method.Name, w.types))
}

// invoke calls the service. A panic that no filter caught ends here, as the call's own error.
func (r *request) invoke(ctx context.Context) (err error) {
	r.ctx = newCallContext(ctx, r)
	defer func() {
		if v := recover(); v != nil {
			r.port.protocol.config.Env.Log().Error("triple: handler panicked", "service", r.call.Method.Service, "method", r.call.Method.Name, "panic", v)
			err = fmt.Errorf("panic in %s.%s: %v", r.call.Method.Service, r.call.Method.Name, v)
		}
	}()
	if r.call.Method.Name == protocol.Echo {
		// Before all filters, as in Dubbo (EchoFilter): it asks whether the service is alive, not who may call it.
		r.call.Started = true
		return r.call.Method.Serve(r.ctx, nil, r.call)
	}
	return r.exporter.service.Invoker.Invoke(r.ctx, r.call)
}
