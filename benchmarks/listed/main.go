// Command listed shows what does not grow, and what is bounded.
//
//	go run ./benchmarks/listed -o benchmarks/results/listed
//
// It calls one service while the registry lists 3, 100 and 10,000 providers, of which three have the tag of the calls and
// get them, and while a provider and a consumer have 1, 100 and 10,000 services; so the difference is what finding the list,
// routing, choosing and looking a method up cost. The variants take turns in short rounds, and a ratio is the median of the
// ratios of rounds that follow each other. Then it has 100,000 callers call at once while no handler returns, with the
// default limits and with raised ones, and says how many calls were in flight, how many were refused, and what memory one takes.
//
// Providers and consumers are in one process, connected over loopback.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

// result is the JSON file.
type result struct {
	Go        string    `json:"go"`
	Cores     int       `json:"cores"`
	Providers []variant `json:"providers"`
	Services  []variant `json:"services"`
	InFlight  []flight  `json:"in_flight"`
}

func main() {
	out := flag.String("o", "", "base name of the files to write, without an ending")
	rounds := flag.Int("rounds", 21, "rounds of each variant")
	round := flag.Duration("round", 150*time.Millisecond, "length of a round")
	flag.Parse()
	if err := run(*out, *rounds, *round); err != nil {
		fmt.Fprintln(os.Stderr, "listed:", err)
		os.Exit(1)
	}
}

func run(out string, rounds int, round time.Duration) error {
	r := result{Go: runtime.Version(), Cores: runtime.NumCPU()}
	counts := []int{3, 100, 10_000}
	var err error
	if r.Providers, err = compare(counts, withProviders, rounds, round); err != nil {
		return err
	}
	counts = []int{1, 100, 10_000}
	if r.Services, err = compare(counts, withServices, rounds, round); err != nil {
		return err
	}
	for _, raised := range []bool{false, true} {
		f, err := inFlight(100_000, limits(100_000, raised))
		if err != nil {
			return err
		}
		r.InFlight = append(r.InFlight, f)
	}
	fmt.Print(r.table())
	if out == "" {
		return nil
	}
	b, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(out+".json", append(b, '\n'), 0o644); err != nil {
		return err
	}
	return os.WriteFile(out+".md", []byte(r.table()), 0o644)
}

// table is the result in Markdown.
func (r result) table() string {
	var b strings.Builder
	b.WriteString("| listed | calls/s, 64 callers | against the first (middle half of the rounds) |\n|---|---|---|\n")
	for _, v := range r.Providers {
		fmt.Fprintf(&b, "| %d providers, 3 called | %.0f | %s |\n", v.Count, v.Rate, v.ratio())
	}
	for _, v := range r.Services {
		fmt.Fprintf(&b, "| %d services, 1 called | %.0f | %s |\n", v.Count, v.Rate, v.ratio())
	}
	b.WriteString("\n| 100,000 callers at once, no handler returns | running | accepted | refused | KiB per accepted call, both sides | s until all have ended |\n|---|---|---|---|---|---|\n")
	for _, f := range r.InFlight {
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %.1f | %.1f |\n", f.Limits, f.Running, f.Accepted, f.Refused, f.Each, f.Seconds)
	}
	return b.String()
}
