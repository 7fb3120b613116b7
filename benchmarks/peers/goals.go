package main

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/ferryrpc/ferry/benchmarks/peers/codec"
	"github.com/ferryrpc/ferry/benchmarks/peers/peer"
)

// A measureKind is what a goal looks at.
type measureKind string

const (
	byRate   measureKind = "calls/s"
	byCPU    measureKind = "CPU per call"
	byP50    measureKind = "p50"
	byP99    measureKind = "p99"
	byAllocs measureKind = "allocations per call, both sides"
)

// value is the figure of a run that a measure is about.
func (m measureKind) value(r run) float64 {
	switch m {
	case byRate:
		return r.PerSecond
	case byCPU:
		return r.Client.CPU + r.Server.CPU
	case byP50:
		return micros(r.Load.P50)
	case byP99:
		return micros(r.Load.P99)
	}
	return math.Round(10*(r.Client.Allocs+r.Server.Allocs)) / 10 // the runtime itself allocates now and then
}

// A goal is a row of the table of goals: Ferry's figure as a ratio to a rival's in the same run. Of calls per second the
// ratio is to be high, of everything else low.
type goal struct {
	point string
	ours  []string // each must reach it
	rival string   // "" is the best peer by this measure, "raw" the best limit, "-" nobody: the figure itself counts
	by    measureKind
	bound float64 // at least, or at most
	aim   float64 // 0: none
}

func allGoals() []goal {
	fast, pb, mp := []string{"ferry-hessian2", "ferry-msgpack"}, []string{"ferry-protobuf"}, []string{"ferry-msgpack"}
	all := slices.Concat(fast, pb)
	return []goal{
		{point: "128x64", ours: fast, by: byRate, bound: 2, aim: 3},
		{point: "128x64", ours: fast, by: byCPU, bound: 0.5, aim: 0.35},
		{point: "128x512", ours: fast, by: byRate, bound: 1.5, aim: 2.2},
		{point: "128x512", ours: fast, by: byCPU, bound: 0.65, aim: 0.45},
		{point: "128x64", ours: pb, by: byRate, bound: 1.7, aim: 2.2},
		{point: "128x64", ours: pb, by: byCPU, bound: 0.6},
		{point: "128x512", ours: pb, by: byRate, bound: 1.2, aim: 1.6},
		{point: "128x512", ours: pb, by: byCPU, bound: 0.8},
		{point: "1024x64", ours: mp, by: byRate, bound: 1.7, aim: 2.5},
		{point: "1024x64", ours: mp, by: byCPU, bound: 0.6},
		{point: "1024x512", ours: mp, by: byRate, bound: 1.4, aim: 2},
		{point: "1024x512", ours: mp, by: byCPU, bound: 0.7},
		{point: "16384x64", ours: mp, by: byRate, bound: 1.2, aim: 1.6},
		{point: "16384x64", ours: mp, by: byCPU, bound: 0.8, aim: 0.6},
		{point: "128x1", ours: mp, by: byP50, bound: 1.1, aim: 1},
		{point: "open", ours: all, by: byP99, bound: 0.7},
		{point: "128x64", ours: fast[:1], rival: "dubbo-go-hessian2", by: byRate, bound: 8, aim: 15},
		{point: "128x64", ours: fast[:1], rival: "dubbo-go-hessian2", by: byCPU, bound: 0.12},
		{point: "128x64", ours: all, rival: "raw", by: byRate, bound: 0.5},
		{point: "128x64", ours: all, rival: "-", by: byAllocs, bound: 8},
	}
}

// A judgement is what a run says about one goal and one of Ferry's formats. Low and High are the ratios of the single
// repetitions.
type judgement struct {
	Point   string      `json:"point"`
	Ours    string      `json:"ferry"`
	Rival   string      `json:"rival,omitempty"`
	Measure measureKind `json:"measure"`
	Value   float64     `json:"value"` // the ratio of the medians
	Low     float64     `json:"low"`
	High    float64     `json:"high"`
	Bound   float64     `json:"bound"`
	Aim     float64     `json:"aim,omitempty"`
	Met     bool        `json:"met"`
}

