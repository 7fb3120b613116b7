package main

import (
	"encoding/xml"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/benchmarks/peers/codec"
	"github.com/ferryrpc/ferry/benchmarks/peers/peer"
)

// oneRun is a run of a framework at a point.
func oneRun(framework string, group peer.Group, p point, rep int, rate, cpu float64) run {
	r := run{Framework: framework, Group: group, Point: p, Rep: rep, PerSecond: rate}
	r.Client.CPU, r.Server.CPU = cpu/2, cpu/2
	r.Client.Allocs, r.Server.Allocs = 4.01, 4.02
	return r
}

func TestGoalsAreJudgedAgainstTheBestOfEach(t *testing.T) {
	p := echoPoint(128, 64, 1)
	var runs []run
	for rep := 1; rep <= 3; rep++ {
		k := float64(rep)
		runs = append(runs,
			oneRun("ferry-hessian2", peer.Ours, p, rep, 200e3+k, 6),
			oneRun("quick", peer.Peer, p, rep, 110e3, 20),
			oneRun("frugal", peer.Peer, p, rep, 90e3, 10),
			oneRun("dubbo-go-hessian2", peer.Peer, p, rep, 20e3, 100),
			oneRun("raw-net", peer.Limit, p, rep, 380e3, 3))
	}
	all := judge(runs, []codec.Result{{Format: "msgpack", Value: "list", Direction: "encode", Ratio: 2.9, Goal: 3}})
	type short struct {
		by    measureKind
		rival string
		met   bool
	}
	var got []short
	for _, v := range all {
		got = append(got, short{v.Measure, v.Rival, v.Met})
	}
	require.Equal(t, []short{
		{byRate, "quick", false}, {byCPU, "frugal", false}, {byRate, "dubbo-go-hessian2", true}, {byCPU, "dubbo-go-hessian2", true},
		{byRate, "raw-net", true}, {byAllocs, "", true}, {"speed", "", false},
	}, got)
	require.InDelta(t, 200e3/110e3, all[0].Value, 1e-3)
	text := goalTable(all)
	require.Contains(t, text, "| 128 B × 64, calls/s | hessian2 | quick | 1.82 (1.82 – 1.82) | ≥ 2.00 / 3.00 | **missed** |")
	require.Contains(t, text, "≤ 8.00 | met |")
	require.Empty(t, goalTable(nil))
}

func TestEveryGoalHasItsPointAndItsFrameworks(t *testing.T) {
	known := map[string]bool{}
	for _, p := range allPoints() {
		known[p.ID] = true
	}
	for _, e := range peer.All() {
		known[e.Name()] = true
	}
	for _, g := range allGoals() {
		require.True(t, known[g.point], g.point)
		for _, name := range g.ours {
			require.True(t, known[name], name)
		}
		if g.rival != "" && g.rival != "raw" && g.rival != "-" {
			require.True(t, known[g.rival], g.rival)
		}
	}
}

func TestPairsOfRepetitions(t *testing.T) {
	p := echoPoint(128, 64, 1)
	ours := []run{oneRun("a", peer.Ours, p, 1, 100, 1), oneRun("a", peer.Ours, p, 2, 300, 1)}
	theirs := []run{oneRun("b", peer.Peer, p, 1, 50, 1), oneRun("b", peer.Peer, p, 2, 100, 1)}
	low, high := pairs(ours, theirs, byRate)
	require.InDelta(t, 2, low, 1e-9)
	require.InDelta(t, 3, high, 1e-9)
}

func TestSideTables(t *testing.T) {
	require.Contains(t, idleTable([]idle{{Framework: "x", Connections: 10, Each: 1.25, Base: 40, Full: 41}, {Framework: "y", Err: "a | b"}}), "| x | 10 | 1.2 | 40, 41 | 0 |\n| y | 0 | failed: a / b | | |")
	require.Contains(t, codecTable([]codec.Result{{Format: "msgpack", Value: "list", Direction: "encode", Rival: "r", Ratio: 4, Low: 3, High: 5, Goal: 3}}), "| msgpack: encode a list | r | 0 / 0 | 0 / 0 | 4.0 (3.0 – 5.0) | 3 |")
	require.Empty(t, idleTable(nil)+codecTable(nil))
}

func TestGrowth(t *testing.T) {
	var runs []run
	for i, p := range growthPoints() {
		for _, f := range []string{"ferry-msgpack", "slow & old"} {
			runs = append(runs, oneRun(f, peer.Ours, p, 1, 1000*float64(i+1), 10))
		}
	}
	r := newReport(plan{reps: 1, duration: time.Second}, measured{runs: runs})
	table := growthTable(r)
	require.Contains(t, table, "| 4k | 13.0k (10.0) | 13.0k (10.0) |")
	require.Contains(t, table, "| 1000 | ")
	require.Contains(t, table, "| 4M | ")
	lines, d := 0, xml.NewDecoder(strings.NewReader(growthChart(r)))
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "path" {
			for _, a := range e.Attr {
				if a.Name.Local == "stroke-width" {
					lines++
					require.NotContains(t, e.Attr[0].Value, "NaN")
				}
			}
		}
	}
	require.Equal(t, 6*2, lines, "a line per panel and framework")
}

func TestIdleConnectionsAreMeasured(t *testing.T) {
	var progress strings.Builder
	pl := shortPlan(t, "idle", "raw-gnet", &progress)
	b := &bench{plan: pl}
	i := idle{Connections: 50}
	require.NoError(t, b.measureIdle(t.Context(), pl.frameworks[0], &i))
	require.Positive(t, i.Base)
	require.Positive(t, i.Full)
}
