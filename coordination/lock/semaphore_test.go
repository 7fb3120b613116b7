package lock

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/internal/zk"
	"github.com/ferryrpc/ferry/internal/zktest"
	"github.com/ferryrpc/ferry/zkembed"
)

func semaphore(t testing.TB, c *Client, path string, limit int) *Semaphore {
	t.Helper()
	s, err := c.Semaphore(path, limit, Options{})
	require.NoError(t, err)
	return s
}

func TestSemaphore(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		one, two := open(t, z.Addr(), 10*time.Second), open(t, z.Addr(), 10*time.Second)
		path := newPath()
		s, other := semaphore(t, one, path, 3), semaphore(t, two, path, 3)
		bundle, err := s.AcquireN(within(t, 5*time.Second), 2)
		require.NoError(t, err)
		third, err := other.Acquire(within(t, 5*time.Second))
		require.NoError(t, err)
		require.NotEqual(t, third.Fence(), bundle[0].Fence())
		_, err = other.TryAcquire(within(t, 5*time.Second))
		require.ErrorIs(t, err, ErrHeld)
		waiting := locking(t.Context(), other.Acquire)
		line(t, one, path+"/locks", 1)
		unlock(t, bundle[1]) // whichever comes back wakes the one at the gate
		fourth := got(t, waiting)
		n, err := s.Holders(t.Context())
		require.NoError(t, err)
		require.Equal(t, 3, n)

		// The bundle does not fit, and those behind it wait although they would.
		unlock(t, fourth)
		ctx, cancel := context.WithCancel(t.Context())
		big := locking(ctx, func(ctx context.Context) (*Lease, error) { return single(s.AcquireN(ctx, 3)) })
		line(t, one, path+"/locks", 1)
		small := locking(t.Context(), other.Acquire)
		line(t, one, path+"/locks", 2)
		cancel()
		require.ErrorIs(t, (<-big).err, context.Canceled)
		unlock(t, got(t, small))

		_, err = s.AcquireN(within(t, 5*time.Second), 4)
		require.ErrorIs(t, err, ErrLimit)
		_, err = semaphore(t, two, path, 4).Acquire(within(t, 5*time.Second))
		require.ErrorIs(t, err, ErrLimit)
		require.ErrorContains(t, err, "it is 3, wanted is 4")
		for _, l := range []*Lease{bundle[0], third} {
			unlock(t, l)
		}
		line(t, one, path+"/leases", 0)
		line(t, one, path+"/locks", 0)
		require.Eventually(t, func() bool { // containers go when nobody uses them
			_, found, err := one.zk.Exists(t.Context(), path, nil)
			return err == nil && !found
		}, 5*time.Second, 5*time.Millisecond)
		limit, err := s.Limit(t.Context())
		require.NoError(t, err)
		require.Zero(t, limit)
		_, err = semaphore(t, two, path, 0).Acquire(within(t, 5*time.Second))
		require.ErrorIs(t, err, ErrLimit, "nobody has set one")
		got, err := s.Acquire(within(t, 5*time.Second)) // the node that the last one left empty gets the limit
		require.NoError(t, err)
		unlock(t, got)
	})
}

func TestRaisedLimitWakesAWaiter(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		one, two := open(t, z.Addr(), 10*time.Second), open(t, z.Addr(), 10*time.Second)
		path := newPath()
		s, other := semaphore(t, one, path, 0), semaphore(t, two, path, 0)
		require.ErrorIs(t, s.SetLimit(t.Context(), 0), ErrLimit)
		require.NoError(t, s.SetLimit(t.Context(), 1))
		first, err := s.Acquire(within(t, 5*time.Second))
		require.NoError(t, err)
		waiting := locking(t.Context(), other.Acquire)
		line(t, one, path+"/locks", 1)
		require.NoError(t, s.SetLimit(t.Context(), 2))
		second := got(t, waiting)
		limit, err := other.Limit(t.Context())
		require.NoError(t, err)
		require.Equal(t, 2, limit)
		unlock(t, first)
		unlock(t, second)
	})
}

func TestRandomBundles(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		path := newPath()
		const limit = 5
		var out, most atomic.Int64
		var wg sync.WaitGroup
		for range 4 {
			s := semaphore(t, open(t, z.Addr(), 10*time.Second), path, limit)
			wg.Go(func() {
				for range 10 {
					n := 1 + rand.N(limit)
					leases, err := s.AcquireN(t.Context(), n)
					if err != nil {
						t.Error(err)
						return
					}
					now := out.Add(int64(n))
					most.Store(max(most.Load(), now))
					out.Add(-int64(n))
					if err := unlockAll(t.Context(), leases); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		require.LessOrEqual(t, most.Load(), int64(limit))
		line(t, open(t, z.Addr(), 5*time.Second), path+"/leases", 0)
	})
}

func TestSemaphoreUnderFaults(t *testing.T) {
	t.Parallel()
	z := embedded(t)
	other := open(t, z.Addr(), 10*time.Second)
	for name, f := range map[string]zkembed.Fault{"request": {DropBefore: true}, "reply": {DropAfter: true}, "session": {Expire: true}, "reaped": {Code: zkembed.NoNode}} {
		for opName, op := range map[string]zkembed.Op{"take": zkembed.OpMulti, "look": zkembed.OpExists, "list": zkembed.OpGetChildren2, "limit": zkembed.OpGetData, "delete": zkembed.OpDelete} {
			if f.Code == zkembed.NoNode && op != zkembed.OpGetData && op != zkembed.OpGetChildren2 {
				continue
			}
			t.Run(opName+"/"+name, func(t *testing.T) {
				c := open(t, z.Addr(), time.Second)
				s := semaphore(t, c, newPath(), 2)
				l, err := s.Acquire(within(t, 5*time.Second))
				require.NoError(t, err)
				under := s.path
				left := faulty(z, op, under, 2, f)
				two, err := s.Acquire(within(t, 5*time.Second))
				require.NoError(t, err)
				require.Less(t, left.Load(), int32(2))
				z.Intercept(nil)
				for _, l := range []*Lease{l, two} {
					if err := l.Unlock(within(t, 5*time.Second)); !f.Expire {
						require.NoError(t, err)
					}
				}
				line(t, other, s.path+"/leases", 0)
				line(t, other, s.path+"/locks", 0)
			})
		}
	}
}

func TestSemaphoreFreesWhatIsLost(t *testing.T) {
	t.Parallel()
	z := embedded(t)
	one, two := open(t, z.Addr(), 2*time.Second), open(t, z.Addr(), 5*time.Second)
	path := newPath()
	s, other := semaphore(t, one, path, 2), semaphore(t, two, path, 2)
	both, err := s.AcquireN(within(t, 5*time.Second), 2)
	require.NoError(t, err)
	waiting := locking(t.Context(), other.Acquire)
	line(t, two, path+"/locks", 1)
	require.NoError(t, two.zk.Delete(t.Context(), both[0].Path(), zk.AnyVersion)) // by an operator
	first := got(t, waiting)
	<-both[0].Context().Done()
	require.True(t, both[1].Held())
	waiting = locking(t.Context(), other.Acquire)
	line(t, two, path+"/locks", 1)
	require.True(t, z.Expire(one.zk.Status().Session))
	second := got(t, waiting)
	require.ErrorIs(t, both[1].Unlock(t.Context()), ErrLost)
	unlock(t, first)
	unlock(t, second)
}
