package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/examples/quickstart/hello"
)

// A report is what became of the calls.
type report struct {
	elapsed time.Duration
	served  map[string]int
	times   []time.Duration // of each call that was answered
	lost    int
	first   error // of the lost ones
	retries int64
}

// consume makes the calls and runs halfway once when half of them are made.
func consume(ctx context.Context, registry string, calls, callers int, halfway func()) (*report, error) {
	c := ferry.NewClient(registry)
	defer c.Close()
	g, err := hello.ReferGreeter(c, ferry.Timeout(2*time.Second))
	if err != nil {
		return nil, err
	}
	var made, done atomic.Int64
	stopProgress := progress(&done, calls)
	reports := make([]report, callers)
	start := time.Now()
	var wg sync.WaitGroup
	for i := range reports {
		wg.Go(func() {
			r := &reports[i]
			r.served = map[string]int{}
			for {
				n := int(made.Add(1))
				if n > calls {
					return
				}
				if n == calls/2 {
					halfway()
				}
				r.call(ctx, g)
				done.Add(1)
			}
		})
	}
	wg.Wait()
	stopProgress()
	total := merge(reports)
	total.elapsed = time.Since(start)
	total.retries = retries(c)
	return total, nil
}

func (r *report) call(ctx context.Context, g hello.Greeter) {
	start := time.Now()
	greeting, err := g.SayHello(ctx, "world")
	switch {
	case err == nil && greeting != nil && greeting.Text == "Hello, world":
		r.times = append(r.times, time.Since(start))
		r.served[greeting.Provider]++
	default:
		r.lost++
		if r.first == nil {
			r.first = err
		}
	}
}

// progress prints a line now and then until the result is called.
func progress(done *atomic.Int64, calls int) (stop func()) {
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		t := time.NewTicker(250 * time.Millisecond)
		defer t.Stop()
		for {
			select {
			case <-quit:
				return
			case <-t.C:
				fmt.Printf("%d of %d calls done\n", done.Load(), calls)
			}
		}
	}()
	return func() { close(quit); <-ended }
}

func merge(reports []report) *report {
	total := &report{served: map[string]int{}}
	for _, r := range reports {
		for name, n := range r.served {
			total.served[name] += n
		}
		total.times = append(total.times, r.times...)
		total.lost += r.lost
		if total.first == nil {
			total.first = r.first
		}
	}
	slices.Sort(total.times)
	return total
}

// retries sums what the client counted.
func retries(c *ferry.Client) int64 {
	var n int64
	for _, s := range c.Monitor().Samples() {
		n += s.Retries
	}
	return n
}

func (r *report) print(out io.Writer) {
	for _, name := range slices.Sorted(maps.Keys(r.served)) {
		fmt.Fprintf(out, "provider %s served %d\n", name, r.served[name])
	}
	if n := len(r.times); n > 0 {
		fmt.Fprintf(out, "%d calls in %v, %.0f calls/s, p50 %v, p99 %v, %d retries\n", n, r.elapsed.Round(time.Millisecond),
			float64(n)/r.elapsed.Seconds(), r.times[n/2], r.times[n*99/100], r.retries)
	}
	fmt.Fprintf(out, "%d lost\n", r.lost)
}
