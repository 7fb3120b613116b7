// Package inproc calls services of the same process without bytes or sockets, as Dubbo's injvm does.
//
// A call still behaves like one: it works on a copy of its arguments, has a timeout, and a panic of the handler is an
// error. The handler runs on a goroutine of its own, so a caller that gives up does not wait for it.
package inproc

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/serialize"
	"github.com/ferryrpc/ferry/url"
)

// Params are the URL parameters of the protocol.
type Params struct {
	Timeout time.Duration `url:"timeout" default:"1000" doc:"longest time for one attempt of a call"`
	Return  bool          `url:"return" default:"true" doc:"false: send calls one way, nothing comes back"`
}

// Protocol connects what was exported through it with what refers through it. It implements protocol.Protocol.
type Protocol struct {
	version atomic.Uint64 // of services
	running sync.WaitGroup

	mu       sync.RWMutex           // guards the following
	services map[string][]*exporter // the last one of a service takes its calls
}

var _ protocol.Protocol = (*Protocol)(nil)

// New makes the protocol.
func New() *Protocol { return &Protocol{services: map[string][]*exporter{}} }

type exporter struct {
	protocol *Protocol
	service  *protocol.Service
	url      *url.URL
	shared   bool // on the air elsewhere too
	running  sync.WaitGroup
	calls    atomic.Int64 // what running counts
}

// Export implements protocol.Protocol.
func (p *Protocol) Export(s *protocol.Service, u *url.URL) (protocol.Exporter, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if slices.ContainsFunc(p.services[u.Service()], func(e *exporter) bool { return !e.shared }) {
		return nil, fmt.Errorf("inproc: %s is exported already", u.Service())
	}
	return p.addLocked(&exporter{protocol: p, service: s, url: u}), nil
}

// Share makes a service that is exported by another protocol reachable inside the process as well. Several servers of one
// process may share the same service; calls go to the one that came last.
func (p *Protocol) Share(s *protocol.Service, u *url.URL) protocol.Exporter {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.addLocked(&exporter{protocol: p, service: s, url: u, shared: true})
}

func (p *Protocol) addLocked(e *exporter) *exporter {
	p.services[e.url.Service()] = append(p.services[e.url.Service()], e)
	p.version.Add(1)
	return e
}

// Version changes whenever a service comes or goes.
func (p *Protocol) Version() uint64 { return p.version.Load() }

// Match returns the URL of a service here that match accepts, or nil.
func (p *Protocol) Match(match func(*url.URL) bool) *url.URL {
	p.mu.RLock()
	defer p.mu.RUnlock()
	for _, key := range slices.Sorted(maps.Keys(p.services)) {
		if list := p.services[key]; match(list[len(list)-1].url) {
			return list[len(list)-1].url
		}
	}
	return nil
}

// Has says whether a service is exported here.
func (p *Protocol) Has(service string) bool { return p.find(service) != nil }

func (p *Protocol) find(service string) *exporter {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.lastLocked(service)
}

func (p *Protocol) lastLocked(service string) *exporter {
	if list := p.services[service]; len(list) > 0 {
		return list[len(list)-1]
	}
	return nil
}

// begin finds a service and counts a call on it, so that nobody who closes it misses the call.
func (p *Protocol) begin(service string) *exporter {
	p.mu.RLock()
	defer p.mu.RUnlock()
	e := p.lastLocked(service)
	if e != nil {
		e.running.Add(1)
		e.calls.Add(1)
		p.running.Add(1)
	}
	return e
}

func (e *exporter) end() {
	e.calls.Add(-1)
	e.running.Done()
	e.protocol.running.Done()
}

// URL implements protocol.Exporter.
func (e *exporter) URL() *url.URL { return e.url }

// Close implements protocol.Exporter.
func (e *exporter) Close(ctx context.Context) error {
	e.protocol.mu.Lock()
	e.protocol.dropLocked(e)
	e.protocol.mu.Unlock()
	if e.calls.Load() == 0 { // and none begins any more
		return nil
	}
	done := make(chan struct{})
	go func() { e.running.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("inproc: calls of %s still run: %w", e.url.Service(), context.Cause(ctx))
	}
}

func (p *Protocol) dropLocked(e *exporter) {
	key := e.url.Service()
	list := p.services[key]
	i := slices.Index(list, e)
	if i < 0 {
		return
	}
	if p.services[key] = slices.Delete(slices.Clone(list), i, i+1); len(list) == 1 {
		delete(p.services, key)
	}
	p.version.Add(1)
}

// Close implements protocol.Protocol; it waits for running handlers.
func (p *Protocol) Close() error {
	p.mu.Lock()
	p.services = map[string][]*exporter{}
	p.version.Add(1)
	p.mu.Unlock()
	p.running.Wait()
	return nil
}

