package lock

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/internal/zk"
	"github.com/ferryrpc/ferry/internal/zktest"
)

// servers are what the benchmarks run against. FERRY_BENCH_ENSEMBLE=1 adds an ensemble of three, which takes a while to start.
func servers(b *testing.B, run func(b *testing.B, addr string)) {
	b.Run("embedded", func(b *testing.B) { run(b, embedded(b).Addr()) })
	b.Run("single", func(b *testing.B) {
		addr := zktest.Start(b, zktest.Options{Sync: true}).Addr()
		warm(b, addr)
		run(b, addr)
	})
	if os.Getenv("FERRY_BENCH_ENSEMBLE") != "" {
		b.Run("ensemble", func(b *testing.B) {
			addr := zktest.StartEnsemble(b, zktest.Options{Sync: true}).Addr()
			warm(b, addr)
			run(b, addr)
		})
	}
}

// warm lets a server run until its virtual machine has compiled what the locks need: cold, it takes twice the time.
func warm(b *testing.B, addr string) {
	var wg sync.WaitGroup
	for range 8 {
		m := mutex(b, open(b, addr, 10*time.Second), newPath())
		wg.Go(func() {
			for end := time.Now().Add(4 * time.Second); time.Now().Before(end); {
				l, err := m.Lock(b.Context())
				if err == nil {
					err = l.Unlock(b.Context())
				}
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func report(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}

// BenchmarkCycle is a Lock and an Unlock that nobody else wants.
func BenchmarkCycle(b *testing.B) {
	servers(b, func(b *testing.B, addr string) {
		m := mutex(b, open(b, addr, 10*time.Second), newPath())
		unlock(b, locked(b, m))
		took := make([]time.Duration, 0, 1024)
		for b.Loop() {
			began := time.Now()
			l, err := m.Lock(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			if err := l.Unlock(b.Context()); err != nil {
				b.Fatal(err)
			}
			took = append(took, time.Since(began))
		}
		report(b, took)
	})
}

// BenchmarkHandOver is the time from an Unlock in one process until Lock returns in another one.
func BenchmarkHandOver(b *testing.B) {
	servers(b, func(b *testing.B, addr string) {
		path := newPath()
		sides := []*Mutex{mutex(b, open(b, addr, 10*time.Second), path), mutex(b, open(b, addr, 10*time.Second), path)}
		look := open(b, addr, 10*time.Second)
		l := locked(b, sides[0])
		took := make([]time.Duration, 0, 1024)
		for n := 1; b.Loop(); n++ {
			b.StopTimer()
			next := locking(b.Context(), sides[n%2].Lock)
			for names, err := look.zk.Children(b.Context(), path, nil); len(names) != 2; names, err = look.zk.Children(b.Context(), path, nil) {
				if err != nil {
					b.Fatal(err)
				}
			}
			b.StartTimer()
			began := time.Now()
			if err := l.Unlock(b.Context()); err != nil {
				b.Fatal(err)
			}
			r := <-next
			if r.err != nil {
				b.Fatal(r.err)
			}
			l = r.lease
			took = append(took, r.at.Sub(began))
		}
		unlock(b, l)
		report(b, took)
	})
}

// BenchmarkContended is one key that eight processes want all the time.
func BenchmarkContended(b *testing.B) {
	servers(b, func(b *testing.B, addr string) {
		path := newPath()
		var left atomic.Int64
		left.Store(int64(b.N))
		var mu sync.Mutex
		var took []time.Duration
		var wg sync.WaitGroup
		var keys []*Mutex
		for range 8 {
			m := mutex(b, open(b, addr, 10*time.Second), path)
			unlock(b, locked(b, m))
			keys = append(keys, m)
		}
		b.ResetTimer()
		for _, m := range keys {
			wg.Go(func() {
				for left.Add(-1) >= 0 {
					began := time.Now()
					l, err := m.Lock(b.Context())
					if err == nil {
						mu.Lock()
						took = append(took, time.Since(began))
						mu.Unlock()
						err = l.Unlock(b.Context())
					}
					if err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		report(b, took)
	})
}

// BenchmarkDrain is the time in which 500 waiters, each with a session of its own, pass the lock once.
func BenchmarkDrain(b *testing.B) {
	servers(b, func(b *testing.B, addr string) {
		path := newPath()
		clients := make([]*Client, 500)
		for i := range clients {
			clients[i] = open(b, addr, 30*time.Second)
		}
		look := open(b, addr, 30*time.Second)
		for b.Loop() {
			b.StopTimer()
			l := locked(b, mutex(b, look, path))
			var wg sync.WaitGroup
			for _, c := range clients {
				wg.Go(func() {
					l, err := mutex(b, c, path).Lock(b.Context())
					if err == nil {
						err = l.Unlock(b.Context())
					}
					if err != nil {
						b.Error(err)
					}
				})
			}
			require.Eventually(b, func() bool {
				names, err := look.zk.Children(b.Context(), path, nil)
				return err == nil && len(names) == len(clients)+1
			}, time.Minute, 20*time.Millisecond)
			b.StartTimer()
			unlock(b, l)
			wg.Wait()
		}
	})
}

// herdLock is the recipe of one ephemeral node that everybody waits for: each release wakes all. It is here to be compared
// with, and nowhere else: it is not fair, and its cost grows with the square of the waiters.
type herdLock struct {
	c    *Client
	path string
}

func (h herdLock) lock(ctx context.Context) error {
	for {
		gen, err := h.c.zk.Session(ctx)
		if err != nil {
			return err
		}
		_, err = h.c.zk.Create(ctx, zk.Node{Path: h.path, Session: gen})
		if !errors.Is(err, zk.ErrNodeExists) {
			return err
		}
		w, events := zk.WatchChan()
		_, found, err := h.c.zk.Exists(ctx, h.path, w)
		if err == nil && found {
			select {
			case <-events:
			case <-ctx.Done():
				err = context.Cause(ctx)
			}
		}
		w.Stop()
		if err != nil {
			return err
		}
	}
}

func (h herdLock) unlock(ctx context.Context) error { return h.c.zk.Delete(ctx, h.path, zk.AnyVersion) }

// BenchmarkDrainHerd is BenchmarkDrain with the herd's lock.
func BenchmarkDrainHerd(b *testing.B) {
	servers(b, func(b *testing.B, addr string) {
		path := "/herd"
		clients := make([]*Client, 500)
		for i := range clients {
			clients[i] = open(b, addr, 30*time.Second)
			if _, err := clients[i].zk.Session(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
		look := open(b, addr, 30*time.Second)
		for b.Loop() {
			b.StopTimer()
			require.NoError(b, herdLock{look, path}.lock(b.Context()))
			var wg sync.WaitGroup
			var begun atomic.Int32
			for _, c := range clients {
				wg.Go(func() {
					h := herdLock{c, path}
					begun.Add(1)
					err := h.lock(b.Context())
					if err == nil {
						err = h.unlock(b.Context())
					}
					if err != nil {
						b.Error(err)
					}
				})
			}
			for begun.Load() < int32(len(clients)) {
				time.Sleep(time.Millisecond)
			}
			time.Sleep(200 * time.Millisecond) // until nearly all of them watch
			b.StartTimer()
			require.NoError(b, herdLock{look, path}.unlock(b.Context()))
			wg.Wait()
		}
	})
}

// BenchmarkHeld is what it costs to ask a lease whether it holds.
func BenchmarkHeld(b *testing.B) {
	c := open(b, embedded(b).Addr(), 10*time.Second)
	l := locked(b, mutex(b, c, newPath()))
	for b.Loop() {
		if !l.Held() {
			b.Fatal("lost")
		}
	}
	require.NoError(b, l.Unlock(context.Background()))
}
