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
	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/internal/zk"
	"github.com/ferryrpc/ferry/internal/zktest"
	"github.com/ferryrpc/ferry/zkembed"
)

// Cases of Curator's own tests that no other test here has; docs/coordination.md says which is which.

// Ten participants that start at once lead one after another, on two clients, and never two at a time.
func TestTenAtOnce(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		path := newPath()
		clients := []*lock.Client{open(t, z.Addr(), 10*time.Second), open(t, z.Addr(), 10*time.Second)}
		var inside, led atomic.Int32
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() {
				l, err := Join(clients[i%2], path, LatchOptions{})
				if err != nil {
					t.Error(err)
					return
				}
				if _, _, err = l.Await(within(t, 30*time.Second)); err != nil || inside.Add(1) != 1 {
					t.Error("not alone", err)
				}
				led.Add(1)
				inside.Add(-1)
				if err := l.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		require.EqualValues(t, 10, led.Load())
	})
}

// The server comes back four times, once without its data; each time each loss was told once, and one leads again.
func TestFourOutages(t *testing.T) {
	t.Parallel()
	z := embedded(t)
	path, d := newPath(), newDiary()
	var latches []*Latch
	for i := range 3 {
		latches = append(latches, join(t, open(t, z.Addr(), time.Second), path, d.options(fmt.Sprint(i))))
	}
	d.next(t, 1)
	for round := range 4 {
		z.Stop()
		lines := d.next(t, 1)
		require.Equal(t, byte('-'), lines[len(lines)-1][0])
		if keep := round != 2; !keep {
			d.mu.Lock()
			d.highest = 0 // tokens begin anew; the incarnation tells
			d.mu.Unlock()
			require.NoError(t, z.Restart(false))
		} else {
			require.NoError(t, z.Restart(true))
		}
		lines = d.next(t, 1)
		require.Len(t, lines, 3+2*round)
		require.Equal(t, byte('+'), lines[len(lines)-1][0])
		leading := 0
		for _, l := range latches {
			if _, yes := l.State(); yes {
				leading++
			}
		}
		require.Equal(t, 1, leading)
	}
}

// The leader, or the one before, or one's own node goes after the line was read and before its watch is set.
func TestLineChangesUnderTheLook(t *testing.T) {
	t.Parallel()
	for name, own := range map[string]bool{"leader leaves": false, "own node is deleted too": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			z := embedded(t)
			path := newPath()
			leader := join(t, open(t, z.Addr(), 10*time.Second), path, LatchOptions{})
			_, _, err := leader.Await(within(t, 5*time.Second))
			require.NoError(t, err)
			operator, err := zk.Open(zk.Config{Addresses: []string{z.Addr()}})
			require.NoError(t, err)
			defer operator.Close()
			_, err = operator.Session(within(t, 5*time.Second))
			require.NoError(t, err)

			var once sync.Once
			z.Intercept(func(r zkembed.Request) (f zkembed.Fault) {
				if r.Op == zkembed.OpGetData && strings.HasPrefix(r.Path, path+"/") {
					once.Do(func() {
						z.Intercept(nil)
						names, err := operator.Children(t.Context(), path, nil)
						for _, n := range names {
							if own && path+"/"+n != r.Path {
								err = errors.Join(err, operator.Delete(t.Context(), path+"/"+n, zk.AnyVersion))
							}
						}
						if err != nil {
							t.Error(err)
						}
						if err := leader.Close(); err != nil {
							t.Error(err)
						}
					})
				}
				return f
			})
			next := join(t, open(t, z.Addr(), 10*time.Second), path, LatchOptions{})
			_, _, err = next.Await(within(t, 10*time.Second))
			require.NoError(t, err)
			waiting(t, next, 1)
		})
	}
}

// Two leaders that resign at the same moment, again and again, follow each other without end only as often as they resign.
func TestResignationsDoNotPingPong(t *testing.T) {
	t.Parallel()
	z := embedded(t)
	path := newPath()
	a, b := join(t, open(t, z.Addr(), 10*time.Second), path, LatchOptions{}), join(t, open(t, z.Addr(), 10*time.Second), path, LatchOptions{})
	waiting(t, a, 2)
	var creates atomic.Int32
	z.Intercept(func(r zkembed.Request) (f zkembed.Fault) {
		if r.Op == zkembed.OpCreate && strings.HasPrefix(r.Path, path+"/") {
			creates.Add(1)
		}
		return f
	})
	const times = 20
	for range times {
		var wg sync.WaitGroup
		wg.Go(a.Resign)
		wg.Go(b.Resign)
		wg.Wait()
	}
	waiting(t, a, 2)
	require.Eventually(t, func() bool { _, x := a.State(); _, y := b.State(); return x != y }, 5*time.Second, time.Millisecond)
	require.LessOrEqual(t, creates.Load(), int32(2*times))
}

