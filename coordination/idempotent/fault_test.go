package idempotent_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/coordination/idempotent"
	"github.com/ferryrpc/ferry/protocol"
)

// lossy is a customer whose client loses the answers that lose says.
func lossy(t *testing.T, lose func(c *protocol.Invocation) bool, params ...param) *customer {
	t.Helper()
	return referWith(t, dropReplies(t, ferry.Builtin(), lose), append(params, param{"reference.filter", "lossy"})...)
}

// The answer is lost after the execution, the client goes to the other provider with the same key: one effect, one answer.
func TestDroppedReplyThenFailover(t *testing.T) {
	store := shared{idempotent.NewMemory(0)}
	b := &bank{name: "both"}
	for range 2 {
		serve(t, b, with(t, "common", store), param{"idempotent", "common"})
	}
	var attempts []string
	c := lossy(t, func(c *protocol.Invocation) bool {
		attempts = append(attempts, c.Attachments.Value(protocol.IdempotencyKey)+" "+c.Attachments.Value(protocol.IdempotencyAttempt))
		return c.Attempt == 1
	}).sees(t, 2)
	ctx, outcome := keyed(t.Context(), "")
	got, err := c.Pay(ctx, "o1", 5)
	require.NoError(t, err)
	require.Equal(t, "both paid o1, run 1", got)
	require.Equal(t, "replayed", *outcome)
	require.Equal(t, 1, b.count("o1"))
	require.Len(t, attempts, 2)
	require.Equal(t, attempts[0][:len(attempts[0])-1]+"2", attempts[1], "the key stays, the attempt grows")
}

// A provider that publishes no record gets no repeat, whatever the consumer asks of recording ones.
func TestNoRepeatWithoutRecord(t *testing.T) {
	for _, published := range []string{"", "false"} {
		b := &bank{name: "java"}
		t.Run("published="+published, func(t *testing.T) {
			for range 2 {
				serve(t, b, nil, param{"idempotent", published})
			}
			c := lossy(t, func(c *protocol.Invocation) bool { return true }, param{"idempotent", "sql"})
			_, err := c.Pay(ferry.WithIdempotencyKey(t.Context(), "k"), "o1"+published, 5)
			require.Equal(t, protocol.OutcomeUnknown, protocol.OutcomeOf(err))
			require.Equal(t, 1, b.count("o1"+published))
			c = lossy(t, func(c *protocol.Invocation) bool { return true }, param{"retries", "1"})
			_, err = c.Pay(t.Context(), "o2"+published, 5)
			require.Error(t, err)
			require.Equal(t, 2, b.count("o2"+published), "explicit retries still mean what they say")
		})
	}
}

// Every answer is lost until the attempts are spent: the outcome is unknown, the effect is there once, and a later call with
// the key gets the answer.
func TestAllRepliesDropped(t *testing.T) {
	store := shared{idempotent.NewMemory(0)}
	b := &bank{name: "both"}
	for range 2 {
		serve(t, b, with(t, "common", store), param{"idempotent", "common"})
	}
	c := lossy(t, func(c *protocol.Invocation) bool { return true })
	ctx, outcome := keyed(t.Context(), "k")
	_, err := c.Pay(ctx, "o1", 5)
	require.Equal(t, protocol.OutcomeUnknown, protocol.OutcomeOf(err))
	require.Equal(t, 1, b.count("o1"))
	got, err := refer(t).Pay(ctx, "o1", 5)
	require.NoError(t, err)
	require.Equal(t, "both paid o1, run 1", got)
	require.Equal(t, "replayed", *outcome)
}

// Duplicates that come while the call runs, at both providers, wait for it and get its answer.
func TestDuplicatesInFlight(t *testing.T) {
	store := shared{idempotent.NewMemory(0)}
	leave := make(chan struct{})
	entered := make(chan struct{}, 100)
	b := &bank{name: "both", do: func(context.Context, string) error { entered <- struct{}{}; <-leave; return nil }}
	var seen atomic.Int32
	for range 2 {
		serve(t, b, with(t, "common", counted{store, &seen}), param{"idempotent", "common"})
	}
	c := refer(t, param{"loadbalance", "roundrobin"}).sees(t, 2)
	const calls = 20
	var wg sync.WaitGroup
	var replayed atomic.Int32
	for range calls {
		wg.Go(func() {
			ctx, outcome := keyed(t.Context(), "k")
			got, err := c.Pay(ctx, "o1", 5)
			if err != nil || got != "both paid o1, run 1" {
				t.Errorf("%q, %v", got, err)
			}
			if *outcome == "replayed" {
				replayed.Add(1)
			}
		})
	}
	<-entered
	require.Eventually(t, func() bool { return seen.Load() == 2 }, patience, tick, "the other provider waits at the store")
	close(leave)
	wg.Wait()
	require.Equal(t, 1, b.count("o1"))
	require.Equal(t, int32(calls-1), replayed.Load())
}

// counted counts the Begins that a store sees.
type counted struct {
	shared
	begins *atomic.Int32
}

