package dubbo_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/serialize"
	"github.com/ferryrpc/ferry/url"
)

// TestReferErrors: a parameter that cannot be read fails when the reference is made, not in a call.
func TestReferErrors(t *testing.T) {
	h := open(t)
	i := service(demo, hello())
	for params, want := range map[string]string{
		"timeout=soon":            "timeout",
		"sayHello.timeout=soon":   "timeout",
		"heartbeat=often":         "heartbeat",
		"heartbeat.timeout=1":     "heartbeat.timeout=1ms must be at least twice heartbeat=1m0s",
		"transport=nett":          `did you mean "net"`,
		"client=nett":             `did you mean "net"`,
		"connections=many":        "connections",
		"connections=2&client=xx": `"xx"`,
	} {
		_, err := h.Refer(t.Context(), i, url.MustParse("dubbo://127.0.0.1:1/"+demo+"?"+params))
		require.ErrorContains(t, err, "dubbo: provider 127.0.0.1:1: ", params)
		require.ErrorContains(t, err, want, params)
	}
}

// TestMethodsOfNoInterface: a method made by hand is learned at its first call.
func TestMethodsOfNoInterface(t *testing.T) {
	h := open(t)
	i := service(demo, hello())
	ref := h.pair(i, "timeout=10000")
	byHand := hello()
	byHand.Service, byHand.Index = demo, -1
	for range 3 {
		got, err := call(t.Context(), ref, byHand, "x")
		require.NoError(t, err)
		require.Equal(t, "x", got)
	}
	nobody := method("nobody", "", nil)
	nobody.Index = 99
	_, err := call(t.Context(), ref, nobody)
	require.ErrorContains(t, err, `no method "nobody"`)

	// A caller that has no place for the reply, and one that has no arguments to give.
	c := invocation(byHand, "x")
	c.Reply = nil
	require.NoError(t, ref.Invoke(t.Context(), c))
	c.Args = nil
	require.ErrorContains(t, ref.Invoke(t.Context(), c), "cannot be decoded")
	_, err = call(t.Context(), ref, byHand, make(chan int))
	e := failure(t, err)
	require.Equal(t, protocol.Serialization, e.Code)
	require.Equal(t, protocol.NotSent, e.Outcome)
	require.ErrorContains(t, err, "the arguments cannot be encoded: hessian2")
}

// TestErrorOfAFilter: what a filter says of the very call is not wrapped twice.
func TestErrorOfAFilter(t *testing.T) {
	h := open(t)
	i := service(demo, hello())
	in := protocol.InvokerFunc(func(_ context.Context, c *protocol.Invocation) error {
		c.Started = true
		return &protocol.Error{Code: protocol.Application, Outcome: protocol.Executed, Service: demo, Method: "sayHello", Message: "panic in the service: help"}
	})
	ref := h.refer(h.exportInvoker("127.0.0.1:0", i, "", in).URL().Address(), i, "timeout=10000")
	_, err := call(t.Context(), ref, i.Methods[0], "x")
	require.Equal(t, "panic in the service: help", failure(t, err).Message)
}

// TestManyCallers: replies go to those who asked, whatever else happens on the connection.
func TestManyCallers(t *testing.T) {
	for _, params := range []string{"", "transport=gnet", "connections=3", "serialization=msgpack", "serialization=json"} {
		t.Run(params, func(t *testing.T) {
			i := service(demo, method("get", str, func(_ context.Context, args serialize.Row) (any, error) {
				text := *args.At(0).(*string)
				if len(text)%5 == 0 {
					return nil, errors.New(text)
				}
				return text, nil
			}, ""))
			ref := open(t).pair(i, "timeout=60000&"+params)
			var calling sync.WaitGroup
			for caller := range 16 {
				calling.Go(func() {
					for n := range 100 {
						text := strconv.Itoa(caller) + "-" + strconv.Itoa(n)
						got, err := call(context.Background(), ref, i.Methods[0], text)
						var e *protocol.Error
						switch {
						case errors.As(err, &e) && len(text)%5 == 0 && e.Message == text:
						case err == nil && got == text:
						default:
							t.Errorf("%s: got %v, %v", text, got, err)
						}
					}
				})
			}
			calling.Wait()
		})
	}
}
