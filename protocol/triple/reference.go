package triple

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	stdurl "net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/url"
)

// A reference is one provider.
type reference struct {
	protocol *Protocol
	url      *url.URL
	address  string
	format   format
	params   Params
	payload  int64
	plans    []*plan // by Method.Index
	lines    []*heldLine
	next     atomic.Uint32
	closed   atomic.Bool

	mu    sync.Mutex // guards the following
	extra map[*protocol.Method]*plan
}

var _ protocol.Reference = (*reference)(nil)

// A heldLine is a line with how to give it back.
type heldLine struct {
	*line
	release func() error
}

// A plan is what a reference knows about one method before any call.
type plan struct {
	shape
	method  *protocol.Method
	timeout time.Duration
	oneway  bool
	header  http.Header // constant
	url     *stdurl.URL
}

// Refer implements protocol.Protocol. A provider that cannot be reached is no error: the reference is not available
// then, and connects when the provider comes back.
func (p *Protocol) Refer(ctx context.Context, s *protocol.Interface, u *url.URL) (protocol.Reference, error) {
	r := &reference{protocol: p, url: u, address: u.Address()}
	if err := u.Decode(&r.params); err != nil {
		return nil, fmt.Errorf("triple: provider %s: %w", u.Address(), err)
	}
	conn, err := readConnParams(u)
	if err != nil {
		return nil, fmt.Errorf("triple: provider %s: %w", u.Address(), err)
	}
	r.payload = conn.exchange.Payload
	if r.format, err = p.choose(u, r.params); err != nil {
		return nil, err
	}
	r.plans = make([]*plan, len(s.Methods))
	for i, m := range s.Methods {
		if r.plans[i], err = r.newPlan(m); err != nil {
			return nil, fmt.Errorf("triple: provider %s: %w", u.Address(), err)
		}
	}
	if r.lines, err = p.connect(u, conn, r.params.Shutdown); err != nil {
		return nil, fmt.Errorf("triple: provider %s: %w", u.Address(), err)
	}
	if err := p.keep(r); err != nil {
		return nil, errors.Join(err, r.giveBack())
	}
	if !r.params.Lazy {
		var connecting sync.WaitGroup
		for _, l := range r.lines {
			connecting.Go(func() { _, _ = l.connection(ctx) })
		}
		connecting.Wait()
	}
	return r, nil
}

// choose picks a consumer's serializer by Dubbo's rule: the first of prefer.serialization that there is here, else
// serialization, else hessian2, which Java providers always take.
func (p *Protocol) choose(u *url.URL, params Params) (format, error) {
	for _, n := range append(params.Prefer[:len(params.Prefer):len(params.Prefer)], params.Serialization) {
		if p.config.Serializers.Has(n) {
			return p.open(u, n)
		}
	}
	return p.open(u, "hessian2")
}

// connect makes the lines of a reference: one that all services of the address share, or some of its own.
func (p *Protocol) connect(u *url.URL, conn connParams, shutdown time.Duration) ([]*heldLine, error) {
	if conn.MostConnections <= 0 {
		key := fmt.Sprintf("%s %+v %v", u.Address(), conn, shutdown)
		v, release, err := p.lines.Acquire(key, func() (io.Closer, error) { return newLine(u, conn, shutdown, p.config.Env.TLS), nil })
		if err != nil {
			return nil, err
		}
		return []*heldLine{{v.(*line), release}}, nil
	}
	lines := make([]*heldLine, conn.MostConnections)
	for i := range lines {
		l := newLine(u, conn, shutdown, p.config.Env.TLS)
		lines[i] = &heldLine{l, l.Close}
	}
	return lines, nil
}

// keep makes r known to Close.
func (p *Protocol) keep(r *reference) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return errClosed
	}
	p.references[r] = struct{}{}
	return nil
}

// newPlan puts together what is constant for a method.
func (r *reference) newPlan(m *protocol.Method) (*plan, error) {
	u := r.url
	var params Params
	if err := u.ForMethod(m.Name).Decode(&params); err != nil {
		return nil, err
	}
	p := &plan{shape: newShape(m), method: m, timeout: params.Timeout, oneway: m.Kind == protocol.OneWay || !params.Return, header: http.Header{}}
	if p.timeout <= 0 {
		p.timeout = time.Second
	}
	path := u.Path()
	if path == "" {
		path = u.Interface()
	}
	if path == "" {
		path = m.Service
	}
	scheme := "http"
	if r.protocol.config.Env.TLS != nil {
		scheme = "https"
	}
	p.url = &stdurl.URL{Scheme: scheme, Host: r.address, Path: "/" + path + "/" + p.rpc}
	p.header["Content-Type"], p.header["Te"] = []string{contentType}, []string{"trailers"}
	p.header[grpcAccept], p.header["User-Agent"] = []string{"gzip"}, []string{"ferry"}
	for key, value := range map[string]string{triVersion: normal(u.Param("version")), triGroup: named(u.Param("group")), triApp: u.Param("remote.application"), "Token": u.Param("token")} {
		if value != "" && value != "*" {
			p.header[key] = []string{value}
		}
	}
	return p, nil
}

// URL implements protocol.Reference.
func (r *reference) URL() *url.URL { return r.url }

// Available implements protocol.Reference.
func (r *reference) Available() bool {
	if r.closed.Load() {
		return false
	}
	for _, l := range r.lines {
		if !l.down.Load() {
			return true
		}
	}
	return false
}

// plan finds what is known of a method; one that is not the interface's own is learned at its first call.
func (r *reference) plan(m *protocol.Method) (*plan, error) {
	if i := m.Index; i >= 0 && i < len(r.plans) && r.plans[i].method == m {
		return r.plans[i], nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if p, ok := r.extra[m]; ok {
		return p, nil
	}
	p, err := r.newPlan(m)
	if err != nil {
		return nil, err
	}
	const most = 1024 // methods made by hand for each call must not fill the memory
	if len(r.extra) < most {
		if r.extra == nil {
			r.extra = map[*protocol.Method]*plan{}
		}
		r.extra[m] = p
	}
	return p, nil
}

// line picks the connections of a call.
func (r *reference) line() *line {
	if len(r.lines) == 1 {
		return r.lines[0].line
	}
	n := len(r.lines)
	start := int(r.next.Add(1) % uint32(n))
	for i := range n {
		if l := r.lines[(start+i)%n]; !l.down.Load() {
			return l.line
		}
	}
	return r.lines[start].line
}

// Close implements protocol.Reference.
func (r *reference) Close() error {
	if r.closed.Swap(true) {
		return nil
	}
	r.protocol.mu.Lock()
	delete(r.protocol.references, r)
	r.protocol.mu.Unlock()
	return r.giveBack()
}

// giveBack ends the use of the connections; those that nobody else has are closed, all at a time.
func (r *reference) giveBack() error {
	errs := make([]error, len(r.lines))
	var closing sync.WaitGroup
	for i, l := range r.lines {
		closing.Go(func() { errs[i] = l.release() })
	}
	closing.Wait()
	return errors.Join(errs...)
}
