//go:build !race

package guard

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/benchmarks/echo"
	"github.com/ferryrpc/ferry/zkembed"
)

// TestGuardRollingRestartAtRate replaces three providers, found through ZooKeeper, one after the other under 20,000 calls per
// second and more. The calls are not idempotent and nobody set retries, so that one that is lost cannot be hidden by a repeat.
func TestGuardRollingRestartAtRate(t *testing.T) {
	const providers, least, between = 3, 20_000, 500 * time.Millisecond
	zk, err := zkembed.Start(zkembed.Options{})
	require.NoError(t, err)
	defer zk.Close()
	registry := "zookeeper://" + zk.Addr() + "?cache=false"
	start := func() *ferry.Server {
		s := ferry.NewServer(registry)
		require.NoError(t, echo.ExportEcho(s, echo.Server{}))
		return s
	}
	servers := make([]*ferry.Server, providers)
	for i := range servers {
		servers[i] = start()
	}
	c := ferry.NewClient(registry, ferry.Timeout(10*time.Second))
	defer c.Close()
	ref, err := c.Refer(echo.EchoService)
	require.NoError(t, err)
	e := echo.NewEcho(ref)
	known := func(s *ferry.Server) bool {
		for _, p := range ref.Directory().Providers() {
			if p.Available && p.Address == s.URLs()[0].Address() {
				return true
			}
		}
		return false
	}
	require.Eventually(t, func() bool { return known(servers[0]) && known(servers[1]) && known(servers[2]) }, 10*time.Second, time.Millisecond)

	var calls, failed atomic.Int64
	var first atomic.Pointer[error]
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	begun := time.Now()
	for range callers {
		wg.Go(func() {
			m := &echo.Message{ID: 7, Name: "a message", Payload: make([]byte, size)}
			for ctx.Err() == nil {
				if _, err := e.Echo(context.Background(), m); err != nil {
					failed.Add(1)
					first.CompareAndSwap(nil, &err)
				}
				calls.Add(1)
			}
		})
	}
	for i := range servers {
		time.Sleep(between) // full load on all of them
		next := start()
		require.Eventually(t, func() bool { return known(next) }, 10*time.Second, time.Millisecond)
		require.NoError(t, servers[i].Close(context.Background()))
		servers[i] = next
	}
	time.Sleep(between)
	elapsed := time.Since(begun)
	stop()
	wg.Wait()
	for _, s := range servers {
		require.NoError(t, s.Close(context.Background()))
	}
	rate := float64(calls.Load()) / elapsed.Seconds()
	t.Logf("%d calls, %.0f calls/s, %d failed", calls.Load(), rate, failed.Load())
	if err := first.Load(); err != nil {
		t.Error("the first failure:", *err)
	}
	require.Zero(t, failed.Load())
	require.GreaterOrEqual(t, rate, float64(least))
}
