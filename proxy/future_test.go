package proxy

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/protocol"
)

// slowly answers what it got, in reverse order, once gate is closed; it honours the context as a protocol does.
func slowly(gate <-chan struct{}) protocol.Invoker {
	return protocol.InvokerFunc(func(ctx context.Context, c *protocol.Invocation) error {
		select {
		case <-gate:
		case <-ctx.Done():
			return &protocol.Error{Code: protocol.Canceled, Outcome: protocol.OutcomeUnknown, Cause: ctx.Err()}
		}
		list := slices.Clone(*c.Args.At(0).(*[]string))
		slices.Reverse(list)
		if c.Reply != nil && c.Reply.Len() > 0 {
			*c.Reply.At(0).(*[]string) = list
		}
		return nil
	})
}

type reverser struct {
	Reverse func(ctx context.Context, list []string) *Future[[]string]
	Note    func(ctx context.Context, list []string) *Future[struct{}] `ferry:"note,idempotent"`
}

// TestFutureOfACall: arguments belong to the caller at once, and the reply comes to all who ask for it.
func TestFutureOfACall(t *testing.T) {
	gate := make(chan struct{})
	var r reverser
	require.NoError(t, Fill(slowly(gate), "S", &r))
	list := []string{"a", "b"}
	f := r.Reverse(t.Context(), list)
	list[0] = "changed"
	told := make(chan []string, 2)
	f.Then(func(reply []string, err error) { told <- reply })
	select {
	case <-f.Done():
		t.Fatal("it is not over")
	default:
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := f.Wait(ctx)
	var e *protocol.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, protocol.Canceled, e.Code)
	require.Equal(t, protocol.OutcomeUnknown, e.Outcome)
	require.Equal(t, "reverse", e.Method)
	require.ErrorIs(t, err, context.Canceled)

	note := r.Note(t.Context(), []string{"x"})
	close(gate)
	got, err := f.Wait(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"b", "a"}, got)
	require.Equal(t, got, <-told)
	f.Then(func(reply []string, err error) { told <- reply })
	require.Equal(t, got, <-told, "who comes late is told at once")
	got, err = f.Wait(ctx)
	require.NoError(t, err, "what is there needs no waiting")
	require.Equal(t, []string{"b", "a"}, got)
	_, err = note.Wait(t.Context())
	require.NoError(t, err)
	f.Cancel()
	_, err = f.Wait(t.Context())
	require.NoError(t, err)
}

// TestFutureGivenUp: by Cancel, by the context's end and by its deadline; the outcome is the call's.
func TestFutureGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r reverser
		require.NoError(t, Fill(slowly(nil), "S", &r))
		ctx, cancel := context.WithCancel(t.Context())
		short, end := context.WithTimeout(t.Context(), time.Second)
		defer end()
		byCancel, byContext, byDeadline := r.Reverse(t.Context(), nil), r.Reverse(ctx, nil), r.Reverse(short, nil)
		_, err := byDeadline.Wait(short)
		require.Error(t, err)
		byCancel.Cancel()
		cancel()
		for _, f := range []*Future[[]string]{byCancel, byContext, byDeadline} {
			_, err := f.Wait(t.Context())
			require.Equal(t, protocol.Canceled, protocol.CodeOf(err))
			require.Equal(t, protocol.OutcomeUnknown, protocol.OutcomeOf(err))
		}
	})
}

// TestGo: several calls in one Future, and one Future after the other.
func TestGo(t *testing.T) {
	boom := errors.New("boom")
	f := Go(t.Context(), func(context.Context) (int, error) { return 7, nil })
	g := Go(t.Context(), func(ctx context.Context) (int, error) {
		n, err := f.Wait(ctx)
		return n + 1, errors.Join(err, boom)
	})
	n, err := g.Wait(t.Context())
	require.Equal(t, 8, n)
	require.ErrorIs(t, err, boom)
	<-f.Done()
}

func TestFuncsThatCannotBeFilled(t *testing.T) {
	var two struct {
		F func(context.Context, string) (*Future[string], error)
	}
	require.Error(t, Fill(slowly(nil), "S", &two), "a Future is no value for the wire")
	var none struct {
		F func(context.Context, string) *Future[chan int]
	}
	require.Error(t, Fill(slowly(nil), "S", &none))
}
