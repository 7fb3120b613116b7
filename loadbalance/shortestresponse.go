package loadbalance

import (
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/url"
)

// responseWindow is the time over which answers are averaged, as in Dubbo.
const responseWindow = 30 * time.Second

// suspicious stands in for the answer time of a provider that has failed and not answered since; otherwise a provider
// that answers nothing would look like the fastest.
const suspicious = time.Second

// NewShortestResponse returns a balancer that prefers the provider with the smallest average time of successful calls in
// the current window of 30 s times calls in flight plus one; equals go by weight. A provider without an answer in the
// window counts as immediate when it is idle, so that it is tried. It looks at all providers,
// which costs about 30 ns each; for long lists there is p2c.
func NewShortestResponse(extension.Env, *url.URL) (Balancer, error) {
	return shortestResponse{rand.Int64N}, nil
}

type shortestResponse struct{ draw func(int64) int64 }

func (b shortestResponse) Prepare(m *protocol.Method, targets []*Target) Picker {
	p := &shortestPicker{weights: newWeights(m, targets), random: b.draw}
	p.window.Store(&window{until: int64(responseWindow), from: make([]offset, len(targets))})
	return p
}

type shortestPicker struct {
	*weights
	random func(int64) int64
	window atomic.Pointer[window]
}

// A window holds what the counters showed when it began.
type window struct {
	until int64 // ns since epoch
	from  []offset
}

type offset struct{ succeeded, nanos int64 }

func (p *shortestPicker) current() *window {
	w, at := p.window.Load(), int64(time.Since(p.epoch))
	if at < w.until {
		return w
	}
	next := &window{until: at + int64(responseWindow), from: make([]offset, len(p.targets))}
	for i, t := range p.targets {
		next.from[i] = offset{t.Load.Succeeded.Load(), t.Load.Nanos.Load()}
	}
	p.window.CompareAndSwap(w, next)
	return p.window.Load()
}

func (p *shortestPicker) Pick(_ *protocol.Invocation, tried Tried) *Target {
	t, w := p.now(), p.current()
	best, shortest := newChoice(p.random), int64(never)
	for _, i := range t.live {
		target := p.targets[i]
		if len(tried) > 0 && tried.Has(target) {
			continue
		}
		estimate := w.estimate(target, int(i))
		if estimate > shortest {
			continue
		}
		if estimate < shortest {
			best.reset()
			shortest = estimate
		}
		best.add(int(i), t.weight(int(i)))
	}
	return p.at(best.at, tried)
}

// estimate is the time in ns that a call to the target at i is expected to take.
func (w *window) estimate(t *Target, i int) int64 {
	l := &t.Load
	active := max(l.Active.Load(), 0)
	if n := l.Succeeded.Load() - w.from[i].succeeded; n > 0 {
		return max(l.Nanos.Load()-w.from[i].nanos, 0) / n * (active + 1)
	}
	if t.Health.Failures.Load() > 0 {
		return int64(suspicious) * (active + 1)
	}
	return l.EWMA.Load() * active
}
