package idempotent_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/coordination/idempotent"
	"github.com/ferryrpc/ferry/coordination/idempotent/idempotenttest"
	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/internal/zk"
	"github.com/ferryrpc/ferry/internal/zktest"
	"github.com/ferryrpc/ferry/zkembed"
)

func openZooKeeper(t *testing.T, z zktest.Target) *idempotent.ZooKeeper {
	t.Helper()
	s, err := idempotent.OpenZooKeeper(extension.Env{}, "zookeeper://"+z.Addr()+"/app?session=30000")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func TestZooKeeper(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		idempotenttest.Run(t, idempotenttest.Suite{
			Open: func(t *testing.T) idempotent.Store { return openZooKeeper(t, z) },
			Kill: func(t *testing.T, s idempotent.Store) { require.NoError(t, s.(*idempotent.ZooKeeper).Close()) },
		})
	})
}

// Too large answers, too many records and too long times are refused with a word on what to use instead.
func TestZooKeeperRefusesMisuse(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		s := openZooKeeper(t, z)
		q := fresh()
		_, err := s.Begin(t.Context(), q)
		require.NoError(t, err)
		err = s.Finish(t.Context(), q.Ticket(), idempotent.Final{State: idempotent.Done, Result: make([]byte, 1025), TTL: q.TTL})
		require.ErrorIs(t, err, idempotent.ErrTooLarge)
		require.NoError(t, s.Finish(t.Context(), q.Ticket(), idempotent.Final{State: idempotent.Done, Result: make([]byte, 1024), TTL: q.TTL}))
		require.NoError(t, s.Accepts(time.Minute, 10*time.Minute))
		require.ErrorContains(t, s.Accepts(time.Minute, time.Hour), "SQL or Redis")
		at := time.Now()
		s.At(func() time.Time { return at }) // so that no tokens come in
		n := 0
		for ; err == nil || n == 0; n++ {
			require.Less(t, n, 1100)
			_, err = s.Begin(t.Context(), fresh())
		}
		require.ErrorIs(t, err, idempotent.ErrFull)
		require.ErrorContains(t, err, "more than 500 records a second")
		require.Greater(t, n, 900)
		_, err = s.Begin(t.Context(), other(q))
		require.NoError(t, err, "what is there is still read")
	})
}

// fresh asks for a key that nobody had before: the servers outlive a test.
func fresh() idempotent.Request { return request(idempotent.NewOwner()) }

func other(q idempotent.Request) idempotent.Request {
	q.Owner = idempotent.NewOwner()
	return q
}

// Records are found from one slice to the next, also by a provider whose clock differs, and leave with their slice.
func TestZooKeeperSlices(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		const slice = time.Minute
		address := "zookeeper://" + z.Addr() + "/sliced?session=30000"
		var now atomic.Int64
		views := make([]*idempotent.ZooKeeper, 2)
		for i, skew := range []time.Duration{0, slice / 2} {
			s, err := idempotent.OpenSliced(address, slice)
			require.NoError(t, err)
			defer s.Close()
			s.At(func() time.Time { return time.Unix(0, now.Load()).Add(skew) })
			views[i] = s
		}
		start := time.Now().Truncate(slice)
		for step := time.Duration(0); step < slice; step += 7 * time.Second {
			now.Store(start.Add(step).UnixNano())
			for i, s := range views {
				q := fresh()
				q.Lease, q.TTL = 10*time.Second, 20*time.Second
				b, err := s.Begin(t.Context(), q)
				require.NoError(t, err)
				require.Equal(t, idempotent.Started, b.State)
				b, err = views[1-i].Begin(t.Context(), other(q))
				require.NoError(t, err)
				require.Equal(t, idempotent.InProgress, b.State, "at %s, seen by %d", step, 1-i)
				require.NoError(t, s.Finish(t.Context(), q.Ticket(), idempotent.Final{State: idempotent.Done, TTL: 25 * time.Second}))
				now.Add(int64(20 * time.Second))
				if i == 0 { // by the fast clock a record of the slow one's is half a minute older
					b, err = s.Begin(t.Context(), other(q))
				} else {
					b, err = views[1].Begin(t.Context(), other(q))
				}
				require.NoError(t, err)
				require.Equal(t, idempotent.Done, b.State)
				now.Add(-int64(20 * time.Second))
			}
		}
		now.Store(start.Add(5 * slice).UnixNano())
		require.NoError(t, views[0].Collect(t.Context()))
		require.NoError(t, views[1].Collect(t.Context()))
		c, err := zk.Open(zk.Config{Addresses: strings.Split(z.Addr(), ",")})
		require.NoError(t, err)
		defer c.Close()
		left, err := c.Children(t.Context(), "/sliced/ferry/idempotent/records", nil)
		require.NoError(t, err)
		require.Empty(t, left)
	})
}

// An executor whose session is over records nothing, even if nobody has taken its call over yet: somebody may at any time.
func TestZooKeeperSessionOver(t *testing.T) {
	z, err := zkembed.Start(zkembed.Options{})
	require.NoError(t, err)
	defer z.Close()
	s, err := idempotent.OpenZooKeeper(extension.Env{}, "zookeeper://"+z.Addr()+"?session=30000")
	require.NoError(t, err)
	defer s.Close()
	q := fresh()
	_, err = s.Begin(t.Context(), q)
	require.NoError(t, err)
	for _, session := range z.Sessions() {
		require.True(t, z.Expire(session.ID))
	}
	require.ErrorIs(t, s.Finish(t.Context(), q.Ticket(), idempotent.Final{State: idempotent.Done, TTL: q.TTL}), idempotent.ErrFenced)
	b, err := s.TakeOver(t.Context(), other(q))
	require.NoError(t, err)
	require.Equal(t, idempotent.Started, b.State)
	require.Equal(t, 2, b.Attempt)
}

// Two providers whose clocks are in different slices begin the same call at the same time: one starts.
func TestZooKeeperBeginOverTheEdgeOfASlice(t *testing.T) {
	z, err := zkembed.Start(zkembed.Options{})
	require.NoError(t, err)
	defer z.Close()
	z.Intercept(func(r zkembed.Request) (f zkembed.Fault) {
		if r.Op == zkembed.OpMulti { // both have looked by then
			f.Delay = 10 * time.Millisecond
		}
		return f
	})
	edge := time.Now().Truncate(time.Minute)
	var views []*idempotent.ZooKeeper
	for _, at := range []time.Time{edge.Add(-time.Second), edge.Add(time.Second)} {
		s, err := idempotent.OpenSliced("zookeeper://"+z.Addr()+"?session=30000", time.Minute)
		require.NoError(t, err)
		defer s.Close()
		s.At(func() time.Time { return at })
		views = append(views, s)
	}
	for range 20 {
		q := fresh()
		q.Lease, q.TTL = 10*time.Second, 20*time.Second
		states := make(chan idempotent.State, 2)
		for _, s := range views {
			go func() {
				b, err := s.Begin(t.Context(), other(q))
				if err != nil {
					t.Errorf("begin: %v", err)
				}
				states <- b.State
			}()
		}
		require.ElementsMatch(t, []idempotent.State{idempotent.Started, idempotent.InProgress}, []idempotent.State{<-states, <-states})
	}
}
