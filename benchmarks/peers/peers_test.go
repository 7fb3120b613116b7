package main

import (
	"bytes"
	"context"
	"encoding/xml"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ferryrpc/ferry/benchmarks/peers/peer"
	"github.com/stretchr/testify/require"
)

// TestMain lets the test program be the children too, as the real program does.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "-child" {
		os.Exit(runChild(os.Args[2]))
	}
	os.Exit(m.Run())
}

func shortPlan(t *testing.T, points, frameworks string, progress io.Writer) plan {
	p, err := selectPoints(points, false)
	require.NoError(t, err)
	f, err := peer.Select(frameworks)
	require.NoError(t, err)
	return plan{points: p, frameworks: f, reps: 2, warm: 20 * time.Millisecond, duration: 100 * time.Millisecond, rate: 500, progress: progress}
}

func TestEveryKindOfPointMeasures(t *testing.T) {
	var progress bytes.Buffer
	pl := shortPlan(t, "128x64,100conns,oneway,struct,open", "arpc-pb,raw-net", &progress)
	m, err := pl.execute(context.Background())
	require.NoError(t, err)
	runs := m.runs
	seen := map[string]int{}
	for _, r := range runs {
		require.Empty(t, r.Err, "%s at %s", r.Framework, r.Point.ID)
		require.Positive(t, r.Load.Calls)
		require.Positive(t, r.PerSecond)
		require.Positive(t, r.Client.CPU)
		require.Positive(t, r.Server.CPU)
		require.Greater(t, r.Client.RSS, 1.0)
		require.Positive(t, r.Load.P50)
		require.LessOrEqual(t, r.Load.P50, r.Load.P99)
		seen[r.Point.ID+" "+r.Framework]++
	}
	require.Equal(t, map[string]int{
		"128x64 arpc-pb": 2, "128x64 raw-net": 2, "100conns arpc-pb": 1, "100conns raw-net": 1,
		"oneway arpc-pb": 1, "struct arpc-pb": 1, "open arpc-pb": 2, "open raw-net": 2,
	}, seen, "raw-net has neither one-way calls nor records")
	require.Equal(t, len(runs), strings.Count(progress.String(), "\n"))
	require.Equal(t, "arpc-pb", runs[0].Framework)
	require.Equal(t, "raw-net", runs[2].Framework, "the second repetition begins with the next framework")
}

func TestFailureOfAChildIsReported(t *testing.T) {
	pl := shortPlan(t, "128x1", "netrpc-gob", io.Discard)
	broken := pl.frameworks[0]
	broken.Framework = renamed{broken.Framework}
	pl.frameworks, pl.reps = []peer.Entry{broken}, 1
	m, err := pl.execute(context.Background())
	require.NoError(t, err)
	runs := m.runs
	require.Contains(t, runs[0].Err, `server: peer: no framework named "nobody"`)
	require.Equal(t, "failed", cell(&summarize(runs)[0]))
}

type renamed struct{ peer.Framework }

func (renamed) Name() string { return "nobody" }

