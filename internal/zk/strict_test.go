package zk

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/internal/zktest"
)

// Nothing is asked, and the library's pings keep the session and its connection.
func TestIdleSessionKeepsItsConnection(t *testing.T) {
	both(t, func(t *testing.T, addr string) {
		c := open(t, Config{Addresses: []string{addr}, SessionTimeout: 3 * time.Second})
		gen := session(t, c)
		c.mu.Lock()
		l := c.link
		c.mu.Unlock()
		before := c.proven.Load()
		require.Eventually(t, func() bool { return c.proven.Load() > before+int64(time.Second) }, 10*time.Second, 5*time.Millisecond)
		require.False(t, l.failed())
		require.NoError(t, gen.Context().Err())
	})
}

func TestProofs(t *testing.T) {
	t.Parallel()
	c := open(t, Config{Addresses: []string{embedded(t).Addr()}})
	const expired, moved = 0xffffff90, 0xffffff8a
	for _, op := range []int32{opPing, opGetData, opExists, opGetChildren, opSync, opCreate, opMulti, opClose} {
		require.True(t, c.proves(op, 0))
		require.False(t, c.proves(op, expired))
		require.False(t, c.proves(op, moved))
	}
	one, two := c.Strict(), c.Strict()
	for op, leaders := range map[int32]bool{opPing: false, opGetData: false, opExists: false, opGetChildren: false, opSync: true, opDelete: true, opMulti: true} {
		require.Equal(t, leaders, c.proves(op, 0), op)
	}
	one()
	one()
	require.False(t, c.proves(opPing, 0))
	two()
	require.Eventually(t, func() bool { return c.proves(opPing, 0) }, 5*time.Second, time.Millisecond)
}

// A wall clock that is set ahead may mean that the machine slept: the lease is over at once, and a new generation of the same
// session begins with the next proof. One that is set back changes nothing.
func TestClocksThatJump(t *testing.T) {
	t.Parallel()
	z := embedded(t)
	c := open(t, Config{Addresses: []string{z.Addr()}, SessionTimeout: 3 * time.Second})
	gen := session(t, c)
	c.ahead.Add(int64(time.Hour)) // as if the wall clock had been set back by an hour since
	require.True(t, gen.Alive())
	require.Greater(t, time.Until(gen.Deadline()), time.Second)

	c.ahead.Add(-int64(time.Hour + 10*time.Second)) // and now it is ten seconds ahead
	require.False(t, gen.Alive(), "no timer has to fire for that")
	waitDone(t, gen.Context(), 3*time.Second)
	next := session(t, c)
	require.Equal(t, gen.ID(), next.ID())
	require.True(t, next.Alive())
}

// A follower that has lost its leader answers pings for a while. That is no proof to who is strict: the leader ends the session
// meanwhile, and the generation has ended before.
func TestFollowerThatLostItsLeader(t *testing.T) {
	t.Parallel()
	e, isolate := zktest.StartIsolatable(t, zktest.Options{})
	lone, rest := e.Servers[0], e.Servers[1].Addr()+","+e.Servers[2].Addr()
	const timeout = 2 * time.Second // ten ticks; a follower gives up after 25
	strict := open(t, Config{Addresses: []string{lone.Addr()}, SessionTimeout: timeout})
	defer strict.Strict()()
	lax := open(t, Config{Addresses: []string{lone.Addr()}, SessionTimeout: timeout})
	look := open(t, Config{Addresses: splitAddresses(rest), SessionTimeout: 20 * time.Second})
	held, believed := session(t, strict), session(t, lax)
	ctx := within(t, 20*time.Second)
	for path, gen := range map[string]*Generation{"/strict": held, "/lax": believed} {
		_, err := gen.c.Create(ctx, Node{Path: path, Session: gen})
		require.NoError(t, err)
	}
	require.NoError(t, look.Sync(ctx, "/"))

	isolate()
	for _, path := range []string{"/strict", "/lax"} {
		w, events := WatchChan()
		if _, found, err := look.Exists(ctx, path, w); found {
			require.Equal(t, Deleted, waitEvent(t, events).Type)
		} else {
			require.NoError(t, err)
		}
		if path == "/strict" {
			require.False(t, held.Alive(), "it ended before the leader let go")
		} else {
			require.True(t, believed.Alive(), "the control: pings alone are believed")
		}
	}
}
