package idempotent_test

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

	"github.com/ferryrpc/ferry/coordination/idempotent"
	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/internal/zktest"
	"github.com/ferryrpc/ferry/zkembed"
)

// A visit is one Do in a history: ran is what it ran, "" when it ran nothing. Every execution has a name of its own, so that
// a second one cannot pass for the first.
type visit struct{ key, ran string }

// firstWins models a key: the first answer is the answer. A visit that got none may have left the answer of its own execution,
// or not.
func firstWins() porcupine.Model {
	return (&porcupine.NondeterministicModel{
		Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
			byKey := map[string][]porcupine.Operation{}
			for _, o := range history {
				k := o.Input.(visit).key
				byKey[k] = append(byKey[k], o)
			}
			var out [][]porcupine.Operation
			for _, list := range byKey {
				out = append(out, list)
			}
			return out
		},
		Init: func() []any { return []any{""} },
		Step: func(state, input, output any) []any {
			s, ran, got := state.(string), input.(visit).ran, output.(string)
			switch {
			case got == "" && ran != "" && s == "":
				return []any{s, ran}
			case got == "":
				return []any{s}
			case s == "" && got == ran, s == got:
				return []any{got}
			}
			return nil
		},
	}).ToModel()
}

// A soak lets callers of several providers make the same calls again and again.
type soak struct {
	start time.Time
	views []*view
	runs  sync.Map // key -> *atomic.Int32
	hide  bool     // the negative control: an unknown outcome is passed off as a plain timeout

	mu       sync.Mutex // guards the following
	history  []porcupine.Operation
	answered int
	unknown  int
	failed   int
	strange  []error
}

// A view is a provider's executor, which dies and is replaced.
type view struct {
	open func() (idempotent.Store, error)
	kind idempotent.Policy
	at   atomic.Pointer[idempotent.Executor]
}

func (v *view) renew() error {
	s, err := v.open()
	if err == nil {
		v.at.Store(&idempotent.Executor{Store: s, Policy: v.kind, Lease: 20 * time.Second, TTL: 5 * time.Minute})
	}
	return err
}

func (s *soak) caller(ctx context.Context, id int, keys []string) {
	for n := 0; ctx.Err() == nil; n++ {
		key := keys[rand.N(len(keys))]
		x := s.views[rand.N(len(s.views))].at.Load()
		in := visit{key: key}
		call := int64(time.Since(s.start))
		inner, cancel := context.WithTimeout(ctx, 2*time.Second)
		a, err := x.Do(inner, idempotent.Call{Key: idempotent.Key{Service: "soak", Text: key}, Run: func(ctx context.Context) idempotent.Ran {
			in.ran = fmt.Sprintf("%d.%d", id, n)
			count, _ := s.runs.LoadOrStore(key, new(atomic.Int32))
			count.(*atomic.Int32).Add(1)
			work := rand.N(5 * time.Millisecond)
			if rand.N(10) == 0 { // long enough for the provider to die under it
				work = rand.N(200 * time.Millisecond)
			}
			pause(ctx, work)
			return idempotent.Ran{Result: []byte(in.ran)}
		}})
		cancel()
		if s.hide && errors.Is(err, idempotent.ErrOutcomeUnknown) {
			err = context.DeadlineExceeded
		}
		s.note(id, in, call, a, err)
	}
}

func (s *soak) note(id int, in visit, call int64, a idempotent.Answer, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := porcupine.Operation{ClientId: id, Input: in, Call: call, Output: string(a.Result), Return: int64(time.Since(s.start))}
	switch {
	case err == nil:
		s.answered++
	case in.ran != "": // its answer may be there already, or come at any later time
		s.unknown++
		o.Output, o.Return = "", int64(time.Hour)
		o.ClientId = 1000 + len(s.history) // it stays open while its caller goes on
		if !errors.Is(err, idempotent.ErrOutcomeUnknown) {
			s.strange = append(s.strange, err)
		}
	default: // nothing of it can be seen
		s.failed++
		return
	}
	s.history = append(s.history, o)
}

