package zkembed_test

import (
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/internal/zktest"
	"github.com/ferryrpc/ferry/zkembed"
)

// dial opens a session that is left to the server when the test ends.
func dial(t testing.TB, addr string, timeout time.Duration) *raw {
	t.Helper()
	r, err := dialRaw(addr, timeout)
	require.NoError(t, err)
	t.Cleanup(r.close)
	return r
}

func TestSessionTimeoutsAreLimited(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		for asked, granted := range map[time.Duration]int32{1: 200, 2500 * time.Millisecond: 2500, time.Hour: 60_000} {
			require.Equal(t, granted, dial(t, z.Addr(), asked).timeout)
		}
	})
}

func TestSessionEndsNotBeforeItsTimeout(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		watcher := dial(t, z.Addr(), 10*time.Second)
		owner := dial(t, z.Addr(), 600*time.Millisecond)
		owner.must(1, createBody("/mine", "", anyone, 1))
		watcher.watch("/mine")
		owner.ping() // the last packet
		last := time.Now()
		p, err := watcher.next()
		require.NoError(t, err)
		require.EqualValues(t, 2, p.body.int())
		require.GreaterOrEqual(t, time.Since(last), 590*time.Millisecond)
		require.Less(t, time.Since(last), 8*time.Second)
		require.ErrorIs(t, owner.connect(), errRefused)
	})
}

func TestSessionMovesToItsNewConnection(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		old := dial(t, z.Addr(), 10*time.Second)
		old.must(1, createBody("/moves", "", anyone, 1))
		twin := *old
		twin.nc = nil
		require.NoError(t, twin.connect())
		t.Cleanup(twin.close)
		require.Equal(t, old.id, twin.id)
		_, err := old.next()
		require.ErrorIs(t, err, io.EOF)
		stat, _ := twin.must(3, body{}.text("/moves").flag(false))
		require.Len(t, stat, 68)
		twin.must(-11, nil)
	})
}

func TestRestart(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		c := dial(t, z.Addr(), 10*time.Second)
		c.must(1, createBody("/stays", "", anyone, 1))

		z.Stop(t)
		require.Error(t, c.connect())
		z.Start(t, true)
		require.NoError(t, c.connect(), "the session is still known")
		c.must(3, body{}.text("/stays").flag(false))

		z.Stop(t)
		z.Start(t, false)
		require.ErrorIs(t, c.connect(), io.EOF, "who knows a later state is sent away without an answer")
		c.zxid = 0
		require.ErrorIs(t, c.connect(), errRefused)
		fresh := dial(t, z.Addr(), 10*time.Second)
		defer fresh.must(-11, nil)
		p, _, err := fresh.call(3, body{}.text("/stays").flag(false), 0)
		require.NoError(t, err)
		require.EqualValues(t, zkembed.NoNode, p.err)
	})
}

func TestReaping(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		c := dial(t, z.Addr(), 20*time.Second)
		gone := func(path string) {
			p, err := c.next()
			require.NoError(t, err)
			require.EqualValues(t, -1, p.xid)
			require.EqualValues(t, 2, p.body.int())
			p.body.int()
			require.Equal(t, path, p.body.text())
		}
		c.must(19, createBody("/unused", "", anyone, 4))
		c.must(19, createBody("/box", "", anyone, 4))
		c.must(1, createBody("/box/a", "", anyone, 0))
		c.must(21, createBody("/short", "", anyone, 5).long(300))
		c.must(21, createBody("/parent", "", anyone, 5).long(300))
		c.must(1, createBody("/parent/child", "", anyone, 0))
		c.watch("/short")
		gone("/short")
		c.watch("/box")
		c.must(2, body{}.text("/box/a").int(-1))
		gone("/box")
		for _, path := range []string{"/unused", "/parent", "/parent/child"} {
			c.must(3, body{}.text(path).flag(false))
		}
	})
}

func TestClockStepsToTheTickAtWhichASessionEnds(t *testing.T) {
	s := start(t, zkembed.Options{Tick: 100 * time.Millisecond})
	s.FreezeClock()
	a, b := dial(t, s.Addr(), time.Second), dial(t, s.Addr(), 2*time.Second)
	alive := func() (ids []int64) {
		for _, x := range s.Sessions() {
			ids = append(ids, x.ID)
		}
		return ids
	}
	s.Step(time.Second)
	require.Equal(t, []int64{a.id, b.id}, alive(), "it ends at the tick after its timeout")
	b.ping() // begins the two seconds anew
	zxid := s.Zxid()
	s.Step(100 * time.Millisecond)
	require.Equal(t, []int64{b.id}, alive())
	require.Equal(t, zxid+1, s.Zxid())
	s.Step(1900 * time.Millisecond)
	require.Equal(t, []int64{b.id}, alive())
	s.Step(99 * time.Millisecond)
	require.Equal(t, []int64{b.id}, alive())
	s.Step(time.Millisecond)
	require.Empty(t, alive())

	c := dial(t, s.Addr(), 200*time.Millisecond)
	s.ResumeClock()
	_, err := c.next()
	require.ErrorIs(t, err, io.EOF, "the clock runs again")
	require.Empty(t, alive())
}

func TestStoppedServerDoesNotAgeSessions(t *testing.T) {
	s := start(t, zkembed.Options{Tick: 20 * time.Millisecond})
	s.FreezeClock()
	c := dial(t, s.Addr(), 100*time.Millisecond)
	s.Stop()
	s.Step(time.Hour)
	require.NoError(t, s.Restart(true))
	require.NoError(t, c.connect())
	s.Step(120 * time.Millisecond)
	require.Empty(t, s.Sessions())
}
