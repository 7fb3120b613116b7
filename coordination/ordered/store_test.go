package ordered_test

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

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/coordination/lock"
	"github.com/ferryrpc/ferry/coordination/ordered"
	"github.com/ferryrpc/ferry/internal/zktest"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/zkembed"
)

// A shelf is a store that all providers of a test have together.
type shelf struct {
	away atomic.Bool
	late atomic.Int64 // writes of earlier owners
	open bool         // the negative control: writes of earlier owners are taken

	mu     sync.Mutex // guards the following
	sealed map[int]lock.Fence
	states map[string][]byte
}

func newShelf() *shelf { return &shelf{sealed: map[int]lock.Fence{}, states: map[string][]byte{}} }

var errAway = errors.New("the shelf is away")

func (s *shelf) Seal(_ context.Context, b ordered.Bucket, f lock.Fence) (ordered.Ledger, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.sealed[b.Number]
	switch {
	case s.away.Load():
		return nil, fmt.Errorf("%w: %w", ordered.ErrStore, errAway)
	case old.Token != 0 && old.Incarnation != f.Incarnation:
		return nil, ordered.ErrIncarnation
	case old.Token > f.Token:
		return nil, ordered.ErrSealed
	}
	s.sealed[b.Number] = f
	return &page{s, b.Number, f}, nil
}

type page struct {
	s      *shelf
	bucket int
	fence  lock.Fence
}

func (p *page) Load(_ context.Context, key string) ([]byte, error) {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	if p.s.away.Load() {
		return nil, fmt.Errorf("%w: %w", ordered.ErrStore, errAway)
	}
	return p.s.states[key], nil
}

func (p *page) Save(_ context.Context, key string, state []byte) error {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	switch {
	case p.s.away.Load():
		return fmt.Errorf("%w: %w", ordered.ErrStore, errAway)
	case p.s.sealed[p.bucket] != p.fence:
		defer p.s.late.Add(1)
		if !p.s.open {
			return ordered.ErrSealed
		}
	}
	p.s.states[key] = state
	return nil
}

func (s *shelf) state(key string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.states[key]
}

func (p *page) Drop(ctx context.Context, key string) error { return p.Save(ctx, key, nil) }

// TestStateOutlivesTheOwner closes the owner gracefully and by a lost session: what ran is not run again.
func TestStateOutlivesTheOwner(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		s := &sessions{address: z.Addr(), session: 10 * time.Second}
		j := newJournal()
		store := ferry.Param("ordered.store", "zookeeper")
		old := serve(t, s.url(), j, store)
		x := lossy(t, 10)
		w := newWorkload(t, 10)
		w.run(consumeWith(t, x, s.url(), ferry.Param("reference.filter", "lossy")), 4, 1<<20)
		require.Eventually(t, func() bool { return j.total() > 50 }, patience, time.Millisecond)
		serve(t, s.url(), j, store, ferry.Param("ordered.move", "5000"))
		require.NoError(t, old.Close(context.Background()))
		n := j.total()
		require.Eventually(t, func() bool { return j.total() > n+50 }, patience, time.Millisecond)
		w.finish()
		require.Empty(t, w.failed)
		j.requireOrder(t, false, 0)
		require.Zero(t, j.doubles())
		w.requireLinear(t)
	})
}

// overtaken lets the owner of a key be overtaken while a call of that key runs. It does not notice by itself that its session is over.
func overtaken(t *testing.T, s *shelf) (before, after []byte) {
	z := embedded(t)
	urls := &sessions{address: z.Addr(), session: 600 * time.Millisecond}
	j := newJournal()
	inside, release := make(chan struct{}), make(chan struct{})
	var first atomic.Bool
	j.hold = func(string) {
		if first.CompareAndSwap(false, true) {
			close(inside)
			<-release
		}
	}
	link, err := z.Listen("127.0.0.1:0")
	require.NoError(t, err)
	x, y := ferry.Builtin(), ferry.Builtin()
	x.Ordered.Weaken(ordered.Deadline)
	require.NoError(t, errors.Join(x.Ordered.Use("shelf", s), y.Ordered.Use("shelf", s)))
	serveWith(t, x, urls.at(link.Addr()), desk{j}, ferry.Param("ordered.store", "shelf"))
	far := &sessions{address: z.Addr(), session: 10 * time.Second}
	c, other := consume(t, far.url(), ferry.Timeout(300*time.Millisecond)), consume(t, far.url())
	done := make(chan error, 1)
	go func() {
		_, err := c.Append(context.Background(), "k", "1")
		done <- err
	}()
	<-inside
	sessions := len(z.Sessions())
	link.Hold(zkembed.Both)
	require.Eventually(t, func() bool { return len(z.Sessions()) < sessions }, patience, time.Millisecond)
	serveWith(t, y, urls.url(), desk{j}, ferry.Param("ordered.store", "shelf"))
	err = <-done
	require.ErrorIs(t, err, ordered.ErrOutcomeUnknown, "a repeat at the next owner: the first one may have run it")
	require.Equal(t, protocol.OutcomeUnknown, protocol.OutcomeOf(err))
	at, err := other.Append(t.Context(), "k", "2")
	require.NoError(t, err)
	require.EqualValues(t, 2, at)
	before = s.state("k")
	close(release)
	require.Eventually(t, func() bool { return s.late.Load() > 0 }, patience, time.Millisecond)
	return before, s.state("k")
}

