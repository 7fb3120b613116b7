package lock

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/internal/zk"
	"github.com/ferryrpc/ferry/internal/zktest"
	"github.com/ferryrpc/ferry/registry/zookeeper"
	"github.com/ferryrpc/ferry/url"
	"github.com/ferryrpc/ferry/zkembed"
)

// Cases of Curator's own tests that no other test here has; docs/coordination.md says which is which.

func gone(t *testing.T, c *Client, path string) {
	t.Helper()
	require.Eventually(t, func() bool {
		_, found, err := c.zk.Exists(t.Context(), path, nil)
		return err == nil && !found
	}, 10*time.Second, 5*time.Millisecond, "%s stays", path)
}

// Ten workers lock and unlock, and the servers take the container away; so it is with a container that is taken away under
// those who come.
func TestContainersGo(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		c := open(t, z.Addr(), 10*time.Second)
		path := newPath()
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				l, err := mutex(t, c, path).Lock(t.Context())
				if err == nil {
					err = l.Unlock(t.Context())
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		gone(t, c, path)
	})
}

func TestRevocation(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		one, two := open(t, z.Addr(), 10*time.Second), open(t, z.Addr(), 10*time.Second)
		path := newPath()
		held := locked(t, mutex(t, one, path))
		waiting := locking(t.Context(), mutex(t, two, path).Lock)
		line(t, two, path, 2)
		people, err := mutex(t, two, path).Participants(t.Context())
		require.NoError(t, err)
		_, err = two.zk.Set(t.Context(), people[0].Path, []byte("a note"), zk.AnyVersion)
		require.NoError(t, err)
		require.NoError(t, two.Revoke(t.Context(), people[0].Path))
		<-held.Revoked()
		require.True(t, held.Held(), "it is asked, not taken")
		require.NoError(t, two.Revoke(t.Context(), people[1].Path)) // one who waits is told when he has it
		unlock(t, held)
		next := got(t, waiting)
		<-next.Revoked()
		unlock(t, next)
		require.Error(t, two.Revoke(t.Context(), next.Path()), "nobody is there")
		for _, bad := range []string{"", "/", path, path + "/x", "relative/_c_x-lock-0000000001"} {
			require.ErrorIs(t, two.Revoke(t.Context(), bad), ErrPath, bad)
		}
	})
}

// The server goes away and the session with it while the line is read: the error says that no server was reached, and what
// cleans up behind it does not hide that.
func TestServerDiesUnderTheListing(t *testing.T) {
	t.Parallel()
	z := embedded(t)
	c := open(t, z.Addr(), time.Second)
	m := mutex(t, c, newPath())
	unlock(t, locked(t, m))
	z.Intercept(func(r zkembed.Request) (f zkembed.Fault) {
		if f.DropBefore = r.Op == zkembed.OpGetChildren2; f.DropBefore {
			go z.Stop()
		}
		return f
	})
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	_, err := m.Lock(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorIs(t, err, zk.ErrDisconnected)
	require.ErrorContains(t, err, "lock: acquire "+m.Path())
	require.ErrorContains(t, err, z.Addr())
	z.Intercept(nil)
	require.NoError(t, z.Restart(true))
	unlock(t, locked(t, m))
	line(t, c, m.Path(), 0)
}

// With a user in the URL, nodes and containers are his alone.
func TestNodesAreTheirMakersAlone(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		ours, err := Open(extension.Env{}, "zookeeper://me:secret@"+z.Addr())
		require.NoError(t, err)
		defer ours.Close()
		stranger := open(t, z.Addr(), 10*time.Second)
		path := newPath() + "-private"
		held := locked(t, mutex(t, ours, path))
		ctx := within(t, 10*time.Second)
		require.ErrorIs(t, stranger.zk.Delete(ctx, held.Path(), zk.AnyVersion), zk.ErrNoAuth)
		_, err = stranger.zk.Children(ctx, path, nil)
		require.ErrorIs(t, err, zk.ErrNoAuth)
		_, err = mutex(t, stranger, path).Lock(ctx)
		require.ErrorIs(t, err, zk.ErrNoAuth)
		unlock(t, held)
	})
}

func TestTwentyReadersAndEightWriters(t *testing.T) {
	t.Parallel()
	z := embedded(t)
	c := open(t, z.Addr(), 10*time.Second)
	path := newPath()
	data := []byte("as given")
	m, err := c.RWMutex(path, Options{Data: data})
	require.NoError(t, err)
	copy(data, "changed ")
	var readers []*Lease
	for range 20 {
		readers = append(readers, locked(t, m.Reader()))
	}
	var writers []<-chan try
	for range 8 {
		writers = append(writers, locking(t.Context(), rwmutex(t, open(t, z.Addr(), 10*time.Second), path).Lock))
	}
	line(t, c, path, 28)
	people, err := m.Participants(t.Context())
	require.NoError(t, err)
	counts := map[string]int{}
	for _, p := range people {
		counts[fmt.Sprintf("shared=%v holds=%v", p.Shared, p.Holds)]++
	}
	require.Equal(t, map[string]int{"shared=true holds=true": 20, "shared=false holds=false": 8}, counts)
	require.Equal(t, "as given", string(people[0].Data), "the bytes at construction")
	for _, l := range readers {
		unlock(t, l)
	}
	granted := make(chan *Lease, len(writers)) // they came at once, in no order
	for _, w := range writers {
		go func() { r := <-w; granted <- r.lease }()
	}
	for range writers {
		unlock(t, <-granted)
	}
	line(t, c, path, 0)
}

