// Package idempotenttest is the conformance suite of idempotent.Store: what every store promises, whatever it is made of.
package idempotenttest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/coordination/idempotent"
	"github.com/ferryrpc/ferry/coordination/lock"
)

// patience is for what must happen, and is never waited for in full when it does.
const patience = 30 * time.Second

// A Suite says how to run the tests against a store.
type Suite struct {
	// Open returns a view of the records as one process has it; all views of one test share their records, unless
	// the store is not Shared.
	Open func(t *testing.T) idempotent.Store
	// Lease is the shortest lease after which the store notices a dead executor, 0 for 200 ms.
	Lease time.Duration
	// Kill makes the executors of a view dead, for stores that go by sessions; nil: the lease's end does.
	Kill func(t *testing.T, s idempotent.Store)
}

// Run runs the suite.
func Run(t *testing.T, s Suite) {
	if s.Lease == 0 {
		s.Lease = 200 * time.Millisecond
	}
	for name, test := range map[string]func(*testing.T, Suite){
		"LifeOfARecord": lifeOfARecord, "OtherArguments": otherArguments, "KeysAreApart": keysAreApart, "RepeatedRequests": repeatedRequests,
		"AbandonedMayRun": abandonedMayRun, "DeadExecutor": deadExecutor, "LivingExecutor": livingExecutor, "LargerFence": largerFence,
		"OtherIncarnation": otherIncarnation, "UnknownStays": unknownStays, "UnknownIsReopened": unknownIsReopened, "WaitSeesTheEnd": waitSeesTheEnd,
		"WaitEndsWithItsContext": waitEndsWithItsContext, "AnswersExpire": answersExpire, "OneStarts": oneStarts, "OneTakesOver": oneTakesOver,
		"EndedContext": endedContext,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, s)
		})
	}
}

var keys atomic.Int64

// fresh returns a request for a key that nobody had before.
func fresh(t *testing.T) idempotent.Request {
	return idempotent.Request{Key: idempotent.Key{Caller: "shop", Service: "com.example.Pay", Method: "pay",
		Text: fmt.Sprintf("%s/%d/%d", t.Name(), time.Now().UnixNano(), keys.Add(1))},
		Args: idempotent.Digest{1}, Owner: idempotent.NewOwner(), Lease: time.Minute, TTL: time.Minute}
}

func begin(t *testing.T, s idempotent.Store, q idempotent.Request, want idempotent.State) idempotent.Begun {
	t.Helper()
	b, err := s.Begin(t.Context(), q)
	require.NoError(t, err)
	require.Equal(t, want, b.State, "%+v", b)
	return b
}

func takeOver(t *testing.T, s idempotent.Store, q idempotent.Request, want idempotent.State) idempotent.Begun {
	t.Helper()
	b, err := s.TakeOver(t.Context(), q)
	require.NoError(t, err)
	require.Equal(t, want, b.State, "%+v", b)
	return b
}

func finish(t *testing.T, s idempotent.Store, q idempotent.Request, result string) {
	t.Helper()
	require.NoError(t, s.Finish(t.Context(), q.Ticket(), idempotent.Final{State: idempotent.Done, Result: []byte(result), TTL: q.TTL}))
}

// other is the same call by another executor.
func other(q idempotent.Request) idempotent.Request {
	q.Owner = idempotent.NewOwner()
	return q
}

func lifeOfARecord(t *testing.T, s Suite) {
	a, b := s.Open(t), s.Open(t)
	if !a.Caps().Shared {
		b = a
	}
	q := fresh(t)
	began := begin(t, a, q, idempotent.Started)
	require.Equal(t, 1, began.Attempt)
	seen := begin(t, b, other(q), idempotent.InProgress)
	require.Equal(t, 1, seen.Attempt)
	require.Positive(t, seen.Left)
	require.LessOrEqual(t, seen.Left, q.Lease+time.Second)
	require.Less(t, seen.Age, patience)
	finish(t, a, q, "paid")
	done := begin(t, b, other(q), idempotent.Done)
	require.Equal(t, "paid", string(done.Result))
	require.Equal(t, 1, done.Attempt)
	require.Equal(t, "paid", string(takeOver(t, b, other(q), idempotent.Done).Result), "what is done cannot be taken over")
	waited, err := b.Wait(t.Context(), q.Key)
	require.NoError(t, err)
	require.Equal(t, "paid", string(waited.Result))
	for _, result := range []string{"", string(make([]byte, 900))} {
		q := fresh(t)
		begin(t, a, q, idempotent.Started)
		finish(t, a, q, result)
		require.Equal(t, result, string(begin(t, b, q, idempotent.Done).Result))
	}
}

