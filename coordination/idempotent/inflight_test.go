package idempotent_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/coordination/idempotent"
	"github.com/ferryrpc/ferry/protocol"
)

// The copies of a forking call have one key: at the providers they are one call, and the first answer is that of the only execution.
func TestForkingCopiesAreOneCall(t *testing.T) {
	store := shared{idempotent.NewMemory(0)}
	b := &bank{name: "both"}
	for range 2 {
		serve(t, b, with(t, "common", store), param{"idempotent", "common"})
	}
	keys := make(chan string, 10)
	c := lossy(t, func(c *protocol.Invocation) bool {
		keys <- c.Attachments.Value(protocol.IdempotencyKey)
		return false
	}, param{"cluster", "forking"}, param{"forks", "2"}).sees(t, 2)
	for _, order := range []string{"o1", "o2"} {
		got, err := c.Pay(t.Context(), order, 5)
		require.NoError(t, err)
		require.Equal(t, "both paid "+order+", run 1", got)
		first := <-keys
		require.NotEmpty(t, first)
		require.Equal(t, first, <-keys, "both copies carry the key")
		require.Equal(t, 1, b.count(order))
	}
}

// A broadcast is for every provider to carry out: it sends no key, and the record of one does not keep the others from running.
func TestBroadcastSendsNoKey(t *testing.T) {
	store := shared{idempotent.NewMemory(0)}
	b := &bank{name: "both"}
	for range 2 {
		serve(t, b, with(t, "common", store), param{"idempotent", "common"})
	}
	var keys []string
	c := lossy(t, func(c *protocol.Invocation) bool {
		keys = append(keys, c.Attachments.Value(protocol.IdempotencyKey))
		return false
	}, param{"cluster", "broadcast"}).sees(t, 2)
	ctx, outcome := keyed(t.Context(), "k")
	_, err := c.Pay(ctx, "o1", 5)
	require.NoError(t, err)
	require.Equal(t, []string{"", ""}, keys)
	require.Equal(t, 2, b.count("o1"))
	require.Empty(t, *outcome)
}

// A duplicate that waits is a call like any other to the provider's limits: it holds one place, and no longer than the time that came
// with it.
func TestWaitingDuplicatesHoldAPlace(t *testing.T) {
	t.Parallel()
	leave, entered := make(chan struct{}), make(chan struct{}, 10)
	b := &bank{name: "ann", do: func(_ context.Context, order string) error {
		if order == "slow" {
			entered <- struct{}{}
			<-leave
		}
		return nil
	}}
	serve(t, b, nil, memory, param{"executes", "2"})
	c := refer(t)
	pay := func(ctx context.Context, order string) <-chan error {
		done := make(chan error, 1)
		go func() { _, err := c.Pay(ctx, order, 5); done <- err }()
		return done
	}
	ctx, _ := keyed(t.Context(), "k")
	first := pay(ctx, "slow")
	<-entered
	again, _ := keyed(t.Context(), "k")
	impatient, cancel := context.WithTimeout(again, 3*time.Second)
	defer cancel()
	second := pay(impatient, "slow")
	other := func() error { _, err := c.Pay(t.Context(), "other", 5); return err }
	require.Eventually(t, func() bool { return protocol.CodeOf(other()) == protocol.LimitExceeded }, patience, tick, "the second one waits in the second place")
	require.Error(t, <-second)
	require.Eventually(t, func() bool { return other() == nil }, patience, tick, "and leaves it when its time is over")
	close(leave)
	require.NoError(t, <-first)
	require.Equal(t, 1, b.count("slow"))
}

// mute is a store that carries out what it is told and does not say so, as often as it is told.
type mute struct {
	*idempotent.Memory
	begins, abandons int
}

var errMute = errors.New("connection reset")

func (m *mute) Begin(ctx context.Context, q idempotent.Request) (idempotent.Begun, error) {
	b, err := m.Memory.Begin(ctx, q)
	if m.begins--; m.begins >= 0 && err == nil {
		return idempotent.Begun{}, errMute
	}
	return b, err
}

