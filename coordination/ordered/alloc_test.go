//go:build !race

package ordered_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
)

// TestAllocsOfAnOrderedCall compares an ordered call with the same call without an order, consumer and provider together.
func TestAllocsOfAnOrderedCall(t *testing.T) {
	z := embedded(t)
	s := &sessions{address: z.Addr(), session: 30 * time.Second}
	per := func(order string) float64 {
		group := ferry.Group("allocs-" + order)
		serve(t, s.url(), newJournal(), group, ferry.Param("append.ordered", order))
		c := consume(t, s.url(), group)
		call := func() {
			_, err := c.Append(t.Context(), "key", "x")
			require.NoError(t, err)
		}
		call()
		const rounds, runs = 8, 500
		least := testing.AllocsPerRun(runs, call)
		for range rounds { // in the first ones buckets are still being claimed
			least = min(least, testing.AllocsPerRun(runs, call))
		}
		return least
	}
	const most = 18
	plain, ordered := per("false"), per("true")
	t.Logf("%v without an order, %v with one", plain, ordered)
	require.LessOrEqual(t, ordered-plain, float64(most))
}
