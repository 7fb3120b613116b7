package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/ferryrpc/ferry/benchmarks/peers/measure"
	"github.com/ferryrpc/ferry/benchmarks/peers/peer"
)

// run is one measurement: one framework at one point, once.
type run struct {
	Framework string     `json:"framework"`
	Group     peer.Group `json:"group"`
	Point     point      `json:"point"`
	Rep       int        `json:"rep"`
	Err       string     `json:"err,omitempty"`
	Load      loadResult `json:"load"`
	Rate      float64    `json:"rate,omitempty"` // open loop: messages due per second
	PerSecond float64    `json:"per_second"`
	Client    side       `json:"client"`
	Server    side       `json:"server"`
}

// side is what one process used per call.
type side struct {
	CPU    float64 `json:"cpu_us"`
	GC     float64 `json:"gc_share"` // of CPU
	Allocs float64 `json:"allocs"`
	Bytes  float64 `json:"alloc_bytes"`
	Calls  float64 `json:"calls_per_write"`
	RSS    float64 `json:"rss_mib"` // at the end of the window; not per call
}

func newRun(l loadResult, client, server measure.Usage, sendmsg bool) run {
	return run{
		Load: l, PerSecond: float64(l.Calls) / l.Elapsed.Seconds(),
		Client: perCall(client, l.Calls, sendmsg), Server: perCall(server, l.Calls, sendmsg),
	}
}

// perCall divides by the calls. The kernel counts write and writev, but not sendmsg; where a framework uses that, the
// TCP segments stand for it, which can be fewer than the writes but not more as long as a write is under 64 KiB.
func perCall(u measure.Usage, calls int64, sendmsg bool) side {
	n := float64(max(calls, 1))
	writes := u.Writes
	if sendmsg {
		writes = u.Segments
	}
	return side{
		CPU: float64(u.CPU) / float64(time.Microsecond) / n, GC: float64(u.GC) / float64(max(u.CPU, 1)), Allocs: float64(u.Mallocs) / n, Bytes: float64(u.Bytes) / n,
		Calls: n / float64(max(writes, 1)), RSS: float64(u.RSS) / (1 << 20),
	}
}

// line is the run in one line, for whoever watches.
func (r run) line() string {
	head := fmt.Sprintf("%-10s %-18s #%d  ", r.Point.ID, r.Framework, r.Rep)
	if r.Err != "" {
		return head + r.Err
	}
	return head + fmt.Sprintf("%9.0f/s  cpu %6.1f = %5.1f + %5.1f µs  p50 %8s  p99 %8s  allocs %4.0f + %3.0f  calls/write %5.1f / %5.1f",
		r.PerSecond, r.Client.CPU+r.Server.CPU, r.Client.CPU, r.Server.CPU, short(r.Load.P50), short(r.Load.P99),
		r.Client.Allocs, r.Server.Allocs, r.Client.Calls, r.Server.Calls)
}

// spread is the median of the repetitions and how far they went.
type spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// summary is one framework at one point, over its repetitions that did not fail.
type summary struct {
	Framework string     `json:"framework"`
	Group     peer.Group `json:"group"`
	Point     point      `json:"point"`
	Reps      int        `json:"reps"`
	Failed    string     `json:"failed,omitempty"` // the last error, if any repetition failed
	Target    float64    `json:"target,omitempty"` // open loop: messages due per second
	Unserved  float64    `json:"unserved,omitempty"`
	Rate      spread     `json:"per_second"`
	CPU       spread     `json:"cpu_us"` // both sides
	P50       spread     `json:"p50_us"`
	P99       spread     `json:"p99_us"`
	Client    side       `json:"client"` // medians
	Server    side       `json:"server"`
	Ratio     float64    `json:"ratio,omitempty"`     // calls per second against the best peer at this point
	CPURatio  float64    `json:"cpu_ratio,omitempty"` // CPU per call against the peer that needs least
	P50Ratio  float64    `json:"p50_ratio,omitempty"` // latency against the peer with the lowest
	P99Ratio  float64    `json:"p99_ratio,omitempty"`
}

