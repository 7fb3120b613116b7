package idempotent_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/coordination/idempotent"
	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/proxy"
	"github.com/ferryrpc/ferry/url"
)

var (
	errBusy  = errors.New("too busy")
	downFail = &protocol.Error{Code: protocol.Timeout, Outcome: protocol.OutcomeUnknown, Service: "com.example.Other", Message: "no reply"}
)

// What is no answer is not kept: the next call with the key runs again, unless the policy forbids it.
func TestOnlyFinalAnswersAreKept(t *testing.T) {
	for name, fail := range map[string]func(ctx context.Context) error{
		"marked":     func(context.Context) error { return idempotent.NotFinal(errBusy) },
		"call below": func(context.Context) error { return downFail },
		"panic":      func(context.Context) error { panic("boom") },
		"time over":  func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
	} {
		for _, policy := range []idempotent.Policy{idempotent.ReExecutable, idempotent.AtMostOnce} {
			t.Run(name+"/"+policy.String(), func(t *testing.T) {
				t.Parallel()
				failing := true
				b := &bank{name: "ann", do: func(ctx context.Context, _ string) error {
					if failing {
						failing = false
						return fail(ctx)
					}
					return nil
				}}
				serve(t, b, nil, memory, param{"idempotent.policy", policy.String()}, param{"idempotent.lease", "500"})
				c := refer(t)
				ctx, outcome := keyed(t.Context(), "k")
				_, err := c.Pay(ctx, "o1", 5)
				require.Error(t, err)
				got, err := c.Pay(ctx, "o1", 5)
				if policy == idempotent.AtMostOnce {
					require.ErrorIs(t, err, protocol.ErrOutcomeUnknown)
					require.Equal(t, "unknown", *outcome)
					require.Equal(t, 1, b.count("o1"))
					return
				}
				require.NoError(t, err)
				require.Equal(t, "ann paid o1, run 2", got)
				require.Equal(t, "executed", *outcome)
			})
		}
	}
}

// A call that a filter refuses was not begun: it is not recorded, and goes to another provider.
func TestOverloadIsNotRecorded(t *testing.T) {
	leave := make(chan struct{})
	entered := make(chan struct{}, 10)
	b := &bank{name: "ann", do: func(_ context.Context, order string) error {
		if order == "slow" {
			entered <- struct{}{}
			<-leave
		}
		return nil
	}}
	serve(t, b, nil, memory, param{"executes", "1"})
	c := refer(t)
	done := make(chan error, 1)
	go func() { _, err := c.Pay(t.Context(), "slow", 5); done <- err }()
	<-entered
	ctx, outcome := keyed(t.Context(), "k")
	_, err := c.Pay(ctx, "o1", 5)
	require.Equal(t, protocol.NotStarted, protocol.OutcomeOf(err))
	close(leave)
	require.NoError(t, <-done)
	got, err := c.Pay(ctx, "o1", 5)
	require.NoError(t, err)
	require.Equal(t, "ann paid o1, run 1", got)
	require.Equal(t, "executed", *outcome)
}

// A duplicate whose time is over while the call runs is told so, and may come again.
func TestInProgressAtTheDeadline(t *testing.T) {
	leave := make(chan struct{})
	x := &idempotent.Executor{Store: idempotent.NewMemory(0)}
	y := &idempotent.Executor{Store: x.Store}
	k := idempotent.Key{Text: "k"}
	entered, done := make(chan struct{}), make(chan error, 1)
	go func() {
		_, err := x.Do(context.Background(), idempotent.Call{Key: k, Run: func(context.Context) idempotent.Ran {
			close(entered)
			<-leave
			return idempotent.Ran{Result: []byte("once")}
		}})
		done <- err
	}()
	<-entered
	for _, e := range []*idempotent.Executor{x, y} { // in the process, and at the store
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		_, err := e.Do(ctx, idempotent.Call{Key: k})
		cancel()
		require.ErrorIs(t, err, idempotent.ErrInProgress)
	}
	close(leave)
	require.NoError(t, <-done)
	for _, e := range []*idempotent.Executor{x, y} {
		a, err := e.Do(t.Context(), idempotent.Call{Key: k})
		require.NoError(t, err)
		require.Equal(t, "once", string(a.Result))
		require.True(t, a.Replayed)
	}
}

