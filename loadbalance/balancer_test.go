package loadbalance

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/url"
)

// TestContract is what every picker keeps: no tried target, nil when all were tried or there are none, no allocation.
func TestContract(t *testing.T) {
	for name, b := range all(t) {
		for _, n := range []int{1, 2, 3, 40, 200} {
			for _, weights := range [][]int{{100}, {3, 1, 2}, {0}, {5, 0}} {
				t.Run(fmt.Sprint(name, n, weights), func(t *testing.T) {
					targets := list(n, weights...)
					p := b.Prepare(sayHello, targets)
					var tried Tried
					for range n {
						key := "k"
						got := p.Pick(invocation(&key), tried)
						require.NotNil(t, got, "%d tried", len(tried))
						require.False(t, tried.Has(got))
						require.GreaterOrEqual(t, indexOf(targets, got), 0)
						tried = append(tried, got)
					}
					require.Nil(t, p.Pick(invocation(), tried))
					if !raceEnabled {
						key := "user-42"
						c := invocation(&key)
						require.Zero(t, testing.AllocsPerRun(200, func() { p.Pick(c, nil) }))
					}
				})
			}
		}
		require.Nil(t, b.Prepare(sayHello, nil).Pick(invocation(), nil), name)
	}
}

// TestWeightZeroGetsNothing: a provider that is drained by weight 0 has no calls while there are others.
func TestWeightZeroGetsNothing(t *testing.T) {
	for name, b := range all(t) {
		if name == "consistenthash" {
			continue // knows no weights
		}
		for _, n := range []int{3, 60, 300} {
			targets := list(n, 7, 0, 3)
			p := b.Prepare(sayHello, targets)
			for range 2000 {
				got := p.Pick(invocation(), nil)
				require.NotZero(t, got.Weight, "%s of %d", name, n)
			}
			// Not on a second attempt either.
			for range 200 {
				require.NotZero(t, p.Pick(invocation(), Tried{targets[0]}).Weight, "%s of %d", name, n)
			}
		}
	}
}

func shares(t *testing.T, p Picker, targets []*Target, n int) []int {
	counts := make([]int, len(targets))
	for range n {
		counts[indexOf(targets, p.Pick(invocation(), nil))]++
	}
	return counts
}

func TestRandomShares(t *testing.T) {
	for _, weights := range [][]int{{100, 100, 100}, {1, 2, 7}, {200, 1, 99, 100}, {0, 0, 0}} {
		targets := list(len(weights), weights...)
		want, sum := make([]float64, len(weights)), 0
		for _, w := range weights {
			sum += w
		}
		for i, w := range weights {
			want[i] = 1 / float64(len(weights))
			if sum > 0 {
				want[i] = float64(w) / float64(sum)
			}
		}
		p := random{fixed()}.Prepare(sayHello, targets)
		requireShares(t, shares(t, p, targets, 100_000), want)
	}
}

// TestRandomSharesOfTheRest: on a second attempt the others share in proportion to their weights, in short and long lists.
func TestRandomSharesOfTheRest(t *testing.T) {
	targets := list(4, 1000, 1, 2, 7)
	p := random{fixed()}.Prepare(sayHello, targets)
	counts := make([]int, 4)
	for range 50_000 {
		counts[indexOf(targets, p.Pick(invocation(), Tried{targets[0]}))]++
	}
	requireShares(t, counts, []float64{0, 0.1, 0.2, 0.7})
}

func TestMethodWeight(t *testing.T) {
	targets := list(2)
	targets[0].Weights = map[string]int{"sayHello": 300}
	p := random{fixed()}.Prepare(sayHello, targets)
	requireShares(t, shares(t, p, targets, 40_000), []float64{0.75, 0.25})
	p = random{fixed()}.Prepare(&protocol.Method{Name: "other"}, targets)
	requireShares(t, shares(t, p, targets, 40_000), []float64{0.5, 0.5})
}

// TestWarmup: a picker that was prepared at the start of a provider follows its growing weight.
func TestWarmup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		targets := list(2)
		targets[1].Started, targets[1].Warmup = time.Now(), 10*time.Minute
		p := random{fixed()}.Prepare(sayHello, targets)
		want := func(weight float64) {
			t.Helper()
			requireShares(t, shares(t, p, targets, 40_000), []float64{100 / (100 + weight), weight / (100 + weight)})
		}
		want(1)
		<-time.After(time.Minute)
		want(10)
		<-time.After(4 * time.Minute)
		want(50)
		<-time.After(5 * time.Minute)
		want(100)
		require.Equal(t, int64(never), p.(*randomPicker).table.Load().until, "the clock is read no longer")
	})
}