func otherArguments(t *testing.T, s Suite) {
	a := s.Open(t)
	q := fresh(t)
	begin(t, a, q, idempotent.Started)
	wrong := other(q)
	wrong.Args = idempotent.Digest{2}
	begin(t, a, wrong, idempotent.Mismatch)
	takeOver(t, a, wrong, idempotent.Mismatch)
	finish(t, a, q, "paid")
	begin(t, a, wrong, idempotent.Mismatch)
	begin(t, a, other(q), idempotent.Done)
}

func keysAreApart(t *testing.T, s Suite) {
	a := s.Open(t)
	q := fresh(t)
	begin(t, a, q, idempotent.Started)
	for _, change := range []func(*idempotent.Key){
		func(k *idempotent.Key) { k.Caller = "thief" }, func(k *idempotent.Key) { k.Service += "2" }, func(k *idempotent.Key) { k.Method = "refund" },
		func(k *idempotent.Key) { k.Text += "\x00" }, func(k *idempotent.Key) { k.Caller, k.Text = "", "shop"+k.Text },
	} {
		n := other(q)
		change(&n.Key)
		begin(t, a, n, idempotent.Started)
	}
}

// An answer of the store that was lost is asked for again.
func repeatedRequests(t *testing.T, s Suite) {
	a := s.Open(t)
	q := fresh(t)
	require.Equal(t, 1, begin(t, a, q, idempotent.Started).Attempt)
	require.Equal(t, 1, begin(t, a, q, idempotent.Started).Attempt, "the same executor")
	require.Equal(t, 1, takeOver(t, a, q, idempotent.Started).Attempt)
	finish(t, a, q, "paid")
	finish(t, a, q, "paid")
	require.ErrorIs(t, a.Finish(t.Context(), other(q).Ticket(), idempotent.Final{State: idempotent.Done, TTL: q.TTL}), idempotent.ErrFenced)
	require.NoError(t, a.Abandon(t.Context(), q.Ticket()))
	require.Equal(t, "paid", string(begin(t, a, other(q), idempotent.Done).Result), "what is done cannot be abandoned")
	never := fresh(t)
	require.ErrorIs(t, a.Finish(t.Context(), never.Ticket(), idempotent.Final{State: idempotent.Done, TTL: q.TTL}), idempotent.ErrFenced)
	require.NoError(t, a.Abandon(t.Context(), never.Ticket()))
}

func abandonedMayRun(t *testing.T, s Suite) {
	a := s.Open(t)
	q := fresh(t)
	begin(t, a, q, idempotent.Started)
	require.NoError(t, a.Abandon(t.Context(), other(q).Ticket()))
	begin(t, a, other(q), idempotent.InProgress)
	require.NoError(t, a.Abandon(t.Context(), q.Ticket()))
	takeOver(t, a, other(q), idempotent.Absent)
	n := other(q)
	begin(t, a, n, idempotent.Started)
	require.ErrorIs(t, a.Finish(t.Context(), q.Ticket(), idempotent.Final{State: idempotent.Done, TTL: q.TTL}), idempotent.ErrFenced)
	finish(t, a, n, "paid")
}

