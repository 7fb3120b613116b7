package cluster

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/loadbalance"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/url"
)

func TestUnavailableIsPassedOver(t *testing.T) {
	for _, n := range []int{3, 40} {
		d, refs := fakes(n, "")
		for _, r := range refs[:n-1] {
			r.away.Store(true)
		}
		x := join(t, NewFailover, "", d)
		m := method("sayHello", 0)
		for range 20 {
			require.NoError(t, x.Invoke(t.Context(), call(m, "")))
		}
		require.Equal(t, int64(20), refs[n-1].calls.Load(), "of %d", n)

		y := join(t, NewFailover, "cluster.availablecheck=false", d)
		require.NoError(t, y.Invoke(t.Context(), call(m, "")))
		require.Equal(t, int64(1), refs[0].calls.Load())
	}
}

// TestOnlyProviderIsCalled: with one candidate, or none available, its own error says more than ours could.
func TestOnlyProviderIsCalled(t *testing.T) {
	for _, n := range []int{1, 3} {
		d, refs := fakes(n, "")
		for _, r := range refs {
			r.away.Store(true)
			r.does(fails(protocol.Network, protocol.NotSent))
		}
		err := join(t, NewFailfast, "", d).Invoke(t.Context(), call(method("sayHello", 0), ""))
		require.Equal(t, protocol.Network, protocol.CodeOf(err))
		require.Equal(t, int64(1), refs[0].calls.Load())
	}
}

// TestRetryAtTheSameProvider: when all were tried, one that is available is asked again.
func TestRetryAtTheSameProvider(t *testing.T) {
	d, refs := fakes(1, "")
	refs[0].does(func(context.Context, *protocol.Invocation) error {
		if refs[0].calls.Load() < 3 {
			return &protocol.Error{Code: protocol.Network, Outcome: protocol.NotSent}
		}
		return nil
	})
	require.NoError(t, join(t, NewFailover, "", d).Invoke(t.Context(), call(method("sayHello", 0), "")))
	require.Equal(t, int64(3), refs[0].calls.Load())
	refs[0].away.Store(true)
	refs[0].does(fails(protocol.Network, protocol.NotSent))
	require.Error(t, join(t, NewFailover, "", d).Invoke(t.Context(), call(method("sayHello", 0), "")))
	require.Equal(t, int64(4), refs[0].calls.Load(), "one that is away is not asked twice")
}

func TestSticky(t *testing.T) {
	d, refs := fakes(5, "")
	c, err := NewFailover(extension.Env{}, consumer("sayHello.sticky=true"))
	require.NoError(t, err)
	b, err := loadbalance.NewRoundRobin(extension.Env{}, url.New("", "", ""))
	require.NoError(t, err)
	x := c.Join(d, b)
	sticky, other := method("sayHello", 0), method("other", 1)
	for range 10 {
		require.NoError(t, x.Invoke(t.Context(), call(sticky, "")))
	}
	require.Equal(t, []int64{10, 0, 0, 0, 0}, counts(refs))
	for range 5 {
		require.NoError(t, x.Invoke(t.Context(), call(other, "")))
	}
	require.Equal(t, []int64{11, 1, 1, 1, 1}, counts(refs), "other methods are balanced")

	// It stays over a change of the list, goes on when its provider fails, and stays with the next one.
	targets := d.list.Load().Targets
	d.list.Store(NewSnapshot("s", targets[1], targets[0], targets[2]))
	require.NoError(t, x.Invoke(t.Context(), call(sticky, "")))
	require.Equal(t, int64(12), refs[0].calls.Load())
	refs[0].does(fails(protocol.Network, protocol.NotSent))
	require.NoError(t, x.Invoke(t.Context(), call(sticky, "")))
	refs[0].away.Store(true)
	before := counts(refs)
	for range 6 {
		require.NoError(t, x.Invoke(t.Context(), call(sticky, "")))
	}
	moved := 0
	for i, n := range counts(refs) {
		if n-before[i] == 6 {
			moved++
		}
	}
	require.Equal(t, 1, moved, "%v %v", before, counts(refs))

	// A list without it ends it.
	d.list.Store(NewSnapshot("s", targets[3], targets[4]))
	require.NoError(t, x.Invoke(t.Context(), call(sticky, "")))
}

func TestLoadIsCounted(t *testing.T) {
	d, refs := fakes(1, "")
	target := d.list.Load().Targets[0]
	refs[0].does(func(context.Context, *protocol.Invocation) error {
		require.Equal(t, int64(1), target.Load.Active.Load())
		return nil
	})
	x := join(t, NewFailover, "retries=0", d)
	require.NoError(t, x.Invoke(t.Context(), call(method("sayHello", 0), "")))
	refs[0].does(fails(protocol.Application, protocol.Executed))
	require.Error(t, x.Invoke(t.Context(), call(method("sayHello", 0), "")))
	refs[0].does(fails(protocol.Timeout, protocol.OutcomeUnknown))
	require.Error(t, x.Invoke(t.Context(), call(method("sayHello", 0), "")))
	l := &target.Load
	require.Equal(t, []int64{0, 3, 2, 1}, []int64{l.Active.Load(), l.Calls.Load(), l.Succeeded.Load(), l.Failed.Load()})
	require.Positive(t, l.EWMA.Load())
	require.InDelta(t, time.Now().UnixNano(), l.LastPick.Load(), float64(time.Minute))
}