// A hundred workers take leases of eleven in random numbers and give them back one by one: never more than eleven are out. Then
// eleven are taken one by one, and there is no twelfth.
func TestLeasesInChunks(t *testing.T) {
	t.Parallel()
	z := embedded(t)
	const limit = 11
	path := newPath()
	clients := make([]*Client, 10)
	for i := range clients {
		clients[i] = open(t, z.Addr(), 20*time.Second)
	}
	var out, most atomic.Int64
	var wg sync.WaitGroup
	for i := range 100 {
		s := semaphore(t, clients[i%len(clients)], path, limit)
		wg.Go(func() {
			leases, err := s.AcquireN(t.Context(), 1+rand.N(4))
			if err != nil {
				t.Error(err)
				return
			}
			now := out.Add(int64(len(leases)))
			for old := most.Load(); now > old && !most.CompareAndSwap(old, now); old = most.Load() {
			}
			for _, l := range leases {
				out.Add(-1)
				if err := l.Unlock(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	require.LessOrEqual(t, most.Load(), int64(limit))
	var all []*Lease
	for i := range limit {
		all = append(all, locked(t, acquirer{semaphore(t, clients[i%len(clients)], path, limit)}))
	}
	_, err := semaphore(t, clients[0], path, limit).TryAcquire(t.Context())
	require.ErrorIs(t, err, ErrHeld)
	require.NoError(t, unlockAll(t.Context(), all))
	gone(t, clients[0], path)
}

// A waiter whose node in the gate is deleted makes another one; one whose client is closed gives its leases back.
func TestSemaphoreLeavesNoOrphans(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		one, two := open(t, z.Addr(), 10*time.Second), open(t, z.Addr(), 10*time.Second)
		path := newPath()
		_, err := semaphore(t, one, path, 2).AcquireN(within(t, 10*time.Second), 2)
		require.NoError(t, err)
		waiting := locking(t.Context(), semaphore(t, two, path, 2).Acquire)
		first := line(t, two, path+"/locks", 1)[0]
		require.NoError(t, two.zk.Delete(t.Context(), path+"/locks/"+first, zk.AnyVersion))
		require.Eventually(t, func() bool {
			names, err := two.zk.Children(t.Context(), path+"/locks", nil)
			return err == nil && len(names) == 1 && names[0] != first
		}, 5*time.Second, time.Millisecond)
		require.NoError(t, one.Close())
		unlock(t, got(t, waiting))
		line(t, two, path+"/leases", 0)
		line(t, two, path+"/locks", 0)
		gone(t, two, path)
	})
}

// A barrier that waits for a server says so when its time is over, and its node outlives the process that made it.
func TestBarrierOverACrash(t *testing.T) {
	t.Parallel()
	real.Both(t, func(t *testing.T, z zktest.Target) {
		path := newPath()
		setter := open(t, z.Addr(), time.Second)
		set, err := setter.Barrier(path)
		require.NoError(t, err)
		require.NoError(t, set.Set(t.Context()))
		require.NoError(t, setter.Close())
		c := open(t, z.Addr(), 2*time.Second)
		b, err := c.Barrier(path)
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		waiting := make(chan error, 1)
		go func() { waiting <- b.Wait(ctx) }()
		_, err = c.zk.Session(t.Context())
		require.NoError(t, err)
		z.Stop(t)
		require.ErrorIs(t, <-waiting, context.DeadlineExceeded)
		z.Start(t, true)
		require.NoError(t, b.Remove(within(t, 10*time.Second)))
		require.NoError(t, b.Wait(within(t, 10*time.Second)))
	})
}

// Registry, locks and whoever else has the same Shared are one session at the servers.
func TestRegistryAndLocksShareASession(t *testing.T) {
	t.Parallel()
	z := embedded(t)
	e := extension.Env{Shared: &extension.Shared{}}
	r, err := zookeeper.New(e, url.MustParse("zookeeper://"+z.Addr()+"?cache=false"))
	require.NoError(t, err)
	c, err := Open(e, "zookeeper://"+z.Addr())
	require.NoError(t, err)
	l := locked(t, mutex(t, c, newPath()))
	require.Len(t, z.Sessions(), 1)
	require.NoError(t, r.Close())
	require.True(t, l.Held(), "the session lives as long as one of them")
	unlock(t, l)
	require.NoError(t, c.Close())
	require.Empty(t, z.Sessions())
}
