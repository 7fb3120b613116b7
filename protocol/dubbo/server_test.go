package dubbo_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/exchange"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/serialize"
	"github.com/ferryrpc/ferry/url"
)

// answers is a service whose method answers with what reply returns.
func answers(reply func() (any, error)) *protocol.Interface {
	return service(demo, method("get", "", func(context.Context, serialize.Row) (any, error) { return reply() }), hello())
}

// Broken is an error that cannot be printed when it is nil.
type Broken struct{ text string }

// Error dereferences a nil pointer.
func (b *Broken) Error() string { return b.text }

// TestRepliesThatCannotBeSent: the method ran, its reply is lost, and the caller is told at once.
func TestRepliesThatCannotBeSent(t *testing.T) {
	for name, c := range map[string]struct {
		reply   func() (any, error)
		code    protocol.Code
		outcome protocol.Outcome
		message string
	}{
		"channel":      {func() (any, error) { return make(chan int), nil }, protocol.Serialization, protocol.Executed, "status 50: the reply of com.example.DemoService.get cannot be encoded: hessian2"},
		"nested":       {func() (any, error) { return []any{map[any]any{"f": func() {}}}, nil }, protocol.Serialization, protocol.Executed, "status 50"},
		"nil error":    {func() (any, error) { return nil, (*Broken)(nil) }, protocol.Serialization, protocol.Executed, "status 50: the reply cannot be encoded: panic: runtime error"},
		"too large":    {func() (any, error) { return make([]byte, 9000), nil }, protocol.Serialization, protocol.Executed, "status 25: the reply of com.example.DemoService.get is too large: 9018 bytes, the limit is 5000 (parameter payload)"},
		"large error":  {func() (any, error) { return nil, errors.New(strings.Repeat("x", 9000)) }, protocol.Serialization, protocol.Executed, "status 25"},
		"panic":        {func() (any, error) { panic("help") }, protocol.Application, protocol.Executed, "panic in com.example.DemoService.get: help"},
		"panic of err": {func() (any, error) { panic(errors.New("an error")) }, protocol.Application, protocol.Executed, "panic in com.example.DemoService.get: an error"},
		"error":        {func() (any, error) { return nil, errors.New("two\nlines") }, protocol.Application, protocol.Executed, "two; lines"},
	} {
		for _, transport := range []string{"net", "gnet"} {
			t.Run(name+"/"+transport, func(t *testing.T) {
				i := answers(c.reply)
				ref := open(t).pair(i, "payload=5000&timeout=60000&transport="+transport)
				start := time.Now()
				_, err := call(t.Context(), ref, i.Methods[0])
				require.Less(t, time.Since(start), 30*time.Second, "at once")
				e := failure(t, err)
				require.Equal(t, c.code, e.Code)
				require.Equal(t, c.outcome, e.Outcome)
				require.ErrorContains(t, err, c.message)
				got, err := call(t.Context(), ref, i.Methods[1], "x")
				require.NoError(t, err)
				require.Equal(t, "x", got)
			})
		}
	}
}

// TestPayload: a request over the limit is not sent; one that comes nevertheless is refused by its header.
func TestPayload(t *testing.T) {
	h := open(t)
	m := hello()
	i := service(demo, m)
	address := h.export(i, "payload=1000").URL().Address()
	large := strings.Repeat("x", 2000)

	_, err := call(t.Context(), h.refer(address, i, "payload=1000"), m, large)
	e := failure(t, err)
	require.Equal(t, protocol.Serialization, e.Code)
	require.Equal(t, protocol.NotSent, e.Outcome)
	require.Regexp(t, `the request is too large: 2\d\d\d bytes, the limit is 1000 \(parameter payload\)`, err)

	ref := h.refer(address, i, "")
	_, err = call(t.Context(), ref, m, large)
	e = failure(t, err)
	require.Equal(t, protocol.NotStarted, e.Outcome)
	require.Regexp(t, `status 40: request of 2\d\d\d bytes, the limit is 1000 \(parameter payload\)`, err)
	_, err = call(t.Context(), ref, m, "x")
	require.NoError(t, err)

	server := play(t, always(exchange.OK, make([]byte, 2000)))
	_, err = call(t.Context(), h.refer(server.address(), i, "payload=1000"), m, "x")
	e = failure(t, err)
	require.Equal(t, protocol.Serialization, e.Code)
	require.Equal(t, protocol.Executed, e.Outcome)
	require.ErrorContains(t, err, "the reply is too large: 2000 bytes, the limit is 1000 (parameter payload)")
}

