package lock

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/internal/zktest"
	"github.com/ferryrpc/ferry/zkembed"
)

func TestBarrier(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		one, two := open(t, z.Addr(), 5*time.Second), open(t, z.Addr(), 5*time.Second)
		path := newPath()
		b, err := one.Barrier(path)
		require.NoError(t, err)
		other, err := two.Barrier(path)
		require.NoError(t, err)
		require.NoError(t, other.Wait(within(t, 5*time.Second)), "there is none")
		require.NoError(t, b.Set(t.Context()))
		require.NoError(t, b.Set(t.Context()))
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		require.ErrorIs(t, other.Wait(ctx), context.DeadlineExceeded)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if err := other.Wait(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		require.NoError(t, b.Remove(t.Context()))
		require.NoError(t, b.Remove(t.Context()))
		wg.Wait()
	})
	_, err := open(t, "127.0.0.1:1", time.Second).Barrier("relative")
	require.ErrorIs(t, err, ErrPath)
}

func TestDoubleBarrier(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		const members = 4
		path := newPath()
		look := open(t, z.Addr(), 5*time.Second)
		var inside, left atomic.Int32
		var wg sync.WaitGroup
		for i := range members + 1 { // one more than it needs
			b, err := open(t, z.Addr(), 5*time.Second).DoubleBarrier(path, members)
			require.NoError(t, err)
			if i == members-1 { // not all are there: nobody is in
				line(t, look, path, members-1)
				require.Zero(t, inside.Load())
			}
			all := make(chan struct{})
			wg.Go(func() {
				m, err := b.Enter(t.Context())
				close(all)
				if err != nil {
					t.Error(err)
					return
				}
				inside.Add(1)
				for inside.Load() <= members { // the last one enters because it is open
					pause(t.Context(), time.Millisecond)
				}
				left.Add(1)
				if err := m.Leave(t.Context()); err != nil || left.Load() != members+1 {
					t.Error("one left before all did", err)
				}
			})
			if i >= members-1 {
				<-all
			}
		}
		wg.Wait()
		line(t, look, path, 0)
	})
}

func TestDoubleBarrierUnderFaults(t *testing.T) {
	t.Parallel()
	z := embedded(t)
	path := newPath()
	one, err := open(t, z.Addr(), time.Second).DoubleBarrier(path, 2)
	require.NoError(t, err)
	two, err := open(t, z.Addr(), time.Second).DoubleBarrier(path, 2)
	require.NoError(t, err)
	look := open(t, z.Addr(), 5*time.Second)
	_, err = look.DoubleBarrier(path, 0)
	require.ErrorIs(t, err, ErrLimit)

	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() { _, err := one.Enter(ctx); gone <- err }()
	line(t, look, path, 1)
	z.Cut() // a reconnection opens nothing
	cancel()
	require.ErrorIs(t, <-gone, context.Canceled)
	line(t, look, path, 0) // who gives up is counted no more

	faulty(z, zkembed.OpCreate, path+"/", 2, zkembed.Fault{DropAfter: true})
	entered := make(chan *Member, 2)
	for _, b := range []*DoubleBarrier{one, two} {
		go func() {
			m, err := b.Enter(within(t, 10*time.Second))
			if err != nil {
				t.Error(err)
			}
			entered <- m
		}()
	}
	first, second := <-entered, <-entered
	require.NotNil(t, first)
	require.NotNil(t, second)
	// One dies: the other can leave.
	require.True(t, z.Expire(second.lease.h.gen.ID()))
	<-second.Context().Done()
	require.NoError(t, first.Leave(within(t, 5*time.Second)))
	require.ErrorIs(t, second.Leave(within(t, 5*time.Second)), ErrLost)
	line(t, look, path, 0)
}
