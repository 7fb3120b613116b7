package ferry

import (
	"cmp"
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ferryrpc/ferry/cluster"
	"github.com/ferryrpc/ferry/cluster/rule"
	"github.com/ferryrpc/ferry/coordination/ordered"
	"github.com/ferryrpc/ferry/registry"
	"github.com/ferryrpc/ferry/url"
)

// governance brings the registry's rules to a reference while calls run: overrides change the parameters of its
// providers and its own, routes narrow its list down. Rules come as URLs in the lists of the service and as texts under
// six keys. A rule that cannot be used is logged once and shown by Rules, and the one before it stays in force.
type governance struct {
	src *source
	r   *running
	own *url.URL // the consumer's own parameters, without overrides

	overrides atomic.Pointer[func(*url.URL) *url.URL] // all that are in force; nil for none

	mu      sync.Mutex // guards the following; held while the directory is told, so that changes arrive in order
	entries *entries   // URLs of the lists
	texts   [textCount]text
	app     string // whose tags and conditions are watched: the application of the first provider
	untold  int    // texts that were not delivered yet
	told    chan struct{}
	closed  bool
	bad     string   // what was logged of entries of the lists that cannot be read
	watches []func() // end the watches of the consumer's texts
	theirs  []func() // end those of app's
}

// The texts, in the order in which they are applied.
const (
	appConfigurators = iota
	serviceConfigurators
	providerTags
	providerConditions
	appConditions
	serviceConditions
	textCount
)

// A text is what stands under a key.
type text struct {
	key           string
	configurators []*rule.Configurator
	conditions    *rule.Conditions
	tags          *rule.Tags
	state         RuleState
	present       bool
}

// A RuleState is what is known of one of the registry's rules.
type RuleState struct {
	// Place is the key of a text, or a whole URL.
	Place string
	// InForce says that it has an effect, as it is or, with Err, as it was before.
	InForce bool
	// Err is why the newest version is not in force.
	Err error
	// Refused are the parameters that rules cannot set.
	Refused []string
}

func newGovernance(s *source, r *running, u *url.URL) *governance {
	return &governance{src: s, r: r, own: u, entries: newEntries(), told: make(chan struct{})}
}

// watch begins to follow the texts of a registry that has some.
func (g *governance) watch(b *bulletin) {
	if b == nil {
		return
	}
	app, service := g.own.Param("application"), rule.ColonKey(g.own)
	for i, key := range map[int]string{appConfigurators: app + ".configurators", serviceConfigurators: service + ".configurators",
		appConditions: app + ".condition-router", serviceConditions: service + ".condition-router"} {
		if stop := g.follow(b, i, key); stop != nil {
			g.watches = append(g.watches, stop)
		}
	}
}

// follow begins to follow one text. g.mu must not be held.
func (g *governance) follow(b *bulletin, i int, key string) (stop func()) {
	g.mu.Lock()
	g.texts[i] = text{key: key}
	g.untold++
	g.mu.Unlock()
	first := true
	heard := func() { // only in notify, and after a failure
		if first {
			g.untold--
			first = false
			close(g.told)
			g.told = make(chan struct{})
		}
	}
	stop, err := b.watch(key, func(content []byte) {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.texts[i].key == key && !g.closed {
			g.set(i, content)
		}
		heard()
	})
	if err != nil {
		g.mu.Lock()
		heard()
		g.mu.Unlock()
		g.r.env.Log().Warn("ferry: rule cannot be watched", "service", g.own.Service(), "rule", key, "cause", err)
	}
	return stop
}

// wait returns when all texts were delivered once, or ctx ends.
func (g *governance) wait(ctx context.Context) {
	for {
		g.mu.Lock()
		n, told := g.untold, g.told
		g.mu.Unlock()
		if n == 0 {
			return
		}
		select {
		case <-told:
		case <-ctx.Done():
			return
		}
	}
}