// TestOneWay: nothing comes back, whatever happens.
func TestOneWay(t *testing.T) {
	h := open(t)
	ran := make(chan string, 10)
	notify := func() *protocol.Method {
		return method("notify", str, func(_ context.Context, args serialize.Row) (any, error) {
			ran <- *args.At(0).(*string)
			return nil, errors.New("nobody hears this")
		}, "")
	}
	m, declared := notify(), notify()
	declared.Kind = protocol.OneWay
	i := service(demo, m, hello())
	e := h.export(i, "")
	peer := dial(t, e.URL().Address())
	q := request{path: demo, method: "notify", descriptor: str, args: []any{"a"}}
	unknown := request{path: demo, method: "nobody"}
	peer.send(frame(oneWay, 0, 1, q.body(t)), frame(oneWay, 0, 2, unknown.body(t)), frame(oneWay, 0, 3, []byte("junk")),
		frame(oneWay&^serialize.Hessian2ID|9, 0, 4, []byte("junk")))
	require.Equal(t, "a", receive(t, ran))
	status, _ := peer.ask(request{path: demo, method: "sayHello", descriptor: str, args: []any{"x"}}.body(t))
	require.Equal(t, exchange.OK, status, "the first answer is that of the first two-way request")

	ref := h.refer(e.URL().Address(), i, "notify.return=false")
	_, err := call(t.Context(), ref, m, "b")
	require.NoError(t, err)
	require.Equal(t, "b", receive(t, ran))
	_, err = call(t.Context(), h.refer(e.URL().Address(), service(demo, declared), ""), declared, "c")
	require.NoError(t, err)
	require.Equal(t, "c", receive(t, ran))
}

// TestServicesOfOnePort: name, group and version tell services apart, and a closed one leaves the others alone.
func TestServicesOfOnePort(t *testing.T) {
	h := open(t)
	who := func(name string) *protocol.Interface {
		return service(demo, method("who", "", func(context.Context, serialize.Row) (any, error) { return name, nil }))
	}
	address := "127.0.0.1:0"
	exporters := map[string]protocol.Exporter{}
	for _, params := range []string{"", "group=a", "group=b", "version=1", "group=a&version=1", "serialization=json&group=c"} {
		exporters[params] = h.exportAt(address, who(params), params)
		address = exporters[params].URL().Address()
	}
	refs := map[string]protocol.Reference{}
	for params := range exporters {
		i := who("")
		refs[params] = h.refer(address, i, params)
		got, err := call(t.Context(), refs[params], i.Methods[0])
		require.NoError(t, err, params)
		require.Equal(t, params, got)
		_, err = h.Export(&protocol.Service{Interface: i, Invoker: protocol.Implementation(nil)}, url.MustParse("dubbo://"+address+"/"+demo+"?"+params))
		require.ErrorContains(t, err, "is exported at "+address+" already")
	}
	require.NoError(t, exporters["group=a"].Close(t.Context()))
	require.NoError(t, exporters["group=a"].Close(t.Context()), "twice")
	for params, ref := range refs {
		i := who("")
		_, err := call(t.Context(), ref, i.Methods[0])
		if params == "group=a" {
			require.ErrorContains(t, err, `not in group "a"`)
		} else {
			require.NoError(t, err, params)
		}
	}
	h.exportAt(address, who("again"), "group=a")
	got, err := call(t.Context(), refs["group=a"], who("").Methods[0])
	require.NoError(t, err)
	require.Equal(t, "again", got)
}

