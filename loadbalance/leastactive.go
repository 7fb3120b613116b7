package loadbalance

import (
	"math/rand/v2"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/url"
)

// NewLeastActive returns a balancer that prefers the provider with the fewest calls in flight from here, and among equals
// goes by weight. Unlike Dubbo's it needs no actives parameter, since the cluster always counts.
//
// It must look at all providers, except that an idle one cannot be beaten: in longer lists a few are drawn by weight
// first, and the first idle one is taken, which gives idle ones the same chances as looking at all would. Among 10,000 a
// pick costs about 0.2 µs while most are idle and 70 µs when all are busy (BenchmarkPick); for less there is p2c.
func NewLeastActive(extension.Env, *url.URL) (Balancer, error) { return leastActive{rand.Int64N}, nil }

type leastActive struct{ draw func(int64) int64 }

func (b leastActive) Prepare(m *protocol.Method, targets []*Target) Picker {
	return &leastActivePicker{newWeights(m, targets), b.draw}
}

type leastActivePicker struct {
	*weights
	random func(int64) int64
}

// drawFirst is the length from which it pays to draw before looking at all.
const drawFirst = 32

func (p *leastActivePicker) Pick(_ *protocol.Invocation, tried Tried) *Target {
	t := p.now()
	if n := len(p.targets); n > drawFirst {
		for range 4 {
			target := p.targets[t.draw(n, p.random)]
			if target.Load.Active.Load() <= 0 && !tried.Has(target) {
				return target
			}
		}
	}
	first, least, sum := -1, int64(never), int64(0)
	for _, i := range t.live {
		target := p.targets[i]
		active := target.Load.Active.Load()
		if active > least || len(tried) > 0 && tried.Has(target) {
			continue
		}
		if active < least {
			first, least, sum = int(i), active, 0
		}
		sum += t.weight(int(i))
	}
	if first < 0 {
		return p.at(-1, tried)
	}
	r := p.random(sum)
	for _, i := range t.live { // a second look costs less than a random number for each
		target := p.targets[i]
		if target.Load.Active.Load() > least || len(tried) > 0 && tried.Has(target) {
			continue
		}
		if r -= t.weight(int(i)); r < 0 {
			return target
		}
	}
	return p.targets[first] // calls began in between
}

// at returns the target at i; without one (-1) any that was not tried, which can only have no weight.
func (w *weights) at(i int, tried Tried) *Target {
	if i >= 0 {
		return w.targets[i]
	}
	for _, target := range w.targets {
		if !tried.Has(target) {
			return target
		}
	}
	return nil
}
