package lock

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/internal/zktest"
	"github.com/ferryrpc/ferry/zkembed"
)

// A step is an operation on a lock in a history.
type step struct {
	acquire bool
	token   int64 // what is released, or ends by itself
}

type lockState struct{ holder, highest int64 }

// tokens models a lock: it is granted when nobody holds it, each time with a larger token. A lease that is lost ends at some
// time, perhaps before its Unlock began and perhaps after it returned.
func tokens() porcupine.Model {
	return (&porcupine.NondeterministicModel{
		Init: func() []any { return []any{lockState{}} },
		Step: func(state, input, output any) []any {
			s, in := state.(lockState), input.(step)
			switch {
			case in.acquire && s.holder == 0 && output.(int64) > s.highest:
				return []any{lockState{output.(int64), output.(int64)}}
			case !in.acquire && s.holder == in.token:
				return []any{lockState{0, s.highest}}
			}
			return nil
		},
	}).ToModel()
}

// A witness sees all grants of one lock.
type witness struct {
	start time.Time
	path  string

	mu       sync.Mutex // guards the following
	last     *Lease
	forced   map[int64]bool // sessions that were ended by force, of which nobody is told in time
	excused  int            // overlaps with leases of such sessions
	history  []porcupine.Operation
	sections int
	lost     int
	overlaps []string
	strange  []error
	disorder []string
}

func (w *witness) now() int64 { return int64(time.Since(w.start)) }

// enter is called with each lease that is granted, as soon as it is.
func (w *witness) enter(l *Lease) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p := w.last; p != nil && l.Context().Err() == nil {
		switch {
		case p.Context().Err() != nil:
		case w.forced[p.h.gen.ID()], w.forced[l.h.gen.ID()]:
			w.excused++
		default:
			w.overlaps = append(w.overlaps, fmt.Sprintf("%d was granted while %d was believed to hold", l.Fence().Token, p.Fence().Token))
		}
		if l.Fence().Token <= p.Fence().Token {
			w.disorder = append(w.disorder, fmt.Sprintf("%d came after %d", l.Fence().Token, p.Fence().Token))
		}
	}
	if w.last == nil || w.last.Fence().Token < l.Fence().Token {
		w.last = l
	}
	w.sections++
}

// note adds an acquisition with its end to the history.
func (w *witness) note(worker int, call, granted int64, l *Lease, unlocking, over int64, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	token := l.Fence().Token
	w.history = append(w.history, porcupine.Operation{ClientId: 2 * worker, Input: step{acquire: true}, Call: call, Output: token, Return: granted})
	end := porcupine.Operation{ClientId: 2*worker + 1, Input: step{token: token}, Call: unlocking, Output: token, Return: over}
	if err != nil { // lost: at some time after it was granted, or it will be
		w.lost++
		if !errors.Is(err, ErrLost) {
			w.strange = append(w.strange, err)
		}
		end.Call, end.Return = granted, int64(time.Hour)
	}
	w.history = append(w.history, end)
}

// A network is what connects one client of a soak, and can fail.
type network interface {
	swallow(ctx context.Context) // packets, for longer than a session lasts, perhaps
	cut()
	session() int64
	expire(session int64) // by force
}

// embeddedNet has a listener of its own at an embedded server.
type embeddedNet struct {
	z    *zkembed.Server
	c    *Client
	link *zkembed.Listener
}

func (n embeddedNet) swallow(ctx context.Context) {
	n.link.Hold(zkembed.Both)
	pause(ctx, 300*time.Millisecond+rand.N(700*time.Millisecond))
	n.link.Release()
}

func (n embeddedNet) cut()                 { n.link.Cut() }
func (n embeddedNet) session() int64       { return n.c.zk.Status().Session }
func (n embeddedNet) expire(session int64) { n.z.Expire(session) }

// holeNet goes through a hole to any server.
type holeNet struct {
	h    *hole
	addr string
}

func (n holeNet) swallow(ctx context.Context) {
	n.h.dig()
	pause(ctx, 300*time.Millisecond+rand.N(700*time.Millisecond))
	n.h.fill()
}

func (n holeNet) cut()           { n.h.cut() }
func (n holeNet) session() int64 { return n.h.session() }
func (n holeNet) expire(int64)   { _ = n.h.expire(n.addr) } // it may have ended before

// soakEmbedded loses requests and answers at random, beside what the networks do.
func soakEmbedded(t *testing.T, d time.Duration, deadlineOff bool, enough func(*witness) bool) *witness {
	z := embedded(t)
	var calm atomic.Bool
	z.Intercept(func(zkembed.Request) (f zkembed.Fault) {
		if calm.Load() {
			return f
		}
		switch n := rand.N(1000); {
		case n < 8:
			f.DropBefore = true
		case n < 16:
			f.DropAfter = true
		case n < 36:
			f.Delay = rand.N(20 * time.Millisecond)
		}
		return f
	})
	w := soak(t, d, enough, func() (*Client, network) {
		link, err := z.Listen("127.0.0.1:0")
		require.NoError(t, err)
		c := open(t, link.Addr(), 500*time.Millisecond)
		c.deadlineOff = deadlineOff
		return c, embeddedNet{z, c, link}
	})
	calm.Store(true)
	line(t, open(t, z.Addr(), 5*time.Second), w.path, 0)
	require.Empty(t, z.Sessions()[0].Ephemerals)
	return w
}

