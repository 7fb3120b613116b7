package protocol

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestErrorText: everything that is known, in one line.
func TestErrorText(t *testing.T) {
	for want, e := range map[string]*Error{
		"ferry: unknown (outcome: unknown)":                                                          {},
		"ferry: com.example.S.m: timeout: no reply within 1s (outcome: unknown)":                     {Code: Timeout, Service: "com.example.S", Method: "m", Message: "no reply within 1s"},
		"ferry: S.m at h:1: network: EOF (attempt 2 of 3, after 1.5ms, outcome: not sent)":           {Code: Network, Outcome: NotSent, Service: "S", Method: "m", Address: "h:1", Attempt: 2, Attempts: 3, Elapsed: 1500 * time.Microsecond, Cause: io.EOF},
		"ferry: S.m: serialization: cannot: EOF (after 1ms, outcome: executed)":                      {Code: Serialization, Outcome: Executed, Service: "S", Method: "m", Message: "cannot", Cause: io.EOF, Elapsed: time.Millisecond + 3},
		"ferry: S.m: application: read: EOF (outcome: executed)":                                     {Code: Application, Outcome: Executed, Service: "S", Method: "m", Message: "read: EOF", Cause: io.EOF},
		"ferry: S.m: limit exceeded (outcome: not started)":                                          {Code: LimitExceeded, Outcome: NotStarted, Service: "S", Method: "m", Attempt: 1, Attempts: 1},
		"ferry: application: com.example.X: bad; Caused by: java.io.IOException (outcome: executed)": {Code: Application, Outcome: Executed, Message: "com.example.X: bad\r\n\tat a.B.c(B.java:1)\n\t... 3 more\n\nCaused by: java.io.IOException\n\tat d"},
		"ferry: canceled: a; b (outcome: unknown)":                                                   {Code: Canceled, Cause: errors.Join(errors.New("a"), errors.New("b"))},
		"ferry: code 77 (outcome: unknown)":                                                          {Code: 77, Outcome: 9},
	} {
		require.Equal(t, want, e.Error())
	}
}

func TestCodesAndOutcomes(t *testing.T) {
	names := map[Code]string{Unknown: "unknown", Network: "network", Timeout: "timeout", Application: "application", Forbidden: "forbidden",
		Serialization: "serialization", NoProvider: "no provider", LimitExceeded: "limit exceeded", DeadlineExceeded: "deadline exceeded",
		Canceled: "canceled", Closed: "closed"}
	require.Len(t, names, len(codeNames))
	for c, name := range names {
		require.Equal(t, name, c.String())
	}
	e := &Error{Code: Forbidden, Outcome: NotStarted, Cause: io.EOF}
	for _, err := range []error{e, fmt.Errorf("around: %w", e)} {
		require.Equal(t, Forbidden, CodeOf(err))
		require.Equal(t, NotStarted, OutcomeOf(err))
		require.ErrorIs(t, err, io.EOF)
	}
	require.Equal(t, Application, CodeOf(io.EOF), "any other error is the service's answer")
	require.Equal(t, Executed, OutcomeOf(io.EOF))
}

// TestChain: the first filter is the outermost, and each is applied once.
func TestChain(t *testing.T) {
	var order []string
	named := func(name string) Filter {
		order = append(order, "build "+name)
		return func(next Invoker) Invoker {
			order = append(order, "wrap "+name)
			return InvokerFunc(func(ctx context.Context, c *Invocation) error {
				order = append(order, name)
				return next.Invoke(ctx, c)
			})
		}
	}
	m := &Method{Serve: func(_ context.Context, impl any, c *Invocation) error {
		require.True(t, c.Started)
		order = append(order, impl.(string))
		return io.EOF
	}}
	in := Chain(Implementation("impl"), named("a"), named("b"))
	for range 2 {
		require.Equal(t, io.EOF, in.Invoke(t.Context(), &Invocation{Method: m}))
	}
	require.Equal(t, []string{"build a", "build b", "wrap b", "wrap a", "a", "b", "impl", "a", "b", "impl"}, order)
}
