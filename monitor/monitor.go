// Package monitor counts calls: per side, service and method, without locks on the call path.
//
// A Counter holds what the filter metrics counts: calls, failures by outcome, calls in flight and a histogram of times,
// all atomics. A Reporter reads the counters now and then in a goroutine of its own and hands Samples to a Monitor; the
// pages (Counters.Page, Counters.Prometheus) read them when they are asked for. Reading takes no part in the calls, so a
// Sample is not one instant, but no count in it ever goes back.
package monitor

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ferryrpc/ferry/protocol"
)

// The sides of a call.
const (
	Consumer = "consumer"
	Provider = "provider"
)

// outcomes is the number of values of protocol.Outcome.
const outcomes = int(protocol.Executed) + 1

// A Monitor takes samples to where they are shown. Collect is called by one goroutine at a time, with counts since the
// start of the process, and gives up when ctx ends. The samples are its own.
type Monitor interface {
	Collect(ctx context.Context, samples []Sample) error
}

// Counters is a set of Counters; its zero value is ready. One belongs to a client or server.
type Counters struct {
	mu   sync.RWMutex // guards the following
	list []*Counter
	byID map[id]*Counter

	observers []*observer
}

type id struct{ side, service, method string }

// mostCounters bounds the set: names of methods may come from peers. Beyond it calls are counted together.
const mostCounters = 10000

// Counter returns the counter of a method, the same one each time. It takes a lock and is for when something is built.
func (s *Counters) Counter(side, service, method string) *Counter {
	key := id{side, service, method}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, ok := s.byID[key]; ok {
		return c
	}
	if len(s.list) >= mostCounters {
		key = id{side, "(others)", "(others)"}
		if c, ok := s.byID[key]; ok {
			return c
		}
	}
	if s.byID == nil {
		s.byID = map[id]*Counter{}
	}
	key = id{strings.Clone(key.side), strings.Clone(key.service), strings.Clone(key.method)}
	c := &Counter{id: key}
	s.byID[key] = c
	s.list = append(s.list, c)
	return c
}

// Samples returns the state of all counters, ordered by side, service and method.
func (s *Counters) Samples() []Sample {
	s.mu.RLock()
	list := slices.Clone(s.list)
	s.mu.RUnlock()
	slices.SortFunc(list, func(a, b *Counter) int {
		if c := strings.Compare(a.side, b.side); c != 0 {
			return c
		}
		if c := strings.Compare(a.service, b.service); c != 0 {
			return c
		}
		return strings.Compare(a.method, b.method)
	})
	out := make([]Sample, len(list))
	for i, c := range list {
		out[i] = c.Sample()
	}
	return out
}

// A Counter counts the calls of one method on one side.
type Counter struct {
	id
	inFlight atomic.Int64
	retries  atomic.Int64
	failed   [outcomes]atomic.Int64
	nanos    atomic.Int64
	buckets  [bucketCount]atomic.Int64
}

// Begin counts a call that starts.
func (c *Counter) Begin() { c.inFlight.Add(1) }

// End counts a call that took d and ended with err.
func (c *Counter) End(d time.Duration, err error) {
	if err != nil {
		c.failed[protocol.OutcomeOf(err)%protocol.Outcome(outcomes)].Add(1)
	}
	c.nanos.Add(int64(d))
	c.buckets[bucketOf(d)].Add(1)
	c.inFlight.Add(-1)
}

// Retried counts attempts beyond a call's first.
func (c *Counter) Retried(n int) { c.retries.Add(int64(n)) }

// A Sample is the state of a Counter. Counts are since the start; Since gives those between two samples.
type Sample struct {
	Side, Service, Method string
	At                    time.Time
	Calls                 int64           // ended
	Failed                [outcomes]int64 // of those, by protocol.Outcome
	InFlight              int64
	Retries               int64         // attempts beyond the first of a call
	Elapsed               time.Duration // of all ended calls together
	Times                 Histogram
}

// Sample reads the counter.
func (c *Counter) Sample() Sample {
	s := Sample{Side: c.side, Service: c.service, Method: c.method, At: time.Now(), InFlight: c.inFlight.Load(), Retries: c.retries.Load()}
	for i := range c.failed {
		s.Failed[i] = c.failed[i].Load()
	}
	s.Elapsed = time.Duration(c.nanos.Load())
	for i := range c.buckets {
		n := c.buckets[i].Load()
		s.Times.counts[i] = n
		s.Calls += n
	}
	return s
}

// Failures returns the calls that ended with an error.
func (s *Sample) Failures() (n int64) {
	for _, f := range s.Failed {
		n += f
	}
	return n
}

// Since returns what happened after an earlier sample of the same counter.
func (s Sample) Since(earlier Sample) Sample {
	s.Calls -= earlier.Calls
	s.Retries -= earlier.Retries
	s.Elapsed -= earlier.Elapsed
	for i := range s.Failed {
		s.Failed[i] -= earlier.Failed[i]
	}
	for i := range s.Times.counts {
		s.Times.counts[i] -= earlier.Times.counts[i]
	}
	return s
}
