package main

import (
	"fmt"
	"html"
	"maps"
	"path"
	"slices"
	"strings"
)

// A node is a function under one chain of callers.
type node struct {
	name     string
	value    int64 // with all that it called
	children map[string]*node
}

// grow makes a tree of the stacks.
func grow(list []stack) *node {
	root := &node{name: "all", children: map[string]*node{}}
	for _, s := range list {
		at := root
		at.value += s.value
		for _, f := range s.functions {
			next := at.children[f]
			if next == nil {
				next = &node{name: f, children: map[string]*node{}}
				at.children[f] = next
			}
			next.value += s.value
			at = next
		}
	}
	return root
}

// The measures of the graph, in pixels, and the least share of a box.
const (
	width     = 1200.0
	rowHeight = 17
	head      = 30
	least     = 0.001
)

// draw makes the SVG. The outermost functions stand at the bottom.
func draw(root *node, title string) string {
	depth := root.depth(float64(root.value) * least)
	height := head + depth*rowHeight
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%d" viewBox="0 0 %[1]v %[2]d" font-family="monospace" font-size="11">`+"\n", width, height+8)
	b.WriteString(`<style>rect{stroke:#fff;stroke-width:.5}text{pointer-events:none}</style><rect width="100%" height="100%" fill="#fff"/>` + "\n")
	fmt.Fprintf(&b, `<text x="8" y="19" font-size="14">%s</text>`+"\n", html.EscapeString(title))
	root.draw(&b, 0, height-rowHeight, float64(root.value))
	b.WriteString("</svg>\n")
	return b.String()
}

func (n *node) depth(least float64) int {
	deepest := 0
	for _, c := range n.children {
		if float64(c.value) >= least {
			deepest = max(deepest, c.depth(least))
		}
	}
	return deepest + 1
}

func (n *node) draw(b *strings.Builder, x float64, y int, total float64) {
	share := float64(n.value) / total
	w := share * width
	fmt.Fprintf(b, `<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s"><title>%s %.1f %%</title></rect>`, x, y, w, rowHeight-1, colour(n.name), html.EscapeString(n.name), 100*share)
	if room := int(w / 6.7); room > 3 {
		name := short(n.name)
		if len(name) > room {
			name = name[:room-1] + "…"
		}
		fmt.Fprintf(b, `<text x="%.1f" y="%d">%s</text>`, x+2, y+12, html.EscapeString(name))
	}
	b.WriteString("\n")
	for _, name := range slices.Sorted(maps.Keys(n.children)) {
		c := n.children[name]
		if float64(c.value) >= least*total {
			c.draw(b, x, y-rowHeight, total)
		}
		x += float64(c.value) / total * width
	}
}

// short is a function's name without the path of its package.
func short(name string) string { return path.Base(name) }

// colour says to whom a function belongs: Ferry, the Go runtime, the system, or others.
func colour(name string) string {
	switch {
	case strings.Contains(name, "ferryrpc/ferry/benchmarks"):
		return "#c9c3b0"
	case strings.Contains(name, "ferryrpc/ferry"):
		return "#7cc7b8"
	case strings.HasPrefix(name, "runtime."):
		return "#f2b36b"
	case strings.Contains(name, "syscall") || strings.Contains(name, "sys/unix"):
		return "#e98a7d"
	}
	return "#b9c6dd"
}
