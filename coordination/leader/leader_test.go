package leader

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/coordination/lock"
	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/internal/zktest"
	"github.com/ferryrpc/ferry/zkembed"
)

var real zktest.Shared

func TestMain(m *testing.M) { real.Main(m) }

var paths atomic.Int64

func newPath() string { return fmt.Sprintf("/leader/p%d", paths.Add(1)) }

func embedded(t testing.TB) *zkembed.Server {
	t.Helper()
	z, err := zkembed.Start(zkembed.Options{Tick: 50 * time.Millisecond, Reap: 50 * time.Millisecond})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, z.Close()) })
	return z
}

func open(t testing.TB, addr string, session time.Duration) *lock.Client {
	t.Helper()
	c, err := lock.Open(extension.Env{}, fmt.Sprintf("zookeeper://%s?session=%d", addr, session.Milliseconds()))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// A diary is what the callbacks of several latches wrote.
type diary struct {
	mu      sync.Mutex // guards the following
	lines   []string   // "+a", "-a"
	highest int64
	faults  []string
	wrote   chan struct{} // has an element after each line
}

func newDiary() *diary { return &diary{wrote: make(chan struct{}, 1000)} }

func (d *diary) options(id string) LatchOptions {
	return LatchOptions{Options: Options{ID: id, Retry: 20 * time.Millisecond}, OnGain: func(ctx context.Context, epoch lock.Fence) {
		d.write(id, epoch, nil, true)
	}, OnLoss: func(epoch lock.Fence, cause error) { d.write(id, epoch, cause, false) }}
}

func (d *diary) write(id string, epoch lock.Fence, cause error, gain bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case gain && epoch.Token <= d.highest:
		d.faults = append(d.faults, "epoch of "+id+" does not grow")
	case !gain && !errors.Is(cause, lock.ErrLost) && !errors.Is(cause, lock.ErrReleased):
		d.faults = append(d.faults, fmt.Sprint("cause of ", id, ": ", cause))
	}
	d.highest = max(d.highest, epoch.Token)
	d.lines = append(d.lines, map[bool]string{true: "+", false: "-"}[gain]+id)
	d.wrote <- struct{}{}
}

// next waits for n more lines and returns all.
func (d *diary) next(t testing.TB, n int) []string {
	t.Helper()
	for range n {
		select {
		case <-d.wrote:
		case <-time.After(10 * time.Second):
			require.Fail(t, "nobody wrote", "%v", d.lines)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	require.Empty(t, d.faults)
	return append([]string(nil), d.lines...)
}

func join(t testing.TB, c *lock.Client, path string, o LatchOptions) *Latch {
	t.Helper()
	l, err := Join(c, path, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return l
}

// waiting waits until n participants are in the line.
func waiting(t testing.TB, l interface {
	Participants(context.Context) ([]Participant, error)
}, n int) []Participant {
	t.Helper()
	var line []Participant
	require.Eventually(t, func() bool {
		var err error
		line, err = l.Participants(within(t, 5*time.Second))
		return err == nil && len(line) == n
	}, 10*time.Second, 2*time.Millisecond)
	return line
}

func TestLeadersFollowInTheOrderOfArrival(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		path, d := newPath(), newDiary()
		var latches []*Latch
		for i := range 5 {
			l := join(t, open(t, z.Addr(), 10*time.Second), path, d.options(fmt.Sprint(i)))
			latches = append(latches, l)
			waiting(t, l, i+1)
		}
		d.next(t, 1)
		id, found, err := latches[3].Leader(t.Context())
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, "0", id)
		require.Equal(t, []Participant{{"0", true}, {"1", false}, {"2", false}, {"3", false}, {"4", false}}, waiting(t, latches[0], 5))

		// One in the middle leaves: the one behind it does not lead.
		require.NoError(t, latches[2].Close())
		waiting(t, latches[0], 4)
		_, leading := latches[3].State()
		require.False(t, leading)

		ctx, epoch, err := latches[0].Await(within(t, 5*time.Second))
		require.NoError(t, err)
		latches[0].Resign() // goes to the end
		<-ctx.Done()
		d.next(t, 2)
		_, second, err := latches[1].Await(within(t, 5*time.Second))
		require.NoError(t, err)
		require.Greater(t, second.Token, epoch.Token)
		require.NoError(t, latches[1].Close())
		d.next(t, 2)
		require.NoError(t, latches[3].Close())
		d.next(t, 2)
		require.NoError(t, latches[4].Close())
		require.Equal(t, []string{"+0", "-0", "+1", "-1", "+3", "-3", "+4", "-4", "+0"}, d.next(t, 2))
		require.NoError(t, latches[0].Close())
		require.Equal(t, "-0", d.next(t, 1)[9])
		waiting(t, latches[0], 0)
	})
}