// soak runs workers of three processes on one lock for a while, in networks that fail, mostly that of who got it last.
func soak(t *testing.T, d time.Duration, enough func(*witness) bool, connect func() (*Client, network)) *witness {
	w := &witness{start: time.Now(), path: newPath(), forced: map[int64]bool{}}
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	var wg sync.WaitGroup
	nets := map[*Client]network{}
	for p := range 3 {
		c, n := connect()
		nets[c] = n
		for i := range 2 {
			m := mutex(t, c, w.path)
			wg.Go(func() { work(ctx, w, 2*p+i, m) })
		}
	}
	wg.Go(func() {
		for ctx.Err() == nil && !enough(w) {
			pause(ctx, rand.N(200*time.Millisecond))
			for _, n := range nets { // a random one
				w.mu.Lock()
				if w.last != nil && rand.N(2) == 0 {
					n = nets[w.last.h.c]
				}
				w.mu.Unlock()
				switch rand.N(6) {
				case 0:
					n.cut()
				case 1:
					id := n.session()
					w.mu.Lock()
					w.forced[id] = true
					w.mu.Unlock()
					n.expire(id)
				default:
					n.swallow(ctx)
				}
				break
			}
		}
		cancel()
	})
	wg.Wait()
	return w
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// work takes and leaves the lock. What it does inside takes longer than a session from time to time.
func work(ctx context.Context, w *witness, worker int, m *Mutex) {
	for ctx.Err() == nil {
		call := w.now()
		l, err := m.Lock(ctx)
		if err != nil {
			continue
		}
		granted := w.now()
		w.enter(l)
		inside := rand.N(10 * time.Millisecond)
		if rand.N(10) == 0 {
			inside = 800 * time.Millisecond
		}
		pause(l.Context(), inside)
		unlocking := w.now()
		err = l.Unlock(context.Background())
		w.note(worker, call, granted, l, unlocking, w.now(), err)
	}
}

func TestSoak(t *testing.T) {
	t.Parallel()
	check := func(t *testing.T, w *witness) {
		t.Logf("%d sections, %d lost, %d sessions ended by force, %d overlaps by that", w.sections, w.lost, len(w.forced), w.excused)
		require.Greater(t, w.sections, 15)
		require.Positive(t, w.lost, "the network was bad enough")
		require.Empty(t, w.overlaps)
		require.Empty(t, w.disorder)
		require.Empty(t, w.strange)
		require.Equal(t, porcupine.Ok, porcupine.CheckOperationsTimeout(tokens(), w.history, 10*time.Second))
	}
	never := func(*witness) bool { return false }
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		check(t, soakEmbedded(t, 5*time.Second, false, never))
	})
	t.Run("real", func(t *testing.T) {
		t.Parallel()
		z := zktest.Start(t, zktest.Options{})
		w := soak(t, 5*time.Second, never, func() (*Client, network) {
			h := &hole{}
			return openVia(t, z.Addr(), 500*time.Millisecond, h), holeNet{h, z.Addr()}
		})
		check(t, w)
		line(t, open(t, z.Addr(), 5*time.Second), w.path, 0)
	})
}

// The soak sees what happens without the deadline: somebody believes that he holds what is another's.
func TestSoakSeesTheMissingDeadline(t *testing.T) {
	t.Parallel()
	w := soakEmbedded(t, 20*time.Second, true, func(w *witness) bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.overlaps) > 0
	})
	require.NotEmpty(t, w.overlaps)
}

// The model refuses what a broken lock would do.
func TestModelRefuses(t *testing.T) {
	ok := []porcupine.Operation{
		{ClientId: 0, Input: step{acquire: true}, Call: 0, Output: int64(5), Return: 10},
		{ClientId: 1, Input: step{token: 5}, Call: 20, Output: int64(5), Return: 30},
		{ClientId: 2, Input: step{acquire: true}, Call: 5, Output: int64(7), Return: 25},
	}
	require.True(t, porcupine.CheckOperations(tokens(), ok))
	twice := append([]porcupine.Operation{}, ok...)
	twice[2].Return = 15 // while the first holds
	require.False(t, porcupine.CheckOperations(tokens(), twice))
	stale := append([]porcupine.Operation{}, ok...)
	stale[2].Output = int64(4)
	require.False(t, porcupine.CheckOperations(tokens(), stale))
}
