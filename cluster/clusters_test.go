package cluster

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/protocol"
)

func TestFailfast(t *testing.T) {
	d, refs := fakes(3, "retries=5")
	refs[0].does(fails(protocol.Network, protocol.NotSent))
	e := asError(t, join(t, NewFailfast, "", d).Invoke(t.Context(), call(method("sayHello", 0), "")))
	require.Equal(t, []int64{1, 0, 0}, counts(refs))
	require.Equal(t, "10.0.0.1:20880", e.Address)
	require.Equal(t, 1, e.Attempts)
}

func TestFailsafe(t *testing.T) {
	d, refs := fakes(2, "")
	x := join(t, NewFailsafe, "", d)
	refs[0].does(fails(protocol.Timeout, protocol.OutcomeUnknown))
	require.NoError(t, x.Invoke(t.Context(), call(method("sayHello", 0), "")))
	require.Equal(t, []int64{1, 0}, counts(refs))
	refs[0].does(fails(protocol.Application, protocol.Executed))
	require.Error(t, x.Invoke(t.Context(), call(method("sayHello", 0), "")), "the service's own answer is passed on")
	empty, _ := fakes(0, "")
	require.NoError(t, join(t, NewFailsafe, "", empty).Invoke(t.Context(), call(method("sayHello", 0), "")))
}

func TestAvailable(t *testing.T) {
	d, refs := fakes(3, "")
	x := join(t, NewAvailable, "", d)
	refs[0].away.Store(true)
	require.NoError(t, x.Invoke(t.Context(), call(method("sayHello", 0), "")))
	require.Equal(t, []int64{0, 1, 0}, counts(refs))
	refs[1].away.Store(true)
	refs[2].away.Store(true)
	require.ErrorContains(t, x.Invoke(t.Context(), call(method("sayHello", 0), "")), "none of those left is connected")
	require.Equal(t, []int64{0, 1, 0}, counts(refs))
}

func TestBroadcast(t *testing.T) {
	cases := []struct {
		params string
		bad    []int
		calls  []int64
	}{
		{"", nil, []int64{1, 1, 1, 1}},
		{"", []int{1}, []int64{1, 1, 1, 1}},
		{"broadcast.fail.percent=50", []int{0, 1}, []int64{1, 1, 0, 0}},
		{"broadcast.fail.percent=50", []int{0}, []int64{1, 1, 1, 1}},
		{"broadcast.fail.percent=0", []int{0, 1, 2, 3}, []int64{1, 1, 1, 1}},
		{"broadcast.fail.percent=100", []int{0, 1, 2, 3}, []int64{1, 1, 1, 1}},
		{"sayHello.broadcast.fail.percent=25", []int{0}, []int64{1, 0, 0, 0}},
	}
	for _, c := range cases {
		d, refs := fakes(4, "")
		for _, i := range c.bad {
			refs[i].does(fails(protocol.Application, protocol.Executed))
		}
		err := join(t, NewBroadcast, c.params, d).Invoke(t.Context(), call(method("sayHello", 0), ""))
		require.Equal(t, c.calls, counts(refs), "%+v", c)
		if c.bad == nil {
			require.NoError(t, err)
			continue
		}
		require.Equal(t, refs[c.bad[len(c.bad)-1]].url.Address(), asError(t, err).Address, "the last failure is reported")
	}
	_, err := NewBroadcast(extension.Env{}, consumer("broadcast.fail.percent=101"))
	require.Error(t, err)
}

