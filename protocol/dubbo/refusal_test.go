package dubbo_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/exchange"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/serialize"
)

const (
	str = "Ljava/lang/String;"
	obj = "Ljava/lang/Object;"
)

// hello answers with its argument.
func hello() *protocol.Method {
	return method("sayHello", str, func(_ context.Context, args serialize.Row) (any, error) { return *args.At(0).(*string), nil }, "")
}

// TestRefusals: what does not reach a handler is answered with a status and one helpful line, and leaves the connection
// and all other calls alone.
func TestRefusals(t *testing.T) {
	for _, transport := range []string{"net", "gnet"} {
		h := open(t)
		e := h.export(service(demo, hello()), "version=1.0.0&group=a&transport="+transport)
		h.exportAt(e.URL().Address(), service(demo, hello()), "version=2.0.0&group=a")
		peer := dial(t, e.URL().Address())
		good := request{path: demo, version: "1.0.0", method: "sayHello", descriptor: str, args: []any{"x"}, pairs: []string{"group", "a"}}
		for name, c := range map[string]struct {
			change func(q *request)
			status byte
			reason string
		}{
			"service":      {func(q *request) { q.path = "com.example.Nobody" }, 40, `service "com.example.Nobody" is not here`},
			"no service":   {func(q *request) { q.path = "" }, 40, `service "" is not here`},
			"long service": {func(q *request) { q.path = strings.Repeat("x", 5000) }, 40, "x…\" is not here"},
			"version":      {func(q *request) { q.version = "3.0.0\nx" }, 40, `service com.example.DemoService version "3.0.0" is not here, have 1.0.0, 2.0.0`},
			"no version":   {func(q *request) { q.version = "" }, 40, `version "0.0.0" is not here, have 1.0.0, 2.0.0`},
			"method":       {func(q *request) { q.method = "sayBye" }, 40, `service com.example.DemoService has no method "sayBye"`},
			"descriptor":   {func(q *request) { q.descriptor = "I" }, 40, `com.example.DemoService.sayHello has parameters "Ljava/lang/String;", the call has "I"`},
			"malformed":    {func(q *request) { q.descriptor = "[[[L;;" }, 40, `the call has "[[[L;;"`},
			"group":        {func(q *request) { q.pairs = []string{"group", "b"} }, 70, `service com.example.DemoService is here, but not in group "b"`},
			"no group":     {func(q *request) { q.pairs = nil }, 70, `service com.example.DemoService is here, but not in group ""`},
			"path":         {func(q *request) { q.pairs = []string{"group", "a", "path", "x/y"} }, 40, `is at path "com.example.DemoService", the call is for path "x/y"`},
			"no arguments": {func(q *request) { q.args = nil }, 40, "the arguments of com.example.DemoService.sayHello cannot be decoded: hessian2"},
			"two instead":  {func(q *request) { q.args = []any{"a", "b"} }, 40, "the attachments of com.example.DemoService.sayHello cannot be decoded: hessian2"},
			"wrong type":   {func(q *request) { q.args = []any{map[any]any{"a": int32(1)}} }, 40, "the arguments of com.example.DemoService.sayHello cannot be decoded: hessian2"},
			"echo":         {func(q *request) { q.method, q.descriptor = "$echo", str+str }, 40, `has no method "$echo"`},
			"invoke":       {func(q *request) { q.method = "$invoke" }, 40, `has no method "$invoke"`},
		} {
			t.Run(transport+"/"+name, func(t *testing.T) {
				peer.t = t
				q := good
				c.change(&q)
				status, body := peer.ask(q.body(t))
				require.Equal(t, c.status, status)
				reason := text(t, body)
				require.Contains(t, reason, c.reason)
				require.Less(t, len(reason), 1000)
				status, body = peer.ask(good.body(t))
				require.Equal(t, exchange.OK, status)
				require.Equal(t, "x", readAnswer(t, body).value)
			})
		}
	}
}

// TestRefusalsArrive: a consumer learns the reason, and that its call did not run.
func TestRefusalsArrive(t *testing.T) {
	h := open(t)
	address := h.export(service(demo, hello()), "group=a").URL().Address()
	other := hello()
	other.Descriptor = "I"
	ref := h.refer(address, service(demo, other), "group=a")
	_, err := call(t.Context(), ref, other, "x")
	e := failure(t, err)
	require.Equal(t, protocol.NotStarted, e.Outcome)
	require.Equal(t, protocol.Network, e.Code)
	require.ErrorContains(t, err, `sayHello has parameters "Ljava/lang/String;", the call has "I" (after`)

	m := hello()
	_, err = call(t.Context(), h.refer(address, service(demo, m), "group=b"), m, "x")
	e = failure(t, err)
	require.Equal(t, protocol.OutcomeUnknown, e.Outcome, "a status that others use for failures of all kinds")
	require.Equal(t, `the provider answered with status 70: service com.example.DemoService is here, but not in group "b"`, e.Message)
}

