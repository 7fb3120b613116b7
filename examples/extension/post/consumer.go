package post

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	neturl "net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/serialize"
	"github.com/ferryrpc/ferry/url"
)

// A reference is one provider.
type reference struct {
	protocol *Protocol
	url      *url.URL
	base     string // https://host:port/path
	service  service
	format   serialize.Serializer
	params   *protocol.PerMethod[Params]
	calls    calls
	ctx      context.Context // ends with the reference
	cancel   context.CancelFunc

	available atomic.Bool
	mu        sync.Mutex // guards the following
	probing   bool
	probes    sync.WaitGroup
}

// Refer implements protocol.Protocol.
func (p *Protocol) Refer(ctx context.Context, i *protocol.Interface, u *url.URL) (protocol.Reference, error) {
	params, err := protocol.DecodePerMethod[Params](u, nil)
	if err != nil {
		return nil, fmt.Errorf("post: provider %s: %w", u.Address(), err)
	}
	r := &reference{protocol: p, url: u, service: serviceOf(u, i), params: params}
	if r.format, err = p.serializers.OpenNamed(p.env, params.Base().Serialization, u); err != nil {
		return nil, fmt.Errorf("post: provider %s: %w", u.Address(), err)
	}
	r.base = "http://" + u.Address()
	if p.env.TLS != nil {
		r.base = "https://" + u.Address()
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	if r.available.Store(true); !params.Base().Lazy && !r.answers(ctx) {
		r.lost()
	}
	return r, nil
}

// URL implements protocol.Reference.
func (r *reference) URL() *url.URL { return r.url }

// Available implements protocol.Reference.
func (r *reference) Available() bool { return r.available.Load() }

// answers says whether the server is there.
func (r *reference) answers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, r.params.Base().Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.base+"/", nil)
	if err != nil {
		return false
	}
	resp, err := r.protocol.client.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return true
}

// lost makes the reference unavailable until its server answers again.
func (r *reference) lost() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.probing || r.ctx.Err() != nil {
		return
	}
	r.probing = true
	r.available.Store(false)
	r.probes.Go(func() {
		tick := time.NewTicker(max(r.params.Base().Probe, time.Millisecond))
		defer tick.Stop()
		for !r.answers(r.ctx) {
			select {
			case <-tick.C:
			case <-r.ctx.Done():
				return
			}
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.probing = false
		r.available.Store(true)
	})
}

// Close implements protocol.Reference.
func (r *reference) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), r.params.Base().Shutdown)
	defer cancel()
	r.calls.close(ctx) // those that are left are ended with r.ctx
	r.available.Store(false)
	r.mu.Lock()
	r.cancel()
	r.mu.Unlock()
	r.probes.Wait()
	r.calls.close(context.Background())
	return nil
}

// An attempt is one call on its way.
type attempt struct {
	*reference
	call    *protocol.Invocation
	start   time.Time
	timeout time.Duration
	sent    atomic.Bool // a connection took the request
}

// Invoke implements protocol.Invoker.
func (r *reference) Invoke(ctx context.Context, c *protocol.Invocation) error {
	a := &attempt{reference: r, call: c, start: time.Now(), timeout: c.Timeout}
	if !r.calls.begin() {
		return a.fail(protocol.Closed, protocol.NotSent, "the reference is closed", nil)
	}
	defer r.calls.end()
	if a.timeout <= 0 {
		a.timeout = r.params.For(c.Method).Timeout
	}
	attemptCtx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	defer context.AfterFunc(r.ctx, cancel)()
	req, err := a.request(attemptCtx)
	if err != nil {
		return a.fail(protocol.Serialization, protocol.NotSent, "the arguments cannot be encoded", err)
	}
	resp, err := r.protocol.client.Do(req)
	if err != nil {
		return a.lost(ctx, err, protocol.OutcomeUnknown)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusAccepted {
		return nil
	}
	outcome := protocol.OutcomeUnknown
	switch resp.Header.Get(headerOutcome) {
	case executed:
		outcome = protocol.Executed
	case notStarted:
		outcome = protocol.NotStarted
	}
	payload := r.params.Base().Payload
	body, err := io.ReadAll(http.MaxBytesReader(nil, resp.Body, payload))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return a.fail(protocol.Serialization, outcome, "the reply is too large", err)
	case err != nil:
		return a.lost(ctx, err, outcome)
	}
	return a.answer(resp.StatusCode, outcome, body)
}