// die makes the executor of q dead and returns when the store knows it.
func die(t *testing.T, s Suite, a, b idempotent.Store, q idempotent.Request) {
	t.Helper()
	if s.Kill != nil {
		s.Kill(t, a)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	seen, err := b.Wait(ctx, q.Key)
	require.NoError(t, err)
	require.Equal(t, idempotent.InProgress, seen.State)
	require.LessOrEqual(t, seen.Left, time.Duration(0))
}

func deadExecutor(t *testing.T, s Suite) {
	a, b := s.Open(t), s.Open(t)
	if !a.Caps().Shared {
		b = a
	}
	q := fresh(t)
	q.Lease = s.Lease
	begin(t, a, q, idempotent.Started)
	die(t, s, a, b, q)
	n := other(q)
	n.Lease = time.Minute
	require.Equal(t, 2, takeOver(t, b, n, idempotent.Started).Attempt)
	require.Equal(t, 2, takeOver(t, b, n, idempotent.Started).Attempt, "repeated")
	takeOver(t, b, other(n), idempotent.InProgress)
	err := a.Finish(t.Context(), q.Ticket(), idempotent.Final{State: idempotent.Done, Result: []byte("late"), TTL: q.TTL})
	require.Error(t, err, "a stale executor writes nothing")
	if s.Kill == nil {
		require.ErrorIs(t, err, idempotent.ErrFenced)
		require.NoError(t, a.Abandon(t.Context(), q.Ticket()))
	}
	finish(t, b, n, "paid")
	done := begin(t, b, other(q), idempotent.Done)
	require.Equal(t, "paid", string(done.Result))
	require.Equal(t, 2, done.Attempt)
}

func livingExecutor(t *testing.T, s Suite) {
	a := s.Open(t)
	q := fresh(t)
	begin(t, a, q, idempotent.Started)
	takeOver(t, a, other(q), idempotent.InProgress)
	finish(t, a, q, "paid")
}

func fence(life byte, token int64) lock.Fence {
	return lock.Fence{Incarnation: lock.Incarnation{life}, Token: token}
}

func largerFence(t *testing.T, s Suite) {
	a := s.Open(t)
	q := fresh(t)
	q.Fence = fence(1, 100)
	require.Equal(t, q.Fence, begin(t, a, q, idempotent.Started).Fence)
	n := other(q)
	for _, token := range []int64{99, 100, 0} {
		n.Fence.Token = token
		require.Equal(t, q.Fence, takeOver(t, a, n, idempotent.InProgress).Fence)
	}
	n.Fence.Token = 101
	require.Equal(t, n.Fence, takeOver(t, a, n, idempotent.Started).Fence, "its owner's time is over, whatever the lease")
	require.ErrorIs(t, a.Finish(t.Context(), q.Ticket(), idempotent.Final{State: idempotent.Done, TTL: q.TTL}), idempotent.ErrFenced)
	small := n.Ticket()
	small.Fence.Token = 100
	require.ErrorIs(t, a.Finish(t.Context(), small, idempotent.Final{State: idempotent.Done, TTL: q.TTL}), idempotent.ErrFenced)
	large := n.Ticket()
	large.Fence.Token = 1 << 40
	require.NoError(t, a.Finish(t.Context(), large, idempotent.Final{State: idempotent.Done, Result: []byte("paid"), TTL: q.TTL}))
	begin(t, a, other(q), idempotent.Done)
}

func otherIncarnation(t *testing.T, s Suite) {
	a := s.Open(t)
	q := fresh(t)
	q.Fence = fence(1, 100)
	begin(t, a, q, idempotent.Started)
	n := other(q)
	n.Fence = fence(2, 1000)
	_, err := a.TakeOver(t.Context(), n)
	require.ErrorIs(t, err, idempotent.ErrIncarnation)
	foreign := q.Ticket()
	foreign.Fence = fence(2, 1000)
	require.ErrorIs(t, a.Finish(t.Context(), foreign, idempotent.Final{State: idempotent.Done, TTL: q.TTL}), idempotent.ErrIncarnation)
	finish(t, a, q, "paid")
	require.Equal(t, "paid", string(begin(t, a, n, idempotent.Done).Result), "an answer is an answer")
}

func unknownStays(t *testing.T, s Suite) {
	a := s.Open(t)
	q := fresh(t)
	begin(t, a, q, idempotent.Started)
	require.NoError(t, a.Finish(t.Context(), q.Ticket(), idempotent.Final{State: idempotent.Unknown, TTL: q.TTL}))
	seen := begin(t, a, other(q), idempotent.Unknown)
	require.Equal(t, 1, seen.Attempt)
	require.GreaterOrEqual(t, seen.Age, time.Duration(0))
	takeOver(t, a, other(q), idempotent.Unknown)
	waited, err := a.Wait(t.Context(), q.Key)
	require.NoError(t, err)
	require.Equal(t, idempotent.Unknown, waited.State)
}

func unknownIsReopened(t *testing.T, s Suite) {
	a := s.Open(t)
	q := fresh(t)
	begin(t, a, q, idempotent.Started)
	require.NoError(t, a.Finish(t.Context(), q.Ticket(), idempotent.Final{State: idempotent.Unknown, TTL: q.TTL}))
	n := other(q)
	n.Reopen = true
	require.Equal(t, 2, takeOver(t, a, n, idempotent.Started).Attempt)
	m := other(n)
	takeOver(t, a, m, idempotent.InProgress)
	finish(t, a, n, "paid")
	require.Equal(t, "paid", string(begin(t, a, other(q), idempotent.Done).Result))
}

func waitSeesTheEnd(t *testing.T, s Suite) {
	a, b := s.Open(t), s.Open(t)
	if !a.Caps().Shared {
		b = a
	}
	for name, end := range map[string]func(idempotent.Request) error{
		"done": func(q idempotent.Request) error {
			return a.Finish(t.Context(), q.Ticket(), idempotent.Final{State: idempotent.Done, Result: []byte("paid"), TTL: q.TTL})
		},
		"abandoned": func(q idempotent.Request) error { return a.Abandon(t.Context(), q.Ticket()) },
	} {
		q := fresh(t)
		begin(t, a, q, idempotent.Started)
		type seen struct {
			b   idempotent.Begun
			err error
		}
		got := make(chan seen, 1)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		go func() {
			b, err := b.Wait(ctx, q.Key)
			got <- seen{b, err}
		}()
		require.NoError(t, end(q))
		n := <-got
		cancel()
		require.NoError(t, n.err, name)
		if name == "done" {
			require.Equal(t, "paid", string(n.b.Result))
		} else {
			require.Equal(t, idempotent.Absent, n.b.State)
		}
	}
}

func waitEndsWithItsContext(t *testing.T, s Suite) {
	a := s.Open(t)
	q := fresh(t)
	begin(t, a, q, idempotent.Started)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := a.Wait(ctx, q.Key)
	require.Error(t, err)
	require.Error(t, ctx.Err())
	finish(t, a, q, "paid")
}

func answersExpire(t *testing.T, s Suite) {
	a := s.Open(t)
	q := fresh(t)
	q.TTL = 100 * time.Millisecond
	begin(t, a, q, idempotent.Started)
	finish(t, a, q, "paid")
	require.Eventually(t, func() bool {
		b, err := a.Begin(t.Context(), other(q))
		return err == nil && b.State == idempotent.Started && b.Attempt == 1
	}, patience, 10*time.Millisecond)
}

// oneStarts lets many executors begin the same calls at the same time: one starts each, and all others see its answer.
func oneStarts(t *testing.T, s Suite) {
	const calls, executors = 10, 8
	views := []idempotent.Store{s.Open(t), s.Open(t)}
	if !views[0].Caps().Shared {
		views[1] = views[0]
	}
	var wg sync.WaitGroup
	for range calls {
		q := fresh(t)
		var started, same atomic.Int32
		for i := range executors {
			wg.Go(func() {
				n, view := other(q), views[i%len(views)]
				b, err := view.Begin(t.Context(), n)
				for err == nil && b.State == idempotent.InProgress {
					b, err = view.Wait(t.Context(), n.Key)
				}
				switch {
				case err == nil && b.State == idempotent.Started:
					started.Add(1)
					err = view.Finish(t.Context(), n.Ticket(), idempotent.Final{State: idempotent.Done, Result: []byte(n.Owner), TTL: n.TTL})
				case err == nil && b.State != idempotent.Done:
					err = errors.New(b.State.String())
				}
				if err != nil {
					t.Errorf("executor: %v", err)
				}
				same.Add(1)
			})
		}
		wg.Wait()
		require.Equal(t, int32(1), started.Load())
		require.Equal(t, int32(executors), same.Load())
	}
}

// oneTakesOver lets many executors find the same dead one.
func oneTakesOver(t *testing.T, s Suite) {
	a, b := s.Open(t), s.Open(t)
	if !a.Caps().Shared {
		b = a
	}
	q := fresh(t)
	q.Lease = s.Lease
	begin(t, a, q, idempotent.Started)
	die(t, s, a, b, q)
	var wg sync.WaitGroup
	var started atomic.Int32
	for range 8 {
		wg.Go(func() {
			n := other(q)
			n.Lease = time.Minute
			got, err := b.TakeOver(t.Context(), n)
			if err != nil {
				t.Errorf("executor: %v", err)
			}
			if got.State == idempotent.Started {
				started.Add(1)
			}
		})
	}
	wg.Wait()
	require.Equal(t, int32(1), started.Load())
}

// endedContext: whoever has no time left gets no answer that he could take for one.
func endedContext(t *testing.T, s Suite) {
	a := s.Open(t)
	if !a.Caps().Durable {
		t.Log("a store in the process needs no time")
		return
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	q := fresh(t)
	_, err := a.Begin(ctx, q)
	require.Error(t, err)
	_, err = a.TakeOver(ctx, q)
	require.Error(t, err)
	require.Error(t, a.Finish(ctx, q.Ticket(), idempotent.Final{State: idempotent.Done, TTL: q.TTL}))
}
