package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/loadbalance"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/url"
)

// TestRetryRule goes through every way in which a call can fail.
func TestRetryRule(t *testing.T) {
	const failed, ok = true, false
	cases := []struct {
		code     protocol.Code
		outcome  protocol.Outcome
		consumer string
		provider string
		idem     bool
		calls    []int64
		err      bool
	}{
		{protocol.Network, protocol.NotSent, "", "", false, []int64{1, 1, 0}, ok},
		{protocol.Network, protocol.NotStarted, "", "", false, []int64{1, 1, 0}, ok},
		{protocol.LimitExceeded, protocol.NotStarted, "", "", false, []int64{1, 1, 0}, ok},
		{protocol.Closed, protocol.NotSent, "", "", false, []int64{1, 1, 0}, ok},
		{protocol.Network, protocol.NotSent, "retries=0", "", false, []int64{1, 0, 0}, failed},
		{protocol.Network, protocol.NotSent, "retries=5&sayHello.retries=0", "", false, []int64{1, 0, 0}, failed},
		{protocol.Serialization, protocol.NotSent, "", "", true, []int64{1, 0, 0}, failed},
		{protocol.Canceled, protocol.NotSent, "", "", true, []int64{1, 0, 0}, failed},
		{protocol.DeadlineExceeded, protocol.NotSent, "", "", true, []int64{1, 0, 0}, failed},
		{protocol.Timeout, protocol.OutcomeUnknown, "", "", false, []int64{1, 0, 0}, failed},
		{protocol.Network, protocol.OutcomeUnknown, "", "", false, []int64{1, 0, 0}, failed},
		{protocol.Timeout, protocol.OutcomeUnknown, "", "", true, []int64{1, 1, 0}, ok},
		{protocol.Timeout, protocol.OutcomeUnknown, "idempotent=true", "", false, []int64{1, 1, 0}, ok},
		{protocol.Timeout, protocol.OutcomeUnknown, "sayHello.idempotent=true", "", false, []int64{1, 1, 0}, ok},
		{protocol.Timeout, protocol.OutcomeUnknown, "other.idempotent=true", "", false, []int64{1, 0, 0}, failed},
		{protocol.Timeout, protocol.OutcomeUnknown, "retries=1", "", false, []int64{1, 1, 0}, ok},
		{protocol.Timeout, protocol.OutcomeUnknown, "sayHello.retries=1", "", false, []int64{1, 1, 0}, ok},
		{protocol.Timeout, protocol.OutcomeUnknown, "", "retries=1", false, []int64{1, 1, 0}, ok},
		{protocol.Timeout, protocol.OutcomeUnknown, "", "idempotent=redis", false, []int64{1, 1, 0}, ok},
		{protocol.Timeout, protocol.OutcomeUnknown, "idempotent=redis", "", false, []int64{1, 0, 0}, failed},
		{protocol.Canceled, protocol.OutcomeUnknown, "retries=2", "", true, []int64{1, 0, 0}, failed},
		{protocol.Application, protocol.Executed, "retries=2", "", true, []int64{1, 0, 0}, failed},
		{protocol.Serialization, protocol.Executed, "retries=2", "", true, []int64{1, 0, 0}, failed},
	}
	for _, c := range cases {
		name := fmt.Sprintf("%s %s consumer %q provider %q idempotent %v", c.code, c.outcome, c.consumer, c.provider, c.idem)
		t.Run(name, func(t *testing.T) {
			d, refs := fakes(3, c.provider)
			refs[0].does(fails(c.code, c.outcome))
			m := method("sayHello", 0)
			m.Idempotent = c.idem
			x := join(t, NewFailover, c.consumer, d)
			err := x.Invoke(t.Context(), call(m, "a"))
			require.Equal(t, c.calls, counts(refs))
			if !c.err {
				require.NoError(t, err)
				return
			}
			e := asError(t, err)
			require.Equal(t, c.code, e.Code)
			require.Equal(t, c.outcome, e.Outcome)
		})
	}
}

func TestForeignErrorIsAnAnswer(t *testing.T) {
	d, refs := fakes(2, "retries=5")
	refs[0].does(func(context.Context, *protocol.Invocation) error { return io.ErrUnexpectedEOF })
	err := join(t, NewFailover, "", d).Invoke(t.Context(), call(method("sayHello", 0), ""))
	require.Equal(t, io.ErrUnexpectedEOF, err)
	require.Equal(t, []int64{1, 0}, counts(refs))
}