func TestBadInputAndNoServer(t *testing.T) {
	c := open(t, "127.0.0.1:1", time.Second)
	for _, bad := range []string{"relative", "", "/a//b"} {
		_, err := Join(c, bad, LatchOptions{})
		require.ErrorIs(t, err, lock.ErrPath)
		_, err = NewSelector(c, bad, SelectorOptions{}, nil)
		require.ErrorIs(t, err, lock.ErrPath)
	}
	l := join(t, c, "/election", LatchOptions{}) // and is closed without ever having been connected
	_, leading := l.State()
	require.False(t, leading)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, _, err := l.Await(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NoError(t, l.Close())
	_, _, err = l.Await(t.Context())
	require.ErrorIs(t, err, lock.ErrClosed)
}

func TestNobodyLeadsAMissingPath(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		s, err := NewSelector(open(t, z.Addr(), 5*time.Second), newPath(), SelectorOptions{}, nil)
		require.NoError(t, err)
		_, found, err := s.Leader(within(t, 5*time.Second))
		require.NoError(t, err)
		require.False(t, found)
	})
}

func TestServerIsAwayAndComesBack(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		path, d := newPath(), newDiary()
		z.Stop(t)
		var latches []*Latch
		for i := range 3 {
			latches = append(latches, join(t, open(t, z.Addr(), time.Second), path, d.options(fmt.Sprint(i))))
		}
		z.Start(t, true)
		d.next(t, 1) // started without a server, elected once
		z.Stop(t)
		require.Len(t, d.next(t, 1), 2) // the lease runs out
		for _, l := range latches {
			_, leading := l.State()
			require.False(t, leading)
		}
		z.Start(t, true)
		lines := d.next(t, 1)
		require.Len(t, lines, 3)
		require.Equal(t, byte('+'), lines[2][0])
	})
}

func TestLeaderLosesItsSession(t *testing.T) {
	t.Parallel()
	z := embedded(t)
	path, d := newPath(), newDiary()
	a := join(t, open(t, z.Addr(), time.Second), path, d.options("a"))
	d.next(t, 1)
	session := z.Sessions()[0].ID
	b := join(t, open(t, z.Addr(), time.Second), path, d.options("b"))
	waiting(t, a, 2)
	require.True(t, z.Expire(session))
	d.next(t, 2)
	_, leading := b.State()
	require.True(t, leading)
	waiting(t, a, 2) // it is in the line again, behind
	_, leading = a.State()
	require.False(t, leading)
	require.NoError(t, b.Close())
	lines := d.next(t, 2)
	require.Equal(t, "+a", lines[0])
	require.ElementsMatch(t, []string{"-a", "+b"}, lines[1:3])
	require.Equal(t, "+a", lines[len(lines)-1])
}

func TestPolicyDecidesWhatACutDoes(t *testing.T) {
	t.Parallel()
	z := embedded(t)
	d := newDiary()
	c := open(t, z.Addr(), 5*time.Second)
	quick := d.options("quick")
	quick.Policy = lock.OnDisconnect
	join(t, c, newPath(), quick)
	d.next(t, 1)
	patient := join(t, c, newPath(), LatchOptions{})
	term, epoch, err := patient.Await(within(t, 5*time.Second))
	require.NoError(t, err)
	z.Cut()
	require.Equal(t, []string{"+quick", "-quick", "+quick"}, d.next(t, 2))
	require.NoError(t, term.Err())
	now, leading := patient.State()
	require.True(t, leading)
	require.Equal(t, epoch, now)
}

// However often latches are made, reset and closed at once, one of those that stay leads, and no node is left.
func TestRaces(t *testing.T) {
	t.Parallel()
	z := embedded(t)
	path, d := newPath(), newDiary()
	clients := []*lock.Client{open(t, z.Addr(), 5*time.Second), open(t, z.Addr(), 5*time.Second)}
	stays := join(t, clients[0], path, LatchOptions{})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 5 {
				l, err := Join(clients[i%2], path, d.options("x"))
				if err != nil {
					t.Error(err)
					return
				}
				stays.Resign()
				if j%2 == 0 {
					l.Resign()
				}
				if err := l.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	_, _, err := stays.Await(within(t, 5*time.Second))
	require.NoError(t, err)
	waiting(t, stays, 1)
	require.NoError(t, stays.Close())
	waiting(t, stays, 0)
	require.Empty(t, d.faults)
	gains := 0
	for _, line := range d.lines {
		gains += map[byte]int{'+': 1, '-': -1}[line[0]]
	}
	require.Zero(t, gains, "each gain has its loss")
}

func TestClientIsClosedUnderALatch(t *testing.T) {
	t.Parallel()
	z := embedded(t)
	d := newDiary()
	c, err := lock.Open(extension.Env{}, "zookeeper://"+z.Addr())
	require.NoError(t, err)
	o := d.options("a")
	failed := make(chan error, 1)
	o.OnError = func(err error) { failed <- err }
	l := join(t, c, newPath(), o)
	d.next(t, 1)
	require.NoError(t, c.Close())
	require.Equal(t, []string{"+a", "-a"}, d.next(t, 1))
	require.ErrorIs(t, <-failed, lock.ErrClosed)
	_, _, err = l.Await(t.Context())
	require.ErrorIs(t, err, lock.ErrClosed)
}
