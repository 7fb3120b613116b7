package lock

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/internal/zktest"
)

// Twelve clients pass one permit around while the servers of an ensemble are killed one after another; then the whole ensemble
// goes away and comes back with its data, and once more without: one holder at most before, none while it is away, one after.
func TestEnsembleUnderASemaphore(t *testing.T) {
	t.Parallel()
	e := zktest.StartEnsemble(t, zktest.Options{})
	path := newPath()
	var passed atomic.Int64
	var last atomic.Pointer[Lease]
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 12 {
		s := semaphore(t, open(t, e.Addr(), 2*time.Second), path, 1)
		wg.Go(func() {
			for ctx.Err() == nil {
				l, err := s.Acquire(ctx)
				if err != nil {
					continue
				}
				if p := last.Swap(l); p != nil && p.Held() && l.Held() {
					t.Error("two are inside")
				}
				passed.Add(1)
				pause(l.Context(), time.Millisecond)
				_ = l.Unlock(ctx)
			}
		})
	}
	goesOn := func(why string) {
		t.Helper()
		before := passed.Load()
		require.Eventually(t, func() bool { return passed.Load() >= before+5 }, 30*time.Second, 5*time.Millisecond, why)
	}
	goesOn("at the start")
	for _, s := range e.Servers {
		s.Kill(t)
		goesOn("one server is dead")
		s.Start(t, true)
	}
	goesOn("all servers are back")
	cancel()
	wg.Wait()

	c, other := open(t, e.Addr(), 2*time.Second), open(t, e.Addr(), 2*time.Second)
	for _, keep := range []bool{true, false} {
		held := locked(t, mutex(t, c, path+"m"))
		waiting := locking(t.Context(), mutex(t, other, path+"m").Lock)
		line(t, c, path+"m", 2)
		e.Stop(t)
		<-held.Context().Done()
		require.ErrorIs(t, context.Cause(held.Context()), ErrLost)
		require.Empty(t, waiting)
		e.Start(t, keep)
		if err := held.Unlock(within(t, 10*time.Second)); !errors.Is(err, ErrLost) {
			require.Fail(t, "it was lost", "%v", err)
		}
		next := got(t, waiting)
		require.NotEqual(t, keep, next.Fence().Incarnation != held.Fence().Incarnation)
		unlock(t, next)
		line(t, c, path+"m", 0)
	}
}
