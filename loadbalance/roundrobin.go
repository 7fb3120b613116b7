package loadbalance

import (
	"sync"
	"sync/atomic"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/url"
)

// smoothMost is the longest list for which the turn is found by looking at all: about 100 ns.
const smoothMost = 128

// NewRoundRobin returns a balancer that gives providers their turns in proportion to weight, spread evenly. Up to 128
// providers the order is exactly Dubbo's (the highest current value wins and pays the total). With equal weights, turns
// are counted by one atomic. Longer lists with unequal weights keep a heap of due times, O(log n), which spreads turns
// as evenly but not in the same order.
func NewRoundRobin(extension.Env, *url.URL) (Balancer, error) { return roundRobin{}, nil }

type roundRobin struct{}

func (roundRobin) Prepare(m *protocol.Method, targets []*Target) Picker {
	w := newWeights(m, targets)
	t := w.table.Load()
	if t.until == never && t.each == nil {
		return &turns{targets: targets}
	}
	if len(targets) <= smoothMost {
		return &smooth{weights: w, seen: t, current: make([]int64, len(targets))}
	}
	p := &due{weights: w}
	p.fillLocked(t)
	return p
}

// turns serves equal weights.
type turns struct {
	targets []*Target
	next    atomic.Uint64
}

func (p *turns) Pick(_ *protocol.Invocation, tried Tried) *Target {
	n := uint64(len(p.targets))
	for range n {
		if t := p.targets[(p.next.Add(1)-1)%n]; !tried.Has(t) {
			return t
		}
	}
	return nil
}

// smooth is Dubbo's order.
type smooth struct {
	*weights
	mu      sync.Mutex // guards the following
	seen    *table
	current []int64
}

func (p *smooth) Pick(_ *protocol.Invocation, tried Tried) *Target {
	t := p.now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if t != p.seen {
		for i := range p.current {
			if t.weight(i) != p.seen.weight(i) {
				p.current[i] = 0
			}
		}
		p.seen = t
	}
	best, total, zero := -1, int64(0), -1
	for i, target := range p.targets {
		if len(tried) > 0 && tried.Has(target) {
			continue
		}
		weight := t.weight(i)
		if weight <= 0 {
			zero = i
			continue
		}
		total += weight
		p.current[i] += weight
		if best < 0 || p.current[i] > p.current[best] {
			best = i
		}
	}
	if best < 0 {
		best = zero
	}
	if best < 0 {
		return nil
	}
	p.current[best] -= total
	return p.targets[best]
}

// due is a heap of virtual times at which a target's next turn is due: half a step after the start, then a step of
// 1/weight each.
type due struct {
	*weights
	mu   sync.Mutex // guards the following
	seen *table
	heap []turn
	kept []turn // turns taken off during one pick, because they were tried
}

type turn struct {
	at float64
	i  int32
}

func (a turn) before(b turn) bool { return a.at < b.at || a.at == b.at && a.i < b.i }

func (p *due) fillLocked(t *table) {
	start := 0.0
	if len(p.heap) > 0 {
		start = p.heap[0].at
	}
	p.seen, p.heap = t, make([]turn, 0, len(p.targets))
	for _, i := range t.live {
		p.pushLocked(turn{start + 0.5/float64(t.weight(int(i))), i})
	}
}

func (p *due) Pick(_ *protocol.Invocation, tried Tried) *Target {
	t := p.now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if t != p.seen {
		p.fillLocked(t)
	}
	var found *Target
	for len(p.heap) > 0 {
		top := p.heap[0]
		target := p.targets[top.i]
		if len(tried) == 0 || !tried.Has(target) {
			found = target
			p.heap[0].at += 1 / float64(t.weight(int(top.i)))
			p.downLocked()
			break
		}
		p.kept = append(p.kept, p.popLocked())
	}
	for _, k := range p.kept {
		p.pushLocked(k)
	}
	p.kept = p.kept[:0]
	if found == nil { // those without weight are left
		for _, target := range p.targets {
			if !tried.Has(target) {
				return target
			}
		}
	}
	return found
}

func (p *due) pushLocked(t turn) {
	p.heap = append(p.heap, t)
	for i := len(p.heap) - 1; i > 0; {
		parent := (i - 1) / 2
		if !p.heap[i].before(p.heap[parent]) {
			return
		}
		p.heap[i], p.heap[parent] = p.heap[parent], p.heap[i]
		i = parent
	}
}

func (p *due) popLocked() turn {
	top, last := p.heap[0], len(p.heap)-1
	p.heap[0] = p.heap[last]
	p.heap = p.heap[:last]
	p.downLocked()
	return top
}

func (p *due) downLocked() {
	for i := 0; ; {
		child := 2*i + 1
		if child >= len(p.heap) {
			return
		}
		if child+1 < len(p.heap) && p.heap[child+1].before(p.heap[child]) {
			child++
		}
		if !p.heap[child].before(p.heap[i]) {
			return
		}
		p.heap[i], p.heap[child] = p.heap[child], p.heap[i]
		i = child
	}
}
