package filter

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/monitor"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/url"
)

func TestTimeout(t *testing.T) {
	for _, c := range []struct {
		params, method string
		own, want      time.Duration
	}{
		{"", "sayHello", 0, time.Second},
		{"timeout=300", "sayHello", 0, 300 * time.Millisecond},
		{"timeout=300&sayHello.timeout=2s", "sayHello", 0, 2 * time.Second},
		{"timeout=300&sayHello.timeout=2s", "other", 0, 300 * time.Millisecond},
		{"timeout=300", "sayHello", time.Minute, time.Minute},
		{"timeout=0", "sayHello", 0, time.Second},
	} {
		var got time.Duration
		x := around(t, NewTimeout, c.params, func(_ context.Context, c *protocol.Invocation) error { got = c.Timeout; return nil })
		inv := call(c.method)
		inv.Timeout = c.own
		require.NoError(t, x.Invoke(t.Context(), inv))
		require.Equal(t, c.want, got, "%+v", c)
		require.Equal(t, c.own, inv.Timeout, "the next attempt may be elsewhere")
	}
	for _, bad := range []string{"timeout=soon", "timeout=-1", "sayHello.timeout=x"} {
		_, err := NewTimeout(extension.Env{}, url.MustParse("dubbo://h:1/s?"+bad))
		require.Error(t, err, bad)
	}
}

func TestAttachments(t *testing.T) {
	var got protocol.Attachments
	x := around(t, NewAttachments, "", func(_ context.Context, c *protocol.Invocation) error {
		got = append(protocol.Attachments{}, c.Attachments...)
		c.Attachments.Set("below", "1")
		return nil
	})
	ctx := protocol.WithAttachment(protocol.WithAttachment(t.Context(), "user", "ann"), "trace", "7")
	c := call("sayHello")
	c.Attachments = protocol.Attachments{"user", "bob"}
	require.NoError(t, x.Invoke(ctx, c))
	require.Equal(t, protocol.Attachments{"user", "bob", "trace", "7"}, got)
	require.Equal(t, protocol.Attachments{"user", "bob"}, c.Attachments)
	require.Equal(t, protocol.Attachments{"user", "ann", "trace", "7"}, protocol.AttachmentsFrom(ctx), "the context is shared by calls")

	got = nil
	require.NoError(t, x.Invoke(t.Context(), call("sayHello")))
	require.Empty(t, got)

	for _, key := range []string{"path", "token", "sys_callback_arg-1", protocol.RetryOfUnknown} {
		got = nil
		err := x.Invoke(protocol.WithAttachment(t.Context(), key, "x"), call("sayHello"))
		refused(t, err, protocol.Forbidden, protocol.NotSent)
		require.ErrorContains(t, err, key)
		require.Nil(t, got)
	}
}

// TestRetryMarkGoesOn: what is called while a repeat is served carries the mark, so that the layer below does not repeat.
func TestRetryMarkGoesOn(t *testing.T) {
	var mark string
	x := around(t, NewAttachments, "", func(_ context.Context, c *protocol.Invocation) error {
		mark = c.Attachments.Value(protocol.RetryOfUnknown)
		return nil
	})
	serving := protocol.WithServing(t.Context(), &protocol.Invocation{Attachments: protocol.Attachments{protocol.RetryOfUnknown, "true"}})
	require.NoError(t, x.Invoke(serving, call("sayHello")))
	require.Equal(t, "true", mark)
	require.NoError(t, x.Invoke(protocol.WithServing(t.Context(), &protocol.Invocation{}), call("sayHello")))
	require.Empty(t, mark)
}

func TestContext(t *testing.T) {
	x := around(t, NewContext, "", func(ctx context.Context, _ *protocol.Invocation) error {
		in := protocol.IncomingAttachments(ctx)
		require.Equal(t, "ann", in.Value("user"))
		in.Set("user", "changed")
		require.True(t, protocol.SetReplyAttachment(ctx, "served-by", "me"))
		require.False(t, protocol.SetReplyAttachment(ctx, "dubbo", "9"))
		return nil
	})
	c := call("sayHello")
	c.Attachments = protocol.Attachments{"user", "ann"}
	require.NoError(t, x.Invoke(t.Context(), c))
	require.Equal(t, protocol.Attachments{"served-by", "me"}, c.ReplyAttachments)
	require.Equal(t, "ann", c.Attachments.Value("user"))
	require.Nil(t, protocol.IncomingAttachments(t.Context()))
	require.False(t, protocol.SetReplyAttachment(t.Context(), "a", "b"))
}

