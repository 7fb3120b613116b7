package lock

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/internal/zk"
)

func TestMultiLock(t *testing.T) {
	t.Parallel()
	z := embedded(t)
	one, two := open(t, z.Addr(), 5*time.Second), open(t, z.Addr(), 5*time.Second)
	base := newPath()
	a, b := mutex(t, one, base+"a"), mutex(t, one, base+"b")
	all, err := NewMultiLock(b, a).Lock(within(t, 5*time.Second))
	require.NoError(t, err)
	require.Equal(t, a.Path(), all.Leases()[0].Path()[:len(a.Path())], "in the order of their paths")
	require.True(t, all.Held())
	require.NoError(t, all.Unlock(t.Context()))
	require.ErrorIs(t, context.Cause(all.Context()), ErrReleased)

	// One cannot be had: none is held.
	taken := locked(t, mutex(t, two, b.Path()))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = NewMultiLock(a, b).Lock(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	unlock(t, locked(t, mutex(t, two, a.Path())))
	unlock(t, taken)

	// One is lost: the whole ends, the rest is released all the same.
	all, err = NewMultiLock(a, b).Lock(within(t, 5*time.Second))
	require.NoError(t, err)
	require.NoError(t, two.zk.Delete(t.Context(), all.Leases()[0].Path(), zk.AnyVersion))
	<-all.Context().Done()
	require.ErrorIs(t, context.Cause(all.Context()), ErrLost)
	require.False(t, all.Held())
	require.ErrorIs(t, all.Unlock(t.Context()), ErrLost)
	line(t, two, b.Path(), 0)

	// Two that want the same locks in another order do not wait for each other.
	var wg sync.WaitGroup
	for i, c := range []*Client{one, two, one, two} {
		lockers := []Locker{mutex(t, c, a.Path()), mutex(t, c, b.Path())}
		if i%2 == 1 {
			lockers[0], lockers[1] = lockers[1], lockers[0]
		}
		wg.Go(func() {
			for range 10 {
				l, err := NewMultiLock(lockers...).Lock(within(t, 10*time.Second))
				if err := errors.Join(err, l.Unlock(t.Context())); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}
