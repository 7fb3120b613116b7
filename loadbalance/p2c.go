package loadbalance

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/url"
)

// P2CParams are the parameters of the balancer p2c.
type P2CParams struct {
	Timeout time.Duration `url:"timeout" default:"1000" doc:"longest wait for an answer, per attempt"`
}

// NewP2C returns Dubbo's adaptive balancer, the power of two choices: of two providers drawn at random the one with the
// lower load is taken, where
//
//	load = (sqrt(latency in ms) + 1) · (calls in flight + 1) / (share of calls answered · weight + 1)
//
// A provider that was not chosen for two timeouts counts as free, so that a slow moment is not held against it for ever.
// The provider's processor load, which Dubbo can add, is left out. It costs O(1).
func NewP2C(_ extension.Env, u *url.URL) (Balancer, error) {
	params, err := protocol.DecodePerMethod[P2CParams](u, nil)
	if err != nil {
		return nil, err
	}
	return &p2c{params, rand.Int64N}, nil
}

type p2c struct {
	params *protocol.PerMethod[P2CParams]
	draw   func(int64) int64
}

func (b *p2c) Prepare(m *protocol.Method, targets []*Target) Picker {
	p := &p2cPicker{weights: newWeights(m, targets), random: b.draw}
	timeout := b.params.Base().Timeout
	if m != nil {
		timeout = b.params.For(m).Timeout
	}
	p.forced = 2 * int64(timeout)
	p.base = p.epoch.UnixNano()
	return p
}

type p2cPicker struct {
	*weights
	random func(int64) int64
	forced int64 // ns without a pick after which a target counts as free
	base   int64 // epoch in unix ns
}

func (p *p2cPicker) Pick(_ *protocol.Invocation, tried Tried) *Target {
	t := p.now()
	n := int64(len(t.live))
	if n == 0 {
		return nil
	}
	if len(tried) > 0 {
		return p.pickUntried(t, tried)
	}
	i := p.random(n)
	if n == 1 {
		return p.targets[t.live[i]]
	}
	j := p.random(n - 1)
	if j >= i {
		j++
	}
	return p.better(t, int(t.live[i]), int(t.live[j]))
}

// pickUntried draws two among those that were not tried.
func (p *p2cPicker) pickUntried(t *table, tried Tried) *Target {
	i := p.drawUntried(t, tried, p.random)
	if i < 0 {
		return nil
	}
	for range 4 {
		if j := int(t.live[p.random(int64(len(t.live)))]); j != i && !tried.Has(p.targets[j]) {
			return p.better(t, i, j)
		}
	}
	return p.targets[i]
}

func (p *p2cPicker) better(t *table, i, j int) *Target {
	now := p.base + int64(time.Since(p.epoch))
	a, b := p.targets[i], p.targets[j]
	x, y := p.load(t, i, now), p.load(t, j, now)
	switch {
	case x < y:
		return a
	case y < x:
		return b
	}
	if w, v := t.weight(i), t.weight(j); w+v > 0 && p.random(w+v) >= w {
		return b
	}
	return a
}

func (p *p2cPicker) load(t *table, i int, now int64) float64 {
	l := &p.targets[i].Load
	if now-l.LastPick.Load() > p.forced {
		return 0
	}
	answered := float64(l.Succeeded.Load()) / float64(l.Calls.Load()+1)
	weight := float64(p.targets[i].Weight)
	if t.each != nil {
		weight = float64(t.each[i])
	}
	latency := math.Sqrt(float64(l.EWMA.Load()) / float64(time.Millisecond))
	return (latency + 1) * float64(max(l.Active.Load(), 0)+1) / (answered*weight + 1)
}