func TestRecover(t *testing.T) {
	var log strings.Builder
	f, err := NewRecover(extension.Env{Logger: slog.New(slog.NewTextHandler(&log, nil))}, url.New("", "", ""))
	require.NoError(t, err)
	for _, value := range []any{"secret\nsecond line", errors.New("boom"), strings.Repeat("x", 5000)} {
		log.Reset()
		err := f(protocol.InvokerFunc(func(context.Context, *protocol.Invocation) error { panic(value) })).Invoke(t.Context(), call("sayHello"))
		refused(t, err, protocol.Application, protocol.Executed)
		require.NotContains(t, err.Error(), "\n")
		require.NotContains(t, err.Error(), "filter_test.go", "no stack for the peer")
		require.Less(t, len(err.Error()), 400)
		require.Contains(t, log.String(), "filter_test.go", "but for the log")
	}
	require.NoError(t, f(protocol.InvokerFunc(ok)).Invoke(t.Context(), call("sayHello")))
}

func TestToken(t *testing.T) {
	published := PublishToken(url.MustParse("dubbo://h:1/s?token=true"))
	token := published.Param("token")
	require.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, token)
	require.NotEqual(t, token, PublishToken(url.MustParse("dubbo://h:1/s?token=default")).Param("token"))
	require.Equal(t, "mine", PublishToken(url.MustParse("dubbo://h:1/s?token=mine")).Param("token"))

	for _, token := range []string{token, strings.Repeat("long", 50)} {
		provider := around(t, NewToken, "token="+token, ok)
		consumer := around(t, NewSendToken, "token="+token, provider.Invoke)
		c := call("sayHello")
		require.NoError(t, consumer.Invoke(t.Context(), c))
		require.Empty(t, c.Attachments)
		c.Attachments = protocol.Attachments{"user", "ann"}
		require.NoError(t, consumer.Invoke(t.Context(), c))
		require.Equal(t, protocol.Attachments{"user", "ann"}, c.Attachments)

		for _, wrong := range []protocol.Attachments{nil, {"token", ""}, {"token", token + "x"}, {"token", token[:len(token)-1] + "~"}} {
			c.Attachments = wrong
			err := provider.Invoke(t.Context(), c)
			refused(t, err, protocol.Forbidden, protocol.NotStarted)
			require.NotContains(t, err.Error(), token)
		}
	}
	require.NoError(t, around(t, NewToken, "token=false", ok).Invoke(t.Context(), call("sayHello")))
	_, err := NewToken(extension.Env{}, url.MustParse("dubbo://h:1/s?token=true"))
	require.Error(t, err, "a token that everybody knows")
}

func TestActives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release, running := make(chan struct{}), 0
		var mu sync.Mutex
		var left time.Duration
		x := around(t, NewActives, "actives=2&free.actives=0&timeout=500", func(_ context.Context, c *protocol.Invocation) error {
			mu.Lock()
			running++
			left = c.Timeout
			mu.Unlock()
			<-release
			mu.Lock()
			running--
			mu.Unlock()
			return nil
		})
		hello, free := method("sayHello", 0), method("free", 1)
		done := make(chan error, 16)
		start := func(ctx context.Context, m *protocol.Method, timeout time.Duration) {
			go func() { done <- x.Invoke(ctx, &protocol.Invocation{Method: m, Timeout: timeout}) }()
			synctest.Wait()
		}
		start(t.Context(), hello, 0)
		start(t.Context(), hello, 0)
		begun := time.Now()
		start(t.Context(), hello, 0)
		err := <-done
		refused(t, err, protocol.LimitExceeded, protocol.NotSent)
		require.Equal(t, 500*time.Millisecond, time.Since(begun))
		require.Equal(t, 2, running)
		for range 5 {
			start(t.Context(), free, 0) // the method's own limit
		}
		require.Equal(t, 7, running)

		ctx, cancel := context.WithCancel(t.Context())
		start(ctx, hello, 0)
		cancel()
		err = <-done
		refused(t, err, protocol.Canceled, protocol.NotSent)
		require.ErrorIs(t, err, context.Canceled)

		// Who gets a place after a wait has that much less time for the answer.
		start(t.Context(), hello, 400*time.Millisecond)
		time.Sleep(100 * time.Millisecond)
		close(release)
		for range 8 {
			require.NoError(t, <-done)
		}
		require.Equal(t, 300*time.Millisecond, left)
		require.Zero(t, running)
	})
}

func TestExecutes(t *testing.T) {
	release, begun := make(chan struct{}), make(chan struct{}, 16)
	x := around(t, NewExecutes, "sayHello.executes=2", func(context.Context, *protocol.Invocation) error {
		begun <- struct{}{}
		<-release
		return nil
	})
	done := make(chan error, 16)
	for range 2 {
		go func() { done <- x.Invoke(context.Background(), &protocol.Invocation{Method: method("sayHello", 0)}) }()
		<-begun
	}
	for range 5 {
		refused(t, x.Invoke(t.Context(), &protocol.Invocation{Method: method("sayHello", 0)}), protocol.LimitExceeded, protocol.NotStarted)
	}
	for range 4 {
		go func() { done <- x.Invoke(context.Background(), &protocol.Invocation{Method: method("other", 1)}) }()
		<-begun
	}
	close(release)
	for range 6 {
		require.NoError(t, <-done)
	}
	require.NoError(t, x.Invoke(t.Context(), &protocol.Invocation{Method: method("sayHello", 0)}), "ended calls make room")
}