// set takes a text. g.mu must be held.
func (g *governance) set(i int, content []byte) {
	key := g.texts[i].key
	next := text{key: key, present: content != nil}
	next.state.Place = key
	var err error
	switch i {
	case appConfigurators, serviceConfigurators:
		next, err = readConfigurators(g, key, content)
	case providerConditions, appConditions, serviceConditions:
		next.conditions, err = rule.ParseConditions(content)
	case providerTags:
		next.tags, err = rule.ParseTags(content)
	}
	if err != nil {
		g.report(key, err)
		g.texts[i].state.Place, g.texts[i].state.Err, g.texts[i].present = key, err, true
		return
	}
	g.reportRefused(key, next.state.Refused)
	next.state.InForce = next.configurators != nil || next.conditions != nil || next.tags != nil
	changed := next.state.InForce || g.texts[i].state.InForce
	g.texts[i] = next
	if changed {
		g.apply(i == appConfigurators || i == serviceConfigurators)
	}
}

// state takes the lists of the registry: rules first, so that providers are opened once.
func (g *governance) state(b *bulletin, s registry.State) {
	known := s.Err == nil || s.Source == registry.Live || len(s.URLs) > 0
	g.mu.Lock()
	app, changed := g.app, false
	if known && !g.closed {
		for _, u := range s.URLs {
			if registry.Category(u) == registry.Providers && u.Param("application") != "" {
				app = u.Param("application")
				break
			}
		}
		changed = b != nil && app != g.app
		g.app = app
		order := !g.src.ordered.Load() && slices.ContainsFunc(s.URLs, func(u *url.URL) bool { return registry.Category(u) == registry.Providers && ordered.Asked(u) })
		if order {
			g.src.ordered.Store(true)
		}
		if g.entries.update(g, s.URLs) || order {
			g.apply(true)
		}
	}
	g.reportBad(s)
	g.src.directory.Update(s)
	g.mu.Unlock()
	if changed {
		g.followProvider(b, app)
	}
}

// followProvider turns to the texts of another provider's application.
func (g *governance) followProvider(b *bulletin, app string) {
	keys := map[int]string{providerTags: app + ".tag-router"}
	if app != g.own.Param("application") { // or else it is watched already
		keys[providerConditions] = app + ".condition-router"
	}
	g.mu.Lock()
	ends := g.theirs
	g.theirs = nil
	old := g.texts[providerTags].state.InForce || g.texts[providerConditions].state.InForce
	g.texts[providerTags], g.texts[providerConditions] = text{}, text{}
	if old && !g.closed {
		g.apply(false)
	}
	g.mu.Unlock()
	for _, end := range ends {
		end()
	}
	ends = nil
	for i, key := range keys {
		if stop := g.follow(b, i, key); stop != nil {
			ends = append(ends, stop)
		}
	}
	g.mu.Lock()
	if !g.closed {
		g.theirs, ends = ends, nil
	}
	g.mu.Unlock()
	for _, end := range ends {
		end()
	}
}

// apply puts what is known in force. g.mu must be held.
func (g *governance) apply(parameters bool) {
	if parameters {
		list := g.configurators()
		self := g.own.Host()
		configure := func(u *url.URL) *url.URL {
			for _, c := range list {
				u = c.Apply(u, self)
			}
			return u
		}
		if err := g.src.reconfigure(configure(g.own)); err != nil { // each rule was tried alone, but not all together
			g.report("overrides together", err)
		}
		g.overrides.Store(&configure)
		if l := g.src.local; l != nil {
			l.stale.Store(true)
		}
		g.src.directory.Configure(func(merged *url.URL) *url.URL {
			return withoutMock(configure(merged)) // only the consumer's own counts
		})
	}
	if err := g.route(); err != nil {
		g.report("routes", err)
	}
}

// configurators are the overrides in the order in which they are applied. g.mu must be held.
func (g *governance) configurators() []*rule.Configurator {
	return slices.Concat(g.entries.configurators, g.texts[appConfigurators].configurators, g.texts[serviceConfigurators].configurators)
}

// merged returns the parameters with a provider, overrides included.
func (g *governance) merged(provider *url.URL) *url.URL {
	u := cluster.Merge(g.own, provider)
	if f := g.overrides.Load(); f != nil {
		u = (*f)(u)
	}
	return withoutMock(u)
}

func withoutMock(u *url.URL) *url.URL {
	if mocks := slices.DeleteFunc(u.Keys(), func(k string) bool { return !cluster.IsMock(k) }); len(mocks) > 0 {
		return u.Without(mocks...)
	}
	return u
}

