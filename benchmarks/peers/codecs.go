package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/ferryrpc/ferry/benchmarks/peers/codec"
)

// Rounds of each comparison of codecs, and their length.
const (
	codecRounds = 31
	codecRound  = 20 * time.Millisecond
)

// codecTable is a table of the formats alone in Markdown.
func codecTable(all []codec.Result) string {
	if len(all) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("| codec alone | against | ns, Ferry / other | allocations | times as fast (single rounds) | wanted |\n|---|---|---|---|---|---|\n")
	for _, r := range all {
		fmt.Fprintf(&b, "| %s: %s a %s | %s | %.0f / %.0f | %.0f / %.0f | %.1f (%.1f – %.1f) | %.0f |\n", r.Format, r.Direction, r.Value, r.Rival,
			r.Ours.Nanos, r.Theirs.Nanos, r.Ours.Allocs, r.Theirs.Allocs, r.Ratio, r.Low, r.High, r.Goal)
	}
	return b.String()
}