// Refer implements protocol.Protocol. The service may be exported later.
func (p *Protocol) Refer(_ context.Context, _ *protocol.Interface, u *url.URL) (protocol.Reference, error) {
	params, err := protocol.DecodePerMethod[Params](u, nil)
	if err != nil {
		return nil, fmt.Errorf("inproc: %w", err)
	}
	return &reference{protocol: p, url: u, service: u.Service(), params: params}, nil
}

type reference struct {
	protocol *Protocol
	url      *url.URL
	service  string
	params   *protocol.PerMethod[Params]
	closed   atomic.Bool
}

// URL implements protocol.Reference.
func (r *reference) URL() *url.URL { return r.url }

// Available implements protocol.Reference.
func (r *reference) Available() bool { return !r.closed.Load() && r.protocol.find(r.service) != nil }

// Close implements protocol.Reference. Calls in flight go on.
func (r *reference) Close() error {
	r.closed.Store(true)
	return nil
}

func (r *reference) fail(c *protocol.Invocation, code protocol.Code, outcome protocol.Outcome, start time.Time, message string, cause error) error {
	return &protocol.Error{Code: code, Outcome: outcome, Service: c.Method.Service, Method: c.Method.Name, Address: "inproc",
		Attempt: c.Attempt, Attempts: c.Attempts, Elapsed: time.Since(start), Message: message, Cause: cause}
}

// Invoke implements protocol.Invoker.
func (r *reference) Invoke(ctx context.Context, c *protocol.Invocation) error {
	start := time.Now()
	if c.Method.Streams() {
		return r.fail(c, protocol.Serialization, protocol.NotSent, start, "this protocol has no streams, tri has", nil)
	}
	timeout, err := r.admit(ctx, c, start)
	if err != nil {
		return err
	}
	e := r.protocol.begin(r.service)
	if e == nil {
		return r.fail(c, protocol.NoProvider, protocol.NotSent, start, "service "+r.service+" is not exported in this process", nil)
	}
	call, err := copyCall(e, c)
	if err != nil {
		e.end()
		return r.fail(c, protocol.Serialization, protocol.NotSent, start, "", err)
	}
	// The handler sees neither the caller's values nor its attachments, only what travels with the call.
	hctx, cancel := context.WithTimeout(context.Background(), timeout)
	stop := context.AfterFunc(ctx, cancel)
	done := make(chan error, 1)
	go func() {
		err := run(protocol.WithServing(hctx, call), e, call)
		e.end() // first, so that who has the reply finds nothing running any more
		done <- err
		cancel()
	}()
	defer stop()
	if c.Method.Kind == protocol.OneWay || !r.params.For(c.Method).Return {
		stop()
		c.Unanswered = true
		return nil
	}
	select {
	case err = <-done:
	case <-hctx.Done():
		select {
		case err = <-done: // both were ready
		default:
			return r.gaveUp(ctx, c, start, timeout)
		}
	}
	c.ReplyAttachments = call.ReplyAttachments
	if call.Started && givenUp(err, ctx, hctx) {
		return r.gaveUp(ctx, c, start, timeout)
	}
	if err != nil {
		return r.answered(c, call, start, err)
	}
	if err := copyRow(c.Reply, call.Reply); err != nil {
		return r.fail(c, protocol.Serialization, protocol.Executed, start, "", err)
	}
	return nil
}

// admit says how long the call may take, or why it is not begun.
func (r *reference) admit(ctx context.Context, c *protocol.Invocation, start time.Time) (time.Duration, error) {
	if r.closed.Load() {
		return 0, r.fail(c, protocol.Closed, protocol.NotSent, start, "the reference is closed", nil)
	}
	timeout := c.Timeout
	if timeout <= 0 {
		timeout = r.params.For(c.Method).Timeout
	}
	if timeout <= 0 {
		timeout = time.Second
	}
	if d, ok := ctx.Deadline(); ok {
		timeout = min(timeout, d.Sub(start))
	}
	switch {
	case timeout <= 0, errors.Is(ctx.Err(), context.DeadlineExceeded):
		return 0, r.fail(c, protocol.DeadlineExceeded, protocol.NotSent, start, "the caller's deadline passed before the call was sent", context.DeadlineExceeded)
	case ctx.Err() != nil:
		return 0, r.fail(c, protocol.Canceled, protocol.NotSent, start, "", context.Cause(ctx))
	}
	return timeout, nil
}

// givenUp says that a handler's error is only that its caller's time was over, which the caller sees at the same moment.
func givenUp(err error, caller, handler context.Context) bool {
	late := errors.Is(err, context.DeadlineExceeded)
	return late && handler.Err() == context.DeadlineExceeded || (late || errors.Is(err, context.Canceled)) && caller.Err() != nil
}