// route gives the directory its routers: those of the lists, tags, conditions of the applications, of the service.
func (g *governance) route() error {
	var routers []cluster.Router
	conditions := func(name string, sets ...*rule.Conditions) {
		sets = slices.DeleteFunc(sets, func(s *rule.Conditions) bool { return s == nil })
		if r := cluster.NewConditionRouter(name, g.own, sets...); r != nil {
			routers = append(routers, r)
		}
	}
	conditions("list", g.entries.conditions...)
	tags, err := cluster.NewTagRouter(g.own, g.texts[providerTags].tags)
	if err != nil {
		return err
	}
	routers = append(routers, tags)
	conditions("text", g.texts[providerConditions].conditions, g.texts[appConditions].conditions, g.texts[serviceConditions].conditions)
	g.src.directory.Route(routers...)
	return nil
}

// reportBad logs, once for each change, that a list is not all that the registry has. g.mu must be held.
func (g *governance) reportBad(s registry.State) {
	if s.Source != registry.Live {
		return
	}
	text := ""
	if s.Err != nil {
		text = s.Err.Error()
	}
	if text != "" && text != g.bad {
		g.r.env.Log().Warn("ferry: the registry has what cannot be read, the rest is used", "service", g.own.Service(), "cause", text)
	}
	g.bad = text
}

// report logs a rule that is not used. Whoever calls makes sure that it happens once for each version of a rule.
func (g *governance) report(place string, err error) {
	g.r.env.Log().Warn("ferry: a rule of the registry is ignored, the one before it stays in force", "service", g.own.Service(), "rule", place, "cause", err)
}

func (g *governance) reportRefused(place string, refused []string) {
	if len(refused) > 0 {
		g.r.env.Log().Warn("ferry: a rule of the registry names parameters that rules cannot set", "service", g.own.Service(), "rule", place, "parameters", refused)
	}
}

// vet tries a configurator's parameters on the consumer's own, so that a bad value is found here and not by every provider.
func (g *governance) vet(c *rule.Configurator) error {
	u := g.own.WithAll(c.Params())
	x := g.r.x
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
		if err := x.decodes(view, g.own); err != nil {
			return err
		}
		if _, err := x.Balancers.Open(g.r.env, view); err != nil {
			return err
		}
	}
	_, err := x.Clusters.Open(g.r.env, u)
	if err == nil {
		_, err = x.ReferenceFilters.OpenAll(g.r.env, u)
	}
	return cmp.Or(err, g.src.mock.Check(u))
}

// names calls yield for the name of each parameter.
func (x *Extensions) names(yield func(string) bool) {
	for _, p := range x.Parameters() {
		if !yield(p.Name) {
			return
		}
	}
}

// decodes says whether everybody can read the parameters of u who can read those of own.
func (x *Extensions) decodes(u, own *url.URL) error {
	samples := slices.Clone(x.params)
	for _, point := range x.points() {
		point.params(func(_ string, sample any) bool { samples = append(samples, sample); return true })
	}
	for _, sample := range samples {
		t := reflect.TypeOf(sample)
		if t != nil && t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		if t == nil || t.Kind() != reflect.Struct {
			continue
		}
		if err := u.Decode(reflect.New(t).Interface()); err != nil && own.Decode(reflect.New(t).Interface()) == nil {
			return err
		}
	}
	return nil
}

// Rules shows the registry's rules that were found for the service, those in force and those that are not.
func (ref *Reference) Rules() []RuleState {
	var out []RuleState
	for _, s := range ref.sources {
		out = append(out, s.rules.states()...)
	}
	return out
}

func (g *governance) states() []RuleState {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := g.entries.states()
	for i := range g.texts {
		if t := &g.texts[i]; t.present {
			s := t.state
			s.Refused = slices.Clone(s.Refused)
			out = append(out, s)
		}
	}
	return out
}

// close ends the watches.
func (g *governance) close() {
	g.mu.Lock()
	g.closed = true
	ends := append(g.watches, g.theirs...)
	g.watches, g.theirs = nil, nil
	g.mu.Unlock()
	for _, end := range ends {
		end()
	}
}

// longestRules is how long Refer waits for the texts of rules beyond the first provider.
const longestRules = time.Second