func TestErrorSaysAll(t *testing.T) {
	d, refs := fakes(3, "")
	shared := &protocol.Error{Code: protocol.Network, Outcome: protocol.NotSent, Cause: io.EOF}
	for _, r := range refs {
		r.does(func(context.Context, *protocol.Invocation) error {
			<-time.After(time.Millisecond)
			return shared
		})
	}
	c := call(method("sayHello", 0), "")
	c.Attachments = protocol.Attachments{"k", "v"}
	err := join(t, NewFailover, "", d).Invoke(t.Context(), c)
	e := asError(t, err)
	require.ErrorIs(t, err, io.EOF)
	require.Equal(t, "com.example.Greeter", e.Service)
	require.Equal(t, "sayHello", e.Method)
	require.Equal(t, "10.0.0.3:20880", e.Address)
	require.Equal(t, 3, e.Attempt)
	require.Equal(t, 3, e.Attempts)
	require.GreaterOrEqual(t, e.Elapsed, 3*time.Millisecond)
	require.Equal(t, []int64{1, 1, 1}, counts(refs))
	require.Empty(t, shared.Address, "an error that others may hold was changed")
	require.Equal(t, protocol.Attachments{"k", "v"}, c.Attachments)
}

// TestOutcomeOfAllAttempts: a call that may have run stays so, even if the last attempt certainly did not.
func TestOutcomeOfAllAttempts(t *testing.T) {
	d, refs := fakes(2, "")
	refs[0].does(fails(protocol.Timeout, protocol.OutcomeUnknown))
	refs[1].does(fails(protocol.Network, protocol.NotSent))
	x := join(t, NewFailover, "retries=1", d)
	e := asError(t, x.Invoke(t.Context(), call(method("sayHello", 0), "")))
	require.Equal(t, protocol.Network, e.Code)
	require.Equal(t, protocol.OutcomeUnknown, e.Outcome)
}

func TestRetryIsMarked(t *testing.T) {
	d, refs := fakes(3, "")
	var marks []string
	note := func(err error) func(context.Context, *protocol.Invocation) error {
		return func(_ context.Context, c *protocol.Invocation) error {
			marks = append(marks, c.Attachments.Value(protocol.RetryOfUnknown))
			return err
		}
	}
	refs[0].does(note(&protocol.Error{Outcome: protocol.NotSent}))
	refs[1].does(note(&protocol.Error{Outcome: protocol.OutcomeUnknown}))
	refs[2].does(note(nil))
	c := call(method("sayHello", 0), "")
	c.Attachments = append(make(protocol.Attachments, 0, 8), "user", "x")
	require.NoError(t, join(t, NewFailover, "retries=2", d).Invoke(t.Context(), c))
	require.Equal(t, []string{"", "", "true"}, marks)
	require.Equal(t, protocol.Attachments{"user", "x"}, c.Attachments)
	require.Equal(t, 3, c.Attempt)
}

// TestNoRetryBelowARetry: what is itself a repeat, or made while serving one, is not repeated when it may have run.
func TestNoRetryBelowARetry(t *testing.T) {
	mark := protocol.Attachments{protocol.RetryOfUnknown, "true"}
	for name, set := range map[string]func(ctx context.Context, c *protocol.Invocation) context.Context{
		"attachment": func(ctx context.Context, c *protocol.Invocation) context.Context { c.Attachments = mark; return ctx },
		"serving": func(ctx context.Context, c *protocol.Invocation) context.Context {
			return protocol.WithServing(ctx, &protocol.Invocation{Attachments: mark})
		},
	} {
		t.Run(name, func(t *testing.T) {
			d, refs := fakes(3, "")
			x := join(t, NewFailover, "retries=2", d)
			refs[0].does(fails(protocol.Timeout, protocol.OutcomeUnknown))
			c := call(method("sayHello", 0), "")
			require.Error(t, x.Invoke(set(t.Context(), c), c))
			require.Equal(t, []int64{1, 0, 0}, counts(refs))

			refs[0].does(fails(protocol.Network, protocol.NotSent))
			require.NoError(t, x.Invoke(set(t.Context(), c), c), "what was not sent may still be repeated")
		})
	}
}

func TestRetriesOfOneCall(t *testing.T) {
	d, refs := fakes(4, "")
	for _, r := range refs {
		r.does(fails(protocol.Timeout, protocol.OutcomeUnknown))
	}
	c := call(method("sayHello", 0), "")
	c.Attachments = protocol.Attachments{"retries", "3"}
	e := asError(t, join(t, NewFailover, "", d).Invoke(t.Context(), c))
	require.Equal(t, 4, e.Attempts)
	require.Equal(t, []int64{1, 1, 1, 1}, counts(refs))
	c.Attachments = protocol.Attachments{"retries", "0"}
	require.Error(t, join(t, NewFailover, "retries=9", d).Invoke(t.Context(), c))
	require.Equal(t, []int64{2, 1, 1, 1}, counts(refs))
}

// TestRecordedCallsStayWithRecorders: a store's name helps only at providers that publish it.
func TestRecordedCallsStayWithRecorders(t *testing.T) {
	d, refs := fakes(3, "idempotent=sql")
	refs[1].url = refs[1].url.Without("idempotent")
	refs[0].does(fails(protocol.Timeout, protocol.OutcomeUnknown))
	x := join(t, NewFailover, "", d)
	require.NoError(t, x.Invoke(t.Context(), call(method("sayHello", 0), "")))
	require.Equal(t, []int64{1, 0, 1}, counts(refs))
}