// judge compares what was measured with the goals. Goals whose points or rivals are missing are left out.
func judge(runs []run, codecs []codec.Result) []judgement {
	var out []judgement
	for _, g := range allGoals() {
		for _, name := range g.ours {
			if v, ok := g.judge(runs, name); ok {
				out = append(out, v)
			}
		}
	}
	for _, c := range codecs {
		out = append(out, judgement{Point: c.Direction + " a " + c.Value, Ours: c.Format, Rival: c.Rival, Measure: "speed",
			Value: c.Ratio, Low: c.Low, High: c.High, Bound: c.Goal, Met: c.Ratio >= c.Goal})
	}
	return out
}

func (g goal) judge(runs []run, name string) (judgement, bool) {
	ours := pick(runs, g.point, name)
	v := judgement{Point: g.point, Ours: name, Measure: g.by, Bound: g.bound, Aim: g.aim}
	if len(ours) == 0 {
		return v, false
	}
	v.Point = ours[0].Point.title()
	s := spreadOf(ours, g.by.value)
	v.Value, v.Low, v.High = s.Median, s.Min, s.Max
	if g.rival != "-" {
		rival := g.best(runs)
		if len(rival) == 0 {
			return v, false
		}
		v.Rival = rival[0].Framework
		v.Value /= spreadOf(rival, g.by.value).Median
		v.Low, v.High = pairs(ours, rival, g.by)
	}
	v.Met = g.met(v.Value)
	return v, true
}

func (g goal) met(v float64) bool {
	if g.by == byRate {
		return v >= g.bound
	}
	return v <= g.bound
}

// best returns the runs of the rival.
func (g goal) best(runs []run) []run {
	if g.rival != "" && g.rival != "raw" {
		return pick(runs, g.point, g.rival)
	}
	group := peer.Peer
	if g.rival == "raw" {
		group = peer.Limit
	}
	var best []run
	for _, s := range summarize(runs) {
		if s.Point.ID != g.point || s.Group != group || s.Reps == 0 || s.Unserved > 0 {
			continue
		}
		these := pick(runs, g.point, s.Framework)
		if len(best) == 0 || g.better(spreadOf(these, g.by.value).Median, spreadOf(best, g.by.value).Median) {
			best = these
		}
	}
	return best
}

func (g goal) better(a, b float64) bool {
	if g.by == byRate {
		return a > b
	}
	return a < b
}

// pairs returns the lowest and highest ratio of two frameworks' repetitions with the same number, which ran close to
// each other.
func pairs(ours, rival []run, by measureKind) (low, high float64) {
	for _, a := range ours {
		for _, b := range rival {
			if a.Rep != b.Rep {
				continue
			}
			ratio := by.value(a) / by.value(b)
			if low == 0 || ratio < low {
				low = ratio
			}
			high = max(high, ratio)
		}
	}
	return low, high
}

// pick returns the runs of a framework at a point that did not fail.
func pick(runs []run, point, framework string) []run {
	var out []run
	for _, r := range runs {
		if r.Point.ID == point && r.Framework == framework && r.Err == "" {
			out = append(out, r)
		}
	}
	return out
}

// goalTable is the table of goals in Markdown.
func goalTable(all []judgement) string {
	if len(all) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("| goal | Ferry | against | ratio (single runs) | wanted / aim | |\n|---|---|---|---|---|---|\n")
	for _, v := range all {
		mark := "met"
		if !v.Met {
			mark = "**missed**"
		}
		wanted := ratioText(v.Bound)
		if v.Aim > 0 {
			wanted += " / " + ratioText(v.Aim)
		}
		sign := "≥ "
		if v.Measure != byRate && v.Measure != "speed" {
			sign = "≤ "
		}
		fmt.Fprintf(&b, "| %s, %s | %s | %s | %s (%s – %s) | %s%s | %s |\n", v.Point, v.Measure, strings.TrimPrefix(v.Ours, "ferry-"), v.Rival,
			ratioText(v.Value), ratioText(v.Low), ratioText(v.High), sign, wanted, mark)
	}
	return b.String()
}

func ratioText(v float64) string {
	if v >= 10 {
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}
