package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/ferryrpc/ferry/protocol"
)

// A tally is what became of a number of calls.
type tally struct {
	calls, idempotent, wrong int
	failed                   [protocol.Executed + 1]int // by outcome
	failedIdempotent         int
	times                    []time.Duration // of those that were answered, sorted
}

func count(records []record) tally {
	t := tally{calls: len(records)}
	for i := range records {
		r := &records[i]
		if r.idempotent {
			t.idempotent++
		}
		switch {
		case r.err != nil:
			t.failed[protocol.OutcomeOf(r.err)]++
		case r.wrong != "":
			t.wrong++
		default:
			t.times = append(t.times, r.took)
		}
		if r.idempotent && r.failed() {
			t.failedIdempotent++
		}
	}
	slices.Sort(t.times)
	return t
}

func (t *tally) quantile(q float64) time.Duration {
	if len(t.times) == 0 {
		return 0
	}
	return t.times[int(q*float64(len(t.times)-1))]
}

// table prints a line per second until ctx ends.
func (l *load) table(ctx context.Context, out io.Writer) {
	const every, titles = time.Second, 20
	tick := time.NewTicker(every)
	defer tick.Stop()
	begun, last, seen, retried := time.Now(), time.Now(), 0, int64(0)
	for n := 0; ; n++ {
		if n%titles == 0 {
			fmt.Fprintln(out, "  time   calls/s  failed: not sent  not started  unknown  executed  idempotent   retries       p99  lists")
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		all, retries, now := l.records(), l.retries(), time.Now()
		t := count(all[seen:])
		fmt.Fprintf(out, "%6.1fs %8.0f %17d %12d %8d %9d %11d %9d %9s  %s\n", now.Sub(begun).Seconds(),
			float64(t.calls)/now.Sub(last).Seconds(), t.failed[protocol.NotSent], t.failed[protocol.NotStarted],
			t.failed[protocol.OutcomeUnknown], t.failed[protocol.Executed], t.failedIdempotent, retries-retried,
			t.quantile(0.99).Round(10*time.Microsecond), l.lists())
		last, seen, retried = now, len(all), retries
	}
}