// summarize puts the repetitions together, in the order in which point and framework first came.
func summarize(runs []run) []summary {
	type key struct{ point, framework string }
	groups := map[key][]run{}
	var order []key
	for _, r := range runs {
		k := key{r.Point.ID, r.Framework}
		if groups[k] == nil {
			order = append(order, k)
		}
		groups[k] = append(groups[k], r)
	}
	out := make([]summary, 0, len(order))
	for _, k := range order {
		out = append(out, summarizeOne(groups[k]))
	}
	compare(out)
	return out
}

func summarizeOne(all []run) summary {
	s := summary{Framework: all[0].Framework, Group: all[0].Group, Point: all[0].Point, Target: all[0].Rate}
	var good []run
	for _, r := range all {
		if r.Err != "" {
			s.Failed = r.Err
			continue
		}
		good = append(good, r)
	}
	s.Reps = len(good)
	if len(good) == 0 {
		return s
	}
	of := func(f func(run) float64) spread { return spreadOf(good, f) }
	s.Rate = of(func(r run) float64 { return r.PerSecond })
	s.CPU = of(func(r run) float64 { return r.Client.CPU + r.Server.CPU })
	s.P50 = of(func(r run) float64 { return micros(r.Load.P50) })
	s.P99 = of(func(r run) float64 { return micros(r.Load.P99) })
	s.Unserved = of(func(r run) float64 { return float64(r.Load.Unserved) }).Median
	s.Client = sideOf(good, func(r run) side { return r.Client })
	s.Server = sideOf(good, func(r run) side { return r.Server })
	return s
}

func sideOf(runs []run, pick func(run) side) side {
	m := func(f func(side) float64) float64 {
		return spreadOf(runs, func(r run) float64 { return f(pick(r)) }).Median
	}
	return side{
		CPU:    m(func(s side) float64 { return s.CPU }),
		GC:     m(func(s side) float64 { return s.GC }),
		Allocs: m(func(s side) float64 { return s.Allocs }),
		Bytes:  m(func(s side) float64 { return s.Bytes }),
		Calls:  m(func(s side) float64 { return s.Calls }),
		RSS:    m(func(s side) float64 { return s.RSS }),
	}
}

func spreadOf(runs []run, f func(run) float64) spread {
	v := make([]float64, len(runs))
	for i, r := range runs {
		v[i] = f(r)
	}
	slices.Sort(v)
	mid := v[len(v)/2]
	if len(v)%2 == 0 {
		mid = (mid + v[len(v)/2-1]) / 2
	}
	return spread{Median: mid, Min: v[0], Max: v[len(v)-1]}
}

// best is the best that peers reach at one point, each figure for itself.
type best struct{ rate, cpu, p50, p99 float64 }

func (b *best) take(s summary) {
	least := func(have *float64, v float64) {
		if *have == 0 || v < *have {
			*have = v
		}
	}
	b.rate = max(b.rate, s.Rate.Median)
	least(&b.cpu, s.CPU.Median)
	least(&b.p50, s.P50.Median)
	least(&b.p99, s.P99.Median)
}

// compare fills the ratios against the best peers of each point.
func compare(all []summary) {
	peers := map[string]*best{}
	for _, s := range all {
		if s.Group != peer.Peer || s.Reps == 0 {
			continue
		}
		if peers[s.Point.ID] == nil {
			peers[s.Point.ID] = &best{}
		}
		peers[s.Point.ID].take(s)
	}
	for i := range all {
		s := &all[i]
		b := peers[s.Point.ID]
		if b == nil || s.Reps == 0 {
			continue
		}
		s.Ratio, s.CPURatio = s.Rate.Median/b.rate, s.CPU.Median/b.cpu
		s.P50Ratio, s.P99Ratio = s.P50.Median/b.p50, s.P99.Median/b.p99
	}
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// short prints a duration with three digits.
func short(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%.0fµs", micros(d))
	case d < 100*time.Millisecond:
		return fmt.Sprintf("%.1fms", micros(d)/1e3)
	}
	return fmt.Sprintf("%.0fms", micros(d)/1e3)
}
