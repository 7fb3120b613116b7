package monitor

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/ferryrpc/ferry/protocol"
)

// Page returns a handler that shows the counters, and how services stand with their registries, as tables of plain text.
func (s *Counters) Page() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		var b bytes.Buffer
		s.table(&b)
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write(b.Bytes()) // a reader who leaves is no error
	})
}

// String returns the table that Page shows.
func (s *Counters) String() string {
	var b bytes.Buffer
	s.table(&b)
	return b.String()
}

func (s *Counters) table(b *bytes.Buffer) {
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "side\tservice\tmethod\tcalls\tin flight\tfailed\tnot sent\tnot started\tunknown\texecuted\tmean\tp50\tp99")
	for _, x := range s.Samples() {
		mean := time.Duration(0)
		if x.Calls > 0 {
			mean = x.Elapsed / time.Duration(x.Calls)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t%s\t%s\n", x.Side, plain(x.Service), plain(x.Method), x.Calls, x.InFlight,
			x.Failures(), x.Failed[protocol.NotSent], x.Failed[protocol.NotStarted], x.Failed[protocol.OutcomeUnknown],
			x.Failed[protocol.Executed], short(mean), short(x.Times.Quantile(0.5)), short(x.Times.Quantile(0.99)))
	}
	_ = w.Flush() // a bytes.Buffer takes all
	s.standings(b)
}

// plain keeps names that came from a peer from breaking the table.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, s)
}

// short writes a time with three digits.
func short(d time.Duration) string {
	for unit := time.Duration(1); unit <= time.Second; unit *= 10 {
		if d < 1000*unit {
			return d.Round(unit).String()
		}
	}
	return d.Round(time.Second).String()
}

// Prometheus returns a handler that shows the counters in Prometheus' text format.
func (s *Counters) Prometheus() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		var b bytes.Buffer
		s.exposition(&b)
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		_, _ = w.Write(b.Bytes())
	})
}

func (s *Counters) exposition(b *bytes.Buffer) {
	samples := s.Samples()
	b.WriteString("# HELP ferry_call_seconds Time of ended calls.\n# TYPE ferry_call_seconds histogram\n")
	for i := range samples {
		x := &samples[i]
		for power := firstBits; power <= lastBits; power++ { // the same bounds at all times, as Prometheus wants them
			below := time.Duration(1) << power
			fmt.Fprintf(b, "ferry_call_seconds_bucket{%s,le=%q} %d\n", labels(x), strconv.FormatFloat(below.Seconds(), 'g', -1, 64), x.Times.below(power))
		}
		fmt.Fprintf(b, "ferry_call_seconds_bucket{%s,le=\"+Inf\"} %d\n", labels(x), x.Calls)
		fmt.Fprintf(b, "ferry_call_seconds_sum{%s} %g\nferry_call_seconds_count{%s} %d\n", labels(x), x.Elapsed.Seconds(), labels(x), x.Calls)
	}
	b.WriteString("# HELP ferry_calls_in_flight Calls that have not ended.\n# TYPE ferry_calls_in_flight gauge\n")
	for i := range samples {
		fmt.Fprintf(b, "ferry_calls_in_flight{%s} %d\n", labels(&samples[i]), samples[i].InFlight)
	}
	b.WriteString("# HELP ferry_call_failures_total Ended calls with an error, by outcome.\n# TYPE ferry_call_failures_total counter\n")
	for i := range samples {
		for o, n := range samples[i].Failed {
			fmt.Fprintf(b, "ferry_call_failures_total{%s,outcome=%q} %d\n", labels(&samples[i]), protocol.Outcome(o), n)
		}
	}
	s.gauges(b)
}

func labels(s *Sample) string {
	return `side="` + escape(s.Side) + `",service="` + escape(s.Service) + `",method="` + escape(s.Method) + `"`
}

// escape writes a label's value; names may come from a peer.
func escape(s string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s)
}