// Closing one who does not lead changes nothing; closing the leader lets the other lead. So it is after the session was ended
// by force and after the server was restarted.
func TestClosing(t *testing.T) {
	t.Parallel()
	z := embedded(t)
	for name, disturb := range map[string]func(session int64){
		"at peace": func(int64) {},
		"killed":   func(session int64) { require.True(t, z.Expire(session)) },
		"restart":  func(int64) { z.Stop(); require.NoError(t, z.Restart(true)) },
	} {
		t.Run(name, func(t *testing.T) {
			path := newPath()
			leads := make(chan int, 10)
			stop := map[int]context.CancelFunc{}
			over := make(chan struct{}, 3)
			var s *Selector
			for i := range 3 {
				var err error
				s, err = NewSelector(open(t, z.Addr(), 5*time.Second), path, SelectorOptions{Requeue: true, Options: Options{Retry: 10 * time.Millisecond}},
					func(ctx context.Context, _ lock.Fence) error {
						leads <- i
						<-ctx.Done()
						return nil
					})
				require.NoError(t, err)
				ctx, cancel := context.WithCancel(t.Context())
				stop[i] = cancel
				go func() { _ = s.Run(ctx); over <- struct{}{} }()
				waiting(t, s, i+1)
			}
			first := <-leads
			require.Zero(t, first)
			stop[1]()
			<-over
			waiting(t, s, 2)
			require.Empty(t, leads, "the one in the middle has gone, and nothing changed")
			var session int64
			for _, open := range z.Sessions() {
				for _, node := range open.Ephemerals {
					if strings.HasPrefix(node, path+"/") && (session == 0 || open.ID < session) {
						session = open.ID
					}
				}
			}
			disturb(session)
			if name == "killed" {
				first = <-leads
				waiting(t, s, 2)
			}
			stop[first]()
			<-over
			require.NotEqual(t, first, <-leads)
			waiting(t, s, 1)
			stop[0]()
			stop[2]()
			<-over
			waiting(t, s, 0)
		})
	}
}

// A leader that is interrupted while the server is down leaves no node when it is back.
func TestInterruptedWhileTheServerIsDown(t *testing.T) {
	t.Parallel()
	z := embedded(t)
	began := make(chan struct{})
	s, err := NewSelector(open(t, z.Addr(), 10*time.Second), newPath(), SelectorOptions{}, func(ctx context.Context, _ lock.Fence) error {
		close(began)
		<-ctx.Done()
		return nil
	})
	require.NoError(t, err)
	result := make(chan error, 1)
	go func() { result <- s.Run(t.Context()) }()
	<-began
	z.Stop()
	s.Interrupt()
	require.NoError(t, <-result)
	require.NoError(t, z.Restart(true))
	waiting(t, s, 0)
	require.Empty(t, z.Sessions()[0].Ephemerals)
}

// The connection breaks under the look that would have won, and the lease is to end with it: whoever is called leads.
func TestConnectionBreaksBeforeTheCallback(t *testing.T) {
	t.Parallel()
	z := embedded(t)
	path := newPath()
	var left atomic.Int32
	left.Store(3)
	z.Intercept(func(r zkembed.Request) (f zkembed.Fault) {
		f.DropAfter = r.Op == zkembed.OpGetChildren2 && r.Path == path && left.Add(-1) >= 0
		return f
	})
	terms := 0
	s, err := NewSelector(open(t, z.Addr(), 5*time.Second), path, SelectorOptions{Options: Options{Policy: lock.OnDisconnect}},
		func(ctx context.Context, _ lock.Fence) error { terms++; return context.Cause(ctx) })
	require.NoError(t, err)
	require.NoError(t, s.Run(within(t, 10*time.Second)))
	require.Equal(t, 1, terms)
	require.Negative(t, left.Load())
	waiting(t, s, 0)
}

// Who may not write at the path is told so, again and again, and stays in no line.
func TestNotAuthorised(t *testing.T) {
	t.Parallel()
	z := embedded(t)
	owner, err := lock.Open(extension.Env{}, "zookeeper://me:secret@"+z.Addr())
	require.NoError(t, err)
	defer owner.Close()
	path := newPath()
	mine := join(t, owner, path, LatchOptions{})
	_, _, err = mine.Await(within(t, 5*time.Second))
	require.NoError(t, err)
	failed := make(chan error, 100)
	stranger := join(t, open(t, z.Addr(), 5*time.Second), path, LatchOptions{Options: Options{Retry: 10 * time.Millisecond, OnError: func(err error) {
		select {
		case failed <- err:
		default:
		}
	}}})
	for range 2 {
		require.ErrorIs(t, <-failed, zk.ErrNoAuth)
	}
	require.NoError(t, stranger.Close())
	waiting(t, mine, 1)
}
