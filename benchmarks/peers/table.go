package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ferryrpc/ferry/benchmarks/peers/peer"
)

// overview is the table for a README: a row per point, a column per framework.
func overview(r report) string {
	points, frameworks := axes(r.Summaries)
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %d cores, %s, %s; client and server as two processes on these cores, loopback, medians of %d interleaved runs of %s.\n",
		r.Machine.CPU, r.Machine.Cores, r.Machine.Kernel, r.Machine.Go, r.Reps, r.Duration)
	b.WriteString("Calls per second, and in brackets the CPU time of both sides per call in µs; with one caller the median latency, in the open loop the 99th percentile from the time when a message was due.\n\n")
	if len(points) > 0 {
		pointTable(&b, r, points, frameworks)
	}
	b.WriteString("\n" + versions(r))
	for _, table := range []string{goalTable(r.Goals), codecTable(r.Codecs), idleTable(r.Idle)} {
		if table != "" {
			b.WriteString("\n" + table)
		}
	}
	return b.String()
}

func pointTable(b *strings.Builder, r report, points []point, frameworks []string) {
	b.WriteString("| point |")
	for _, f := range frameworks {
		b.WriteString(" " + f + " |")
	}
	b.WriteString(" best Ferry : best peer |\n|---|")
	b.WriteString(strings.Repeat("---|", len(frameworks)+1) + "\n")
	for _, p := range points {
		fmt.Fprintf(b, "| %s |", p.title())
		for _, f := range frameworks {
			b.WriteString(" " + cell(find(r.Summaries, p, f)) + " |")
		}
		b.WriteString(" " + verdict(r.Summaries, p) + " |\n")
	}
}

// byLatency says whether a point is about latency and not about throughput.
func byLatency(p point) bool { return p.Kind == kindOpen || p.Callers == 1 }

func cell(s *summary) string {
	switch {
	case s == nil:
		return ""
	case s.Reps == 0:
		return "failed"
	case s.Unserved > 0:
		return "overloaded"
	case s.Point.Kind == kindOpen:
		return microsText(s.P99.Median)
	case byLatency(s.Point):
		return microsText(s.P50.Median)
	}
	return fmt.Sprintf("%s (%s)", rateText(s.Rate.Median), digits(s.CPU.Median))
}

// verdict compares Ferry's best with the best peer.
func verdict(all []summary, p point) string {
	text := ""
	var top float64
	for _, s := range all {
		if s.Point.ID != p.ID || s.Group != peer.Ours || s.Reps == 0 || s.Ratio == 0 || s.Unserved > 0 {
			continue
		}
		switch {
		case p.Kind == kindOpen:
			if top == 0 || s.P99Ratio < top {
				top, text = s.P99Ratio, fmt.Sprintf("p99 %.2f", s.P99Ratio)
			}
		case byLatency(p):
			if top == 0 || s.P50Ratio < top {
				top, text = s.P50Ratio, fmt.Sprintf("p50 %.2f", s.P50Ratio)
			}
		case s.Ratio > top:
			top, text = s.Ratio, fmt.Sprintf("%.2f (CPU %.2f)", s.Ratio, s.CPURatio)
		}
	}
	return text
}

// details has a table per point with everything that was measured.
func details(r report) string {
	points, frameworks := axes(r.Summaries)
	var b strings.Builder
	for _, p := range points {
		fmt.Fprintf(&b, "### %s\n\n", p.title())
		if s := find(r.Summaries, p, frameworks[0]); s != nil && s.Target > 0 {
			fmt.Fprintf(&b, "%s messages due per second.\n\n", rateText(s.Target))
		}
		b.WriteString("| framework | calls/s, median (least – most) | × best peer | CPU µs, client + server | spread of both | × best peer | p50 µs | p99 µs | allocations, client / server | bytes, client / server | GC % of CPU, client / server | calls per write, client / server | RSS MiB, client / server |\n")
		b.WriteString("|---|---|---|---|---|---|---|---|---|---|---|---|---|\n")
		for _, f := range frameworks {
			if s := find(r.Summaries, p, f); s != nil {
				b.WriteString(detail(s))
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}

func detail(s *summary) string {
	if s.Reps == 0 {
		return fmt.Sprintf("| %s | failed: %s ||||||||||||\n", s.Framework, oneLine(s.Failed))
	}
	name := s.Framework
	if s.Failed != "" {
		name += fmt.Sprintf(" (%d runs, others failed: %s)", s.Reps, oneLine(s.Failed))
	}
	if s.Unserved > 0 {
		name += fmt.Sprintf(" (%.0f messages not begun)", s.Unserved)
	}
	c, v := s.Client, s.Server
	return fmt.Sprintf("| %s | %s (%s – %s) | %.2f | %s + %s | %s – %s | %.2f | %s | %s | %s / %s | %.0f / %.0f | %.1f / %.1f | %s / %s | %.0f / %.0f |\n",
		name, rateText(s.Rate.Median), rateText(s.Rate.Min), rateText(s.Rate.Max), s.Ratio,
		digits(c.CPU), digits(v.CPU), digits(s.CPU.Min), digits(s.CPU.Max), s.CPURatio,
		digits(s.P50.Median), digits(s.P99.Median), digits(c.Allocs), digits(v.Allocs), c.Bytes, v.Bytes, 100*c.GC, 100*v.GC,
		digits(c.Calls), digits(v.Calls), c.RSS, v.RSS)
}

// versions is a line that names what was measured.
func versions(r report) string {
	var list []string
	for path, v := range r.Modules {
		list = append(list, path+" "+v)
	}
	slices.Sort(list)
	return "Measured: " + strings.Join(list, ", ") + ".\n"
}

// axes returns the points and the frameworks in the order in which they first came.
func axes(all []summary) (points []point, frameworks []string) {
	for _, s := range all {
		if !slices.Contains(points, s.Point) {
			points = append(points, s.Point)
		}
		if !slices.Contains(frameworks, s.Framework) {
			frameworks = append(frameworks, s.Framework)
		}
	}
	return points, frameworks
}

func find(all []summary, p point, framework string) *summary {
	for i := range all {
		if all[i].Point == p && all[i].Framework == framework {
			return &all[i]
		}
	}
	return nil
}

func rateText(v float64) string {
	switch {
	case v >= 100e3:
		return fmt.Sprintf("%.0fk", v/1e3)
	case v >= 1e3:
		return fmt.Sprintf("%.1fk", v/1e3)
	}
	return fmt.Sprintf("%.0f", v)
}

func microsText(v float64) string {
	if v >= 1000 {
		return digits(v/1000) + " ms"
	}
	return digits(v) + " µs"
}

// digits prints about three digits.
func digits(v float64) string {
	if v >= 20 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.1f", v)
}

// oneLine makes an error fit into a table.
func oneLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	s = strings.ReplaceAll(s, "|", "/")
	return s[:min(len(s), 160)]
}
