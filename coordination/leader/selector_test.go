package leader

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/coordination/lock"
	"github.com/ferryrpc/ferry/internal/zktest"
	"github.com/ferryrpc/ferry/zkembed"
)

func TestRotatingLeadership(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		const selectors, rounds = 4, 3
		path := newPath()
		ctx, cancel := context.WithCancel(t.Context())
		var inside atomic.Int32
		turns := make(chan int, 1000)
		var all sync.WaitGroup
		for i := range selectors {
			s, err := NewSelector(open(t, z.Addr(), 10*time.Second), path, SelectorOptions{Requeue: true, Options: Options{ID: fmt.Sprint(i)}},
				func(ctx context.Context, epoch lock.Fence) error {
					if inside.Add(1) != 1 {
						t.Error("two lead")
					}
					turns <- i
					<-ctx.Done()
					inside.Add(-1)
					return nil
				})
			require.NoError(t, err)
			all.Go(func() {
				if err := s.Run(ctx); !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			})
			waiting(t, s, i+1)
			require.ErrorIs(t, s.Run(ctx), ErrRunning)
			t.Cleanup(s.Interrupt)
			go func() { // each leads until the others are in the line
				for ctx.Err() == nil {
					if line, err := s.Participants(ctx); err == nil && len(line) == selectors && s.Leading() {
						s.Interrupt()
					}
					select {
					case <-time.After(time.Millisecond):
					case <-ctx.Done():
					}
				}
			}()
		}
		for n := range selectors * rounds {
			require.Equal(t, n%selectors, <-turns, "each leads once in a round")
		}
		cancel()
		all.Wait()
	})
}

func TestSelectorReturns(t *testing.T) {
	t.Parallel()
	z := embedded(t)
	c := open(t, z.Addr(), 2*time.Second)
	path := newPath()
	failure := errors.New("failure")
	began := make(chan context.Context, 1)
	var answer error
	var result <-chan error
	start := func(ctx context.Context) *Selector {
		s, err := NewSelector(c, path, SelectorOptions{}, func(ctx context.Context, epoch lock.Fence) error {
			began <- ctx
			<-ctx.Done()
			return answer
		})
		require.NoError(t, err)
		ch := make(chan error, 1)
		result = ch
		go func() { ch <- s.Run(ctx) }()
		return s
	}

	s := start(t.Context())
	<-began
	require.True(t, s.Leading())
	s.Interrupt()
	require.NoError(t, <-result)
	require.False(t, s.Leading())
	s.Interrupt() // of nothing

	answer = failure
	s = start(t.Context())
	<-began
	s.Interrupt()
	require.ErrorIs(t, <-result, failure)

	answer = nil
	start(t.Context())
	term := <-began
	require.True(t, z.Expire(z.Sessions()[0].ID))
	require.ErrorIs(t, <-result, lock.ErrLost)
	require.ErrorIs(t, context.Cause(term), lock.ErrLost)

	ctx, cancel := context.WithCancel(t.Context())
	s = start(ctx)
	<-began
	start(ctx)
	cancel()
	require.ErrorIs(t, <-result, context.Canceled)
	waiting(t, s, 0)
}

// The connection breaks right after the create was carried out: nobody leads by a node that he does not know of, it is
// removed, and the next attempt leads.
func TestFlapping(t *testing.T) {
	t.Parallel()
	z := embedded(t)
	c := open(t, z.Addr(), 2*time.Second)
	path := newPath()
	var left atomic.Int32
	left.Store(3)
	z.Intercept(func(r zkembed.Request) (f zkembed.Fault) {
		f.DropAfter = r.Op == zkembed.OpCreate && strings.HasPrefix(r.Path, path+"/") && left.Add(-1) >= 0
		return f
	})
	terms := 0
	s, err := NewSelector(c, path, SelectorOptions{}, func(context.Context, lock.Fence) error { terms++; return nil })
	require.NoError(t, err)
	require.NoError(t, s.Run(within(t, 10*time.Second)))
	require.Equal(t, 1, terms)
	require.Negative(t, left.Load())
	waiting(t, s, 0)
}
