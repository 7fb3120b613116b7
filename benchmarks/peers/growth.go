package main

import (
	"cmp"
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
)

// sizeCallers is how many callers the points of the third curve have, whatever the size.
const sizeCallers = 16

// growthFrameworks are those that the curves show if no others are asked for.
const growthFrameworks = "ferry-hessian2,ferry-msgpack,netrpc-codec,raw-net"

// growthPoints are the points of three curves: more callers on one connection, more connections with a caller each,
// larger messages.
func growthPoints() []point {
	var out []point
	for n := 1; n <= 4096; n *= 2 {
		out = append(out, echoPoint(128, n, 1))
	}
	for _, n := range []int{2, 5, 10, 30, 100, 300, 1000} {
		out = append(out, echoPoint(128, n, n))
	}
	for size := 16; size <= 4<<20; size *= 4 {
		out = append(out, echoPoint(size, sizeCallers, 1))
	}
	return out
}

// A curve is one figure over one dimension of the load.
type curve struct {
	title string
	x     func(p point) (v int, ok bool) // ok: the point is one of this curve's
	y     func(s *summary) float64
}

func curves() []curve {
	callers := func(p point) (int, bool) {
		return p.Callers, p.Conns == 1 && p.Size == 128 && p.Callers&(p.Callers-1) == 0
	}
	conns := func(p point) (int, bool) { return p.Conns, p.Size == 128 && p.Callers == p.Conns }
	size := func(p point) (int, bool) { return p.Size, p.Conns == 1 && p.Callers == sizeCallers && p.Size != 128 }
	rate := func(s *summary) float64 { return s.Rate.Median }
	cpu := func(s *summary) float64 { return s.CPU.Median }
	return []curve{
		{"calls/s over callers on one connection, 128 B", callers, rate}, {"CPU µs per call over callers", callers, cpu},
		{"calls/s over connections with a caller each, 128 B", conns, rate}, {"CPU µs per call over connections", conns, cpu},
		{fmt.Sprintf("calls/s over bytes, %d callers", sizeCallers), size, rate}, {"CPU µs per call over bytes", size, cpu},
	}
}

// A series is one framework's line of a curve, with rising x.
type series struct {
	framework string
	x, y      []float64
}

func (c curve) series(all []summary, framework string) series {
	type dot struct{ x, y float64 }
	var dots []dot
	for i := range all {
		s := &all[i]
		if x, ok := c.x(s.Point); ok && s.Framework == framework && s.Reps > 0 && s.Point.Kind == kindEcho {
			dots = append(dots, dot{float64(x), c.y(s)})
		}
	}
	slices.SortFunc(dots, func(a, b dot) int { return cmp.Compare(a.x, b.x) })
	out := series{framework: framework}
	for _, d := range dots {
		out.x, out.y = append(out.x, d.x), append(out.y, d.y)
	}
	return out
}

// The measures of a panel, in pixels.
const (
	panelWidth, panelHeight = 400, 250
	panelLeft, panelTop     = 52, 34
	panelRight, panelBottom = 12, 28
)

var lineColours = []string{"#0b7a75", "#2bb3ab", "#8a94a6", "#c79a3a", "#b3564e", "#6b5bb0"}

// growthChart draws all curves, both axes logarithmic: two panels side by side, three rows.
func growthChart(r report) string {
	_, frameworks := axes(r.Summaries)
	var b strings.Builder
	height := 24 + 3*panelHeight
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" font-family="system-ui, sans-serif" font-size="11">`+"\n", 2*panelWidth, height)
	b.WriteString(`<rect width="100%" height="100%" fill="#fff"/>` + "\n")
	for i, f := range frameworks {
		fmt.Fprintf(&b, `<text x="%d" y="15" fill="%s" font-weight="600">%s</text>`, panelLeft+i*150, lineColours[i%len(lineColours)], html.EscapeString(f))
	}
	for i, c := range curves() {
		fmt.Fprintf(&b, `<g transform="translate(%d,%d)">`, i%2*panelWidth, 24+i/2*panelHeight)
		var lines []series
		for _, f := range frameworks {
			lines = append(lines, c.series(r.Summaries, f))
		}
		panel(&b, c.title, lines)
		b.WriteString("</g>\n")
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// panel draws the lines of one curve.
func panel(b *strings.Builder, title string, lines []series) {
	var xs, ys []float64
	for _, l := range lines {
		xs, ys = append(xs, l.x...), append(ys, l.y...)
	}
	fmt.Fprintf(b, `<text x="%d" y="22" font-size="12" fill="#222">%s</text>`, panelLeft, html.EscapeString(title))
	if len(xs) == 0 {
		return
	}
	x := scale{slices.Min(xs), slices.Max(xs), panelLeft, panelWidth - panelRight}
	y := scale{slices.Min(ys), slices.Max(ys), panelHeight - panelBottom, panelTop}
	for v := math.Pow(10, math.Ceil(math.Log10(y.low))); v <= y.high; v *= 10 {
		fmt.Fprintf(b, `<path d="M%d %.1fH%d" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end" fill="#555">%s</text>`, panelLeft, y.at(v), panelWidth-panelRight, panelLeft-4, y.at(v)+4, rateText(v))
	}
	for i, v := range slices.Compact(slices.Sorted(slices.Values(xs))) {
		if i%2 == 0 {
			fmt.Fprintf(b, `<text x="%.1f" y="%d" text-anchor="middle" fill="#555">%s</text>`, x.at(v), panelHeight-10, countText(int(v)))
		}
	}
	for i, l := range lines {
		var d strings.Builder
		for j := range l.x {
			fmt.Fprintf(&d, "%c%.1f %.1f", "ML"[min(j, 1)], x.at(l.x[j]), y.at(l.y[j]))
		}
		fmt.Fprintf(b, `<path d="%s" fill="none" stroke="%s" stroke-width="2"/>`, d.String(), lineColours[i%len(lineColours)])
	}
}

// A scale turns values into pixels, logarithmically.
type scale struct{ low, high, from, to float64 }

func (s scale) at(v float64) float64 {
	if s.high == s.low {
		return s.from
	}
	return s.from + (s.to-s.from)*math.Log(v/s.low)/math.Log(s.high/s.low)
}

func countText(n int) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%dM", n>>20)
	case n >= 1<<10:
		return fmt.Sprintf("%dk", n>>10)
	}
	return fmt.Sprint(n)
}

// growthTable is a table per dimension in Markdown: calls per second and CPU per call.
func growthTable(r report) string {
	_, frameworks := axes(r.Summaries)
	var b strings.Builder
	all := curves()
	for i, name := range []string{"callers on one connection, 128 B", "connections with a caller each, 128 B", fmt.Sprintf("bytes, %d callers", sizeCallers)} {
		fmt.Fprintf(&b, "| %s | %s |\n|---|%s\n", name, strings.Join(frameworks, " | "), strings.Repeat("---|", len(frameworks)))
		first := all[2*i].series(r.Summaries, frameworks[0])
		for j, x := range first.x {
			fmt.Fprintf(&b, "| %s |", countText(int(x)))
			for _, f := range frameworks {
				rate, cpu := all[2*i].series(r.Summaries, f), all[2*i+1].series(r.Summaries, f)
				if j < len(rate.y) {
					fmt.Fprintf(&b, " %s (%s) |", rateText(rate.y[j]), digits(cpu.y[j]))
				} else {
					b.WriteString(" |")
				}
			}
			b.WriteString("\n")
		}
		b.WriteString("\n")
	}
	return b.String()
}