func TestRetryStopsWithContext(t *testing.T) {
	d, refs := fakes(3, "")
	ctx, cancel := context.WithCancel(t.Context())
	refs[0].does(func(context.Context, *protocol.Invocation) error {
		cancel()
		return &protocol.Error{Outcome: protocol.NotSent}
	})
	require.Error(t, join(t, NewFailover, "", d).Invoke(ctx, call(method("sayHello", 0), "")))
	require.Equal(t, []int64{1, 0, 0}, counts(refs))
}

func TestSecondAttemptUsesTheNewList(t *testing.T) {
	d, refs := fakes(2, "")
	later, others := fakes(1, "")
	refs[0].does(func(context.Context, *protocol.Invocation) error {
		d.list.Store(later.list.Load())
		return &protocol.Error{Outcome: protocol.NotSent}
	})
	require.NoError(t, join(t, NewFailover, "", d).Invoke(t.Context(), call(method("sayHello", 0), "")))
	require.Equal(t, int64(1), others[0].calls.Load())
	require.Equal(t, []int64{1, 0}, counts(refs))
}

func TestBudgetBoundsRetries(t *testing.T) {
	d, refs := fakes(2, "")
	refs[0].does(fails(protocol.Timeout, protocol.OutcomeUnknown))
	x := join(t, NewFailover, "retries=1", d)
	m := method("sayHello", 0)
	failed := 0
	var last error
	for range 300 {
		if err := x.Invoke(t.Context(), call(m, "")); err != nil {
			failed++
			last = err
		}
	}
	spent := int(refs[1].calls.Load())
	require.Equal(t, 300, spent+failed)
	require.InDelta(t, 100+60, spent, 10, "100 at the start and a fifth of the calls")
	require.ErrorContains(t, last, "retry budget is spent")
	require.Equal(t, protocol.OutcomeUnknown, protocol.OutcomeOf(last))

	refs[0].does(fails(protocol.Network, protocol.NotSent))
	for range 30 {
		require.NoError(t, x.Invoke(t.Context(), call(m, "")), "attempts that were not sent draw nothing")
	}
}

func TestBadParametersAreRefusedAtStart(t *testing.T) {
	for _, params := range []string{"retries=two", "sayHello.retries=x", "sticky=maybe", "cluster.availablecheck=7x"} {
		_, err := NewFailover(extension.Env{}, consumer(params))
		require.Error(t, err, params)
	}
}

// TestBadParametersOfAProvider: what the registry says must not break the consumer.
func TestBadParametersOfAProvider(t *testing.T) {
	d, refs := fakes(2, "retries=lots")
	refs[0].does(fails(protocol.Network, protocol.NotSent))
	require.NoError(t, join(t, NewFailover, "retries=1", d).Invoke(t.Context(), call(method("sayHello", 0), "")))
}

func TestNoProvider(t *testing.T) {
	d, _ := fakes(0, "")
	err := join(t, NewFailover, "", d).Invoke(t.Context(), call(method("sayHello", 0), ""))
	require.ErrorIs(t, err, ErrNoProvider)
	e := asError(t, err)
	require.Equal(t, protocol.Forbidden, e.Code)
	require.Equal(t, protocol.NotSent, e.Outcome)
	require.Contains(t, err.Error(), "the registry gave 0 addresses (live, ")
}

func TestHotPathAllocatesNothing(t *testing.T) {
	if raceEnabled {
		return
	}
	d, _ := fakes(3, "")
	x := randomFailover(t, d)
	c := call(method("sayHello", 0), "")
	ctx := t.Context()
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		if err := x.Invoke(ctx, c); err != nil {
			panic(err)
		}
	}))
}

func randomFailover(t testing.TB, d Directory) protocol.Invoker {
	cl, err := NewFailover(extension.Env{}, consumer(""))
	require.NoError(t, err)
	b, err := loadbalance.NewRandom(extension.Env{}, url.New("", "", ""))
	require.NoError(t, err)
	return cl.Join(d, b)
}

func BenchmarkFailoverRandom(b *testing.B) {
	for _, n := range []int{1, 3, 100, 10000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			d, refs := fakes(n, "")
			for i, t := range d.list.Load().Targets {
				t.Ref = quick{refs[i]}
			}
			x := randomFailover(b, d)
			c := call(method("sayHello", 0), "")
			ctx := b.Context()
			b.ReportAllocs()
			for b.Loop() {
				if err := x.Invoke(ctx, c); err != nil {
					b.Fatal(errors.Unwrap(err))
				}
			}
		})
	}
}

// quick answers at once.
type quick struct{ *fake }

func (quick) Invoke(context.Context, *protocol.Invocation) error { return nil }
