// Command flame draws a CPU profile as a flame graph in SVG, and prints its blocks as a table.
//
//	go run . -points 128x64 -frameworks ferry-msgpack -reps 1 -profile /tmp/profiles
//	go run ./flame -title "client" -o client.svg /tmp/profiles/128x64-ferry-msgpack-client.pprof
//
// The width of a box is the share of the CPU time that a function took with all that it called; its callers stand below
// it. Boxes of less than a thousandth are left out. The table cuts the same time in blocks that do not overlap: each
// sample belongs to the first block of blocks.go that one of its functions is in.
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/google/pprof/profile"
)

func main() {
	title := flag.String("title", "CPU", "what stands above the graph")
	out := flag.String("o", "", "the SVG file")
	flag.Parse()
	if err := run(flag.Arg(0), *title, *out); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(file, title, out string) error {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("flame: %w", err)
	}
	defer f.Close()
	p, err := profile.Parse(f)
	if err != nil {
		return fmt.Errorf("flame: %s: %w", file, err)
	}
	list := stacks(p)
	fmt.Print(blockTable(list))
	if out == "" {
		return nil
	}
	return os.WriteFile(out, []byte(draw(grow(list), title)), 0o644)
}

// A stack is a sample: its functions from the outermost to the innermost, and its CPU time in ns.
type stack struct {
	functions []string
	value     int64
}

func stacks(p *profile.Profile) []stack {
	out := make([]stack, 0, len(p.Sample))
	for _, s := range p.Sample {
		k := stack{value: s.Value[len(s.Value)-1]}
		for i := len(s.Location) - 1; i >= 0; i-- {
			lines := s.Location[i].Line
			for j := len(lines) - 1; j >= 0; j-- { // inlined functions stand before their caller
				k.functions = append(k.functions, lines[j].Function.Name)
			}
		}
		out = append(out, k)
	}
	return out
}