type vectors struct {
	Hash struct {
		Addresses []string `json:"addresses"`
		Nodes     int      `json:"hash.nodes"`
		Points    int      `json:"ring_points"`
		Picks     []struct {
			Key, Addr string
			Hash      uint32
		}
	} `json:"consistent_hash"`
	RoundRobin map[string][]int `json:"smooth_round_robin"`
	Warmup     []struct {
		Uptime    int64 `json:"uptime_ms"`
		Warmup    int64 `json:"warmup_ms"`
		Weight    int   `json:"weight"`
		Effective int   `json:"effective"`
	}
}

func golden(t *testing.T) (v vectors) {
	text, err := os.ReadFile("testdata/loadbalance.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &v))
	require.NotEmpty(t, v.Hash.Picks)
	require.NotEmpty(t, v.RoundRobin)
	require.NotEmpty(t, v.Warmup)
	return v
}

func TestWarmupFormula(t *testing.T) {
	for _, v := range golden(t).Warmup {
		start := time.UnixMilli(1e12)
		target := Target{Weight: v.Weight, Started: start, Warmup: time.Duration(v.Warmup) * time.Millisecond}
		require.Equal(t, v.Effective, target.EffectiveWeight(start.Add(time.Duration(v.Uptime)*time.Millisecond)), "%+v", v)
	}
	ahead := Target{Weight: 100, Started: time.Now().Add(time.Hour), Warmup: time.Minute}
	require.Equal(t, 1, ahead.EffectiveWeight(time.Now()), "a provider whose clock is ahead")
}

func TestRoundRobinOrder(t *testing.T) {
	for name, want := range golden(t).RoundRobin {
		weights := splitNumbers(name)
		targets := list(len(weights), weights...)
		p := roundRobin{}.Prepare(sayHello, targets)
		var got []int
		for range want {
			got = append(got, indexOf(targets, p.Pick(invocation(), nil)))
		}
		require.Equal(t, want, got, name)
	}
}

// splitNumbers reads weights_5_1_1.
func splitNumbers(name string) (out []int) {
	n, in := 0, false
	for _, c := range name + "_" {
		switch {
		case c >= '0' && c <= '9':
			n, in = n*10+int(c-'0'), true
		case in:
			out, n, in = append(out, n), 0, false
		}
	}
	return out
}

// TestRoundRobinLongLists: over a whole round each provider has exactly its share, and at any time nearly.
func TestRoundRobinLongLists(t *testing.T) {
	const n = 1000
	targets := list(n, 1, 2, 5, 10, 0)
	p := roundRobin{}.Prepare(sayHello, targets)
	require.IsType(t, &due{}, p)
	total := n / 5 * 18
	counts := make([]int, n)
	for round := range 3 {
		for k := range total {
			counts[indexOf(targets, p.Pick(invocation(), nil))]++
			if k == total/4 {
				for i := range targets {
					require.InDelta(t, float64(targets[i].Weight)*(float64(round)+0.25), float64(counts[i]), 0.7)
				}
			}
		}
		for i := range targets {
			require.Equal(t, targets[i].Weight*(round+1), counts[i], "position %d after round %d", i, round+1)
		}
	}
}

func TestLeastActive(t *testing.T) {
	for _, n := range []int{3, 100} {
		targets := list(n, 1, 3)
		for i, x := range targets {
			x.Load.Active.Store(5)
			if i == n/2 || i == n/2+1 {
				x.Load.Active.Store(4)
			}
		}
		p := leastActive{fixed()}.Prepare(sayHello, targets)
		want := make([]float64, n)
		sum := float64(targets[n/2].Weight + targets[n/2+1].Weight)
		want[n/2], want[n/2+1] = float64(targets[n/2].Weight)/sum, float64(targets[n/2+1].Weight)/sum
		requireShares(t, shares(t, p, targets, 20_000), want)
	}
	// Idle ones in a long list share by weight, whether they are drawn or found.
	targets := list(100, 1, 3)
	for _, x := range targets[50:] {
		x.Load.Active.Store(1)
	}
	want := make([]float64, 100)
	for i := range 50 {
		want[i] = float64(targets[i].Weight) / 100
	}
	requireShares(t, shares(t, leastActive{fixed()}.Prepare(sayHello, targets), targets, 50_000), want)
}

func TestShortestResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		targets := list(3)
		answer := func(i int, d time.Duration) { targets[i].Load.Begin(0); targets[i].Load.End(d, true) }
		p := shortestResponse{fixed()}.Prepare(sayHello, targets)
		answer(0, 30*time.Millisecond)
		answer(1, 10*time.Millisecond)
		answer(2, 20*time.Millisecond)
		require.Same(t, targets[1], p.Pick(invocation(), nil))
		targets[1].Load.Active.Store(2) // 10 ms · 3 > 20 ms · 1
		require.Same(t, targets[2], p.Pick(invocation(), nil))

		<-time.After(31 * time.Second) // a new window forgets
		p.Pick(invocation(), nil)
		targets[1].Load.Active.Store(0)
		answer(0, time.Millisecond)
		answer(1, 2*time.Millisecond)
		answer(2, 3*time.Millisecond)
		require.Same(t, targets[0], p.Pick(invocation(), nil))
	})
}