// TestSameNameOtherTypes: two groups whose methods have the same descriptor and other Go types.
func TestSameNameOtherTypes(t *testing.T) {
	h := open(t)
	typed := func(sample any) *protocol.Interface {
		return service(demo, method("type", "Lcom/example/User;", func(_ context.Context, args serialize.Row) (any, error) {
			return fmt.Sprintf("%T", args.At(0)), nil
		}, sample))
	}
	address := h.export(typed(&User{}), "group=a").URL().Address()
	h.exportAt(address, typed(struct{ Name string }{}), "group=b")
	for group, want := range map[string]string{"a": "**dubbo_test.User", "b": "*struct { Name string }"} {
		i := typed(&User{})
		got, err := call(t.Context(), h.refer(address, i, "group="+group), i.Methods[0], &User{})
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}

// TestContextPath: a provider whose path is not its interface is found by either, and by nothing else.
func TestContextPath(t *testing.T) {
	h := open(t)
	m := hello()
	i := service(demo, m)
	e, err := h.Export(&protocol.Service{Interface: i, Invoker: protocol.Implementation(nil)}, url.MustParse("dubbo://127.0.0.1:0/shop/"+demo+"?interface="+demo))
	require.NoError(t, err)
	ref, err := h.Refer(t.Context(), i, e.URL())
	require.NoError(t, err)
	_, err = call(t.Context(), ref, m, "x")
	require.NoError(t, err)
	peer := dial(t, e.URL().Address())
	for path, want := range map[string]byte{demo: 20, "shop/" + demo: 20, "other/" + demo: 40} {
		q := request{path: path, method: "sayHello", descriptor: str, args: []any{"x"}, pairs: []string{"path", "shop/" + demo}}
		status, _ := peer.ask(q.body(t))
		require.Equal(t, want, status, path)
	}
}

// TestExportErrors: what is wrong with an address or a parameter is one clear line.
func TestExportErrors(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	h := open(t)
	i := service(demo, hello())
	s := &protocol.Service{Interface: i, Invoker: protocol.Implementation(nil)}
	for u, want := range map[string]string{
		taken.Addr().String() + "/a":               "dubbo: cannot listen on " + taken.Addr().String() + ": transport: listen at .*address already in use",
		"127.0.0.1:0/a?transport=nett":             `dubbo: cannot listen on 127.0.0.1:0: .*no transport is called "nett".*did you mean "net"`,
		"127.0.0.1:0/a?serialization=hesian2":      `no serialization is called "hesian2".*did you mean "hessian2"`,
		"127.0.0.1:0/a?timeout=soon":               `dubbo: .*timeout`,
		"127.0.0.1:0/a?heartbeat.timeout=60000":    `heartbeat.timeout=1m0s must be at least twice heartbeat=1m0s`,
		"127.0.0.1:0/a?prefer.serialization=gobob": `no serialization is called "gobob"`,
	} {
		_, err := h.Export(s, url.MustParse("dubbo://"+u))
		require.Error(t, err, u)
		require.Regexp(t, want, err.Error())
		require.NotContains(t, err.Error(), "\n")
	}
	require.NoError(t, h.Close())
	_, err = h.Export(s, url.MustParse("dubbo://127.0.0.1:0/a"))
	require.EqualError(t, err, "dubbo: protocol is closed")
	_, err = h.Refer(t.Context(), i, url.MustParse("dubbo://127.0.0.1:1/a?lazy=true"))
	require.EqualError(t, err, "dubbo: protocol is closed")
}

// TestCloseWaits: an exporter's Close lets running calls finish, on a port of its own and on a shared one.
func TestCloseWaits(t *testing.T) {
	for _, shared := range []bool{false, true} {
		h := open(t)
		entered, leave := make(chan struct{}), make(chan struct{})
		m := method("wait", "", func(context.Context, serialize.Row) (any, error) {
			entered <- struct{}{}
			<-leave
			return "done", nil
		})
		i := service(demo, m)
		e := h.export(i, "")
		if shared {
			h.exportAt(e.URL().Address(), service("com.example.Other", hello()), "")
		}
		ref := h.refer(e.URL().Address(), i, "timeout=60000")
		replies := make(chan any, 1)
		var calling sync.WaitGroup
		calling.Go(func() {
			got, err := call(context.Background(), ref, m)
			replies <- errors.Join(err, map[bool]error{false: fmt.Errorf("got %v", got)}[got == "done"])
		})
		receive(t, entered)
		if shared {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			require.ErrorContains(t, e.Close(ctx), "dubbo: calls of com.example.DemoService still run: context deadline exceeded")
			cancel()
			_, err := call(t.Context(), ref, m)
			require.Equal(t, protocol.NotStarted, failure(t, err).Outcome)
			close(leave)
		} else {
			closed := make(chan error, 1)
			calling.Go(func() { closed <- e.Close(context.Background()) })
			require.Eventually(t, func() bool { return !ref.Available() }, patience, time.Millisecond, "READONLY")
			require.Empty(t, closed)
			close(leave)
			require.NoError(t, receive(t, closed))
		}
		require.NoError(t, asError(receive(t, replies)))
		calling.Wait()
	}
}

func asError(v any) error {
	err, _ := v.(error)
	return err
}
