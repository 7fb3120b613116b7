package cluster

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ferryrpc/ferry/loadbalance"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/registry"
)

// A Snapshot is a list of providers at one time. It never changes; what is prepared from it is kept in it.
type Snapshot struct {
	// Targets are the providers that may be called, in an order that stays over changes. Nobody changes the slice.
	Targets []*loadbalance.Target
	// Removed says who took how many providers out of what the registry gave.
	Removed []Removal

	aside   []*loadbalance.Target // set aside; probed now and then
	tagged  bool                  // a provider has a tag of its own
	listing *listing              // what the registry said; never nil
	home    *home                 // what all snapshots of a directory share; never nil
	plans   atomic.Pointer[plans] // one per joined Invoker
	routed  atomic.Pointer[map[route]*Snapshot]
}

// A Removal is a number of providers that a router or check took out.
type Removal struct {
	By    string // for instance "router tag"
	Count int
}

// A listing is what a registry delivered.
type listing struct {
	service string
	given   int // addresses
	source  registry.Source
	at      time.Time // zero when there was no list yet
	kept    bool      // the registry lists none now; these are the last ones
	closed  bool
	err     error
}

type route struct{ by, key string }

// mostRoutes bounds the routed lists kept per snapshot: their keys may come from callers.
const mostRoutes = 1024

// NewSnapshot returns a snapshot of targets for directories that are not fed by a registry.
func NewSnapshot(service string, targets ...*loadbalance.Target) *Snapshot {
	s := &Snapshot{Targets: targets, listing: &listing{service: service, given: len(targets), at: time.Now()}, home: newHome(nil, OutlierParams{})}
	s.tagged = slices.ContainsFunc(targets, func(t *loadbalance.Target) bool { return tagged(t.Ref.URL()) })
	return s
}

// Narrow returns the part of s that keep accepts, or s itself when that is all. The result is kept under by, the name of
// the router for error messages, and key, which must say all that keep depends on; so keep runs once per snapshot and
// key. It may be called from any goroutine, and when the result is there costs no allocation.
func (s *Snapshot) Narrow(by, key string, keep func(*loadbalance.Target) bool) *Snapshot {
	var known map[route]*Snapshot
	old := s.routed.Load()
	if old != nil {
		known = *old
	}
	if n, ok := known[route{by, key}]; ok {
		return n
	}
	n := s.narrow(by, keep)
	for len(known) < mostRoutes {
		next := make(map[route]*Snapshot, len(known)+1)
		maps.Copy(next, known)
		next[route{strings.Clone(by), strings.Clone(key)}] = n
		if s.routed.CompareAndSwap(old, &next) {
			break
		}
		old = s.routed.Load()
		known = *old
		if other, ok := known[route{by, key}]; ok {
			return other
		}
	}
	return n
}

// narrowed returns what Narrow computed before, for routers that would have to make keep for it.
func (s *Snapshot) narrowed(by, key string) (*Snapshot, bool) {
	known := s.routed.Load()
	if known == nil {
		return nil, false
	}
	n, ok := (*known)[route{by, key}]
	return n, ok
}

func (s *Snapshot) narrow(by string, keep func(*loadbalance.Target) bool) *Snapshot {
	n := &Snapshot{Targets: filtered(s.Targets, keep), aside: filtered(s.aside, keep), tagged: s.tagged,
		listing: s.listing, home: s.home}
	gone := len(s.Targets) + len(s.aside) - len(n.Targets) - len(n.aside)
	if gone == 0 {
		return s
	}
	if len(n.Targets) == 0 { // better one that was set aside than none
		n.Targets, n.aside = n.aside, nil
	}
	n.Removed = append(s.Removed[:len(s.Removed):len(s.Removed)], Removal{by, gone})
	return n
}

func filtered(in []*loadbalance.Target, keep func(*loadbalance.Target) bool) []*loadbalance.Target {
	var out []*loadbalance.Target
	for _, t := range in {
		if keep(t) {
			out = append(out, t)
		}
	}
	return out
}

// sameAddress returns the target of this list that is the same provider as t of another, or nil.
func (s *Snapshot) sameAddress(t *loadbalance.Target) *loadbalance.Target {
	u := t.Ref.URL()
	for _, list := range [][]*loadbalance.Target{s.Targets, s.aside} {
		for _, n := range list {
			if v := n.Ref.URL(); n == t || u != nil && v != nil && u.Scheme() == v.Scheme() && u.Address() == v.Address() {
				return n
			}
		}
	}
	return nil
}

// String says what the registry gave and who removed how many, for errors.
func (s *Snapshot) String() string {
	var b strings.Builder
	l := s.listing
	switch {
	case l.closed:
		b.WriteString("the directory is closed")
	case l.at.IsZero():
		b.WriteString("the registry has given no list yet")
	default:
		fmt.Fprintf(&b, "the registry gave %d %s (%s, %s old)", l.given, plural(l.given, "address", "addresses"), l.source,
			max(time.Since(l.at), 0).Round(time.Millisecond))
		if l.kept {
			b.WriteString(" and lists none now")
		}
	}
	for _, r := range s.Removed {
		fmt.Fprintf(&b, ", %s removed %d", r.By, r.Count)
	}
	if n := len(s.aside); n > 0 {
		fmt.Fprintf(&b, ", %d set aside for failing", n)
	}
	if l.err != nil {
		b.WriteString(": ")
		b.WriteString(l.err.Error())
	}
	return b.String()
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// noProvider is the error of a call for which nobody is left. Nothing was sent.
func (s *Snapshot) noProvider(c *protocol.Invocation) *protocol.Error {
	code := protocol.NoProvider
	switch {
	case s.listing.closed:
		code = protocol.Closed
	case s.listing.given == 0:
		code = protocol.Forbidden
	}
	e := &protocol.Error{Code: code, Outcome: protocol.NotSent, Message: "no provider: " + s.String(), Cause: ErrNoProvider}
	if c.Method != nil {
		e.Service, e.Method = c.Method.Service, c.Method.Name
	}
	return e
}

// noBudget is the error of a repeat that the retry budget does not pay for.
func (s *Snapshot) noBudget(c *protocol.Invocation) *protocol.Error {
	return &protocol.Error{Code: protocol.LimitExceeded, Outcome: protocol.NotSent, Service: c.Method.Service, Method: c.Method.Name,
		Message: "retry budget is spent"}
}
