package idempotent_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/protocol"
)

var memory = param{"idempotent", "memory"}

// A second call with the same key gets the first one's answer, and the service does not see it.
func TestRepeatIsReplayed(t *testing.T) {
	for _, format := range []string{"hessian2", "msgpack", "json"} {
		t.Run(format, func(t *testing.T) {
			b := &bank{name: "ann"}
			serve(t, b, nil, memory, param{"serialization", format})
			c := refer(t)
			ctx, outcome := keyed(t.Context(), "k1")
			got, err := c.Pay(ctx, "o1", 5)
			require.NoError(t, err)
			require.Equal(t, "ann paid o1, run 1", got)
			require.Equal(t, "executed", *outcome)
			got, err = c.Pay(ctx, "o1", 5)
			require.NoError(t, err)
			require.Equal(t, "ann paid o1, run 1", got)
			require.Equal(t, "replayed", *outcome)
			require.Equal(t, 1, b.count("o1"))

			want, err := c.Place(ctx, Order{OrderID: "o2", Amount: 10, Tags: map[string]string{"a": "1", "b": "2", "c": "3"}})
			require.NoError(t, err)
			again, err := c.Place(ctx, Order{OrderID: "o2", Amount: 10, Tags: map[string]string{"c": "3", "b": "2", "a": "1"}})
			require.NoError(t, err)
			require.Equal(t, want, again)
			require.Equal(t, 1, b.count("o2"))

			require.NoError(t, c.Notify(ctx, "o3"))
			require.NoError(t, c.Notify(ctx, "o3"))
			require.Equal(t, 1, b.count("o3"))
		})
	}
}

// Calls without a key have one of their own each.
func TestCallsWithoutKeyAllRun(t *testing.T) {
	b := &bank{name: "ann"}
	serve(t, b, nil, memory)
	c := refer(t)
	for range 3 {
		_, err := c.Pay(t.Context(), "o1", 5)
		require.NoError(t, err)
	}
	require.Equal(t, 3, b.count("o1"))
}

// The key can be an argument, or a field of one, chosen by the provider or by the consumer.
func TestKeyFromArguments(t *testing.T) {
	for name, sides := range map[string][2][]param{
		"provider": {{{"pay.idempotent", "memory"}, {"pay.idempotent.key", "0"}, {"place.idempotent", "memory"}, {"place.idempotent.key", "0.orderId"}}, nil},
		"consumer": {{memory}, {{"pay.idempotent.key", "0"}, {"place.idempotent.key", "0.OrderID"}}},
	} {
		t.Run(name, func(t *testing.T) {
			b := &bank{name: "ann"}
			serve(t, b, nil, sides[0]...)
			c := refer(t, sides[1]...)
			for range 2 {
				got, err := c.Pay(t.Context(), "o1", 5)
				require.NoError(t, err)
				require.Equal(t, "ann paid o1, run 1", got)
				placed, err := c.Place(t.Context(), Order{OrderID: "o2", Amount: 10})
				require.NoError(t, err)
				require.Equal(t, int64(11), placed.Amount)
			}
			_, err := c.Pay(t.Context(), "o1", 6)
			require.ErrorIs(t, err, protocol.ErrKeyReused)
			_, err = c.Pay(ferry.WithIdempotencyKey(t.Context(), "mine"), "o1", 5)
			require.NoError(t, err)
			require.Equal(t, 2, b.count("o1"), "a key in the context wins")
		})
	}
}

// An error of the service is its answer, and is replayed with its type and fields.
func TestBusinessErrorIsReplayed(t *testing.T) {
	b := &bank{name: "ann", do: func(_ context.Context, order string) error {
		if order == "plain" {
			return errors.New("no such account")
		}
		return fmt.Errorf("paying: %w", &refusal{Order: order, Left: 7})
	}}
	serve(t, b, nil, memory)
	c := refer(t)
	for _, order := range []string{"plain", "typed"} {
		ctx, outcome := keyed(t.Context(), "k-"+order)
		_, first := c.Pay(ctx, order, 5)
		require.Error(t, first)
		require.Equal(t, "executed", *outcome)
		_, second := c.Pay(ctx, order, 5)
		require.Equal(t, "replayed", *outcome)
		require.Equal(t, protocol.Executed, protocol.OutcomeOf(second))
		var a, b *protocol.Error
		require.ErrorAs(t, first, &a)
		require.ErrorAs(t, second, &b)
		require.Equal(t, a.Class, b.Class)
		require.Equal(t, a.Message, b.Message)
		var r *refusal
		if order == "plain" {
			continue
		}
		require.ErrorAs(t, first, &r)
		require.Equal(t, int64(7), r.Left)
		r = nil
		require.ErrorAs(t, second, &r)
		require.Equal(t, int64(7), r.Left)
	}
	require.Equal(t, 1, b.count("plain"))
	require.Equal(t, 1, b.count("typed"))
}
