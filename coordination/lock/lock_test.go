package lock

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/internal/zk"
	"github.com/ferryrpc/ferry/internal/zktest"
	"github.com/ferryrpc/ferry/zkembed"
)

var real zktest.Shared

func TestMain(m *testing.M) {
	if spec := os.Getenv(workerEnv); spec != "" {
		if err := runWorker(spec); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue && runtime.GOMAXPROCS(0) < sleepers {
		if err := flag.Set("test.parallel", strconv.Itoa(sleepers)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	real.Main(m)
}

// sleepers is how many parallel tests run at least, on however few cores: they wait for sessions to end and servers to come back
// nearly all of their time.
const sleepers = 4

var paths atomic.Int64

// newPath returns a path that no other test uses.
func newPath() string { return fmt.Sprintf("/locks/p%d", paths.Add(1)) }

func embedded(t testing.TB) *zkembed.Server {
	t.Helper()
	z, err := zkembed.Start(zkembed.Options{Tick: 50 * time.Millisecond, Reap: 50 * time.Millisecond})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, z.Close()) })
	return z
}

func open(t testing.TB, addr string, session time.Duration) *Client {
	t.Helper()
	c, err := Open(extension.Env{}, fmt.Sprintf("zookeeper://%s?session=%d", addr, session.Milliseconds()))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

func mutex(t testing.TB, c *Client, path string) *Mutex {
	t.Helper()
	m, err := c.Mutex(path, Options{})
	require.NoError(t, err)
	return m
}

func locked(t testing.TB, l Locker) *Lease {
	t.Helper()
	lease, err := l.Lock(within(t, 10*time.Second))
	require.NoError(t, err)
	require.True(t, lease.Held())
	return lease
}

func unlock(t testing.TB, l *Lease) {
	t.Helper()
	require.NoError(t, l.Unlock(within(t, 20*time.Second))) // a client may wait before it dials a server again
}

// A try is what a Lock that runs beside the test returned.
type try struct {
	lease *Lease
	err   error
	at    time.Time
}

func locking(ctx context.Context, lock func(context.Context) (*Lease, error)) <-chan try {
	ch := make(chan try, 1)
	go func() {
		l, err := lock(ctx)
		ch <- try{l, err, time.Now()}
	}()
	return ch
}

func got(t testing.TB, ch <-chan try) *Lease {
	t.Helper()
	select {
	case r := <-ch:
		require.NoError(t, r.err)
		return r.lease
	case <-time.After(10 * time.Second):
		require.Fail(t, "the lock was not granted")
		return nil
	}
}

// line waits until n nodes contend at a path.
func line(t testing.TB, c *Client, path string, n int) []string {
	t.Helper()
	var names []string
	require.Eventually(t, func() bool {
		var err error
		names, err = c.zk.Children(within(t, 5*time.Second), path, nil)
		return len(names) == n && (err == nil || n == 0 && errors.Is(err, zk.ErrNoNode))
	}, 5*time.Second, 2*time.Millisecond, "%d nodes wanted below %s", n, path)
	return names
}

// faulty makes one fault of each of the next n requests of that kind under the path.
func faulty(z *zkembed.Server, op zkembed.Op, under string, n int32, f zkembed.Fault) *atomic.Int32 {
	left := new(atomic.Int32)
	left.Store(n)
	z.Intercept(func(r zkembed.Request) zkembed.Fault {
		if r.Op == op && strings.HasPrefix(r.Path, under) && left.Add(-1) >= 0 {
			return f
		}
		return zkembed.Fault{}
	})
	return left
}

func TestBadInput(t *testing.T) {
	for _, bad := range []string{"127.0.0.1:2181", "http://127.0.0.1", "zookeeper://127.0.0.1/a//b", "zookeeper://h:x", "zookeeper://h?session=-1",
		"zookeeper://h?incarnation=abc", "zookeeper://h?session=soon", "zookeeper://h/../x"} {
		_, err := Open(extension.Env{}, bad)
		require.Error(t, err, bad)
		require.ErrorContains(t, err, "lock: open: ", bad)
	}
	c := open(t, "127.0.0.1:1", time.Second)
	for path, why := range map[string]string{
		"orders/1": "relative", "": "relative", "/": "empty part", "/a/": "empty part", "/a//b": "empty part", "/a/../b": `part ".."`,
		"/a\x00b": "characters", "/" + strings.Repeat("k", maxPath): "limit is 1024", "/zookeeper/x": "belongs to ZooKeeper",
		"/a/_c_0b4bd4b2-15dc-4d17-9a6c-7b2c9b6dd0f1-lock-0000000007/b":    "a node of another lock",
		"/a/_c_0b4bd4b2-15dc-4d17-9a6c-7b2c9b6dd0f1-__READ__0000000007/b": "a node of another lock",
	} {
		_, err := c.Mutex(path, Options{})
		require.ErrorIs(t, err, ErrPath, path)
		require.ErrorContains(t, err, why, path)
		_, err = c.RWMutex(path, Options{})
		require.ErrorIs(t, err, ErrPath, path)
		_, err = c.Semaphore(path, 1, Options{})
		require.ErrorIs(t, err, ErrPath, path)
	}
	_, err := c.Semaphore("/s", -1, Options{})
	require.ErrorIs(t, err, ErrLimit)
	s, err := c.Semaphore("/s", 1, Options{})
	require.NoError(t, err)
	_, err = s.AcquireN(t.Context(), 0)
	require.ErrorIs(t, err, ErrLimit)

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = mutex(t, c, "/orders").Lock(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "lock: acquire /orders: ")
	require.ErrorContains(t, err, "127.0.0.1:1", "it says which servers are away")
}

func TestLockBelowAnEphemeralNode(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		c := open(t, z.Addr(), 5*time.Second)
		gen, err := c.zk.Session(within(t, 5*time.Second))
		require.NoError(t, err)
		path := newPath()
		_, err = c.zk.Create(within(t, 5*time.Second), zk.Node{Path: path, Session: gen, Parents: true})
		require.NoError(t, err)
		_, err = mutex(t, c, path+"/below").Lock(within(t, 5*time.Second))
		require.ErrorIs(t, err, ErrPath)
	})
}

