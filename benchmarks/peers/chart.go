package main

import (
	"fmt"
	"html"
	"strings"

	"github.com/ferryrpc/ferry/benchmarks/peers/peer"
)

// The measures of the chart, in pixels.
const (
	chartWidth = 820
	nameWidth  = 170 // where the bars begin
	valueWidth = 210 // kept free behind the longest bar
	barHeight  = 16
	barStep    = 20
	headHeight = 34
	gapHeight  = 14
)

// chart draws a bar per framework and point as an SVG: calls per second, and for points about latency the latency, where
// short is good. The longest bar of each point fills the width, so bars compare within a point and not between points.
func chart(r report) string {
	points, frameworks := axes(r.Summaries)
	var body strings.Builder
	y := 12
	for _, p := range points {
		y = chartPoint(&body, r.Summaries, p, frameworks, y)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" font-family="system-ui, sans-serif" font-size="12">`+"\n", chartWidth, y)
	b.WriteString(`<style>text{fill:#222}.h{font-weight:600;font-size:14px}.v{fill:#555}.ferry{fill:#0b7a75}.peer{fill:#8a94a6}.limit{fill:#d9c79a}` +
		`@media (prefers-color-scheme:dark){text{fill:#ddd}.v{fill:#aaa}.ferry{fill:#2bb3ab}.peer{fill:#667085}.limit{fill:#8a7a4a}}</style>` + "\n")
	b.WriteString(body.String())
	b.WriteString("</svg>\n")
	return b.String()
}

// chartPoint draws one point from y down and returns where the next begins.
func chartPoint(b *strings.Builder, all []summary, p point, frameworks []string, y int) int {
	fmt.Fprintf(b, `<text class="h" x="8" y="%d">%s</text>`+"\n", y+16, html.EscapeString(p.title()+unit(p)))
	y += headHeight
	longest := 0.0
	for _, f := range frameworks {
		if s := find(all, p, f); s != nil && s.Reps > 0 && s.Unserved == 0 {
			longest = max(longest, barValue(s))
		}
	}
	for _, f := range frameworks {
		s := find(all, p, f)
		if s == nil || s.Reps == 0 || longest == 0 {
			continue
		}
		w := int(min(barValue(s)/longest, 1) * (chartWidth - nameWidth - valueWidth)) // 1: overloaded
		fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="end">%s</text>`, nameWidth-8, y+12, html.EscapeString(f))
		fmt.Fprintf(b, `<rect class="%s" x="%d" y="%d" width="%d" height="%d" rx="2"/>`, class(s.Group), nameWidth, y, max(w, 1), barHeight)
		fmt.Fprintf(b, `<text class="v" x="%d" y="%d">%s</text>`+"\n", nameWidth+w+8, y+12, html.EscapeString(barText(s)))
		y += barStep
	}
	return y + gapHeight
}

func unit(p point) string {
	switch {
	case p.Kind == kindOpen:
		return ": 99th percentile of latency"
	case byLatency(p):
		return ": median latency"
	}
	return ": calls per second"
}

func barValue(s *summary) float64 {
	switch {
	case s.Point.Kind == kindOpen:
		return s.P99.Median
	case byLatency(s.Point):
		return s.P50.Median
	}
	return s.Rate.Median
}

func barText(s *summary) string {
	if s.Unserved > 0 {
		return "overloaded"
	}
	if byLatency(s.Point) {
		return microsText(barValue(s))
	}
	return fmt.Sprintf("%s · %s µs CPU a call", rateText(s.Rate.Median), digits(s.CPU.Median))
}

func class(g peer.Group) string {
	switch g {
	case peer.Ours:
		return "ferry"
	case peer.Limit:
		return "limit"
	}
	return "peer"
}
