package cluster

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/url"
)

// MockParams are the parameters of the consumer's mock.
type MockParams struct {
	Mock string `url:"mock" doc:"what stands in for a call that fails: return <value>, throw, throw <class>, the name of an implementation or true; force:… instead of the call"`
}

// MockConfig is what mocks need beside their parameters. All may be nil.
type MockConfig struct {
	// Find returns a registered implementation, as an Invoker that calls its methods.
	Find func(name string) (impl protocol.Invoker, ok bool)
	// Convert stores a value of scalars, map[string]any and []any where into, a pointer, points to.
	Convert func(value, into any) error
	// Throw returns the error that a Java class name is registered for.
	Throw func(class string) (error, bool)
}

// A Mock is an Invoker around a joined cluster that answers in its place: always (force:…), or when a call fails. What
// counts as a failure is Dubbo's rule: everything but an answer of the service, be it an error. That the caller gave up
// is no failure either.
//
//	return [null|empty|true|false|<text>|<number>|<json>]    throw    throw a.b.C    true, default: com.x.GreeterMock, or GreeterMock
//	fail:… is the same as without                             force:… does not call    false, 0, null, N/A: none
//
// sayHello.mock stands in for mock. Set changes the mock while calls run. Without a mock a call costs one atomic load.
type Mock struct {
	next   protocol.Invoker
	config MockConfig
	rules  atomic.Pointer[mocks]
}

type mocks struct {
	base  *mock // nil: none
	named map[string]*mock
}

// A mock is one parameter, parsed.
type mock struct {
	source string
	force  bool
	kind   mockKind
	text   string // of return
	quoted bool   // text stood in quotes
	value  any    // of return, if it is JSON
	class  string // of throw
	impl   protocol.Invoker
}

type mockKind uint8

const (
	mockReturn mockKind = iota
	mockThrow
	mockCall
)

// NewMock returns next with the mock that u asks for. A mock that cannot be understood is an error.
func NewMock(next protocol.Invoker, config MockConfig, u *url.URL) (*Mock, error) {
	m := &Mock{next: next, config: config}
	return m, m.Set(u)
}

// Set replaces the mock by the one that u asks for; after an error the old one stays.
func (m *Mock) Set(u *url.URL) error {
	r, err := m.read(u)
	if err == nil {
		m.rules.Store(r)
	}
	return err
}

// Check says whether Set would accept u.
func (m *Mock) Check(u *url.URL) error {
	_, err := m.read(u)
	return err
}

// IsMock says whether a parameter is a mock, of a service or a method.
func IsMock(key string) bool { return key == "mock" || strings.HasSuffix(key, ".mock") }

func (m *Mock) read(u *url.URL) (*mocks, error) {
	r := &mocks{}
	found := false
	for key, value := range u.All {
		if !IsMock(key) {
			continue
		}
		one, err := m.parse(value, u.Interface())
		if err != nil {
			return nil, fmt.Errorf("cluster: parameter %s=%s: %w", key, value, err)
		}
		if method := strings.TrimSuffix(key, ".mock"); key == "mock" {
			r.base = one
		} else {
			if r.named == nil {
				r.named = map[string]*mock{}
			}
			r.named[method] = one
		}
		found = found || one != nil
	}
	if !found {
		return nil, nil
	}
	return r, nil
}

// parse reads a value; nil means that there is no mock.
func (m *Mock) parse(source, service string) (*mock, error) {
	text := strings.TrimSpace(source)
	switch strings.ToLower(text) {
	case "", "false", "0", "null", "n/a":
		return nil, nil
	}
	k := &mock{source: text, force: strings.HasPrefix(text, "force")}
	for _, prefix := range []string{"fail:", "force:"} {
		text = strings.TrimSpace(strings.TrimPrefix(text, prefix))
	}
	if rest, ok := keyword(text, "return"); ok {
		return k, k.parseReturn(strings.ReplaceAll(rest, "`", `"`))
	}
	if rest, ok := keyword(text, "throw"); ok {
		k.kind, k.class = mockThrow, rest
		if strings.ContainsAny(rest, " \t\"'") {
			return nil, fmt.Errorf("%q is no class", rest)
		}
		return k, nil
	}
	k.kind = mockCall
	return k, m.find(k, text, service)
}