func TestClientsShareTheProcessesSession(t *testing.T) {
	t.Parallel()
	z := embedded(t)
	e := extension.Env{Shared: &extension.Shared{}}
	one, err := Open(e, "zookeeper://"+z.Addr())
	require.NoError(t, err)
	two, err := Open(e, "zookeeper://"+z.Addr()+"/app")
	require.NoError(t, err)
	require.Same(t, one.zk, two.zk)
	a, b := locked(t, mutex(t, one, "/a")), locked(t, mutex(t, two, "/a"))
	require.True(t, strings.HasPrefix(b.Path(), "/app/a/"), "the URL's path is a prefix")
	require.Len(t, z.Sessions(), 1)

	// A closed client frees its locks although the session lives on.
	require.NoError(t, one.Close())
	require.ErrorIs(t, context.Cause(a.Context()), ErrClosed)
	require.ErrorIs(t, a.Unlock(t.Context()), ErrLost)
	require.True(t, b.Held())
	third := open(t, z.Addr(), 5*time.Second)
	unlock(t, locked(t, mutex(t, third, "/a")))
	_, err = mutex(t, one, "/a").Lock(t.Context())
	require.ErrorIs(t, err, ErrClosed)
	require.NoError(t, one.Close(), "twice is once")
	require.NoError(t, two.Close())
	line(t, third, "/app/a", 0)
}

func TestCloseEndsWaitingAndFreesWhatIsHeld(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		path := newPath()
		a, b := open(t, z.Addr(), 10*time.Second), open(t, z.Addr(), 10*time.Second)
		held := locked(t, mutex(t, a, path))
		waiting := locking(t.Context(), mutex(t, b, path).Lock)
		line(t, a, path, 2)
		require.NoError(t, b.Close())
		r := <-waiting
		require.ErrorIs(t, r.err, ErrClosed)
		line(t, a, path, 1)
		require.NoError(t, a.Close())
		require.ErrorIs(t, context.Cause(held.Context()), ErrClosed)
		c := open(t, z.Addr(), 10*time.Second)
		unlock(t, locked(t, mutex(t, c, path)))
	})
}

// Whoever gives up while no server can be reached leaves nothing that is made when one comes back.
func TestGivingUpWhileDisconnected(t *testing.T) {
	t.Parallel()
	z := embedded(t)
	c := open(t, z.Addr(), 5*time.Second)
	m := mutex(t, c, newPath())
	unlock(t, locked(t, m))
	var creates atomic.Int32
	z.Intercept(func(r zkembed.Request) zkembed.Fault {
		if r.Op == zkembed.OpCreate {
			creates.Add(1)
		}
		return zkembed.Fault{}
	})
	z.Stop()
	for c.zk.Status().Connected {
		<-c.zk.Changed()
	}
	for range 10 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		_, err := m.TryLock(ctx)
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, z.Addr())
	}
	require.NoError(t, z.Restart(true))
	unlock(t, locked(t, m))
	require.LessOrEqual(t, creates.Load(), int32(2), "ours, and another one if the container was gone")
}
