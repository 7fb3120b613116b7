package ordered_test

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/coordination/ordered"
	"github.com/ferryrpc/ferry/internal/zktest"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/proxy"
	"github.com/ferryrpc/ferry/zkembed"
)

// A tally does nothing, so that what is measured is the ordering.
type tally struct{}

// Append returns at once.
func (tally) Append(_ context.Context, _, _ string) (int64, error) { return 1, nil }

// eachServer runs a benchmark with the embedded server and with a real one that writes through to its disk. FERRY_BENCH_ENSEMBLE=1 adds
// an ensemble of three.
func eachServer(b *testing.B, run func(b *testing.B, address string)) {
	b.Run("embedded", func(b *testing.B) {
		z, err := zkembed.Start(zkembed.Options{})
		require.NoError(b, err)
		defer z.Close()
		run(b, z.Addr())
	})
	b.Run("real", func(b *testing.B) { run(b, zktest.Start(b, zktest.Options{Sync: true}).Addr()) })
	if os.Getenv("FERRY_BENCH_ENSEMBLE") != "" {
		b.Run("ensemble", func(b *testing.B) { run(b, zktest.StartEnsemble(b, zktest.Options{Sync: true}).Addr()) })
	}
}

// BenchmarkCalls compares ordered calls with the same calls without an order and with a lock for each, from 64 callers over one
// connection. It is meant for a fixed number of operations: one is a single call of the ways that go through ZooKeeper, and 40
// calls of those that do not, so that all of them are measured for about as long.
func BenchmarkCalls(b *testing.B) {
	const fast = 40
	eachServer(b, func(b *testing.B, address string) {
		for _, keys := range []int{1, 1000} {
			for _, how := range []struct {
				name, ordered, store string
				times                int
			}{{"unordered", "false", "memory", fast}, {"ordered", "true", "memory", fast}, {"lock", "lock", "memory", 1}, {"ordered-zookeeper", "true", "zookeeper", 1}} {
				b.Run(fmt.Sprintf("%s/keys=%d", how.name, keys), func(b *testing.B) { calls(b, address, how.ordered, how.store, keys, b.N*how.times) })
			}
		}
	})
}

func calls(b *testing.B, address, order, store string, keys, n int) {
	registry := fmt.Sprintf("zookeeper://%s?session=30000", address)
	group := ferry.Group(fmt.Sprint("g", time.Now().UnixNano()))
	s := ferry.NewServer(registry, ferry.Host("127.0.0.1"), group, ferry.Param("append.ordered", order), ferry.Param("append.ordered.key", "0"), ferry.Param("ordered.store", store))
	defer s.Close(ended())
	require.NoError(b, s.ExportValue(service, tally{}))
	c := ferry.NewClient(registry, group, ferry.Timeout(30*time.Second))
	defer c.Close()
	ref, err := c.Refer(&protocol.Interface{Name: service}, ferry.Param("check.timeout", "30000"))
	require.NoError(b, err)
	var stub struct {
		Append func(ctx context.Context, key, caller string) (int64, error)
	}
	require.NoError(b, proxy.Fill(ref, service, &stub))
	names := make([]string, keys)
	for i := range names {
		names[i] = fmt.Sprint("account-", i)
		_, err := stub.Append(b.Context(), names[i], "")
		require.NoError(b, err)
	}
	const callers = 64
	var left atomic.Int64
	var failed atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	left.Store(int64(n))
	for range callers {
		wg.Go(func() {
			for n := left.Add(-1); n >= 0; n = left.Add(-1) {
				if _, err := stub.Append(context.Background(), names[int(n)%keys], "x"); err != nil {
					failed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer() // closing is no part of the calls
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "calls/s")
	require.Zero(b, failed.Load())
}

// BenchmarkTakeOver measures how long all buckets of a provider take to get another owner when its session ends.
func BenchmarkTakeOver(b *testing.B) {
	eachServer(b, func(b *testing.B, address string) {
		for range b.N {
			took, err := ordered.TakeOver(address)
			require.NoError(b, err)
			b.ReportMetric(float64(took.Milliseconds()), "ms/1024-buckets")
		}
	})
}

// BenchmarkOwnerKilled measures the longest call of 200 keys when one of two provider processes is killed, beyond the time of its
// session.
func BenchmarkOwnerKilled(b *testing.B) {
	const session = 2 * time.Second
	eachServer(b, func(b *testing.B, address string) {
		for range b.N {
			j := newJournal()
			bs := ferry.NewServer("", ferry.Host("127.0.0.1"))
			require.NoError(b, bs.ExportValue(bookService, book{j}))
			bookURL := "dubbo://" + bs.URLs()[0].Address()
			registry := fmt.Sprintf("zookeeper://%s?session=%d", address, session.Milliseconds())
			one, two := startChild(b, registry, bookURL, "memory"), startChild(b, registry, bookURL, "memory")
			c := consume(b, (&sessions{address: address, session: 10 * time.Second}).url())
			all := func() (longest time.Duration) {
				var wg sync.WaitGroup
				var mu sync.Mutex
				for i := range 200 {
					wg.Go(func() {
						began := time.Now()
						_, err := c.Append(context.Background(), fmt.Sprint("key", i), "x")
						mu.Lock()
						defer mu.Unlock()
						longest = max(longest, time.Since(began))
						if err != nil {
							b.Error(err)
						}
					})
				}
				wg.Wait()
				return longest
			}
			all()
			one.signal(b, syscall.SIGKILL)
			b.ReportMetric(float64((all() - session).Milliseconds()), "ms-beyond-session")
			one.end()
			two.end()
			require.NoError(b, c.Close())
			require.NoError(b, bs.Close(ended()))
		}
	})
}