func TestCancelEndsTheChildren(t *testing.T) {
	pl := shortPlan(t, "128x1", "raw-net", io.Discard)
	pl.duration = time.Minute
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := pl.execute(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Less(t, time.Since(start), 10*time.Second)
}

func TestSelectPoints(t *testing.T) {
	quick, err := selectPoints("", true)
	require.NoError(t, err)
	require.Equal(t, quickPoints(), quick)
	all, err := selectPoints("", false)
	require.NoError(t, err)
	require.Len(t, all, 20)
	_, err = selectPoints("128x63", false)
	require.ErrorContains(t, err, `no point named "128x63" (have 128x1, 128x64`)
}

func TestOpenLoopNeedsARate(t *testing.T) {
	pl := shortPlan(t, "open", "raw-net", io.Discard)
	pl.rate = 0
	_, err := pl.execute(context.Background())
	require.ErrorContains(t, err, "needs -rate")
}

func TestArrivals(t *testing.T) {
	times := arrivals(10_000, time.Second)
	require.InEpsilon(t, 10_000, len(times), 0.05)
	for i, at := range times {
		require.Zero(t, at%tick)
		require.True(t, at > 0 && at <= time.Second)
		require.True(t, i == 0 || at >= times[i-1])
	}
	require.Equal(t, times, arrivals(10_000, time.Second), "all frameworks get the same times")
}

// made is a report of three repetitions of three frameworks at two points.
func made() report {
	var runs []run
	for _, p := range []point{echoPoint(128, 64, 1), echoPoint(128, 1, 1)} {
		for _, f := range []struct {
			name  string
			group peer.Group
			rate  float64
		}{{"ferry-msgpack", peer.Ours, 200e3}, {"slow & old", peer.Peer, 50e3}, {"quick", peer.Peer, 100e3}} {
			for i, factor := range []float64{0.9, 1, 1.3} {
				r := run{Framework: f.name, Group: f.group, Point: p, Rep: i + 1, PerSecond: f.rate * factor}
				r.Client.CPU, r.Server.CPU = 1e6/f.rate, 1e6/f.rate
				r.Load.P50 = time.Duration(2e9 / f.rate)
				r.Load.P99 = 3 * r.Load.P50
				runs = append(runs, r)
			}
		}
	}
	return newReport(plan{reps: 3, duration: time.Second}, measured{runs: runs})
}

func TestSummariesCompareWithTheBestPeer(t *testing.T) {
	s := made().Summaries[0]
	require.Equal(t, "ferry-msgpack", s.Framework)
	require.Equal(t, 3, s.Reps)
	require.InDelta(t, 200e3, s.Rate.Median, 1)
	require.InDelta(t, 180e3, s.Rate.Min, 1)
	require.InDelta(t, 260e3, s.Rate.Max, 1)
	require.InDelta(t, 2, s.Ratio, 1e-6)
	require.InDelta(t, 0.5, s.CPURatio, 1e-6)
	require.InDelta(t, 0.5, s.P50Ratio, 1e-6)
}

func TestTables(t *testing.T) {
	r := made()
	text := overview(r)
	require.Contains(t, text, "| point | ferry-msgpack | slow & old | quick | best Ferry : best peer |")
	require.Contains(t, text, "| 128 B × 64 | 200k (10.0) | 50.0k (40) | 100k (20) | 2.00 (CPU 0.50) |")
	require.Contains(t, text, "| 128 B × 1 | 10.0 µs | 40 µs | 20 µs | p50 0.50 |")
	require.Contains(t, details(r), "| ferry-msgpack | 200k (180k – 260k) | 2.00 | 5.0 + 5.0 |")
}

func TestChartIsWellFormed(t *testing.T) {
	svg := chart(made())
	d := xml.NewDecoder(strings.NewReader(svg))
	bars := 0
	for {
		tok, err := d.Token()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		if e, ok := tok.(xml.StartElement); ok && e.Name.Local == "rect" {
			bars++
		}
	}
	require.Equal(t, 6, bars)
	require.Contains(t, svg, "slow &amp; old")
}

func TestFilesAreMadeAgainFromJSON(t *testing.T) {
	dir := t.TempDir()
	r := made()
	require.NoError(t, r.write(dir, "x", overview(r), chart(r)))
	again, err := readReport(filepath.Join(dir, "x.json"))
	require.NoError(t, err)
	require.Equal(t, r, again)

	readme := filepath.Join(dir, "README.md")
	require.NoError(t, os.WriteFile(readme, []byte("a\n"+markBegin+"\nold\n"+markEnd+"\nb\n"), 0o644))
	require.NoError(t, insert(readme, overview(r)))
	require.NoError(t, insert(readme, overview(r)))
	b, err := os.ReadFile(readme)
	require.NoError(t, err)
	require.Equal(t, "a\n"+markBegin+"\n"+overview(r)+markEnd+"\nb\n", string(b))
	require.ErrorContains(t, insert(filepath.Join(dir, "x.md"), ""), "has no lines")
}