// TestForking: the first success wins, the loser is cancelled, and neither touches the caller's Invocation afterwards.
func TestForking(t *testing.T) {
	d, refs := fakes(3, "")
	lost := make(chan *protocol.Invocation, 1)
	refs[0].does(func(ctx context.Context, c *protocol.Invocation) error {
		<-ctx.Done()
		*c.Reply.At(0).(*string) = "late"
		lost <- c
		return ctx.Err()
	})
	refs[1].does(func(_ context.Context, c *protocol.Invocation) error {
		*c.Reply.At(0).(*string) = "hello " + *c.Args.At(0).(*string)
		c.ReplyAttachments = protocol.Attachments{"from", "1"}
		return nil
	})
	x := join(t, NewForking, "", d)
	c := call(method("sayHello", 0), "a")
	require.NoError(t, x.Invoke(t.Context(), c))
	require.Equal(t, "hello a", *c.Reply.At(0).(*string))
	require.Equal(t, "1", c.ReplyAttachments.Value("from"))
	*c.Args.At(0).(*string) = "belongs to the caller again"
	loser := <-lost
	require.NotSame(t, c, loser)
	require.Equal(t, "a", *loser.Args.At(0).(*string))
	require.Equal(t, "hello a", *c.Reply.At(0).(*string))
	require.Equal(t, []int64{1, 1, 0}, counts(refs))
	require.NoError(t, x.(io.Closer).Close())
	require.Equal(t, protocol.Closed, protocol.CodeOf(x.Invoke(t.Context(), c)))
}

func TestForkingFailure(t *testing.T) {
	d, refs := fakes(3, "")
	refs[0].does(fails(protocol.Timeout, protocol.OutcomeUnknown))
	refs[1].does(func(context.Context, *protocol.Invocation) error {
		<-time.After(time.Millisecond)
		return &protocol.Error{Code: protocol.Network, Outcome: protocol.NotSent}
	})
	refs[2].does(fails(protocol.Network, protocol.NotSent))
	for _, params := range []string{"forks=2", "forks=0", "forks=9", "sayHello.forks=1"} {
		x := join(t, NewForking, params, d)
		e := asError(t, x.Invoke(t.Context(), call(method("sayHello", 0), "")))
		require.Equal(t, protocol.OutcomeUnknown, e.Outcome, "%s: one of the copies may have run", params)
		require.NoError(t, x.(io.Closer).Close())
	}
	require.Equal(t, []int64{4, 3, 2}, counts(refs), "two, all, all, one")
}

func failbackOver(t *testing.T, params string, d Directory) (protocol.Invoker, func() FailbackState, func() error) {
	x := join(t, NewFailback, params, d)
	return x, x.(Failback).State, x.(io.Closer).Close
}

func TestFailback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, refs := fakes(2, "")
		x, state, stop := failbackOver(t, "", d)
		refs[0].does(fails(protocol.Network, protocol.NotSent))
		var seen string
		refs[1].does(func(_ context.Context, c *protocol.Invocation) error { seen = *c.Args.At(0).(*string); return nil })
		c := call(method("sayHello", 0), "a")
		require.NoError(t, x.Invoke(t.Context(), c), "the caller gets an empty reply")
		*c.Args.At(0).(*string) = "belongs to the caller again"
		require.Equal(t, 1, state().Waiting)
		time.Sleep(failbackPause - time.Millisecond)
		synctest.Wait()
		require.Equal(t, []int64{1, 0}, counts(refs))
		time.Sleep(time.Millisecond)
		synctest.Wait()
		require.Equal(t, []int64{1, 1}, counts(refs), "another provider than before")
		require.Equal(t, "a", seen)
		require.Equal(t, FailbackState{Delivered: 1}, state())
		require.NoError(t, stop())
	})
}

func TestFailbackGivesUp(t *testing.T) {
	for params, repeats := range map[string]int64{"": 3, "retries=1": 1, "sayHello.retries=2": 2, "retries=-1": 3} {
		synctest.Test(t, func(t *testing.T) {
			d, refs := fakes(1, "")
			x, state, stop := failbackOver(t, params, d)
			refs[0].does(fails(protocol.Network, protocol.NotSent))
			require.NoError(t, x.Invoke(t.Context(), call(method("sayHello", 0), "")))
			time.Sleep(time.Minute)
			synctest.Wait()
			require.Equal(t, 1+repeats, refs[0].calls.Load(), params)
			require.Equal(t, FailbackState{Dropped: 1}, state())
			require.NoError(t, stop())
		})
	}
}

