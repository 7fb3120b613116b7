package zk

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/internal/zktest"
)

func TestSessionSurvivesCuts(t *testing.T) {
	both(t, func(t *testing.T, addr string) {
		c, d := openDialer(t, addr, 1500*time.Millisecond)
		ctx := within(t, 30*time.Second)
		gen := session(t, c)
		_, err := c.Create(ctx, Node{Path: "/cuts/own", Session: gen, Parents: true})
		require.NoError(t, err)

		stop := make(chan struct{})
		var wg sync.WaitGroup
		for i := range 4 { // reads and watches under way at every cut, which is when the library's own race would show
			wg.Go(func() {
				w := NewWatch(func(Event) {})
				defer w.Stop()
				for n := 0; ; n++ {
					select {
					case <-stop:
						return
					default:
					}
					_, err := c.Children(ctx, "/cuts", w)
					require.NoError(t, err)
					_, _, err = c.Exists(ctx, fmt.Sprintf("/cuts/none-%d-%d", i, n%50), w)
					require.NoError(t, err)
				}
			})
		}
		for range 6 {
			d.cut()
			_, _, err := c.Exists(ctx, "/cuts/own", nil)
			require.NoError(t, err)
		}
		close(stop)
		wg.Wait()
		require.True(t, gen.Alive())
		require.Same(t, gen, session(t, c))
		stat, found, err := c.Exists(ctx, "/cuts/own", nil)
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, gen.ID(), stat.Owner)
	})
}

func TestReconnectionIsQuick(t *testing.T) {
	both(t, func(t *testing.T, addr string) {
		c, d := openDialer(t, addr, 3*time.Second)
		session(t, c)
		d.cut()
		began := time.Now()
		_, _, err := c.Exists(within(t, 5*time.Second), "/", nil)
		require.NoError(t, err)
		require.Less(t, time.Since(began), 900*time.Millisecond, "the library alone sleeps a second")
	})
}

func TestExpiredSessionEndsItsGeneration(t *testing.T) {
	both(t, func(t *testing.T, addr string) {
		c, d := openDialer(t, addr, 3*time.Second)
		ctx := within(t, 20*time.Second)
		gen := session(t, c)
		_, err := c.Create(ctx, Node{Path: "/expiry", Session: gen})
		require.NoError(t, err)
		d.expire(t, addr)
		waitDone(t, gen.Context(), 5*time.Second)
		require.ErrorIs(t, context.Cause(gen.Context()), ErrSessionEnded)
		require.False(t, gen.Alive())

		_, err = c.Create(ctx, Node{Path: "/crossing", Session: gen})
		require.ErrorIs(t, err, ErrSessionEnded, "a request crossed into the next session")
		next := session(t, c)
		require.NotEqual(t, gen.ID(), next.ID())
		for _, path := range []string{"/expiry", "/crossing"} {
			_, found, err := c.Exists(ctx, path, nil)
			require.NoError(t, err)
			require.False(t, found, path)
		}
	})
}

// A request that waits for a connection while its session ends at the server must not be carried out by the next one.
func TestWaitingRequestDoesNotCrossSessions(t *testing.T) {
	both(t, func(t *testing.T, addr string) {
		c, d := openDialer(t, addr, 4*time.Second)
		gen := session(t, c)
		d.setMute(true)
		d.cut()
		require.Eventually(t, func() bool { return !c.Status().Connected }, 5*time.Second, time.Millisecond)
		done := make(chan error, 1)
		go func() {
			_, err := c.Create(within(t, 20*time.Second), Node{Path: "/waiting", Session: gen})
			done <- err
		}()
		d.expire(t, addr)
		d.setMute(false)
		require.ErrorIs(t, <-done, ErrSessionEnded)
		session(t, c)
		_, found, err := c.Exists(within(t, 5*time.Second), "/waiting", nil)
		require.NoError(t, err)
		require.False(t, found)
	})
}

