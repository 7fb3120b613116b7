package zk

import (
	"context"
	"errors"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/zkembed"
)

func embedded(t testing.TB) *zkembed.Server {
	t.Helper()
	z, err := zkembed.Start(zkembed.Options{Tick: 50 * time.Millisecond})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, z.Close()) })
	return z
}

// once makes one fault of the next request of that kind.
func once(z *zkembed.Server, op zkembed.Op, f zkembed.Fault) (hit *atomic.Bool) {
	hit = new(atomic.Bool)
	z.Intercept(func(r zkembed.Request) zkembed.Fault {
		if r.Op == op && hit.CompareAndSwap(false, true) {
			return f
		}
		return zkembed.Fault{}
	})
	return hit
}

func TestLostReplyOfAWriteIsNotRepeated(t *testing.T) {
	z := embedded(t)
	c, _ := openDialer(t, z.Addr(), 2*time.Second)
	ctx := within(t, 10*time.Second)
	_, err := c.Create(ctx, Node{Path: "/n"})
	require.NoError(t, err)
	hit := once(z, zkembed.OpSetData, zkembed.Fault{DropAfter: true})
	_, err = c.Set(ctx, "/n", []byte("x"), AnyVersion)
	require.ErrorIs(t, err, ErrConnectionLost)
	require.True(t, hit.Load())
	_, stat, err := c.Get(ctx, "/n", nil)
	require.NoError(t, err)
	require.EqualValues(t, 1, stat.Version, "carried out once")
}

func TestLostReplyOfAReadIsRepeated(t *testing.T) {
	z := embedded(t)
	c, _ := openDialer(t, z.Addr(), 2*time.Second)
	ctx := within(t, 10*time.Second)
	gen := session(t, c)
	hit := once(z, zkembed.OpGetChildren2, zkembed.Fault{DropBefore: true})
	w, events := WatchChan()
	_, err := c.Children(ctx, "/", w)
	require.NoError(t, err)
	require.True(t, hit.Load())
	_, err = c.Create(ctx, Node{Path: "/child"})
	require.NoError(t, err)
	require.Equal(t, ChildrenChanged, waitEvent(t, events).Type, "the watch is on the connection of the second try")
	require.Same(t, gen, session(t, c))
}

func TestSessionThatEndsUnderARequest(t *testing.T) {
	z := embedded(t)
	c, _ := openDialer(t, z.Addr(), 2*time.Second)
	gen := session(t, c)
	once(z, zkembed.OpCreate, zkembed.Fault{Expire: true})
	_, err := c.Create(within(t, 10*time.Second), Node{Path: "/gone", Session: gen})
	require.ErrorIs(t, err, ErrConnectionLost)
	waitDone(t, gen.Context(), 5*time.Second)
	next := session(t, c)
	require.NotEqual(t, gen.ID(), next.ID())
	_, found, err := c.Exists(within(t, 5*time.Second), "/gone", nil)
	require.NoError(t, err)
	require.False(t, found)
}

func TestDeafServerIsLeftAfterAThirdOfTheSession(t *testing.T) {
	t.Parallel()
	z := embedded(t)
	second, err := z.Listen("127.0.0.1:0")
	require.NoError(t, err)
	d := &dialer{}
	c := open(t, Config{Addresses: []string{z.Addr(), second.Addr()}, SessionTimeout: 2 * time.Second, Dial: d.dial})
	gen := session(t, c)
	second.Deaf(true)
	for range 2 {
		d.cut()
		_, _, err := c.Exists(within(t, 5*time.Second), "/", nil)
		require.NoError(t, err)
	}
	require.True(t, gen.Alive())
}

// A full server hangs up without a word, as one does that has lost our history. Our session must live through that.
func TestFullServerDoesNotCostTheSession(t *testing.T) {
	t.Parallel()
	z, err := zkembed.Start(zkembed.Options{MaxConns: 1})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, z.Close()) })
	c := open(t, Config{Addresses: []string{z.Addr()}, SessionTimeout: 20 * time.Second})
	gen := session(t, c)
	_, err = c.Create(within(t, 5*time.Second), Node{Path: "/mine", Session: gen})
	require.NoError(t, err)

	full := func() net.Conn { // takes the only place before the client comes back
		z.Cut()
		conn, err := net.Dial("tcp", z.Addr())
		require.NoError(t, err)
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(100*time.Millisecond)))
		if _, err = conn.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
			return conn
		}
		require.NoError(t, conn.Close())
		return nil
	}
	conn := full()
	for conn == nil {
		conn = full()
	}
	for refused := 0; refused < refusedRounds+1; {
		changed := c.Changed()
		select {
		case <-changed:
			if errors.Is(c.Status().Err, errRefused) {
				refused++
			}
		case <-gen.Context().Done():
			require.Fail(t, "the session is gone", "%v", context.Cause(gen.Context()))
		}
	}
	require.NoError(t, conn.Close())
	_, found, err := c.Exists(within(t, 5*time.Second), "/mine", nil)
	require.NoError(t, err)
	require.True(t, found)
	require.Same(t, gen, session(t, c))
}

