package monitor

import (
	"bytes"
	"cmp"
	"fmt"
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
	Providers int   // in the list
	Err       error // why the list is not live
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
	fmt.Fprintln(w, "\nside\tservice\tregistry\taddress\tregistered\tlist\tage\tproviders\tcause")
	for _, x := range list {
		registered, source, age, providers := "-", "-", "-", "-"
		if x.Side == Provider {
			registered = map[bool]string{true: "yes", false: "no"}[x.Registered]
		} else {
			source, providers = x.Source, fmt.Sprint(x.Providers)
			if !x.At.IsZero() {
				age = short(max(time.Since(x.At), 0))
			}
		}
		cause := "-"
		if x.Err != nil {
			cause = plain(x.Err.Error())
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", x.Side, plain(x.Service), plain(x.Registry), cmp.Or(plain(x.Address), "-"),
			registered, source, age, providers, cause)
	}
	_ = w.Flush() // a bytes.Buffer takes all
}

// gauges writes the standings for Prometheus.
func (s *Counters) gauges(b *bytes.Buffer) {
	list := s.Standings()
	if len(list) == 0 {
		return
	}
	b.WriteString("# HELP ferry_registered Whether a provider's entry is proved to be in the registry.\n# TYPE ferry_registered gauge\n")
	for _, x := range list {
		if x.Side == Provider {
			n := 0
			if x.Registered {
				n = 1
			}
			fmt.Fprintf(b, "ferry_registered{service=\"%s\",registry=\"%s\",address=\"%s\"} %d\n", escape(x.Service), escape(x.Registry), escape(x.Address), n)
		}
	}
	b.WriteString("# HELP ferry_list_providers Providers in a consumer's list.\n# TYPE ferry_list_providers gauge\n")
	for _, x := range list {
		if x.Side == Consumer {
			fmt.Fprintf(b, "ferry_list_providers{service=\"%s\",registry=\"%s\",source=\"%s\"} %d\n", escape(x.Service), escape(x.Registry), escape(x.Source), x.Providers)
		}
	}
	b.WriteString("# HELP ferry_list_age_seconds Time since a consumer's list was read.\n# TYPE ferry_list_age_seconds gauge\n")
	for _, x := range list {
		if x.Side == Consumer && !x.At.IsZero() {
			fmt.Fprintf(b, "ferry_list_age_seconds{service=\"%s\",registry=\"%s\",source=\"%s\"} %g\n", escape(x.Service), escape(x.Registry), escape(x.Source), time.Since(x.At).Seconds())
		}
	}
}
