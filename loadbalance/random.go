package loadbalance

import (
	"math/rand/v2"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/url"
)

// WeightParams are the parameters that a provider publishes for all balancers; the cluster layer reads them per provider.
type WeightParams struct {
	Weight int `url:"weight" default:"100" doc:"share of the calls; 0 means none, and drains a provider"`
	Warmup int `url:"warmup" default:"600000" doc:"milliseconds after the provider's start until it has its full weight"`
}

// NewRandom returns Dubbo's default balancer: a provider's chance is its weight. It costs O(log n), O(1) with equal weights.
func NewRandom(extension.Env, *url.URL) (Balancer, error) { return random{rand.Int64N}, nil }

type random struct{ draw func(int64) int64 }

func (b random) Prepare(m *protocol.Method, targets []*Target) Picker {
	return &randomPicker{newWeights(m, targets), b.draw}
}

type randomPicker struct {
	*weights
	random func(int64) int64
}

func (p *randomPicker) Pick(_ *protocol.Invocation, tried Tried) *Target {
	n := len(p.targets)
	if n == 0 {
		return nil
	}
	i := 0
	switch t := p.now(); {
	case len(tried) > 0:
		i = p.drawUntried(t, tried, p.random)
	case n > 1:
		i = t.draw(n, p.random)
	}
	if i < 0 {
		return nil
	}
	return p.targets[i]
}
