package lock

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/internal/zk"
	"github.com/ferryrpc/ferry/internal/zktest"
)

// exclusive are the locks that have one holder at a time.
func exclusive(t testing.TB, c *Client, path string) map[string]Locker {
	rw, err := c.RWMutex(path+"w", Options{})
	require.NoError(t, err)
	s, err := c.Semaphore(path+"s", 1, Options{})
	require.NoError(t, err)
	return map[string]Locker{"mutex": mutex(t, c, path+"m"), "write": rw, "semaphore": acquirer{s}}
}

type acquirer struct{ *Semaphore }

func (a acquirer) Lock(ctx context.Context) (*Lease, error)    { return a.Acquire(ctx) }
func (a acquirer) TryLock(ctx context.Context) (*Lease, error) { return a.TryAcquire(ctx) }

func TestExclusiveLocks(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		path := newPath()
		one, two := open(t, z.Addr(), 10*time.Second), open(t, z.Addr(), 10*time.Second)
		others := exclusive(t, two, path)
		for name, a := range exclusive(t, one, path) {
			b := others[name]
			t.Run(name, func(t *testing.T) {
				first := locked(t, a)
				for _, l := range []Locker{a, b} { // the same process and another one
					_, err := l.(interface {
						TryLock(context.Context) (*Lease, error)
					}).TryLock(within(t, 5*time.Second))
					require.ErrorIs(t, err, ErrHeld)
					ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
					_, err = l.Lock(ctx)
					cancel()
					require.ErrorIs(t, err, context.DeadlineExceeded)
				}
				second := locking(t.Context(), b.Lock)
				require.True(t, first.Held())
				unlock(t, first)
				unlock(t, first) // again is the same
				require.False(t, first.Held())
				require.ErrorIs(t, context.Cause(first.Context()), ErrReleased)
				next := got(t, second)
				require.Greater(t, next.Fence().Token, first.Fence().Token)
				require.Equal(t, next.Fence().Incarnation, first.Fence().Incarnation)
				require.NotZero(t, next.Fence().Incarnation)
				unlock(t, next)
				for _, p := range []string{"m", "w", "s/locks", "s/leases", "s"} {
					line(t, one, path+p, 0) // nothing is left, in the end not even the containers
				}
			})
		}
	})
}

// Ten workers of one process and ten of another never hold a lock together, and each gets it.
func TestWorkersTakeTurns(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		path := newPath()
		one, two := open(t, z.Addr(), 10*time.Second), open(t, z.Addr(), 10*time.Second)
		for name := range exclusive(t, one, path) {
			var inside, rounds, most atomic.Int64
			var wg sync.WaitGroup
			for i := range 20 {
				l := exclusive(t, []*Client{one, two}[i%2], path)[name]
				wg.Go(func() {
					for range 3 {
						lease, err := l.Lock(t.Context())
						if err != nil || inside.Add(1) != 1 || !lease.Held() {
							t.Error("not alone", err)
							return
						}
						if names, err := one.zk.Children(t.Context(), path+"m", nil); err == nil {
							most.Store(max(most.Load(), int64(len(names))))
						}
						inside.Add(-1)
						rounds.Add(1)
						if err := lease.Unlock(t.Context()); err != nil {
							t.Error(err)
						}
					}
				})
			}
			wg.Wait()
			require.EqualValues(t, 60, rounds.Load(), name)
			if name == "mutex" {
				require.LessOrEqual(t, most.Load(), int64(4), "a process has one holder and one contender")
			}
		}
	})
}

func TestKilledSession(t *testing.T) {
	t.Parallel()
	z := embedded(t)
	c := open(t, z.Addr(), 2*time.Second)
	for name, l := range exclusive(t, c, newPath()) {
		t.Run(name, func(t *testing.T) {
			held := locked(t, l)
			waiting := locking(t.Context(), l.Lock) // of the same client
			require.True(t, z.Expire(c.zk.Status().Session))
			next := got(t, waiting)
			require.False(t, held.Held())
			require.ErrorIs(t, context.Cause(held.Context()), ErrLost)
			require.ErrorIs(t, held.Unlock(t.Context()), ErrLost)
			require.ErrorIs(t, held.Unlock(t.Context()), ErrLost, "every time")
			require.True(t, next.Held(), "unlocking a lost lease leaves others alone")
			unlock(t, next)
			unlock(t, locked(t, l)) // the lock works as before
		})
	}
}