// TestTwoInvokersOverOneDirectory: each keeps its own plans.
func TestTwoInvokersOverOneDirectory(t *testing.T) {
	d, refs := fakes(2, "")
	refs[0].does(fails(protocol.Network, protocol.NotSent))
	keen, once := join(t, NewFailover, "retries=3", d), join(t, NewFailover, "retries=0", d)
	m := method("sayHello", 0)
	for range 3 {
		require.NoError(t, keen.Invoke(t.Context(), call(m, "")))
		require.Error(t, once.Invoke(t.Context(), call(m, "")))
	}
}

func states(d *Roster) (aside []string) {
	for _, p := range d.Providers() {
		if p.SetAside {
			aside = append(aside, p.Address)
		}
	}
	return aside
}

// TestFailingProviderIsSetAside walks the whole circuit: set aside, probed by one call at a time, back.
func TestFailingProviderIsSetAside(t *testing.T) {
	in(t, "", func(t *testing.T, d *Roster, w *world) {
		d.Update(live(provider(1, ""), provider(2, ""), provider(3, "")))
		synctest.Wait()
		x := join(t, NewFailover, "retries=0", d)
		m := method("sayHello", 0)
		m.Idempotent = true
		bad := w.of("10.0.0.1:20880")[0]
		bad.does(fails(protocol.Timeout, protocol.OutcomeUnknown))
		for i := range 5 {
			require.Empty(t, states(d), "after %d failures", i)
			require.Error(t, x.Invoke(t.Context(), call(m, "")))
		}
		require.Equal(t, []string{"10.0.0.1:20880"}, states(d))
		require.Len(t, addresses(d), 2)
		for range 50 {
			require.NoError(t, x.Invoke(t.Context(), call(m, "")))
		}
		require.Equal(t, int64(5), bad.calls.Load())

		// After a second one call tries it; it fails, so the next try is two seconds later.
		time.Sleep(time.Second)
		require.Error(t, x.Invoke(t.Context(), call(m, "")))
		for range 50 {
			require.NoError(t, x.Invoke(t.Context(), call(m, "")))
		}
		require.Equal(t, int64(6), bad.calls.Load())
		time.Sleep(1500 * time.Millisecond)
		require.NoError(t, x.Invoke(t.Context(), call(m, "")))
		require.Equal(t, int64(6), bad.calls.Load())

		// Then it answers, and is back.
		bad.does(nil)
		time.Sleep(time.Second)
		require.NoError(t, x.Invoke(t.Context(), call(m, "")))
		require.Equal(t, int64(7), bad.calls.Load())
		require.Empty(t, states(d))
		require.Len(t, addresses(d), 3)
	})
}

// TestProbingPrefersWhatMayBeRepeated: a call that must not run twice waits for another second before it tries.
func TestProbingPrefersWhatMayBeRepeated(t *testing.T) {
	in(t, "", func(t *testing.T, d *Roster, w *world) {
		d.Update(live(provider(1, ""), provider(2, "")))
		synctest.Wait()
		x := join(t, NewFailover, "", d)
		bad := w.of("10.0.0.1:20880")[0]
		bad.does(fails(protocol.Timeout, protocol.OutcomeUnknown))
		plain, harmless := method("plain", 0), method("harmless", 1)
		harmless.Idempotent = true
		for range 5 {
			require.Error(t, x.Invoke(t.Context(), call(plain, "")))
		}
		time.Sleep(1500 * time.Millisecond)
		require.NoError(t, x.Invoke(t.Context(), call(plain, "")))
		require.Equal(t, int64(5), bad.calls.Load())
		require.NoError(t, x.Invoke(t.Context(), call(harmless, "")), "the probe fails, and is repeated")
		require.Equal(t, int64(6), bad.calls.Load())
		time.Sleep(2500 * time.Millisecond)
		require.NoError(t, x.Invoke(t.Context(), call(plain, "")))
		time.Sleep(time.Second)
		require.Error(t, x.Invoke(t.Context(), call(plain, "")), "nobody else tried, so this one does")
		require.Equal(t, int64(7), bad.calls.Load())

		bad.away.Store(true)
		time.Sleep(time.Hour)
		require.NoError(t, x.Invoke(t.Context(), call(harmless, "")), "without connection there is nothing to try")
		require.Equal(t, int64(7), bad.calls.Load())
	})
}