func (r *reference) gaveUp(ctx context.Context, c *protocol.Invocation, start time.Time, timeout time.Duration) error {
	deadline, ok := ctx.Deadline()
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return r.fail(c, protocol.Canceled, protocol.OutcomeUnknown, start, "", context.Cause(ctx))
	case ok && !time.Now().Before(deadline):
		return r.fail(c, protocol.Timeout, protocol.OutcomeUnknown, start, "no reply before the caller's deadline", context.DeadlineExceeded)
	}
	return r.fail(c, protocol.Timeout, protocol.OutcomeUnknown, start, fmt.Sprintf("no reply within %v", timeout), nil)
}

// answered turns a handler's error into what a remote caller would see.
func (r *reference) answered(c, call *protocol.Invocation, start time.Time, err error) error {
	var e *protocol.Error
	if errors.As(err, &e) && e != nil && e.Message != "" && e.Address == "" && e.Service == call.Method.Service && e.Method == call.Method.Name {
		err = errors.New(e.Message) // a filter's, about this very call
	}
	if !call.Started {
		code := protocol.Unknown
		if e != nil {
			code = e.Code
		}
		return r.fail(c, code, protocol.NotStarted, start, "", err)
	}
	failed := r.fail(c, protocol.Application, protocol.Executed, start, err.Error(), err).(*protocol.Error)
	failed.Class = "java.lang.RuntimeException"
	if e != nil && e.Class != "" && e.Message == failed.Message {
		failed.Class = e.Class // a filter's
	}
	var named interface{ JavaClassName() string }
	if errors.As(err, &named) {
		failed.Class = named.JavaClassName()
	}
	return failed
}

func run(ctx context.Context, e *exporter, call *protocol.Invocation) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic in %s.%s: %v", call.Method.Service, call.Method.Name, v)
		}
	}()
	if call.Method.Name == protocol.Echo {
		call.Started = true
		return call.Method.Serve(ctx, nil, call)
	}
	return e.service.Invoker.Invoke(ctx, call)
}

// copyCall makes the handler's own Invocation, and turns a $invoke into the call that it names. The caller's Method may
// be another description of the same thing: names and parameters decide, as on a wire.
func copyCall(e *exporter, c *protocol.Invocation) (*protocol.Invocation, error) {
	call, err := typedCall(e, c)
	if err != nil {
		return nil, err
	}
	call.Attachments = append(call.Attachments, c.Attachments...)
	return call, nil
}

func typedCall(e *exporter, c *protocol.Invocation) (*protocol.Invocation, error) {
	i := e.service.Interface
	if g, ok := c.Args.(*protocol.GenericArgs); ok {
		m := i.FindMethod(g.Method, g.Types)
		if m == nil {
			return nil, fmt.Errorf("inproc: service %s has no method %q with the parameter types %q", e.url.Service(), g.Method, g.Types)
		}
		call := m.New()
		return call, assign(call.Args, g.Args)
	}
	m := c.Method
	if m.Name != protocol.Echo {
		m = nil
		for _, own := range i.Methods {
			if own.Name == c.Method.Name && own.Descriptor == c.Method.Descriptor {
				m = own
			}
		}
	}
	if m == nil {
		return nil, fmt.Errorf("inproc: service %s has no method %s(%s)", e.url.Service(), c.Method.Name, c.Method.Descriptor)
	}
	call := m.New()
	return call, copyRow(call.Args, c.Args)
}

// assign puts generic values into typed arguments where Go can convert them.
func assign(to protocol.Row, args []any) error {
	n := 0
	if to != nil {
		n = to.Len()
	}
	if n != len(args) {
		return fmt.Errorf("it takes %d arguments, the call has %d", n, len(args))
	}
	for i := range args {
		var a any
		serialize.Copy(&a, &args[i])
		dst, src := reflect.ValueOf(to.At(i)).Elem(), reflect.ValueOf(a)
		switch {
		case !src.IsValid():
			dst.SetZero()
		case src.Type().AssignableTo(dst.Type()):
			dst.Set(src)
		case src.CanConvert(dst.Type()) && (src.Kind() == reflect.String) == (dst.Kind() == reflect.String):
			dst.Set(src.Convert(dst.Type()))
		default:
			return fmt.Errorf("argument %d is a %T, it takes a %v", i, a, dst.Type())
		}
	}
	return nil
}

// copyRow sets the values of one row to copies of those of another, which share nothing with them.
func copyRow(to, from protocol.Row) error {
	if to == nil || from == nil {
		return nil
	}
	for i := range min(to.Len(), from.Len()) {
		p := reflect.New(reflect.TypeOf(from.At(i)).Elem())
		serialize.Copy(p.Interface(), from.At(i))
		dst, src := reflect.ValueOf(to.At(i)).Elem(), p.Elem()
		if !src.Type().AssignableTo(dst.Type()) {
			return fmt.Errorf("inproc: value %d is a %v on one side and a %v on the other", i, src.Type(), dst.Type())
		}
		dst.Set(src)
	}
	return nil
}