func (m *mute) Abandon(ctx context.Context, q idempotent.Ticket) error {
	if m.abandons--; m.abandons >= 0 {
		return errMute // and this one it did not hear of
	}
	return m.Memory.Abandon(ctx, q)
}

// The answer to a begin is lost. Once: the executor asks again and runs. For good: nothing runs, and what was written is taken back. And
// if that fails, too, the record of a call that never ran stays until its lease is over: then it is unknown, and seen to be, or run.
func TestBeginWithoutAnAnswer(t *testing.T) {
	for name, is := range map[string]struct {
		begins, abandons int
		policy           idempotent.Policy
		first, second    error
		runs             int
	}{
		"once":                     {begins: 1, runs: 1},
		"for good":                 {begins: 3, first: errMute, runs: 1},
		"for good, at most once":   {begins: 3, abandons: 1, first: errMute, second: idempotent.ErrOutcomeUnknown},
		"for good, but repeatable": {begins: 3, abandons: 1, policy: idempotent.ReExecutable, first: errMute, runs: 1},
	} {
		t.Run(name, func(t *testing.T) {
			runs := 0
			x := &idempotent.Executor{Store: &mute{idempotent.NewMemory(0), is.begins, is.abandons}, Policy: is.policy, Lease: 50 * time.Millisecond}
			call := idempotent.Call{Key: idempotent.Key{Text: "k"}, Run: func(context.Context) idempotent.Ran {
				runs++
				return idempotent.Ran{Result: []byte("done")}
			}}
			for _, want := range []error{is.first, is.second} {
				a, err := x.Do(t.Context(), call)
				if want != nil {
					require.ErrorIs(t, err, want)
					require.Zero(t, runs)
					continue
				}
				require.NoError(t, err)
				require.Equal(t, "done", string(a.Result))
			}
			require.Equal(t, is.runs, runs)
		})
	}
}

// The store's clock jumps while a call runs. Ahead: its executor is taken for dead, and what it did is not told as an answer. Back: a
// lease lasts the longer. Never are there two answers.
func TestStoresClockJumps(t *testing.T) {
	type outcome struct {
		first, second error
		answer        string // what everybody is told later; empty: that it is unknown
		runs          int
	}
	for name, is := range map[string]struct {
		by     time.Duration
		policy idempotent.Policy
		want   outcome
	}{
		"ahead, at most once": {2 * time.Minute, idempotent.AtMostOnce, outcome{idempotent.ErrOutcomeUnknown, idempotent.ErrOutcomeUnknown, "", 1}},
		"ahead, repeatable":   {2 * time.Minute, idempotent.ReExecutable, outcome{idempotent.ErrOutcomeUnknown, nil, "run 2", 2}},
		"back":                {-time.Hour, idempotent.AtMostOnce, outcome{nil, idempotent.ErrInProgress, "run 1", 1}},
	} {
		t.Run(name, func(t *testing.T) {
			store, jump := idempotent.NewMemory(0), time.Duration(0)
			store.At(func() time.Time { return time.Now().Add(jump) })
			runs, key := 0, idempotent.Key{Text: "k"}
			do := func(ctx context.Context, meanwhile func()) (string, error) {
				x := &idempotent.Executor{Store: store, Policy: is.policy, Lease: time.Minute}
				a, err := x.Do(ctx, idempotent.Call{Key: key, Run: func(context.Context) idempotent.Ran {
					runs++
					result := fmt.Sprint("run ", runs)
					meanwhile()
					return idempotent.Ran{Result: []byte(result)}
				}})
				return string(a.Result), err
			}
			_, first := do(t.Context(), func() {
				jump = is.by
				ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
				defer cancel()
				_, second := do(ctx, func() {})
				require.ErrorIs(t, second, is.want.second)
			})
			require.ErrorIs(t, first, is.want.first)
			for range 2 {
				answer, err := do(t.Context(), func() {})
				require.Equal(t, is.want.answer, answer)
				require.Equal(t, is.want.answer == "", errors.Is(err, idempotent.ErrOutcomeUnknown), "%v", err)
			}
			require.Equal(t, is.want.runs, runs)
		})
	}
}
