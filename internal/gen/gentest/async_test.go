package gentest_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/internal/gen/gentest"
)

// TestAsync: the asynchronous client makes the same calls, with copies of the arguments, over any implementation.
func TestAsync(t *testing.T) {
	each(t, func(t *testing.T, shop gentest.Shop, impl *keeper, _ *loopback) {
		for name, a := range map[string]gentest.ShopAsync{"client": gentest.AsyncShop(shop), "implementation": gentest.AsyncShop(impl)} {
			t.Run(name, func(t *testing.T) {
				want, err := shop.Greet(t.Context(), "ann")
				require.NoError(t, err)
				got, err := a.Greet(t.Context(), "ann").Wait(t.Context())
				require.NoError(t, err)
				require.Equal(t, want, got)

				ids := []int64{1, 2, 3}
				f := a.CancelAll(t.Context(), ids)
				clear(ids)
				n, err := f.Wait(t.Context())
				require.NoError(t, err)
				require.Equal(t, 3, n)
				_, err = a.Ping(t.Context()).Wait(context.Background())
				require.NoError(t, err)
			})
		}
	})
}