func TestStaleOwnerIsSealedOff(t *testing.T) {
	t.Parallel()
	before, after := overtaken(t, newShelf())
	require.Equal(t, before, after)
}

func TestWithoutTheSealAStaleOwnerOverwrites(t *testing.T) {
	t.Parallel()
	s := newShelf()
	s.open = true
	before, after := overtaken(t, s)
	require.NotEqual(t, before, after)
}

// TestWrongIncarnation: a store that was sealed in another life of ZooKeeper's data does not let its buckets be owned.
func TestWrongIncarnation(t *testing.T) {
	z := embedded(t)
	s := newShelf()
	for b := range ordered.Buckets {
		s.sealed[b] = lock.Fence{Incarnation: lock.Incarnation{1}, Token: 1}
	}
	x := ferry.Builtin()
	require.NoError(t, x.Ordered.Use("shelf", s))
	urls := &sessions{address: z.Addr(), session: 10 * time.Second}
	j := newJournal()
	serveWith(t, x, urls.url(), desk{j}, ferry.Param("ordered.store", "shelf"))
	c := consume(t, urls.url(), ferry.Param("ordered.wait", "1000"))
	_, err := c.Append(t.Context(), "k", "1")
	require.ErrorContains(t, err, "unknown incarnation")
	require.Equal(t, protocol.NotStarted, protocol.OutcomeOf(err))
	require.Zero(t, j.total())
}

// TestStoreAway: while the store is away nothing new runs, what ran is not lost, and all of it goes on when the store is back.
func TestStoreAway(t *testing.T) {
	z := embedded(t)
	s := newShelf()
	x := ferry.Builtin()
	require.NoError(t, x.Ordered.Use("shelf", s))
	urls := &sessions{address: z.Addr(), session: 10 * time.Second}
	j := newJournal()
	var once sync.Once
	j.hold = func(string) { once.Do(func() { s.away.Store(true) }) } // it goes away while the first call runs
	serveWith(t, x, urls.url(), desk{j}, ferry.Param("ordered.store", "shelf"))
	c := consume(t, urls.url(), ferry.Timeout(200*time.Millisecond), ferry.Param("ordered.wait", "800"))
	_, err := c.Append(t.Context(), "k", "1")
	require.Equal(t, protocol.OutcomeUnknown, protocol.OutcomeOf(err), "%v", err)
	_, err = c.Append(t.Context(), "other", "1")
	require.ErrorContains(t, err, "the shelf is away")
	require.Equal(t, protocol.NotStarted, protocol.OutcomeOf(err), "%v", err)
	s.away.Store(false)
	patient := consume(t, urls.url())
	at, err := patient.Append(t.Context(), "k", "2")
	require.NoError(t, err)
	require.EqualValues(t, 2, at)
	at, err = patient.Append(t.Context(), "other", "2")
	require.NoError(t, err)
	require.EqualValues(t, 1, at)
}

func TestBadKeys(t *testing.T) {
	z := embedded(t)
	urls := &sessions{address: z.Addr(), session: 10 * time.Second}
	j := newJournal()
	serve(t, urls.url(), j)
	c := consume(t, urls.url())
	for _, key := range []string{"", strings.Repeat("k", ordered.LongestKey+1)} {
		_, err := c.Append(t.Context(), key, "1")
		require.ErrorIs(t, err, ordered.ErrKey)
		require.Equal(t, protocol.NotSent, protocol.OutcomeOf(err))
	}
	_, err := c.Append(ordered.WithKey(t.Context(), "other"), "k", "1")
	require.ErrorIs(t, err, ordered.ErrKey)
	wrong := consume(t, urls.url(), ferry.Param("append.ordered.key", "1")) // orders by another argument than the service
	_, err = wrong.Append(t.Context(), "k", "1")
	require.ErrorIs(t, err, ordered.ErrKey)
	require.Equal(t, protocol.NotStarted, protocol.OutcomeOf(err))
	require.Zero(t, j.total())
	longest := strings.Repeat("k", ordered.LongestKey)
	_, err = c.Append(t.Context(), longest, "1")
	require.NoError(t, err)
}

func TestBadParameters(t *testing.T) {
	for name, value := range map[string]string{"ordered": "perhaps", "ordered.key": "x", "ordered.policy": "never", "ordered.move": "0", "ordered.drain": "0",
		"ordered.replay": "1", "ordered.gap": "1", "ordered.store": "tape", "ordered.result": "0", "ordered.zookeeper": "redis://127.0.0.1:1"} {
		s := ferry.NewServer("", ferry.Host("127.0.0.1"), ferry.Param("ordered", "true"), ferry.Param(name, value))
		require.ErrorContains(t, s.ExportValue(service, desk{newJournal()}), "ordered", name)
		require.NoError(t, s.Close(ended()))
	}
	s := ferry.NewServer("memory://bad", ferry.Host("127.0.0.1"), ferry.Param("ordered", "true"))
	require.ErrorContains(t, s.ExportValue(service, desk{newJournal()}), "ordered calls need ZooKeeper")
	require.NoError(t, s.Close(ended()))
	for name, value := range map[string]string{"ordered.window": "65", "ordered.wait": "0", "ordered.key": "x"} {
		c := ferry.NewClient("memory://bad", ferry.Check(false), ferry.Param("ordered", "true"), ferry.Param(name, value))
		_, err := c.Refer(&protocol.Interface{Name: service, Methods: []*protocol.Method{{Service: service, Name: "append"}}})
		require.ErrorContains(t, err, name)
		require.NoError(t, c.Close())
	}
}
