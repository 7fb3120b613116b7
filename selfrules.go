package ferry

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ferryrpc/ferry/cluster/rule"
	"github.com/ferryrpc/ferry/registry"
	"github.com/ferryrpc/ferry/url"
)

// selfRules brings the registries' overrides to a provider's own service while it serves: its filters are made anew with
// the changed parameters, and its entry is replaced by one with the changed URL, for all consumers to see. What must not
// be overridden is left out as for consumers (rule.Protected), and what the port and the formats of the service were opened
// with stays. A bad rule is logged once and shown by Server.Rules, and the one before it stays in force.
type selfRules struct {
	e      *exported
	ctx    context.Context // ends at close
	cancel context.CancelFunc
	wake   chan struct{} // one place: the entries are to be looked at
	done   sync.WaitGroup
	stops  []func() // end the watches; only begin and close use it

	mu     sync.Mutex // guards the following
	lists  []*selfList
	untold int           // lists and texts that were not delivered yet
	told   chan struct{} // closed when untold is 0
}

// A selfList is what one registry says.
type selfList struct {
	entries *entries
	app     text
	service text
}

// newSelfRules begins to follow the registries of a service.
func newSelfRules(e *exported, texts func(registry.Registry) *bulletin) *selfRules {
	s := &selfRules{e: e, wake: make(chan struct{}, 1), told: make(chan struct{})}
	all := s.heard() // keeps told open until everything is asked for
	defer all()
	s.ctx, s.cancel = context.WithCancel(context.Background())
	for range e.entries {
		s.lists = append(s.lists, &selfList{entries: newEntries()})
	}
	u := e.URL()
	for i, n := range e.entries {
		l, heard := s.lists[i], s.heard()
		if err := n.registry.Subscribe(s.ctx, u.With("category", registry.Configurators), func(st registry.State) { s.state(l, st); heard() }); err != nil {
			s.report("configurators", err)
			heard()
		}
		b := texts(n.registry)
		if b == nil {
			continue
		}
		for key, place := range map[string]*text{u.Param("application") + ".configurators": &l.app, rule.ColonKey(u) + ".configurators": &l.service} {
			heard := s.heard()
			stop, err := b.watch(key, func(content []byte) { s.set(place, key, content); heard() })
			if err != nil {
				s.report(key, err)
				heard()
				continue
			}
			s.stops = append(s.stops, stop)
		}
	}
	return s
}

// heard counts something that is to be delivered; what it returns notes the first delivery.
func (s *selfRules) heard() func() {
	s.mu.Lock()
	s.untold++
	s.mu.Unlock()
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.untold--; s.untold == 0 {
			close(s.told)
		}
	})
}

// wait returns when all was delivered once, or after a second: a registry that is away delivers no texts.
func (s *selfRules) wait() {
	limit := time.NewTimer(longestRules)
	defer limit.Stop()
	select {
	case <-s.told:
	case <-limit.C:
	}
}

// start begins to replace entries. The service must have been published.
func (s *selfRules) start() { s.done.Go(s.run) }