// request encodes the call.
func (a *attempt) request(ctx context.Context) (*http.Request, error) {
	w := a.format.Writer(nil)
	defer w.Free()
	if a.call.Args != nil {
		if err := w.Write(a.call.Args); err != nil {
			return nil, err
		}
	}
	w.WriteMap(a.call.Attachments)
	m := a.call.Method
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		// It asks for another connection only when it wrote nothing to the one before.
		GetConn: func(string) { a.sent.Store(false) },
		GotConn: func(httptrace.GotConnInfo) { a.sent.Store(true) },
	})
	address := a.base + "/" + neturl.PathEscape(a.service.path) + "/" + neturl.PathEscape(m.Name)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(w.Bytes()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", mediaType+a.params.Base().Serialization)
	req.Header.Set(headerDescriptor, m.Descriptor)
	left := a.timeout
	if d, ok := ctx.Deadline(); ok {
		left = min(left, time.Until(d))
	}
	req.Header.Set(headerTimeout, strconv.FormatInt(max(left.Milliseconds(), 1), 10))
	for name, value := range map[string]string{headerGroup: a.service.group, headerVersion: a.service.version} {
		if value != "" {
			req.Header.Set(name, value)
		}
	}
	return req, nil
}

// answer decodes what the server said.
func (a *attempt) answer(status int, outcome protocol.Outcome, body []byte) error {
	rd := a.format.Reader(body, serialize.Limits{})
	defer rd.Free()
	var err error
	var thrown serialize.Exception
	switch {
	case outcome == protocol.Executed && status == http.StatusOK:
		if a.call.Reply != nil {
			err = rd.Read(a.call.Reply)
		}
	case outcome == protocol.Executed && status == http.StatusUnprocessableEntity:
		err = rd.Read(&thrown)
	default:
		return a.refused(status, outcome, body)
	}
	if err == nil {
		a.call.ReplyAttachments, err = rd.ReadMap(nil)
	}
	switch {
	case err != nil:
		return a.fail(protocol.Serialization, protocol.Executed, "the reply cannot be decoded", err)
	case status == http.StatusOK:
		return nil
	}
	cause, _ := thrown.Value.(error)
	e := a.fail(protocol.Application, protocol.Executed, thrown.Message, cause)
	e.Class = thrown.Class
	return e
}

func (a *attempt) refused(status int, outcome protocol.Outcome, body []byte) error {
	code := protocol.Network
	switch {
	case outcome == protocol.Executed:
		code = protocol.Serialization
	case status == http.StatusForbidden:
		code = protocol.Forbidden
	case status == http.StatusTooManyRequests:
		code = protocol.LimitExceeded
	}
	const most = 300
	reason, _, _ := strings.Cut(strings.TrimSpace(string(body[:min(len(body), most)])), "\n")
	return a.fail(code, outcome, fmt.Sprintf("the provider answered with status %d: %s", status, reason), nil)
}

// lost says what became of a call that got no whole answer; ctx is the caller's.
func (a *attempt) lost(ctx context.Context, err error, outcome protocol.Outcome) error {
	if !a.sent.Load() {
		outcome = protocol.NotSent
	}
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return a.fail(protocol.Canceled, outcome, "", ctx.Err())
	case ctx.Err() != nil && outcome == protocol.NotSent:
		return a.fail(protocol.DeadlineExceeded, outcome, "the caller's deadline passed before the call was sent", ctx.Err())
	case ctx.Err() != nil:
		return a.fail(protocol.Timeout, outcome, "no reply before the caller's deadline", ctx.Err())
	case a.ctx.Err() != nil:
		return a.fail(protocol.Closed, outcome, "the reference is closed", nil)
	case errors.Is(err, context.DeadlineExceeded):
		return a.fail(protocol.Timeout, outcome, fmt.Sprintf("no reply within %v", a.timeout), nil)
	}
	if outcome == protocol.NotSent {
		a.reference.lost()
	}
	var u *neturl.Error
	if errors.As(err, &u) {
		err = u.Err // the address is said elsewhere
	}
	return a.fail(protocol.Network, outcome, "", err)
}

func (a *attempt) fail(code protocol.Code, outcome protocol.Outcome, message string, cause error) *protocol.Error {
	c := a.call
	return &protocol.Error{Code: code, Outcome: outcome, Service: c.Method.Service, Method: c.Method.Name, Address: a.url.Address(),
		Attempt: c.Attempt, Attempts: c.Attempts, Elapsed: time.Since(a.start), Message: message, Cause: cause}
}