func TestTPS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := around(t, NewTPS, "tps=3&tps.interval=1000", ok)
		for range 2 {
			require.NoError(t, x.Invoke(t.Context(), call("sayHello")))
			require.NoError(t, x.Invoke(t.Context(), call("other")))
			require.NoError(t, x.Invoke(t.Context(), call("sayHello")))
			refused(t, x.Invoke(t.Context(), call("other")), protocol.LimitExceeded, protocol.NotStarted)
			time.Sleep(999 * time.Millisecond)
			refused(t, x.Invoke(t.Context(), call("other")), protocol.LimitExceeded, protocol.NotStarted)
			time.Sleep(time.Millisecond)
		}
	})
	_, err := NewTPS(extension.Env{}, url.MustParse("dubbo://h:1/s?tps=3&tps.interval=0"))
	require.Error(t, err)
}

func TestMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var set monitor.Counters
		x := around(t, NewMetrics(&set), "side=provider", func(_ context.Context, c *protocol.Invocation) error {
			require.Equal(t, int64(1), set.Counter("provider", "com.example.Greeter", c.Method.Name).Sample().InFlight)
			time.Sleep(10 * time.Millisecond)
			if c.Method.Name == "bad" {
				return &protocol.Error{Outcome: protocol.NotStarted}
			}
			return nil
		})
		hello, bad := method("sayHello", 0), method("bad", 1)
		for range 3 {
			require.NoError(t, x.Invoke(t.Context(), &protocol.Invocation{Method: hello}))
		}
		require.Error(t, x.Invoke(t.Context(), &protocol.Invocation{Method: bad}))
		samples := set.Samples()
		require.Len(t, samples, 2)
		require.Equal(t, int64(1), samples[0].Failed[protocol.NotStarted])
		require.Equal(t, int64(3), samples[1].Calls)
		require.Equal(t, 30*time.Millisecond, samples[1].Elapsed)
		require.Zero(t, samples[1].Failures()+samples[1].InFlight)
	})
}

// TestUnusedFiltersCostNothing: without its parameter a filter is not there.
func TestUnusedFiltersCostNothing(t *testing.T) {
	in := new(countingInvoker)
	for name, open := range map[string]constructor{"token": NewToken, "sendtoken": NewSendToken, "actives": NewActives, "executes": NewExecutes,
		"tps": NewTPS, "accesslog": NewAccessLog} {
		f, err := open(extension.Env{}, url.MustParse("dubbo://h:1/s?other=1"))
		require.NoError(t, err)
		require.Same(t, in, f(in), name)
	}
}

type countingInvoker struct{ n int }

func (c *countingInvoker) Invoke(context.Context, *protocol.Invocation) error { c.n++; return nil }

func TestAllocations(t *testing.T) {
	if raceEnabled {
		return
	}
	c := call("sayHello")
	for name, want := range map[string]struct {
		open   constructor
		params string
		allocs float64
	}{
		"timeout": {NewTimeout, "sayHello.timeout=3", 0}, "attachments": {NewAttachments, "", 0}, "metrics": {NewMetrics(new(monitor.Counters)), "", 0},
		"sendtoken": {NewSendToken, "token=x", 0}, "executes": {NewExecutes, "executes=5", 0}, "actives": {NewActives, "actives=5", 0},
		"tps": {NewTPS, "tps=1000000000", 0}, "recover": {NewRecover, "", 0}, "context": {NewContext, "", 1},
	} {
		x := around(t, want.open, want.params, ok)
		require.Equal(t, want.allocs, testing.AllocsPerRun(100, func() { _ = x.Invoke(t.Context(), c) }), name)
	}
	c.Attachments = protocol.Attachments{"token", "7b9f1c9e-3a06-4a5e-9c76-5d2f0f5f7f11"}
	x := around(t, NewToken, "token=7b9f1c9e-3a06-4a5e-9c76-5d2f0f5f7f11", ok)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if x.Invoke(t.Context(), c) != nil {
			panic("refused")
		}
	}))
}

func BenchmarkMetrics(b *testing.B) {
	x := around(b, NewMetrics(new(monitor.Counters)), "", ok)
	c, ctx := call("sayHello"), b.Context()
	b.ReportAllocs()
	for b.Loop() {
		_ = x.Invoke(ctx, c)
	}
}

func BenchmarkAttachmentsAndTimeout(b *testing.B) {
	x := around(b, NewAttachments, "", around(b, NewTimeout, "timeout=300", ok).Invoke)
	c, ctx := call("sayHello"), b.Context()
	b.ReportAllocs()
	for b.Loop() {
		_ = x.Invoke(ctx, c)
	}
}
