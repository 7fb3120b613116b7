package cluster

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/loadbalance"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/registry"
	"github.com/ferryrpc/ferry/url"
)

type keepOnly string

func (k keepOnly) Route(_ *protocol.Invocation, s *Snapshot) *Snapshot {
	return s.Narrow("router tag", string(k), func(t *loadbalance.Target) bool { return t.Ref.URL().Param("tag") == string(k) })
}

func TestRouters(t *testing.T) {
	in(t, "", func(t *testing.T, d *Roster, w *world) {
		d.Update(live(provider(1, "tag=a"), provider(2, "tag=a"), provider(3, "tag=b")))
		synctest.Wait()
		d.Route(keepOnly("a"))
		require.Equal(t, []string{"10.0.0.1:20880", "10.0.0.2:20880"}, addresses(d))
		require.Same(t, d.List(nil), d.List(nil), "a routed list is made once")
		d.Route(keepOnly("c"))
		err := join(t, NewFailover, "", d).Invoke(t.Context(), call(method("sayHello", 0), ""))
		require.Equal(t, protocol.NoProvider, protocol.CodeOf(err))
		require.ErrorContains(t, err, "the registry gave 3 addresses (live, ")
		require.ErrorContains(t, err, "router tag removed 3")
		d.Route()
		require.Len(t, addresses(d), 3)
	})
}

func TestConfigure(t *testing.T) {
	in(t, "", func(t *testing.T, d *Roster, w *world) {
		d.Update(live(provider(1, ""), provider(2, "")))
		synctest.Wait()
		old := d.List(nil).Targets[0].Ref
		d.Configure(func(u *url.URL) *url.URL { return u.With("weight", "7") })
		synctest.Wait()
		require.Equal(t, 7, d.List(nil).Targets[0].Weight)
		require.Same(t, old, d.List(nil).Targets[0].Ref)
	})
}

func TestNarrow(t *testing.T) {
	d, _ := fakes(3, "")
	s := d.List(nil)
	require.Same(t, s, s.Narrow("r", "all", func(*loadbalance.Target) bool { return true }))
	runs := 0
	keep := func(x *loadbalance.Target) bool { runs++; return x == s.Targets[1] }
	n := s.Narrow("r", "one", keep)
	require.Len(t, n.Targets, 1)
	require.Equal(t, []Removal{{"r", 2}}, n.Removed)
	require.Same(t, n, s.Narrow("r", "one", keep))
	require.Equal(t, 3, runs)
	if !raceEnabled {
		require.Zero(t, testing.AllocsPerRun(100, func() { s.Narrow("r", "one", keep) }))
	}
	for i := range 3 * mostRoutes { // keys from outside do not fill the memory
		s.Narrow("r", fmt.Sprint(i), keep)
	}
	require.LessOrEqual(t, len(*s.routed.Load()), mostRoutes)
	require.Len(t, s.Narrow("r", "beyond", keep).Targets, 1)
}

func BenchmarkUpdate(b *testing.B) {
	for _, n := range []int{100, 10000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			lists := [2]registry.State{live(), live()}
			for i := range n {
				for k := range lists { // texts of their own, as a registry delivers them
					u := url.MustParse(fmt.Sprintf("dubbo://10.1.%d.%d:20880/com.example.Greeter?application=stock&dubbo=2.0.2&interface=com.example.Greeter&methods=sayHello&side=provider&timestamp=1700000000000", i>>8, i&255))
					if i == n/2 {
						u = u.With("weight", fmt.Sprint(k+1))
					}
					lists[k].URLs = append(lists[k].URLs, u)
				}
			}
			d, _ := roster(b, "timeout=300&application=shop&side=consumer")
			d.Update(lists[0])
			require.Eventually(b, func() bool { return len(addresses(d)) == n }, time.Minute, time.Millisecond)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				d.Update(lists[(i+1)%2])
			}
			b.StopTimer()
			require.NoError(b, d.Close())
		})
	}
}

// TestTargetsKnowWhatTheirProviderPublished: the consumer's zone goes over the provider's, yet balancers see both, and a
// change that the consumer's own value hides reaches them on the same connection.
func TestTargetsKnowWhatTheirProviderPublished(t *testing.T) {
	d, w := roster(t, "zone=b")
	defer d.Close()
	zone := func() (published, merged string) {
		target := d.Snapshot().Targets[0]
		return target.Published.Param("zone"), target.Ref.URL().Param("zone")
	}
	d.Update(live(provider(1, "zone=a")))
	require.NoError(t, d.Ready(context.Background()))
	published, merged := zone()
	require.Equal(t, "a", published)
	require.Equal(t, "b", merged)
	d.Update(live(provider(1, "zone=c")))
	published, merged = zone()
	require.Equal(t, "c", published)
	require.Equal(t, "b", merged)
	require.Len(t, w.of("10.0.0.1:20880"), 1)
}

// TestRoutedToTheFailing: when a router leaves nobody but a provider that was set aside, that one is called.
func TestRoutedToTheFailing(t *testing.T) {
	in(t, "", func(t *testing.T, d *Roster, w *world) {
		d.Update(live(provider(1, "tag=a"), provider(2, "tag=b")))
		synctest.Wait()
		x := join(t, NewFailfast, "", d)
		w.of("10.0.0.1:20880")[0].does(fails(protocol.Timeout, protocol.OutcomeUnknown))
		for range 5 {
			require.Error(t, x.Invoke(t.Context(), call(method("sayHello", 0), "")))
		}
		require.Len(t, states(d), 1)
		w.of("10.0.0.1:20880")[0].does(nil)
		d.Route(keepOnly("a"))
		require.NoError(t, x.Invoke(t.Context(), call(method("sayHello", 0), "")))
		require.Empty(t, states(d))
	})
}