// TestShortestResponseAvoidsTheSilent: who never answers must not look fast.
func TestShortestResponseAvoidsTheSilent(t *testing.T) {
	targets := list(2)
	p := shortestResponse{fixed()}.Prepare(sayHello, targets)
	targets[0].Health.Failures.Store(1)
	targets[1].Load.Begin(0)
	targets[1].Load.End(50*time.Millisecond, true)
	for range 100 {
		require.Same(t, targets[1], p.Pick(invocation(), nil))
	}
}

func TestP2C(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := all(t)["p2c"]
		targets := list(3)
		now := time.Now().UnixNano()
		for i, x := range targets {
			x.Load.Begin(now)
			x.Load.End(time.Duration(1+i*i*100)*time.Millisecond, true)
		}
		p := b.Prepare(sayHello, targets)
		// The slowest of three loses both of its pairs, the fastest wins both of its.
		requireShares(t, shares(t, p, targets, 30_000), []float64{2. / 3, 1. / 3, 0})

		targets[0].Load.Active.Store(1000) // busy loses against idle
		requireShares(t, shares(t, p, targets, 30_000), []float64{0, 2. / 3, 1. / 3})

		<-time.After(3 * time.Second) // over two timeouts without a pick: tried again
		targets[1].Load.LastPick.Store(time.Now().UnixNano())
		targets[2].Load.LastPick.Store(time.Now().UnixNano())
		counts := shares(t, p, targets, 3000)
		require.Greater(t, counts[0], 1500)
	})
}

func TestByURL(t *testing.T) {
	opened := map[string]int{}
	open := func(u *url.URL) (Balancer, error) {
		opened[u.Param("loadbalance")]++
		if u.Param("loadbalance") == "nonsense" {
			return nil, extension.ErrUnknown
		}
		return NewRoundRobin(extension.Env{}, u)
	}
	var reported []error
	b := ByURL(open, random{fixed()}, func(err error) { reported = append(reported, err) })
	targets := list(3)
	require.IsType(t, &randomPicker{}, b.Prepare(sayHello, targets))
	targets[0].Ref = ref{url.MustParse("dubbo://10.0.0.1:1/s?sayHello.loadbalance=roundrobin&timestamp=1")}
	require.IsType(t, &turns{}, b.Prepare(sayHello, targets))
	targets[0].Ref = ref{url.MustParse("dubbo://10.0.0.2:1/s?sayHello.loadbalance=roundrobin&timestamp=2")}
	require.IsType(t, &turns{}, b.Prepare(sayHello, targets))
	require.IsType(t, &randomPicker{}, b.Prepare(&protocol.Method{Name: "other"}, targets))
	require.Equal(t, map[string]int{"roundrobin": 1}, opened)
	targets[0].Ref = ref{url.MustParse("dubbo://10.0.0.1:1/s?loadbalance=nonsense")}
	require.IsType(t, &randomPicker{}, b.Prepare(sayHello, targets))
	require.Len(t, reported, 1)
	require.ErrorIs(t, reported[0], extension.ErrUnknown)
}