func (c counted) Begin(ctx context.Context, q idempotent.Request) (idempotent.Begun, error) {
	c.begins.Add(1)
	return c.shared.Begin(ctx, q)
}

// A key is one call's: other arguments are refused, nothing runs, and no provider is asked again.
func TestReusedKey(t *testing.T) {
	b := &bank{name: "ann"}
	serve(t, b, nil, memory)
	attempts := 0
	c := lossy(t, func(c *protocol.Invocation) bool { attempts++; return false })
	ctx, _ := keyed(t.Context(), "k")
	_, err := c.Pay(ctx, "o1", 5)
	require.NoError(t, err)
	_, err = c.Pay(ctx, "o1", 6)
	require.ErrorIs(t, err, protocol.ErrKeyReused)
	require.ErrorContains(t, err, "IDEMPOTENCY_KEY_REUSED")
	require.Equal(t, protocol.NotStarted, protocol.OutcomeOf(err))
	require.Equal(t, 2, attempts)
	require.Equal(t, 1, b.count("o1"))
	_, err = c.Pay(ctx, "o1", 5)
	require.NoError(t, err, "the right arguments still get their answer")
}

// The same key of another application is another call.
func TestCallersAreApart(t *testing.T) {
	b := &bank{name: "ann"}
	serve(t, b, nil, memory)
	ctx, outcome := keyed(t.Context(), "k")
	_, err := refer(t).Pay(ctx, "o1", 5)
	require.NoError(t, err)
	got, err := refer(t, param{"application", "thief"}).Pay(ctx, "o1", 5)
	require.NoError(t, err)
	require.Equal(t, "ann paid o1, run 2", got, "he does not see the shop's answer")
	require.Equal(t, "executed", *outcome)
}

// Too long a key is refused before anything is sent.
func TestKeyTooLong(t *testing.T) {
	b := &bank{name: "ann"}
	serve(t, b, nil, memory, param{"place.idempotent.key", "0.orderId"})
	c := refer(t)
	long := fmt.Sprintf("%01025d", 1)
	_, err := c.Pay(ferry.WithIdempotencyKey(t.Context(), long), "o1", 5)
	require.ErrorIs(t, err, protocol.ErrKeyInvalid)
	require.Equal(t, protocol.NotSent, protocol.OutcomeOf(err))
	_, err = c.Pay(ferry.WithIdempotencyKey(t.Context(), long[:1024]), "o1", 5)
	require.NoError(t, err)
	for _, key := range []string{long, ""} { // the provider finds these in the argument
		_, err = c.Place(t.Context(), Order{OrderID: key})
		require.ErrorIs(t, err, protocol.ErrKeyInvalid)
		require.Equal(t, protocol.NotStarted, protocol.OutcomeOf(err))
		require.Zero(t, b.count(key))
	}
}

// away is a store that fails.
type away struct {
	idempotent.Store
	fail atomic.Bool
}

func (a *away) Begin(ctx context.Context, q idempotent.Request) (idempotent.Begun, error) {
	if a.fail.Load() {
		return idempotent.Begun{}, errors.New("connection refused")
	}
	return a.Store.Begin(ctx, q)
}

func (a *away) Finish(ctx context.Context, q idempotent.Ticket, f idempotent.Final) error {
	if a.fail.Load() {
		return errors.New("connection refused")
	}
	return a.Store.Finish(ctx, q, f)
}

// A store that is away: nothing is run, the error says so, and the call goes to a provider that has its store.
func TestStoreAway(t *testing.T) {
	store := shared{idempotent.NewMemory(0)}
	broken := &away{Store: store}
	broken.fail.Store(true)
	b := &bank{name: "ann"}
	serve(t, b, with(t, "common", broken), param{"idempotent", "common"})
	c := refer(t)
	_, err := c.Pay(t.Context(), "o1", 5)
	require.Equal(t, protocol.NotStarted, protocol.OutcomeOf(err))
	require.ErrorContains(t, err, "not run")
	require.ErrorContains(t, err, "connection refused")
	require.Zero(t, b.count("o1"))
	serve(t, b, with(t, "common", store), param{"idempotent", "common"})
	c.sees(t, 2)
	for i := range 5 {
		_, err = c.Pay(t.Context(), fmt.Sprint("p", i), 5)
		require.NoError(t, err)
	}
}

// The store goes away between the execution and the record: the answer is not given, as nobody could give it again.
func TestStoreGoesAwayBeforeTheRecord(t *testing.T) {
	t.Parallel()
	store := shared{idempotent.NewMemory(0)}
	broken := &away{Store: store}
	b := &bank{name: "ann", do: func(context.Context, string) error { broken.fail.Store(true); return nil }}
	serve(t, b, with(t, "common", broken), param{"idempotent", "common"})
	ctx, outcome := keyed(t.Context(), "k")
	_, err := refer(t).Pay(ctx, "o1", 5)
	require.ErrorIs(t, err, protocol.ErrOutcomeUnknown)
	require.Equal(t, protocol.OutcomeUnknown, protocol.OutcomeOf(err))
	require.Equal(t, "unknown", *outcome)
	require.Equal(t, 1, b.count("o1"))
}
