package zk

import (
	"context"
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
func TestRefusingServerDoesNotCostTheSession(t *testing.T) {
	t.Parallel()
	z := embedded(t)
	l, err := z.Listen("127.0.0.1:0")
	require.NoError(t, err)
	c := open(t, Config{Addresses: []string{l.Addr()}, SessionTimeout: 4 * time.Second})
	gen := session(t, c)
	_, err = c.Create(within(t, 5*time.Second), Node{Path: "/mine", Session: gen})
	require.NoError(t, err)
	l.Refuse()
	l.Cut()
	var rounds int
	for rounds < refusedRounds+2 {
		changed := c.Changed()
		select {
		case <-changed:
			rounds++
		case <-gen.Context().Done():
			require.Fail(t, "the session is gone", "%v", context.Cause(gen.Context()))
		}
	}
	require.NoError(t, l.Accept())
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