// run soaks for a while; disturb is called again and again.
func (s *soak) run(t *testing.T, d time.Duration, disturb func(context.Context)) {
	t.Helper()
	s.start = time.Now()
	for _, v := range s.views {
		require.NoError(t, v.renew())
	}
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() {
		for ctx.Err() == nil {
			disturb(ctx)
		}
	})
	for id := range 6 {
		wg.Go(func() {
			for round := 0; ctx.Err() == nil; round++ { // new keys again and again
				var keys []string
				for k := range 4 {
					keys = append(keys, fmt.Sprintf("%s/%d/%d", t.Name(), int(time.Since(s.start)/(250*time.Millisecond)), k))
				}
				part, end := context.WithTimeout(ctx, 250*time.Millisecond)
				s.caller(part, id, keys)
				end()
			}
		})
	}
	wg.Wait()
	for _, v := range s.views {
		if c, ok := v.at.Load().Store.(*idempotent.ZooKeeper); ok {
			_ = c.Close()
		}
	}
	t.Logf("%d answers, %d unknown, %d failed before they ran", s.answered, s.unknown, s.failed)
}

// most is how often the key ran that ran most.
func (s *soak) most() int32 {
	most := int32(0)
	s.runs.Range(func(_, v any) bool { most = max(most, v.(*atomic.Int32).Load()); return true })
	return most
}