// TestFailbackRule: what may have run is repeated only where that is allowed; the service's answer never is.
func TestFailbackRule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, refs := fakes(1, "")
		m := method("sayHello", 0)
		x, state, stop := failbackOver(t, "", d)
		refs[0].does(fails(protocol.Timeout, protocol.OutcomeUnknown))
		require.Error(t, x.Invoke(t.Context(), call(m, "")), "nobody will repeat it, so the caller must know")
		refs[0].does(fails(protocol.Application, protocol.Executed))
		require.Error(t, x.Invoke(t.Context(), call(m, "")))
		require.Zero(t, state().Waiting)

		m = method("again", 1)
		m.Idempotent = true
		refs[0].does(fails(protocol.Timeout, protocol.OutcomeUnknown))
		require.NoError(t, x.Invoke(t.Context(), call(m, "")))
		var mark string
		refs[0].does(func(_ context.Context, c *protocol.Invocation) error {
			mark = c.Attachments.Value(protocol.RetryOfUnknown)
			return nil
		})
		time.Sleep(failbackPause)
		synctest.Wait()
		require.Equal(t, "true", mark)
		require.NoError(t, stop())
	})
}

// TestFailbackSurvivesProviders: the call is delivered by a provider that was not there when it was made.
func TestFailbackSurvivesProviders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _ := fakes(0, "")
		x, state, stop := failbackOver(t, "", d)
		require.NoError(t, x.Invoke(t.Context(), call(method("sayHello", 0), "")))
		later, refs := fakes(1, "")
		d.list.Store(later.list.Load())
		time.Sleep(failbackPause)
		synctest.Wait()
		require.Equal(t, int64(1), refs[0].calls.Load())
		require.Equal(t, int64(1), state().Delivered)
		require.NoError(t, stop())
	})
}

func TestFailbackIsBoundedAndEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, refs := fakes(1, "")
		x, state, stop := failbackOver(t, "failbacktasks=3", d)
		refs[0].does(fails(protocol.Network, protocol.NotSent))
		for range 5 {
			require.NoError(t, x.Invoke(t.Context(), call(method("sayHello", 0), "")))
		}
		require.Equal(t, FailbackState{Waiting: 3, Dropped: 2}, state())
		require.NoError(t, stop())
		require.Equal(t, FailbackState{Dropped: 5}, state())
		made := refs[0].calls.Load()
		time.Sleep(time.Minute)
		require.Equal(t, made, refs[0].calls.Load(), "nothing runs after Close")
	})
}

// TestFailbackCloseEndsARunningRepeat: Close cancels what runs and waits for it.
func TestFailbackCloseEndsARunningRepeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, refs := fakes(1, "")
		x, _, stop := failbackOver(t, "", d)
		refs[0].does(fails(protocol.Network, protocol.NotSent))
		require.NoError(t, x.Invoke(t.Context(), call(method("sayHello", 0), "")))
		running, ended := make(chan struct{}), false
		refs[0].does(func(ctx context.Context, _ *protocol.Invocation) error {
			close(running)
			<-ctx.Done()
			ended = true
			return &protocol.Error{Code: protocol.Canceled, Cause: ctx.Err()}
		})
		<-running
		require.NoError(t, stop())
		require.True(t, ended)
	})
}

func TestFailbackParameters(t *testing.T) {
	for _, bad := range []string{"failbacktasks=0", "failbacktasks=x", "retries=x"} {
		_, err := NewFailback(extension.Env{}, consumer(bad))
		require.Error(t, err, bad)
	}
}

func TestDescribedKeepsWrappers(t *testing.T) {
	d, refs := fakes(1, "")
	inner := &protocol.Error{Code: protocol.Timeout, Outcome: protocol.OutcomeUnknown, Message: "no answer"}
	refs[0].does(func(context.Context, *protocol.Invocation) error { return errors.Join(io.ErrShortWrite, inner) })
	err := join(t, NewFailfast, "", d).Invoke(t.Context(), call(method("sayHello", 0), ""))
	require.ErrorIs(t, err, io.ErrShortWrite)
	require.Equal(t, protocol.Timeout, protocol.CodeOf(err))
	require.Equal(t, "10.0.0.1:20880", asError(t, err).Address)
}