// TestNeverMoreThanHalfAside: whatever fails, half of the providers stay in the list.
func TestNeverMoreThanHalfAside(t *testing.T) {
	for _, n := range []int{1, 2, 3, 4, 7} {
		in(t, "outlier.failures=2", func(t *testing.T, d *Roster, w *world) {
			var list []string
			for i := range n {
				list = append(list, provider(i+1, ""))
			}
			d.Update(live(list...))
			synctest.Wait()
			for _, r := range w.opened {
				r.does(fails(protocol.Network, protocol.OutcomeUnknown))
			}
			c, err := NewFailfast(extension.Env{}, consumer(""))
			require.NoError(t, err)
			b, _ := loadbalance.NewRoundRobin(extension.Env{}, consumer(""))
			x := c.Join(d, b)
			for range 60 * n {
				require.Error(t, x.Invoke(t.Context(), call(method("sayHello", 0), "")))
				require.LessOrEqual(t, len(states(d)), n/2)
				require.GreaterOrEqual(t, len(addresses(d)), n-n/2)
			}
			require.Len(t, states(d), n/2)

			// When the list shrinks, those set aside come back.
			d.Update(live(list[:1]...))
			synctest.Wait()
			require.Len(t, addresses(d), 1)
			require.Empty(t, states(d))
		})
	}
}

// TestAnswersKeepAProvider: only failures of the provider, in a row, count against it.
func TestAnswersKeepAProvider(t *testing.T) {
	in(t, "", func(t *testing.T, d *Roster, w *world) {
		d.Update(live(provider(1, ""), provider(2, "")))
		synctest.Wait()
		x := join(t, NewFailfast, "", d)
		first := w.of("10.0.0.1:20880")[0]
		for i, e := range []*protocol.Error{{Code: protocol.Application, Outcome: protocol.Executed}, {Code: protocol.Canceled, Outcome: protocol.OutcomeUnknown},
			{Code: protocol.LimitExceeded, Outcome: protocol.NotSent}, {Code: protocol.Network, Outcome: protocol.NotStarted}} {
			first.does(func(context.Context, *protocol.Invocation) error { return e })
			for range 20 {
				require.Error(t, x.Invoke(t.Context(), call(method("sayHello", 0), "")))
			}
			require.Empty(t, states(d), i)
		}
		for range 20 { // an answer, even an error, starts the count again
			first.does(fails(protocol.Timeout, protocol.OutcomeUnknown))
			for range 4 {
				require.Error(t, x.Invoke(t.Context(), call(method("sayHello", 0), "")))
			}
			first.does(fails(protocol.Application, protocol.Executed))
			require.Error(t, x.Invoke(t.Context(), call(method("sayHello", 0), "")))
		}
		require.Empty(t, states(d))
	})
}

// TestLastResort: when all others are gone, a provider that was set aside is called.
func TestLastResort(t *testing.T) {
	in(t, "", func(t *testing.T, d *Roster, w *world) {
		d.Update(live(provider(1, "tag=a"), provider(2, "")))
		synctest.Wait()
		first, second := w.of("10.0.0.1:20880")[0], w.of("10.0.0.2:20880")[0]
		x := join(t, NewFailover, "", d)
		m := method("sayHello", 0)
		first.does(fails(protocol.Timeout, protocol.OutcomeUnknown))
		for range 5 {
			require.Error(t, x.Invoke(t.Context(), call(m, "")))
		}
		require.Equal(t, []string{"10.0.0.1:20880"}, states(d))
		first.does(nil)
		second.away.Store(true)
		second.does(fails(protocol.Network, protocol.NotSent))
		require.NoError(t, x.Invoke(t.Context(), call(m, "")), "not sent to the one, and answered by the other")
		require.Empty(t, states(d))
	})
}

func TestBudgetOverTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b Budget
		drain := func() (n int) {
			for b.withdraw() {
				n++
			}
			return n
		}
		require.Equal(t, 100, drain())
		time.Sleep(time.Second)
		require.Equal(t, 10, drain())
		time.Sleep(time.Hour)
		require.Equal(t, 100, drain(), "what is not used is kept for ten seconds only")
		for range 10 {
			for range 1000 {
				b.call()
			}
			time.Sleep(time.Second)
		}
		require.InDelta(t, 100+2000, drain(), 1)
		s := b.State()
		require.Equal(t, int64(10_000), s.Calls)
		require.Positive(t, s.Refused)
		require.Zero(t, s.Left)
	})
}

// TestConcurrentCallsAndChanges is for the race detector: calls go on while everything changes.
func TestConcurrentCallsAndChanges(t *testing.T) {
	d, w := roster(t, "")
	var list []string
	for i := range 6 {
		list = append(list, provider(i+1, ""))
	}
	d.Update(live(list...))
	require.NoError(t, d.Ready(t.Context()))
	x := randomFailover(t, d)
	done := make(chan error)
	for g := range 4 {
		go func() {
			m := method(fmt.Sprint("m", g%2), g%2)
			m.Idempotent = true
			var last error
			for range 500 {
				if err := x.Invoke(context.Background(), call(m, "")); err != nil {
					last = err
				}
			}
			done <- last
		}()
	}
	for i := range 60 {
		d.Update(live(list[i%3 : 3+i%4]...))
		d.Route(keepOnly("")) // keeps all
		w.mu.Lock()
		w.opened[i%len(w.opened)].does(fails(protocol.Network, protocol.OutcomeUnknown))
		w.opened[(i+1)%len(w.opened)].does(nil)
		w.mu.Unlock()
		d.Providers()
	}
	for range 4 {
		<-done
	}
	require.NoError(t, d.Close())
}
