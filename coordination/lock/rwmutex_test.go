package lock

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/internal/zktest"
	"github.com/ferryrpc/ferry/zkembed"
)

func rwmutex(t testing.TB, c *Client, path string) *RWMutex {
	t.Helper()
	m, err := c.RWMutex(path, Options{})
	require.NoError(t, err)
	return m
}

func TestReadersAndWriters(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		path := newPath()
		var readers, writers, most atomic.Int64
		var wg sync.WaitGroup
		for range 4 {
			c := open(t, z.Addr(), 10*time.Second)
			for range 2 {
				wg.Go(func() {
					m := rwmutex(t, c, path)
					for range 10 {
						if rand.N(4) == 0 {
							l, err := m.Lock(t.Context())
							if err != nil || writers.Add(1) != 1 || readers.Load() != 0 {
								t.Error("a writer is not alone", err)
								return
							}
							writers.Add(-1)
							_ = l.Unlock(t.Context())
							continue
						}
						l, err := m.RLock(t.Context())
						n := readers.Add(1)
						if err != nil || writers.Load() != 0 {
							t.Error("a reader with a writer", err)
							return
						}
						most.Store(max(most.Load(), n))
						readers.Add(-1)
						_ = l.Unlock(t.Context())
					}
				})
			}
		}
		wg.Wait()
		c := open(t, z.Addr(), 10*time.Second)
		line(t, c, path, 0)

		// Readers hold it together, writers wait, and a reader that comes after a writer waits for that.
		m := rwmutex(t, c, path)
		var held []*Lease
		for range 5 {
			held = append(held, locked(t, m.Reader()))
		}
		other := rwmutex(t, open(t, z.Addr(), 10*time.Second), path)
		write := locking(t.Context(), other.Lock)
		line(t, c, path, 6)
		_, err := m.TryRLock(within(t, 5*time.Second))
		require.ErrorIs(t, err, ErrHeld)
		people, err := m.Participants(t.Context())
		require.NoError(t, err)
		holders := 0
		for _, p := range people {
			require.Equal(t, p.Shared, p.Holds)
			if p.Holds {
				holders++
			}
		}
		require.Equal(t, 5, holders)
		for _, l := range held {
			unlock(t, l)
		}
		unlock(t, got(t, write))
		_, err = mutexBehind(t, c, path)
		require.ErrorIs(t, err, ErrHeld)
	})
}

// mutexBehind tries a plain Mutex on the path of an RWMutex that has a reader.
func mutexBehind(t *testing.T, c *Client, path string) (*Lease, error) {
	l := locked(t, rwmutex(t, c, path).Reader())
	defer unlock(t, l)
	return mutex(t, c, path).TryLock(within(t, 5*time.Second))
}

func TestDowngrade(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		one, two := open(t, z.Addr(), 10*time.Second), open(t, z.Addr(), 10*time.Second)
		path := newPath()
		m, other := rwmutex(t, one, path), rwmutex(t, two, path)
		ctx := WithOwner(within(t, 10*time.Second), "me")
		write, err := m.Lock(ctx)
		require.NoError(t, err)
		second := locking(t.Context(), other.Lock) // a writer that came before the downgrade
		line(t, one, path, 2)
		_, err = m.TryRLock(WithOwner(within(t, 5*time.Second), "somebody else"))
		require.ErrorIs(t, err, ErrHeld)
		read, err := m.RLock(ctx)
		require.NoError(t, err)
		again, err := m.RLock(ctx)
		require.NoError(t, err)
		require.Equal(t, write.Fence(), read.Fence(), "a reader's own number would be above that of the writer who comes next")
		line(t, one, path, 3)
		unlock(t, write)
		select {
		case <-second:
			require.Fail(t, "the writer got in between")
		case <-time.After(100 * time.Millisecond):
		}
		_, err = m.Lock(ctx)
		require.ErrorIs(t, err, ErrUpgrade)
		unlock(t, again)
		require.True(t, read.Held())
		unlock(t, read)
		next := got(t, second)
		require.Greater(t, next.Fence().Token, read.Fence().Token)
		unlock(t, next)
		line(t, one, path, 0)
	})
}

func TestDowngradeUnderFaults(t *testing.T) {
	t.Parallel()
	z := embedded(t)
	other := open(t, z.Addr(), 10*time.Second)
	for name, f := range map[string]zkembed.Fault{"request": {DropBefore: true}, "reply": {DropAfter: true}, "session": {Expire: true}} {
		t.Run(name, func(t *testing.T) {
			c := open(t, z.Addr(), time.Second)
			m := rwmutex(t, c, newPath())
			ctx := WithOwner(within(t, 10*time.Second), "me")
			write, err := m.Lock(ctx)
			require.NoError(t, err)
			left := faulty(z, zkembed.OpMulti, m.path, 2, f)
			read, err := m.RLock(ctx)
			require.Less(t, left.Load(), int32(2))
			if f.Expire {
				require.ErrorIs(t, err, ErrLost)
				require.ErrorIs(t, write.Unlock(ctx), ErrLost)
			} else {
				require.NoError(t, err)
				unlock(t, write)
				_, err = rwmutex(t, other, m.path).TryLock(within(t, 5*time.Second))
				require.ErrorIs(t, err, ErrHeld)
				unlock(t, read)
			}
			z.Intercept(nil)
			line(t, other, m.path, 0)
		})
	}
}

func TestWriterIsKilled(t *testing.T) {
	t.Parallel()
	z := embedded(t)
	one, two := open(t, z.Addr(), 5*time.Second), open(t, z.Addr(), 5*time.Second)
	path := newPath()
	write := locked(t, rwmutex(t, one, path))
	read := locking(t.Context(), rwmutex(t, two, path).RLock)
	line(t, two, path, 2)
	require.True(t, z.Expire(one.zk.Status().Session))
	l := got(t, read)
	_, found, err := two.zk.Exists(t.Context(), write.Path(), nil)
	require.NoError(t, err)
	require.False(t, found)
	require.ErrorIs(t, write.Unlock(t.Context()), ErrLost)
	unlock(t, l)
}

func TestValuesOfTheContextStay(t *testing.T) {
	t.Parallel()
	z := embedded(t)
	c := open(t, z.Addr(), 5*time.Second)
	ctx, cancel := context.WithCancel(WithOwner(t.Context(), "me"))
	l, err := mutex(t, c, newPath()).Lock(ctx)
	require.NoError(t, err)
	cancel()
	require.NoError(t, l.Context().Err(), "the context of Lock bounds the waiting, not the lease")
	require.Equal(t, Owner("me"), ownerOf(l.Context()))
	require.NoError(t, l.Unlock(t.Context()))
}

func TestUnlockWithAContextThatIsOver(t *testing.T) {
	t.Parallel()
	z := embedded(t)
	c := open(t, z.Addr(), 5*time.Second)
	m := mutex(t, c, newPath())
	for range 20 {
		l := locked(t, m)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := l.Unlock(ctx); err != nil { // it may have been quicker
			require.ErrorIs(t, err, context.Canceled)
			require.NotErrorIs(t, err, ErrLost)
		}
	}
	line(t, c, m.path, 0)
}
