// Package loadbalance picks one provider for a call.
//
// A Balancer prepares a Picker once per change of the provider list; Pick then runs on every call, from any number of
// goroutines, without allocating.
package loadbalance

import (
	"sync/atomic"
	"time"

	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/url"
)

// A Balancer is a way to choose, built from a URL's parameters.
type Balancer interface {
	// Prepare returns a Picker over targets, which stay as they are. It is called once per list and method.
	Prepare(method *protocol.Method, targets []*Target) Picker
}

// A Picker chooses for one call.
type Picker interface {
	// Pick returns a target that is not in tried, or nil when all are. It never blocks and does not allocate.
	Pick(c *protocol.Invocation, tried Tried) *Target
}

// A Target is one provider with what balancers look at. The cluster layer makes it, keeps it over list changes for as
// long as the provider's address stays, and counts on it.
type Target struct {
	Ref protocol.Reference
	// Published is the provider's own URL, as it was before the consumer's parameters went over it (Ref.URL() is what came
	// of that); nil where no registry named the provider.
	Published *url.URL
	Weight    int            // 0 means no traffic by choice; Dubbo's default is 100
	Weights   map[string]int // by method name, where it differs from Weight; nil mostly
	Started   time.Time      // when the provider started; zero when unknown
	Warmup    time.Duration  // time until full weight; Dubbo's default is 10 min
	Load      Load
	Health    Health
}

// Health is what the cluster layer knows of a Target's recent failures. Balancers need not look at it: a target that is
// set aside is not in their list.
type Health struct {
	Failures atomic.Int32 // failures of the provider in a row
	Aside    atomic.Bool  // set aside, and called only to see whether it is well again
	Retry    atomic.Int64 // unix ns, when a call may try it; only while Aside
	Times    atomic.Int32 // how often it was set aside in a row
}

// Load is the live counters of a Target over all its methods.
type Load struct {
	Active    atomic.Int64 // calls in flight
	Calls     atomic.Int64 // calls ended
	Failed    atomic.Int64 // of those, ended without an answer of the service
	Succeeded atomic.Int64
	Nanos     atomic.Int64 // total time of the succeeded ones
	EWMA      atomic.Int64 // smoothed latency in ns, kept by the helper below
	LastPick  atomic.Int64 // unix ns
}

// Begin counts a call that starts now (unix ns).
func (l *Load) Begin(now int64) {
	l.Active.Add(1)
	l.LastPick.Store(now)
}

// End counts a call that ended after d with or without an answer. The smoothed latency moves half way to each new value,
// as Dubbo's adaptive balancer does (beta 0.5).
func (l *Load) End(d time.Duration, answered bool) {
	l.Active.Add(-1)
	l.Calls.Add(1)
	if !answered {
		l.Failed.Add(1)
		return
	}
	l.Succeeded.Add(1)
	l.Nanos.Add(int64(d))
	old := l.EWMA.Load()
	if old == 0 {
		old = int64(d)
	}
	l.EWMA.Store((old + int64(d)) / 2)
}

// Tried is the targets that a call was sent to already. It is a short list, nil on the first attempt.
type Tried []*Target

// Has says whether t was tried.
func (tr Tried) Has(t *Target) bool {
	for _, x := range tr {
		if x == t {
			return true
		}
	}
	return false
}

// EffectiveWeight is a target's weight at a time, with Dubbo's warm-up: uptime / (warmup / weight), truncated, at least 1 and
// at most the weight (AbstractLoadBalance.calculateWarmupWeight; float32 as there).
func (t *Target) EffectiveWeight(now time.Time) int { return t.warmed(t.Weight, now) }

// MethodWeight is EffectiveWeight for a method, which may have a weight of its own. A nil method stands for any.
func (t *Target) MethodWeight(m *protocol.Method, now time.Time) int {
	if t.Weights != nil && m != nil {
		if w, ok := t.Weights[m.Key()]; ok {
			return t.warmed(w, now)
		}
	}
	return t.warmed(t.Weight, now)
}

// Warming says whether the target's weight still grows at a time.
func (t *Target) Warming(now time.Time) bool {
	return !t.Started.IsZero() && t.Warmup > 0 && now.Sub(t.Started) < t.Warmup
}

func (t *Target) warmed(weight int, now time.Time) int {
	if weight <= 0 {
		return 0
	}
	if t.Started.IsZero() || t.Warmup <= 0 {
		return weight
	}
	up := now.Sub(t.Started).Milliseconds()
	if warmup := t.Warmup.Milliseconds(); up < warmup { // Dubbo gives full weight at exactly 0 ms, which a new list would keep
		w := int(float32(up) / (float32(warmup) / float32(weight)))
		return min(max(w, 1), weight)
	}
	return weight
}
