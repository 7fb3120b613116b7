package dubbo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ferryrpc/ferry/exchange"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/serialize"
	"github.com/ferryrpc/ferry/url"
)

// A reference is one provider. Its methods' constants are encoded when it is made.
type reference struct {
	protocol *Protocol
	url      *url.URL
	address  string
	format   serialize.Serializer
	params   Params
	limits   serialize.Limits
	plans    []*plan // by Method.Index
	lines    []*line
	next     atomic.Uint32
	closed   atomic.Bool

	usual []byte // attachments of an answer that say nothing new

	mu    sync.Mutex // guards the following
	extra map[*protocol.Method]*plan
}

var _ protocol.Reference = (*reference)(nil)

// Refer implements protocol.Protocol. A provider that cannot be reached is no error: the reference is not available
// then, and connects when the provider comes back.
func (p *Protocol) Refer(ctx context.Context, s *protocol.Interface, u *url.URL) (protocol.Reference, error) {
	r := &reference{protocol: p, url: u, address: u.Address(), limits: p.config.Limits}
	if err := u.Decode(&r.params); err != nil {
		return nil, fmt.Errorf("dubbo: provider %s: %w", u.Address(), err)
	}
	var err error
	if r.format, err = p.choose(u, r.params); err != nil {
		return nil, err
	}
	if err := r.encodePlans(s); err != nil {
		return nil, fmt.Errorf("dubbo: provider %s: %w", u.Address(), err)
	}
	if r.lines, err = p.connect(u, r.params); err != nil {
		return nil, fmt.Errorf("dubbo: provider %s: %w", u.Address(), err)
	}
	if err := p.keep(r); err != nil {
		return nil, errors.Join(err, r.release())
	}
	if !r.params.Lazy {
		var connecting sync.WaitGroup
		for _, l := range r.lines {
			connecting.Go(func() { _ = l.Connect(ctx) })
		}
		connecting.Wait()
	}
	return r, nil
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

func (r *reference) encodePlans(s *protocol.Interface) error {
	r.plans = make([]*plan, len(s.Methods))
	for i, m := range s.Methods {
		var err error
		if r.plans[i], err = newPlan(m, r.url, r.format); err != nil {
			return err
		}
	}
	r.usual = appendMap(r.format, answerAttachments)
	return nil
}

func appendMap(s serialize.Serializer, pairs []string) []byte {
	w := s.Writer(nil)
	defer w.Free()
	w.WriteMap(pairs)
	return w.Bytes()
}

// URL implements protocol.Reference.
func (r *reference) URL() *url.URL { return r.url }

// Available implements protocol.Reference.
func (r *reference) Available() bool {
	if r.closed.Load() {
		return false
	}
	for _, l := range r.lines {
		if l.Available() {
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
	p, err := newPlan(m, r.url, r.format)
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

// line picks the connection of a call.
func (r *reference) line() *line {
	if len(r.lines) == 1 {
		return r.lines[0]
	}
	n := len(r.lines)
	start := int(r.next.Add(1) % uint32(n))
	for i := range n {
		if l := r.lines[(start+i)%n]; l.Available() {
			return l
		}
	}
	return r.lines[start]
}

// Invoke implements protocol.Invoker.
func (r *reference) Invoke(ctx context.Context, c *protocol.Invocation) error {
	start := time.Now()
	if c.Method.Streams() {
		return r.failure(c, start, protocol.Serialization, protocol.NotSent, "this protocol has no streams, tri has", nil)
	}
	p, err := r.plan(c.Method)
	if err != nil {
		return r.failure(c, start, protocol.Serialization, protocol.NotSent, "", err)
	}
	if r.closed.Load() {
		return r.failure(c, start, protocol.Closed, protocol.NotSent, "the reference is closed", nil)
	}
	timeout := p.timeout
	if c.Timeout > 0 {
		timeout = c.Timeout
	}
	sent := timeout
	if d, ok := ctx.Deadline(); ok {
		if left := d.Sub(start); left < timeout {
			sent = left
		}
	}
	f, err := p.request(r.format, c, sent)
	if err != nil {
		return r.failure(c, start, protocol.Serialization, protocol.NotSent, "the arguments cannot be encoded", err)
	}
	if p.oneway {
		if err := r.line().OneWay(ctx, f, r.format.ID(), start, timeout); err != nil {
			return r.lost(ctx, c, start, timeout, err)
		}
		c.Unanswered = true
		return nil
	}
	m, err := r.line().Do(ctx, f, r.format.ID(), start, timeout)
	if err != nil {
		return r.lost(ctx, c, start, timeout, err)
	}
	if m.Status != exchange.OK {
		err = r.refused(c, start, m)
	} else {
		err = r.decode(c, start, m)
	}
	m.Body.Free()
	return err
}

// scratch holds what decoding an answer needs a pointer to.
type scratch struct {
	flag      int32
	exception serialize.Exception
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// decode reads an answer with status 20 in the caller's goroutine.
func (r *reference) decode(c *protocol.Invocation, start time.Time, m exchange.Message) error {
	if m.Serialization() != r.format.ID() {
		return r.failure(c, start, protocol.Serialization, protocol.Executed,
			fmt.Sprintf("the reply is in serialization %d, the call was in %d", m.Serialization(), r.format.ID()), nil)
	}
	rd := r.format.Reader(m.Body.B, r.limits)
	defer rd.Free()
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	s.flag, s.exception = -1, serialize.Exception{}
	err := rd.Read(&s.flag)
	if err == nil {
		switch s.flag {
		case flagException, flagExceptionAttached:
			err = rd.Read(&s.exception)
		case flagValue, flagValueAttached:
			err = readReply(rd, c)
		case flagNull, flagNullAttached:
		default:
			err = fmt.Errorf("%w: answer flag %d", serialize.ErrMalformed, s.flag)
		}
	}
	if err == nil && s.flag >= flagExceptionAttached {
		err = r.readAttachments(rd, c, m.Body.B)
	}
	if err != nil {
		return r.failure(c, start, protocol.Serialization, protocol.Executed, "the reply cannot be decoded", err)
	}
	if s.flag == flagException || s.flag == flagExceptionAttached {
		return r.applicationError(c, start, &s.exception)
	}
	return nil
}

func readReply(rd serialize.Reader, c *protocol.Invocation) error {
	if c.Reply == nil || c.Reply.Len() == 0 {
		return rd.Read(nil)
	}
	return rd.Read(c.Reply)
}

// readAttachments reads an answer's attachments, unless they are the ones that nearly every answer has.
func (r *reference) readAttachments(rd serialize.Reader, c *protocol.Invocation, body []byte) error {
	if bytes.Equal(body[len(body)-rd.Rest():], r.usual) {
		c.ReplyAttachments = nil
		return nil
	}
	pairs, err := rd.ReadMap(nil)
	if err == nil {
		c.ReplyAttachments = pairs
	}
	return err
}

// Close implements protocol.Reference.
func (r *reference) Close() error {
	if r.closed.Swap(true) {
		return nil
	}
	r.protocol.mu.Lock()
	delete(r.protocol.references, r)
	r.protocol.mu.Unlock()
	return r.release()
}

// release gives the connections back; those that nobody else has are closed, all at a time.
func (r *reference) release() error {
	errs := make([]error, len(r.lines))
	var closing sync.WaitGroup
	for i, l := range r.lines {
		closing.Go(func() { errs[i] = l.release() })
	}
	closing.Wait()
	return errors.Join(errs...)
}
