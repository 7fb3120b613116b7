package ferry_test

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/benchmarks/echo"
)

// open starts a provider and a consumer of it in this process.
func open(tb testing.TB, options ...ferry.Option) echo.Echo {
	s := ferry.NewServer("memory://"+tb.Name(), options...)
	require.NoError(tb, echo.ExportEcho(s, echo.Server{}))
	tb.Cleanup(func() { _ = s.Close(context.Background()) })
	c := ferry.NewClient(s.Registry)
	tb.Cleanup(func() { _ = c.Close() })
	e, err := echo.ReferEcho(c)
	require.NoError(tb, err)
	return e
}

// BenchmarkCall is a typed call with every layer, both sides in this process, over one loopback connection.
func BenchmarkCall(b *testing.B) {
	for _, serialization := range []string{"hessian2", "msgpack", "json"} {
		for _, callers := range []int{1, 64, 512} {
			b.Run(serialization+"/"+strconv.Itoa(callers), func(b *testing.B) {
				e := open(b, ferry.Serialization(serialization))
				b.ReportAllocs()
				b.ResetTimer()
				var left atomic.Int64
				left.Store(int64(b.N))
				var wg sync.WaitGroup
				for range callers {
					wg.Go(func() {
						m := &echo.Message{ID: 7, Name: "a message", Payload: make([]byte, 128)}
						for left.Add(-1) >= 0 {
							if _, err := e.Echo(context.Background(), m); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				wg.Wait()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
			})
		}
	}
}