func (s *soak) verdict() porcupine.CheckResult {
	return porcupine.CheckOperationsTimeout(firstWins(), s.history, 20*time.Second)
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// views returns providers at an ensemble; each dies by closing its store, which ends its executor's node.
func zkViews(n int, policy idempotent.Policy, address func(i int) string) []*view {
	var out []*view
	for i := range n {
		out = append(out, &view{kind: policy, open: func() (idempotent.Store, error) {
			return idempotent.OpenZooKeeper(extension.Env{}, "zookeeper://"+address(i)+"/soak?session=2000")
		}})
	}
	return out
}

// die replaces a provider now and then, while its calls run.
func die(ctx context.Context, views []*view) {
	pause(ctx, rand.N(300*time.Millisecond))
	v := views[rand.N(len(views))]
	old := v.at.Load().Store.(*idempotent.ZooKeeper)
	_ = v.renew()
	_ = old.Close()
}

// TestSoakEmbedded loses requests and answers, cuts connections, expires sessions and kills providers.
func TestSoakEmbedded(t *testing.T) {
	for _, policy := range []idempotent.Policy{idempotent.AtMostOnce, idempotent.ReExecutable} {
		t.Run(policy.String(), func(t *testing.T) {
			t.Parallel()
			z, err := zkembed.Start(zkembed.Options{})
			require.NoError(t, err)
			defer z.Close()
			z.Intercept(func(zkembed.Request) (f zkembed.Fault) {
				switch n := rand.N(1000); {
				case n < 8:
					f.DropBefore = true
				case n < 16:
					f.DropAfter = true
				case n < 40:
					f.Delay = rand.N(10 * time.Millisecond)
				}
				return f
			})
			s := &soak{views: zkViews(3, policy, func(int) string { return z.Addr() })}
			s.run(t, 4*time.Second, func(ctx context.Context) {
				if list := z.Sessions(); len(list) > 0 && rand.N(3) == 0 {
					z.Expire(list[rand.N(len(list))].ID)
				}
				die(ctx, s.views)
			})
			s.holds(t, policy)
		})
	}
}

func (s *soak) holds(t *testing.T, policy idempotent.Policy) {
	t.Helper()
	require.Greater(t, s.answered, 20)
	require.Empty(t, s.strange, "what may have run is reported as unknown")
	require.Equal(t, porcupine.Ok, s.verdict())
	if policy == idempotent.AtMostOnce {
		require.Equal(t, int32(1), s.most())
	}
}

// TestSoakReal does it with Debian's ZooKeeper, which is frozen and whose clients die.
func TestSoakReal(t *testing.T) {
	t.Parallel()
	z := zktest.Start(t, zktest.Options{})
	s := &soak{views: zkViews(3, idempotent.AtMostOnce, func(int) string { return z.Addr() })}
	s.run(t, 4*time.Second, func(ctx context.Context) {
		if rand.N(4) == 0 {
			thaw := z.Freeze(t)
			pause(ctx, rand.N(300*time.Millisecond))
			thaw()
		}
		die(ctx, s.views)
	})
	s.holds(t, idempotent.AtMostOnce)
}

// TestSoakEnsemble does it with three servers, whose leader is killed again and again.
func TestSoakEnsemble(t *testing.T) {
	t.Parallel()
	e := zktest.StartEnsemble(t, zktest.Options{})
	s := &soak{views: zkViews(3, idempotent.AtMostOnce, func(int) string { return e.Addr() })}
	kills := 0
	s.run(t, 6*time.Second, func(ctx context.Context) {
		for range 4 {
			die(ctx, s.views)
		}
		leader := e.Leader(t)
		leader.Kill(t)
		kills++
		pause(ctx, rand.N(time.Second))
		leader.Start(t, true)
	})
	require.Positive(t, kills)
	s.holds(t, idempotent.AtMostOnce)
}

// TestSoakSeesTheMissingRecord: providers that keep their records for themselves run calls twice, and the check says so.
func TestSoakSeesTheMissingRecord(t *testing.T) {
	t.Parallel()
	s := &soak{}
	for range 3 {
		s.views = append(s.views, &view{open: func() (idempotent.Store, error) { return idempotent.NewMemory(0), nil }})
	}
	s.run(t, time.Second, func(ctx context.Context) { <-ctx.Done() })
	require.Equal(t, porcupine.Illegal, s.verdict())
	require.Greater(t, s.most(), int32(1))
}

// forgetful is a store that now and then refuses to record that a call ran.
type forgetful struct{ *idempotent.Memory }

func (f forgetful) Finish(ctx context.Context, t idempotent.Ticket, end idempotent.Final) error {
	if rand.N(4) == 0 {
		return idempotent.ErrFenced
	}
	return f.Memory.Finish(ctx, t, end)
}

// TestSoakSeesTheHiddenUnknown: calls that ran and have no record are reported as unknown, and the check sees when they are not.
func TestSoakSeesTheHiddenUnknown(t *testing.T) {
	t.Parallel()
	for _, hide := range []bool{false, true} {
		m := idempotent.NewMemory(0)
		s := &soak{hide: hide, views: []*view{{open: func() (idempotent.Store, error) { return forgetful{m}, nil }}}}
		s.run(t, time.Second, func(ctx context.Context) { <-ctx.Done() })
		require.Positive(t, s.unknown)
		require.Equal(t, hide, len(s.strange) > 0, "%v", s.strange)
	}
}

// TestSoakSeesTheMissingFence: an executor whose record was taken over finishes it nevertheless, and two answers are given.
func TestSoakSeesTheMissingFence(t *testing.T) {
	t.Parallel()
	for _, fenced := range []bool{true, false} {
		m := idempotent.NewMemory(0)
		open := func() (idempotent.Store, error) { return careless{m, fenced}, nil }
		s := &soak{views: []*view{{open: open, kind: idempotent.ReExecutable}, {open: open, kind: idempotent.ReExecutable}}}
		s.start = time.Now()
		for _, v := range s.views {
			require.NoError(t, v.renew())
			v.at.Load().Lease = 30 * time.Millisecond
		}
		slow := make(chan struct{})
		var wg sync.WaitGroup
		for id, v := range s.views {
			wg.Go(func() {
				in := visit{"k", fmt.Sprint(id)}
				call := int64(time.Since(s.start))
				a, err := v.at.Load().Do(t.Context(), idempotent.Call{Key: idempotent.Key{Text: "k"}, Run: func(ctx context.Context) idempotent.Ran {
					if a := s.entered(in.key); a == 1 {
						<-slow // deaf to the end of its lease, until the other one has answered
					} else {
						defer close(slow)
					}
					return idempotent.Ran{Result: []byte(in.ran)}
				}})
				s.note(id, in, call, a, err)
			})
		}
		wg.Wait()
		want := porcupine.Illegal
		if fenced {
			want = porcupine.Ok
		}
		require.Equal(t, want, s.verdict(), "fenced: %t", fenced)
	}
}

func (s *soak) entered(key string) int32 {
	count, _ := s.runs.LoadOrStore(key, new(atomic.Int32))
	return count.(*atomic.Int32).Add(1)
}

// careless is a store without a fence: Finish never fails.
type careless struct {
	*idempotent.Memory
	fenced bool
}

func (c careless) Finish(ctx context.Context, t idempotent.Ticket, f idempotent.Final) error {
	err := c.Memory.Finish(ctx, t, f)
	if !c.fenced {
		return nil
	}
	return err
}