// The server goes away while one holds, one stands in the gate of a semaphore and others wait; when it is back all get
// their turn.
func TestServerRestartsInASection(t *testing.T) {
	t.Parallel()
	real.Both(t, func(t *testing.T, z zktest.Target) {
		path := newPath()
		const session = 20 * time.Second // a real server needs its time to start
		one, two, look := open(t, z.Addr(), session), open(t, z.Addr(), session), open(t, z.Addr(), session)
		held := locked(t, mutex(t, one, path))
		waiting := locking(t.Context(), mutex(t, two, path).Lock)
		line(t, look, path, 2)
		permit := locked(t, acquirer{semaphore(t, look, path+"s", 1)})
		var acquiring sync.WaitGroup
		for i := range 3 {
			acquiring.Go(func() {
				l, err := semaphore(t, []*Client{one, two}[i%2], path+"s", 1).Acquire(t.Context())
				if err == nil {
					err = l.Unlock(t.Context())
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		require.Eventually(t, func() bool { // one is in the gate, and the other process contends
			names, err := look.zk.Children(t.Context(), path+"s/locks", nil)
			return err == nil && len(names) >= 2
		}, 5*time.Second, time.Millisecond)
		z.Stop(t)
		require.True(t, held.Held(), "an outage shorter than the lease is survived")
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		_, err := mutex(t, one, path).TryLock(ctx)
		require.Error(t, err)
		z.Start(t, true)
		unlock(t, held)
		unlock(t, got(t, waiting))
		unlock(t, permit)
		acquiring.Wait()
		line(t, look, path, 0)
		line(t, look, path+"s/leases", 0)
	})
}

func TestReentryByOwner(t *testing.T) {
	t.Parallel()
	z := embedded(t)
	c := open(t, z.Addr(), 5*time.Second)
	path := newPath()
	m := mutex(t, c, path)
	owner := NewOwner()
	ctx := WithOwner(within(t, 10*time.Second), owner)
	var leases []*Lease
	for range 3 {
		l, err := mutex(t, c, path).Lock(ctx) // of another Mutex value: the path counts
		require.NoError(t, err)
		leases = append(leases, l)
	}
	inner, err := m.LockFor(leases[0].Context(), owner)
	require.NoError(t, err)
	leases = append(leases, inner)
	tried, err := m.TryLock(ctx)
	require.NoError(t, err)
	leases = append(leases, tried)
	line(t, c, path, 1)

	_, err = m.TryLock(within(t, time.Second))
	require.ErrorIs(t, err, ErrHeld)
	_, err = m.TryLock(WithOwner(within(t, time.Second), NewOwner()))
	require.ErrorIs(t, err, ErrHeld)
	for i := len(leases) - 1; i >= 0; i-- { // free after the outermost
		require.True(t, leases[i].Held())
		require.Equal(t, leases[0].Fence(), leases[i].Fence())
		_, err = m.TryLock(within(t, time.Second))
		require.ErrorIs(t, err, ErrHeld)
		unlock(t, leases[i])
		require.False(t, leases[i].Held())
	}
	line(t, c, path, 0)

	// Two goroutines of one owner that wait behind each other get in together, whoever else stands between them.
	stranger := locked(t, m)
	first := locking(ctx, m.Lock)
	line(t, c, path, 2)
	between := locking(t.Context(), m.Lock)
	second := locking(ctx, m.Lock)
	q := c.queues[path]
	require.Eventually(t, func() bool { q.mu.Lock(); defer q.mu.Unlock(); return len(q.waiting) == 2 }, time.Second, time.Millisecond)
	unlock(t, stranger)
	a, b := got(t, first), got(t, second)
	unlock(t, a)
	require.True(t, b.Held())
	unlock(t, b)
	unlock(t, got(t, between))

	// An owner whose outer lease is lost is told so, instead of waiting for himself.
	outer, err := m.Lock(ctx)
	require.NoError(t, err)
	require.True(t, z.Expire(c.zk.Status().Session))
	<-outer.Context().Done()
	_, err = m.Lock(ctx)
	require.ErrorIs(t, err, ErrLost)
	require.ErrorIs(t, outer.Unlock(ctx), ErrLost)
	again, err := m.Lock(ctx)
	require.NoError(t, err)
	unlock(t, again)
	require.Empty(t, c.queues)
	require.Empty(t, c.holds)
}

func TestNodesOfOthersQueueWithOurs(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		c, curator := open(t, z.Addr(), 10*time.Second), open(t, z.Addr(), 10*time.Second)
		ctx := within(t, 10*time.Second)
		path := newPath()
		gen, err := curator.zk.Session(ctx)
		require.NoError(t, err)
		_, err = curator.zk.Create(ctx, zk.Node{Path: path + "/notes", Parents: true}) // foreign children do not matter
		require.NoError(t, err)
		theirs, err := curator.zk.Create(ctx, zk.Node{Path: path + "/_c_7f3f9d5b-94a7-4a4f-8a9b-1f1e6a6bb9a5-lock-", Session: gen, Sequence: true})
		require.NoError(t, err)
		_, err = mutex(t, c, path).TryLock(ctx)
		require.ErrorIs(t, err, ErrHeld)
		waiting := locking(ctx, mutex(t, c, path).Lock)
		line(t, c, path, 3)
		require.NoError(t, curator.zk.Delete(ctx, theirs, zk.AnyVersion))
		ours := got(t, waiting)
		next, err := curator.zk.Create(ctx, zk.Node{Path: path + "/_c_7f3f9d5b-94a7-4a4f-8a9b-1f1e6a6bb9a5-lock-", Session: gen, Sequence: true})
		require.NoError(t, err)
		require.Greater(t, next, theirs)
		people, err := mutex(t, c, path).Participants(ctx)
		require.NoError(t, err)
		require.Len(t, people, 2)
		require.Equal(t, Participant{Path: ours.Path(), Token: ours.Fence().Token, Holds: true}, people[0])
		require.Equal(t, next, people[1].Path)
		require.False(t, people[1].Holds)
		unlock(t, ours)
	})
}