// TestSerializations: a service takes the formats that it names, and a refusal is in a form that the caller can read.
func TestSerializations(t *testing.T) {
	for accepted, refused := range map[string][]string{
		"serialization=hessian2":                               {"msgpack", "json"},
		"serialization=json&prefer.serialization=msgpack,json": {"hessian2"},
	} {
		h := open(t)
		m := hello()
		i := service(demo, m)
		address := h.export(i, accepted).URL().Address()
		for _, format := range []string{"hessian2", "msgpack", "json"} {
			got, err := call(t.Context(), h.refer(address, i, "serialization="+format), m, "x")
			if !strings.Contains(strings.Join(refused, ","), format) {
				require.NoError(t, err, format)
				require.Equal(t, "x", got)
				continue
			}
			e := failure(t, err)
			require.Equal(t, protocol.NotStarted, e.Outcome, format)
			require.Regexp(t, `^the provider answered with status 40: serialization \d+ is not accepted here$`, e.Message, format)
		}
	}
}

// TestSerializationOfAnother: two services of one port, each with a format of its own.
func TestSerializationOfAnother(t *testing.T) {
	h := open(t)
	m, n := hello(), hello()
	i, k := service("com.example.A", m), service("com.example.B", n)
	address := h.export(i, "serialization=hessian2").URL().Address()
	h.exportAt(address, k, "serialization=json")
	_, err := call(t.Context(), h.refer(address, k, "serialization=json"), n, "x")
	require.NoError(t, err)
	_, err = call(t.Context(), h.refer(address, i, "serialization=json"), m, "x")
	require.Equal(t, "the provider answered with status 40: com.example.A does not accept serialization 31", failure(t, err).Message)
}

// TestUnknownSerialization: nobody here can write it, so the refusal is in hessian2 and says so.
func TestUnknownSerialization(t *testing.T) {
	h := open(t)
	peer := dial(t, h.export(service(demo, hello()), "").URL().Address())
	for _, id := range []byte{0, 1, 23} {
		peer.send(frame(exchange.FlagRequest|exchange.FlagTwoWay|id, 0, 5, []byte("whatever")))
		head, body := peer.read()
		require.Equal(t, serialize.Hessian2ID, head.Flags)
		require.EqualValues(t, 40, head.Status)
		require.Equal(t, fmt.Sprintf("serialization %d is not accepted here", id), text(t, body))
	}
}

// TestChosenSerialization: a consumer takes the first preferred format that it has, else the named one, else hessian2.
func TestChosenSerialization(t *testing.T) {
	for params, id := range map[string]byte{
		"": 2, "serialization=json": 31, "serialization=fastjson2": 2, "prefer.serialization=fastjson2,msgpack": 27,
		"prefer.serialization=fastjson2,hessian2&serialization=json": 2, "prefer.serialization=kryo&serialization=json": 31,
	} {
		server, heads, _ := capture(t)
		m := hello()
		_, _ = call(t.Context(), open(t).refer(server.address(), service(demo, m), params), m, "x")
		require.Equal(t, id, (receive(t, heads)).Serialization(), params)
	}
}

// TestFiltersRefuse: an error before the handler is called proves that it did not run.
func TestFiltersRefuse(t *testing.T) {
	m := hello()
	i := service(demo, m)
	for name, c := range map[string]struct {
		err  error
		code protocol.Code
		text string
	}{
		"plain":   {errors.New("not today\n\tat line 1"), protocol.Network, "status 40: not today"},
		"limit":   {&protocol.Error{Code: protocol.LimitExceeded, Message: "too many"}, protocol.LimitExceeded, "status 100: too many"},
		"wrapped": {fmt.Errorf("a: %w", &protocol.Error{Code: protocol.Forbidden, Message: "token is wrong"}), protocol.Network, "status 40: token is wrong"},
		"nil":     {(*protocol.Error)(nil), protocol.Network, "status 40: the request cannot be decoded: panic"},
	} {
		t.Run(name, func(t *testing.T) {
			in := protocol.InvokerFunc(func(context.Context, *protocol.Invocation) error { return c.err })
			h := open(t)
			e := h.exportInvoker("127.0.0.1:0", i, "", in)
			_, err := call(t.Context(), h.refer(e.URL().Address(), i, ""), m, "x")
			got := failure(t, err)
			require.Equal(t, c.code, got.Code)
			require.Equal(t, protocol.NotStarted, got.Outcome)
			require.ErrorContains(t, err, c.text)
		})
	}
}
