package codec

import (
	"fmt"
	"runtime"
	"slices"
	"time"
)

// A Result is one comparison in one direction.
type Result struct {
	Format    string  `json:"format"`
	Value     string  `json:"value"`
	Direction string  `json:"direction"` // encode or decode
	Rival     string  `json:"rival"`
	Ours      Cost    `json:"ferry"`
	Theirs    Cost    `json:"other"`
	Ratio     float64 `json:"ratio"` // how many times as fast Ferry is: median of the pairs
	Low       float64 `json:"ratio_low"`
	High      float64 `json:"ratio_high"`
	Goal      float64 `json:"goal"`
}

// A Cost is what one operation takes.
type Cost struct {
	Nanos  float64 `json:"ns"`
	Allocs float64 `json:"allocs"`
	Size   int     `json:"bytes"` // of the encoded value
}

// Measure makes rounds pairs of runs of length d for each comparison.
func Measure(rounds int, d time.Duration) ([]Result, error) {
	var out []Result
	for _, p := range Pairs() {
		ours, err := p.Ours.works()
		if err != nil {
			return nil, err
		}
		theirs, err := p.Theirs.works()
		if err != nil {
			return nil, err
		}
		for _, direction := range []string{"encode", "decode"} {
			r := Result{Format: p.Format, Value: p.Value, Direction: direction, Rival: p.Theirs.Name, Goal: p.Goal}
			r.Ours.Size, r.Theirs.Size = len(ours), len(theirs)
			r.compare(p.Ours.operation(direction, ours), p.Theirs.operation(direction, theirs), rounds, d)
			out = append(out, r)
		}
	}
	return out, nil
}

// works returns an encoded value if decoding it gives something.
func (c Codec) works() ([]byte, error) {
	b, err := c.encode()
	if err != nil {
		return nil, fmt.Errorf("codec: %s: encode: %w", c.Name, err)
	}
	b = slices.Clone(b)
	n, err := c.decode(b)
	if err == nil && n == 0 {
		err = fmt.Errorf("no records came back")
	}
	if err != nil {
		return nil, fmt.Errorf("codec: %s: decode: %w", c.Name, err)
	}
	return b, nil
}

// operation is what is timed. Errors were looked for before.
func (c Codec) operation(direction string, encoded []byte) func() {
	if direction == "encode" {
		return func() { _, _ = c.encode() }
	}
	return func() { _, _ = c.decode(encoded) }
}

func (r *Result) compare(ours, theirs func(), rounds int, d time.Duration) {
	cost(ours, d) // warms up
	cost(theirs, d)
	var a, b, ratios []float64
	for range rounds {
		x, y := cost(ours, d), cost(theirs, d)
		a, b, ratios = append(a, x.Nanos), append(b, y.Nanos), append(ratios, y.Nanos/x.Nanos)
		r.Ours.Allocs, r.Theirs.Allocs = x.Allocs, y.Allocs
	}
	slices.Sort(ratios)
	r.Ours.Nanos, r.Theirs.Nanos = median(a), median(b)
	r.Ratio, r.Low, r.High = median(ratios), ratios[0], ratios[len(ratios)-1]
}

// cost runs f for about d.
func cost(f func(), d time.Duration) Cost {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	n, batch := 0, 1
	start := time.Now()
	elapsed := time.Duration(0)
	for elapsed < d {
		for range batch {
			f()
		}
		n += batch
		elapsed = time.Since(start)
		if elapsed < d/20 {
			batch *= 2 // so that reading the clock costs nothing
		}
	}
	runtime.ReadMemStats(&after)
	return Cost{Nanos: float64(elapsed) / float64(n), Allocs: float64(after.Mallocs-before.Mallocs) / float64(n)}
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}