// In a process that was stopped the timer that ends a generation is late: its context has not ended, and yet nothing may be sent in it.
func TestGenerationOfAFrozenProcess(t *testing.T) {
	t.Parallel()
	c := open(t, Config{Addresses: []string{embedded(t).Addr()}, SessionTimeout: time.Minute})
	gen := session(t, c)
	c.ahead.Add(-int64(2 * time.Minute)) // the process stood still for that long; the watchdog looks every five seconds
	require.False(t, gen.Alive())
	_, err := c.Create(within(t, time.Second), Node{Path: "/late", Session: gen})
	require.ErrorIs(t, err, ErrSessionEnded)
	_, found, err := c.Exists(within(t, 10*time.Second), "/late", nil)
	require.NoError(t, err)
	require.False(t, found)
	require.Equal(t, gen.ID(), session(t, c).ID(), "the session lived, and that answer has proved it")
}

func TestLeaseEndsBeforeTheServerLetsGo(t *testing.T) {
	both(t, func(t *testing.T, addr string) {
		c, d := openDialer(t, addr, time.Second)
		other := open(t, Config{Addresses: []string{addr}})
		ctx := within(t, 20*time.Second)
		gen := session(t, c)
		_, err := c.Create(ctx, Node{Path: "/lease", Session: gen})
		require.NoError(t, err)
		w, events := WatchChan()
		_, found, err := other.Exists(ctx, "/lease", w)
		require.NoError(t, err)
		require.True(t, found)

		d.setMute(true) // also every later connection
		ended := make(chan time.Time, 1)
		go func() { <-gen.Context().Done(); ended <- time.Now() }()
		require.Equal(t, Deleted, waitEvent(t, events).Type)
		gone := time.Now()
		select {
		case at := <-ended:
			require.True(t, at.Before(gone))
			t.Logf("the lease ended %v before the node was deleted", gone.Sub(at))
		default:
			require.Fail(t, "the generation outlived its node")
		}
		require.ErrorIs(t, context.Cause(gen.Context()), errLease)
		d.setMute(false)
		require.NotEqual(t, gen.ID(), session(t, c).ID())
	})
}

func TestSilenceShorterThanTheSessionGivesANewGenerationOfTheSameSession(t *testing.T) {
	t.Parallel()
	server := zktest.Start(t, zktest.Options{})
	c, _ := openDialer(t, server.Addr(), time.Second)
	ctx := within(t, 20*time.Second)
	gen := session(t, c)
	_, err := c.Create(ctx, Node{Path: "/frozen", Session: gen})
	require.NoError(t, err)
	thaw := server.Freeze(t)
	waitDone(t, gen.Context(), 5*time.Second)
	thaw()
	next := session(t, c)
	require.NotSame(t, gen, next)
	if next.ID() == gen.ID() { // the server had no tick between waking and our reconnection
		_, found, err := c.Exists(ctx, "/frozen", nil)
		require.NoError(t, err)
		require.True(t, found)
	}
	require.False(t, gen.Alive())
}

func TestRestartedServer(t *testing.T) {
	t.Parallel()
	server := zktest.Start(t, zktest.Options{Sync: true})
	c, _ := openDialer(t, server.Addr(), 3*time.Second)
	ctx := within(t, 60*time.Second)
	gen := session(t, c)
	_, err := c.Create(ctx, Node{Path: "/kept", Session: gen})
	require.NoError(t, err)

	server.Kill(t)
	server.Start(t, true)
	stat, found, err := c.Exists(ctx, "/kept", nil)
	require.NoError(t, err)
	require.True(t, found, "with its data, the server knows the session")
	require.Equal(t, gen.ID(), stat.Owner)

	server.Kill(t)
	server.Start(t, false)
	began := time.Now()
	_, found, err = c.Exists(ctx, "/kept", nil)
	require.NoError(t, err)
	require.False(t, found)
	require.Less(t, time.Since(began), 5*time.Second, "without data, the library alone is refused for ever")
	waitDone(t, gen.Context(), time.Second)
	require.ErrorIs(t, context.Cause(gen.Context()), ErrSessionEnded)
	_, err = c.Create(ctx, Node{Path: "/new", Session: session(t, c)})
	require.NoError(t, err)
}