// keyword cuts a word off the front of a text.
func keyword(text, word string) (rest string, ok bool) {
	rest, ok = strings.CutPrefix(text, word)
	return strings.TrimSpace(rest), ok && (rest == "" || strings.ContainsAny(rest[:1], " \t`\"'{["))
}

// find looks the implementation up.
func (m *Mock) find(k *mock, name, service string) error {
	candidates := []string{name}
	switch strings.ToLower(name) {
	case "true", "default", "fail", "force":
		candidates = []string{service + "Mock", service[strings.LastIndexByte(service, '.')+1:] + "Mock"}
	}
	for _, c := range candidates {
		if m.config.Find == nil {
			break
		}
		if impl, ok := m.config.Find(c); ok {
			k.impl = impl
			return nil
		}
	}
	return fmt.Errorf("no mock is registered as %s", strings.Join(candidates, " or "))
}

// Invoke implements protocol.Invoker.
func (m *Mock) Invoke(ctx context.Context, c *protocol.Invocation) error {
	r := m.rules.Load()
	if r == nil {
		return m.next.Invoke(ctx, c)
	}
	k := r.base
	if r.named != nil {
		if own, ok := r.named[methodName(c)]; ok {
			k = own
		}
	}
	switch {
	case k == nil:
		return m.next.Invoke(ctx, c)
	case k.force:
		return m.answer(ctx, k, c, nil)
	}
	err := m.next.Invoke(ctx, c)
	if err == nil || !degrades(err) {
		return err
	}
	return m.answer(ctx, k, c, err)
}

// methodName is the method that a call means, for a generic call the one that it names.
func methodName(c *protocol.Invocation) string {
	if g, ok := c.Args.(*protocol.GenericArgs); ok {
		return g.Method
	}
	return c.Method.Name
}

// degrades says whether a failure makes the mock answer.
func degrades(err error) bool {
	e := errorOf(err)
	switch {
	case e == nil, e.Code == protocol.Canceled:
		return false
	case e.Code == protocol.Application: // of Dubbo's own exception: a provider's filter refused the call
		return e.Class == "org.apache.dubbo.rpc.RpcException" || e.Class == "com.alibaba.dubbo.rpc.RpcException"
	}
	return true
}

// degradation is the message of Dubbo's mocked exceptions.
const degradation = "mocked exception for service degradation."

// answer is the mock's. failed is why it answers, nil when it always does.
func (m *Mock) answer(ctx context.Context, k *mock, c *protocol.Invocation, failed error) error {
	c.ReplyAttachments, c.Unanswered = nil, true
	switch k.kind {
	case mockThrow:
		if k.class == "" {
			return k.failure(c, protocol.Unknown, degradation, failed)
		}
		e := k.failure(c, protocol.Application, degradation, nil)
		e.Class, e.Outcome = k.class, outcomeOf(failed)
		if m.config.Throw != nil {
			if typed, ok := m.config.Throw(k.class); ok {
				e.Cause = typed
			}
		}
		return e
	case mockCall:
		return k.impl.Invoke(ctx, c)
	}
	if c.Reply == nil || c.Reply.Len() == 0 {
		return nil
	}
	if err := m.fill(k, c.Reply.At(0)); err != nil {
		return k.failure(c, protocol.Serialization, err.Error(), failed)
	}
	return nil
}

func outcomeOf(failed error) protocol.Outcome {
	if failed == nil {
		return protocol.NotSent
	}
	return protocol.OutcomeOf(failed)
}

// failure is the error of a mock that is one, or that does not fit.
func (k *mock) failure(c *protocol.Invocation, code protocol.Code, message string, failed error) *protocol.Error {
	return &protocol.Error{Code: code, Outcome: outcomeOf(failed), Service: c.Method.Service, Method: methodName(c),
		Message: "mock=" + k.source + ": " + message, Cause: failed}
}

var _ protocol.Invoker = (*Mock)(nil)
