package monitor

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"slices"
	"text/tabwriter"
	"time"
)

// A Standing is how a service stands with a registry: whether a provider is registered, or what a consumer's list is
// worth.
type Standing struct {
	Side, Service string
	Registry      string // host:port
	// Address is where a provider serves.
	Address string
	// Registered says that the provider's entry is proved to be in the registry.
	Registered bool
	// Source is where a consumer's list comes from: live, memory or file.
	Source string
	// At is when the list was read; zero when there is none.
	At        time.Time
	Providers int // in the list
	// SetAside is how many of them failed too often and are only probed.
	SetAside int
	// RetriesLeft is what the consumer's retry budget pays for at this moment, RetriesRefused what it did not pay for, ever.
	RetriesLeft    int
	RetriesRefused int64
	Err            error // why the list is not live
}

// Observe has the pages show what read returns, which they ask for whenever they are looked at, until stop is called.
func (s *Counters) Observe(read func() []Standing) (stop func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := &observer{read}
	s.observers = append(s.observers, o)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.observers = slices.DeleteFunc(s.observers, func(x *observer) bool { return x == o })
	}
}

type observer struct{ read func() []Standing }

// Standings returns how all services stand, ordered by side, service, registry and address.
func (s *Counters) Standings() []Standing {
	s.mu.RLock()
	observers := slices.Clone(s.observers)
	s.mu.RUnlock()
	var out []Standing
	for _, o := range observers {
		out = append(out, o.read()...)
	}
	slices.SortStableFunc(out, func(a, b Standing) int {
		return cmp.Or(cmp.Compare(a.Side, b.Side), cmp.Compare(a.Service, b.Service), cmp.Compare(a.Registry, b.Registry), cmp.Compare(a.Address, b.Address))
	})
	return out
}

// standings writes the table of the text page, and nothing when there are none.
func (s *Counters) standings(b *bytes.Buffer) {
	list := s.Standings()
	if len(list) == 0 {
		return
	}
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nside\tservice\tregistry\taddress\tregistered\tlist\tage\tproviders\tset aside\tretries left\tcause")
	for _, x := range list {
		registered, source, age, providers, aside, left := "-", "-", "-", "-", "-", "-"
		if x.Side == Provider {
			registered = map[bool]string{true: "yes", false: "no"}[x.Registered]
		} else {
			source, providers, aside, left = x.Source, fmt.Sprint(x.Providers), fmt.Sprint(x.SetAside), fmt.Sprint(x.RetriesLeft)
			if !x.At.IsZero() {
				age = short(max(time.Since(x.At), 0))
			}
		}
		cause := "-"
		if x.Err != nil {
			cause = plain(x.Err.Error())
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", x.Side, plain(x.Service), plain(x.Registry), cmp.Or(plain(x.Address), "-"),
			registered, source, age, providers, aside, left, cause)
	}
	_ = w.Flush() // a bytes.Buffer takes all
}

// gauges writes the standings for Prometheus.
func (s *Counters) gauges(b *bytes.Buffer) {
	list := s.Standings()
	if len(list) == 0 {
		return
	}
	write := func(name, kind, help, side string, value func(Standing) (labels string, n float64)) {
		fmt.Fprintf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
		for _, x := range list {
			if x.Side != side {
				continue
			}
			if more, n := value(x); !math.IsNaN(n) {
				fmt.Fprintf(b, "%s{service=\"%s\",registry=\"%s\"%s} %g\n", name, escape(x.Service), escape(x.Registry), more, n)
			}
		}
	}
	write("ferry_registered", "gauge", "Whether a provider's entry is proved to be in the registry.", Provider, func(x Standing) (string, float64) {
		return `,address="` + escape(x.Address) + `"`, map[bool]float64{true: 1}[x.Registered]
	})
	write("ferry_list_providers", "gauge", "Providers in a consumer's list.", Consumer, func(x Standing) (string, float64) {
		return `,source="` + escape(x.Source) + `"`, float64(x.Providers)
	})
	write("ferry_list_age_seconds", "gauge", "Time since a consumer's list was read.", Consumer, func(x Standing) (string, float64) {
		if x.At.IsZero() {
			return "", math.NaN()
		}
		return `,source="` + escape(x.Source) + `"`, max(time.Since(x.At), 0).Seconds()
	})
	write("ferry_providers_set_aside", "gauge", "Providers that failed too often and are only probed.", Consumer, func(x Standing) (string, float64) {
		return "", float64(x.SetAside)
	})
	write("ferry_retry_budget", "gauge", "Repeats of calls that may have run which may be made now.", Consumer, func(x Standing) (string, float64) {
		return "", float64(x.RetriesLeft)
	})
	write("ferry_retries_refused_total", "counter", "Repeats that the retry budget did not pay for.", Consumer, func(x Standing) (string, float64) {
		return "", float64(x.RetriesRefused)
	})
}