func TestSilentServerDoesNotEatTheSession(t *testing.T) {
	deaf, err := net.Listen("tcp", "127.0.0.1:0") // accepts by its backlog, never answers
	require.NoError(t, err)
	defer deaf.Close()
	d := &dialer{}
	c := open(t, Config{Addresses: []string{deaf.Addr().String(), real.Server(t).Addr()}, SessionTimeout: 3 * time.Second, Dial: d.dial})
	gen := session(t, c)
	for range 3 { // whatever order the addresses are in
		d.cut()
		_, _, err := c.Exists(within(t, 5*time.Second), "/", nil)
		require.NoError(t, err)
	}
	require.Same(t, gen, session(t, c))
}

func TestAbandonedEphemeralCreateIsTakenBack(t *testing.T) {
	both(t, func(t *testing.T, addr string) {
		c, d := openDialer(t, addr, 10*time.Second)
		other := open(t, Config{Addresses: []string{addr}})
		gen := session(t, c)
		w, events := WatchChan()
		_, found, err := other.Exists(within(t, 5*time.Second), "/abandoned", w)
		require.NoError(t, err)
		require.False(t, found)

		release := d.holdReplies()
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() {
			_, err := c.Create(ctx, Node{Path: "/abandoned", Session: gen})
			done <- err
		}()
		require.Equal(t, Created, waitEvent(t, events).Type)
		_, found, err = other.Exists(within(t, 5*time.Second), "/abandoned", w)
		require.NoError(t, err)
		require.True(t, found)
		cancel()
		err = <-done
		require.ErrorIs(t, err, ErrAbandoned)
		require.ErrorIs(t, err, context.Canceled)
		release()
		require.Equal(t, Deleted, waitEvent(t, events).Type)
	})
}

func TestCloseEndsTheSessionAtOnce(t *testing.T) {
	both(t, func(t *testing.T, addr string) {
		c, err := Open(Config{Addresses: []string{addr}})
		require.NoError(t, err)
		other := open(t, Config{Addresses: []string{addr}})
		ctx := within(t, 10*time.Second)
		gen := session(t, c)
		_, err = c.Create(ctx, Node{Path: "/closing", Session: gen})
		require.NoError(t, err)
		w, events := WatchChan()
		_, _, err = other.Exists(ctx, "/closing", w)
		require.NoError(t, err)
		require.NoError(t, c.Close())
		require.Equal(t, Deleted, waitEvent(t, events).Type)
		waitDone(t, gen.Context(), time.Second)
		_, _, err = c.Exists(ctx, "/", nil)
		require.ErrorIs(t, err, ErrClosed)
		_, err = c.Session(ctx)
		require.ErrorIs(t, err, ErrClosed)
	})
}

func TestEnsembleMemberDies(t *testing.T) {
	t.Parallel()
	e := zktest.StartEnsemble(t, zktest.Options{})
	c := open(t, Config{Addresses: splitAddresses(e.Addr()), SessionTimeout: 4 * time.Second})
	ctx := within(t, 30*time.Second)
	gen := session(t, c)
	_, err := c.Create(ctx, Node{Path: "/member", Session: gen})
	require.NoError(t, err)
	e.Leader(t).Kill(t)
	for { // writes may be lost until there is a new leader
		if _, err = c.Set(ctx, "/member", []byte("x"), AnyVersion); err == nil {
			break
		}
		require.NoError(t, ctx.Err())
		require.ErrorIs(t, err, ErrConnectionLost)
	}
	stat, found, err := c.Exists(ctx, "/member", nil)
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, gen.ID(), stat.Owner)
	require.Same(t, gen, session(t, c))
}
