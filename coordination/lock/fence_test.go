package lock

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/internal/zk"
	"github.com/ferryrpc/ferry/internal/zktest"
)

func TestGuardedWrites(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		one, two := open(t, z.Addr(), 10*time.Second), open(t, z.Addr(), 10*time.Second)
		ctx := within(t, 10*time.Second)
		path := newPath()
		stale := locked(t, mutex(t, one, path))
		record := newPath()
		require.NoError(t, one.zk.MakeParents(ctx, record))
		require.NoError(t, stale.Do(ctx, CreateOp(record, []byte("1"))))
		require.ErrorIs(t, stale.Do(ctx, CreateOp(record, nil)), ErrNodeExists)
		require.ErrorIs(t, stale.Do(ctx, SetOp(record, nil, 7)), ErrBadVersion)
		require.ErrorIs(t, stale.Do(ctx, SetOp(record+"x", nil, AnyVersion)), ErrNoNode)
		require.True(t, stale.Held())

		// The holder has not noticed yet that its node is gone: the servers refuse all the same.
		stale.h.watch.Stop()
		require.NoError(t, two.zk.Delete(ctx, stale.Path(), zk.AnyVersion))
		next := locked(t, mutex(t, two, path))
		require.True(t, stale.Held())
		err := stale.Do(ctx, SetOp(record, []byte("stale"), AnyVersion))
		require.ErrorIs(t, err, ErrLost)
		require.False(t, stale.Held(), "and now it knows")
		require.ErrorIs(t, stale.Do(ctx), ErrLost)
		require.NoError(t, next.Do(ctx, CheckOp(record, 0), SetOp(record, []byte("2"), 0)))
		require.NoError(t, next.Do(ctx, DeleteOp(record, 1)))
		unlock(t, next)
		require.ErrorIs(t, next.Do(ctx), ErrReleased)
	})
}

func TestFencesAndGate(t *testing.T) {
	t.Parallel()
	z := embedded(t)
	c := open(t, z.Addr(), 5*time.Second)
	m := mutex(t, c, newPath())
	var fences []Fence
	for range 3 {
		l := locked(t, m)
		fences = append(fences, l.Fence())
		require.Zero(t, l.h.node.number, "numbers would be no fences: they begin anew")
		unlock(t, l)
		line(t, c, m.Path(), 0)
		require.Eventually(t, func() bool { // the servers have taken the container away: numbers begin anew, tokens do not
			_, found, err := c.zk.Exists(t.Context(), m.Path(), nil)
			return err == nil && !found
		}, 5*time.Second, time.Millisecond)
	}
	require.Less(t, fences[0].Token, fences[1].Token)
	require.Less(t, fences[1].Token, fences[2].Token)

	var g Gate
	require.ErrorIs(t, g.Present(Fence{}), ErrFenced)
	require.NoError(t, g.Present(fences[1]))
	require.NoError(t, g.Present(fences[1]))
	require.ErrorIs(t, g.Present(fences[0]), ErrFenced)
	require.NoError(t, g.Present(fences[2]))
	require.Equal(t, fences[2], g.Highest())
	wiped := Fence{Incarnation: Incarnation{1}, Token: 5}
	require.ErrorIs(t, g.Present(wiped), ErrIncarnation)
	g.Accept(wiped)
	require.NoError(t, g.Present(wiped))
	require.ErrorIs(t, g.Present(fences[2]), ErrIncarnation)

	back, err := ParseFence(fences[0].String())
	require.NoError(t, err)
	require.Equal(t, fences[0], back)
	for _, bad := range []string{"", "42", "zz:1", fences[0].String() + "x", fences[0].Incarnation.String() + ":0", "00:1"} {
		_, err := ParseFence(bad)
		require.ErrorContains(t, err, "lock: fence ", bad)
	}
}

func TestIncarnation(t *testing.T) {
	t.Parallel()
	z := embedded(t)
	c := open(t, z.Addr(), time.Second)
	m := mutex(t, c, newPath())
	l := locked(t, m)
	life, err := c.Incarnation(t.Context())
	require.NoError(t, err)
	require.Equal(t, life, l.Fence().Incarnation)
	for _, other := range []struct {
		incarnation string
		err         error
	}{{life.String(), nil}, {Incarnation{1}.String(), ErrIncarnation}} {
		o, err := Open(extension.Env{}, "zookeeper://"+z.Addr()+"?incarnation="+other.incarnation)
		require.NoError(t, err)
		got, err := mutex(t, o, newPath()).Lock(within(t, 5*time.Second))
		require.ErrorIs(t, err, other.err)
		if err == nil {
			unlock(t, got)
		}
		require.NoError(t, o.Close())
	}

	// All data is lost: the lease is, too, and the fences that come then are of another incarnation.
	z.Stop()
	require.NoError(t, z.Restart(false))
	fresh := open(t, z.Addr(), 5*time.Second)
	next := locked(t, mutex(t, fresh, m.Path()))
	require.NotEqual(t, life, next.Fence().Incarnation)
	<-l.Context().Done()
	unlock(t, next)
	again := locked(t, m)
	require.Equal(t, next.Fence().Incarnation, again.Fence().Incarnation)
	unlock(t, again)
}