// state takes the overrides of a registry's list.
func (s *selfRules) state(l *selfList, st registry.State) {
	if st.Err != nil && st.Source != registry.Live && len(st.URLs) == 0 {
		return // nothing is known
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.entries.update(s, st.URLs) {
		s.applyLocked()
	}
}

// set takes a text.
func (s *selfRules) set(place *text, key string, content []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next, err := readConfigurators(s, key, content)
	if err != nil {
		s.report(key, err)
		place.key, place.state.Place, place.state.Err, place.present = key, key, err, true
		return
	}
	s.reportRefused(key, next.state.Refused)
	changed := next.state.InForce || place.state.InForce
	*place = next
	if changed {
		s.applyLocked()
	}
}

// applyLocked puts what is known in force: the filters now, the entries as soon as the registries take them.
func (s *selfRules) applyLocked() {
	if err := s.e.filter(s.configureLocked(s.e.at(s.e.entries[0].place))); err != nil { // each rule was tried alone, but not all together
		s.report("overrides together", err)
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// run replaces entries whose URLs changed.
func (s *selfRules) run() {
	for {
		select {
		case <-s.wake:
		case <-s.ctx.Done():
			return
		}
		var all sync.WaitGroup
		ctx, superseded := context.WithCancel(s.ctx)
		for _, n := range s.e.entries {
			all.Go(func() { s.e.republish(ctx, n) })
		}
		finished := make(chan struct{})
		go func() { all.Wait(); close(finished) }()
		select {
		case <-finished:
		case <-s.wake: // a newer version: the one under way need not be finished
			s.again()
		}
		superseded()
		<-finished
	}
}

func (s *selfRules) again() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// configure returns a provider's URL with all overrides that match it.
func (s *selfRules) configure(u *url.URL) *url.URL {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.configureLocked(u)
}

func (s *selfRules) configureLocked(u *url.URL) *url.URL {
	for _, l := range s.lists {
		for _, c := range slices.Concat(l.entries.configurators, l.app.configurators, l.service.configurators) {
			u = c.ApplyToProvider(u)
		}
	}
	return u
}

// vet tries a configurator's parameters on the service's own.
func (s *selfRules) vet(c *rule.Configurator) error {
	own := s.e.URL()
	u, x := own.WithAll(c.Params()), s.e.running.x
	views := []*url.URL{u}
	for key, value := range c.Params().All {
		if key == "disabled" && value != "true" && value != "false" {
			return fmt.Errorf("parameter disabled=%s: want true or false", value)
		}
		if method, _, dotted := strings.Cut(key, "."); dotted {
			views = append(views, u.ForMethod(method))
		}
	}
	if err := x.checkNames(u, slices.Collect(x.names)); err != nil {
		return err
	}
	for _, view := range views {
		if err := x.decodes(view, own); err != nil {
			return err
		}
	}
	_, err := x.ServiceFilters.OpenAll(s.e.env, u)
	return err
}

func (s *selfRules) report(place string, err error) {
	s.e.running.env.Log().Warn("ferry: a rule of the registry is ignored by the provider, the one before it stays in force",
		"service", s.e.URL().Service(), "rule", place, "cause", err)
}

func (s *selfRules) reportRefused(place string, refused []string) {
	if len(refused) > 0 {
		s.e.running.env.Log().Warn("ferry: a rule of the registry names parameters that rules cannot set", "service", s.e.URL().Service(),
			"rule", place, "parameters", refused)
	}
}

func (s *selfRules) states() []RuleState {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []RuleState
	for _, l := range s.lists {
		out = append(out, l.entries.states()...)
		for _, t := range []*text{&l.app, &l.service} {
			if t.present {
				st := t.state
				st.Refused = slices.Clone(st.Refused)
				out = append(out, st)
			}
		}
	}
	return out
}

// close ends the watches, and waits for what replaces entries.
func (s *selfRules) close() {
	s.cancel()
	for _, stop := range s.stops {
		stop()
	}
	s.stops = nil
	s.done.Wait()
}

// A judge tries rules before they count, and tells of those that do not.
type judge interface {
	vet(c *rule.Configurator) error
	report(place string, err error)
	reportRefused(place string, refused []string)
}

// readConfigurators reads a text of configurators.
func readConfigurators(j judge, key string, content []byte) (text, error) {
	next := text{key: key, present: content != nil}
	next.state.Place = key
	var err error
	if next.configurators, err = rule.ParseConfigurators(content); err != nil {
		return text{}, err
	}
	for _, c := range next.configurators {
		next.state.Refused = append(next.state.Refused, c.Refused...)
		err = cmp.Or(err, j.vet(c))
	}
	next.state.InForce = next.configurators != nil
	return next, err
}

// Rules shows the registries' overrides that were found for the services of this server, those in force and those that
// are not.
func (s *Server) Rules() []RuleState {
	s.mu.Lock()
	exporters := slices.Clone(s.exporters)
	s.mu.Unlock()
	var out []RuleState
	for _, e := range exporters {
		if e.rules != nil {
			out = append(out, e.rules.states()...)
		}
	}
	return out
}