// An answer over the limit is given once; a repeat is told that it was there, and does not run.
func TestLargeAnswersAreNotKept(t *testing.T) {
	b := &bank{name: strings.Repeat("x", 200)}
	serve(t, b, nil, memory, param{"idempotent.result", "100"})
	c := refer(t)
	ctx, outcome := keyed(t.Context(), "k")
	got, err := c.Pay(ctx, "o1", 5)
	require.NoError(t, err)
	require.Len(t, got, 215)
	_, err = c.Pay(ctx, "o1", 5)
	require.ErrorIs(t, err, protocol.ErrAnswerDropped)
	require.ErrorContains(t, err, "over the limit of 100 (idempotent.result)")
	require.Equal(t, protocol.Executed, protocol.OutcomeOf(err))
	require.Equal(t, "replayed", *outcome)
	require.Equal(t, 1, b.count("o1"))
}

// Answers are kept as long as the provider says, or less when the consumer wants it so.
func TestAnswersAreKeptForTheirTime(t *testing.T) {
	for name, sides := range map[string][2][]param{
		"provider": {{memory, {"idempotent.ttl", "50"}}, nil},
		"consumer": {{memory}, {{"idempotent.ttl", "50"}}},
	} {
		t.Run(name, func(t *testing.T) {
			b := &bank{name: "ann"}
			serve(t, b, nil, sides[0]...)
			c := refer(t, sides[1]...)
			ctx := ferry.WithIdempotencyKey(t.Context(), "k")
			require.Eventually(t, func() bool {
				got, err := c.Pay(ctx, "o1", 5)
				return err == nil && got == "ann paid o1, run 2"
			}, patience, 10*time.Millisecond)
		})
	}
}

// A store in the process lives as long as the service: filters that are opened anew, since a rule changed a parameter, find it.
func TestRecordsOutliveTheirFilter(t *testing.T) {
	x, env := ferry.Builtin(), extension.Env{Kept: &extension.Kept{}}
	b := &bank{name: "ann"}
	i, err := proxy.Reflect(service, b)
	require.NoError(t, err)
	var m *protocol.Method
	for _, m = range i.Methods {
		if m.Name == "pay" {
			break
		}
	}
	u := url.MustParse("dubbo://127.0.0.1:1/" + service + "?idempotent=memory")
	for n, outcome := range []string{"executed", "replayed", "replayed"} {
		f, err := x.Idempotent.NewFilter(env, u.With("tps", strconv.Itoa(n)))
		require.NoError(t, err)
		c := m.New()
		*c.Args.At(0).(*string), *c.Args.At(1).(*int64) = "o1", 5
		c.Method, c.Attachments = m, protocol.Attachments{protocol.IdempotencyKey, "k"}
		require.NoError(t, f(protocol.Implementation(b)).Invoke(t.Context(), c))
		require.Equal(t, outcome, c.ReplyAttachments.Value(protocol.IdempotencyOutcome))
		require.Equal(t, "ann paid o1, run 1", *c.Reply.At(0).(*string))
	}
	require.NoError(t, env.Kept.Close())
}

// Failback keeps the key over its repeats: the call that was lost and the one that comes later are one.
func TestFailbackKeepsTheKey(t *testing.T) {
	t.Parallel()
	b := &bank{name: "ann"}
	serve(t, b, nil, memory)
	keys := make(chan string, 10)
	c := lossy(t, func(c *protocol.Invocation) bool {
		keys <- c.Attachments.Value(protocol.IdempotencyKey) + "/" + c.Attachments.Value(protocol.IdempotencyAttempt)
		return c.Attachments.Value(protocol.IdempotencyAttempt) == "1"
	}, param{"cluster", "failback"})
	require.NoError(t, c.Notify(t.Context(), "o1"))
	first, second := <-keys, <-keys
	require.Equal(t, strings.TrimSuffix(first, "1")+"2", second)
	require.Equal(t, 1, b.count("o1"))
}

// A generic caller's calls are recorded like any other's.
func TestGenericCalls(t *testing.T) {
	b := &bank{name: "ann"}
	serve(t, b, nil, param{"pay.idempotent", "memory"}, param{"pay.idempotent.key", "0"})
	c := ferry.NewClient(registry(t), ferry.Timeout(patience))
	defer c.Close()
	g, err := c.Generic(service)
	require.NoError(t, err)
	for range 2 {
		got, err := g.Call(t.Context(), "pay", nil, "o1", int64(5))
		require.NoError(t, err)
		require.Equal(t, "ann paid o1, run 1", got)
	}
}
