package ordered_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/internal/zktest"
	"github.com/ferryrpc/ferry/protocol"
)

var ferryInterface = protocol.Interface{Name: service}

func TestManyConsumersManyProviders(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		s := &sessions{address: z.Addr(), session: 5 * time.Second}
		j := newJournal()
		for range 3 {
			serve(t, s.url(), j)
		}
		var wg sync.WaitGroup
		const calls = 40
		for n := range 4 {
			c := consume(t, s.url())
			for g := range 4 {
				wg.Go(func() {
					for i := range calls {
						key := fmt.Sprint("account-", i%5)
						ctx, cancel := context.WithTimeout(t.Context(), patience)
						_, err := c.Append(ctx, key, fmt.Sprintf("%d-%d-%d", n, g, i))
						cancel()
						require.NoError(t, err)
					}
				})
			}
			text, err := c.Plain(t.Context(), "hello")
			require.NoError(t, err)
			require.Equal(t, "hello", text)
		}
		wg.Wait()
		j.requireOrder(t, false)
		total := 0
		for _, l := range j.events {
			total += len(l)
		}
		require.Equal(t, 4*4*calls, total)
	})
}