func TestManyClientsComeBackOneByOne(t *testing.T) {
	t.Parallel()
	z := embedded(t)
	const n = 100
	clients := make([]*Client, n)
	for i := range clients {
		clients[i] = open(t, Config{Addresses: []string{z.Addr()}, SessionTimeout: 10 * time.Second})
	}
	for _, c := range clients {
		session(t, c)
	}
	cut := time.Now()
	z.Cut()
	var early atomic.Int64
	for _, c := range clients {
		require.NoError(t, c.Sync(within(t, 10*time.Second), "/"))
		if time.Since(cut) < 100*time.Millisecond {
			early.Add(1)
		}
	}
	require.Greater(t, time.Since(cut), 150*time.Millisecond, "spread over a thirtieth of the session")
	require.Less(t, early.Load(), int64(n/2))
}

func TestSweepDeletesWhatIsOursWhenTheServerIsBack(t *testing.T) {
	z := embedded(t)
	c, other := open(t, Config{Addresses: []string{z.Addr()}, SessionTimeout: 5 * time.Second}), open(t, Config{Addresses: []string{z.Addr()}})
	ctx := within(t, 20*time.Second)
	gen := session(t, c)
	for path, g := range map[string]*Generation{"/ours": gen, "/theirs": session(t, other)} {
		_, err := c.Create(ctx, Node{Path: "/persistent" + path, Parents: true})
		require.NoError(t, err)
		_, err = g.c.Create(ctx, Node{Path: path, Session: g})
		require.NoError(t, err)
	}
	z.Stop()
	for _, path := range []string{"/ours", "/theirs", "/persistent/ours", "/none"} {
		c.Sweep(path, gen.ID())
	}
	require.NoError(t, z.Restart(true))
	require.Eventually(t, func() bool {
		_, found, err := other.Exists(ctx, "/ours", nil)
		return err == nil && !found
	}, 10*time.Second, time.Millisecond)
	for _, path := range []string{"/theirs", "/persistent/ours"} {
		_, found, err := other.Exists(ctx, path, nil)
		require.NoError(t, err)
		require.True(t, found, path)
	}
	require.True(t, gen.Alive())
}

func TestAliveAllocatesNothing(t *testing.T) {
	gen := session(t, open(t, Config{Addresses: []string{embedded(t).Addr()}}))
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if !gen.Alive() {
			t.Fail()
		}
	}))
}

// Requests that are under way when the client is closed must not keep the session from being closed at the servers: its
// ephemeral nodes would stay until it expires.
func TestCloseUnderLoadEndsTheSession(t *testing.T) {
	z := embedded(t)
	for range 30 {
		c, err := Open(Config{Addresses: []string{z.Addr()}, SessionTimeout: 30 * time.Second})
		require.NoError(t, err)
		gen := session(t, c)
		ctx, cancel := context.WithCancel(t.Context())
		for range 4 {
			go func() {
				for ctx.Err() == nil {
					_, _, _ = c.Exists(ctx, "/", nil) // fails when the client is closed
				}
			}()
		}
		_, err = c.Create(within(t, 5*time.Second), Node{Path: "/mine", Session: gen})
		require.NoError(t, err)
		require.NoError(t, c.Close())
		cancel()
		require.Empty(t, z.Sessions())
	}
}

func TestSweepNamed(t *testing.T) {
	z := embedded(t)
	c, _ := openDialer(t, z.Addr(), 2*time.Second)
	ctx := within(t, 10*time.Second)
	for _, path := range []string{"/d/mine-1", "/d/mine-2", "/d/other"} {
		_, err := c.Create(ctx, Node{Path: path, Session: session(t, c), Parents: true})
		require.NoError(t, err)
	}
	left := func() (names []string) {
		names, err := c.Children(ctx, "/d", nil)
		require.NoError(t, err)
		return names
	}
	hit := once(z, zkembed.OpDelete, zkembed.Fault{DropBefore: true}) // the sweep goes on after a broken connection
	c.SweepNamed("/d", "mine-")
	require.Eventually(t, func() bool { return len(left()) == 1 }, 5*time.Second, time.Millisecond)
	require.True(t, hit.Load())
	require.Equal(t, []string{"other"}, left())
	c.SweepNamed("/missing", "mine-")
}

// TestServerThatNeverAnswersItsFirstConnection, as one does that was reached while it started: a new client comes back soon, and not only
// when a third of its long session is over.
func TestServerThatNeverAnswersItsFirstConnection(t *testing.T) {
	t.Parallel()
	deaf, err := net.Listen("tcp", "127.0.0.1:0") // accepts by its backlog
	require.NoError(t, err)
	defer deaf.Close()
	z := embedded(t)
	var dials atomic.Int32
	began := time.Now()
	c := open(t, Config{Addresses: []string{z.Addr()}, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		if dials.Add(1) == 1 {
			address = deaf.Addr().String()
		}
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}})
	_, _, err = c.Exists(within(t, 15*time.Second), "/", nil)
	require.NoError(t, err)
	require.GreaterOrEqual(t, time.Since(began), firstPatience)
	require.EqualValues(t, 2, dials.Load())
}

// TestPatienceGrows, so that a server that is slow is not asked again and again.
func TestPatienceGrows(t *testing.T) {
	c := &Client{cfg: Config{Addresses: []string{"a"}}.withDefaults()}
	c.grant.Store(int64(60 * time.Second))
	for n, want := range []time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second, 20 * time.Second} {
		c.silences = n
		require.Equal(t, want, c.patience())
	}
	c.silences = 1 << 30
	require.Equal(t, 20*time.Second, c.patience())
}
