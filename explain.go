package ferry

import (
	"cmp"
	"slices"
	"strings"

	"github.com/ferryrpc/ferry/cluster"
	"github.com/ferryrpc/ferry/cluster/rule"
	"github.com/ferryrpc/ferry/url"
)

// An Explained is one provider of a Reference with the parameters that calls to it have.
type Explained struct {
	Registry string
	cluster.Provider
	// Settings are by name. Those that the registry's entries, the consumer and rules say nothing of have From "default".
	Settings []Setting
}

// A Setting is one parameter and who said so.
type Setting struct {
	// Name is the parameter's, behind the method's and a dot if it is said of one method alone.
	Name string
	Said
	// Over are those that said something else and do not count, the last one first.
	Over []Said
}

// Said is a value with where it comes from: default, provider, consumer, "consumer and provider" for lists that both add to, or the place of
// an override as RuleState has it.
type Said struct{ Value, From string }

// Explain shows for each provider that the registries list which parameters calls to it have, and where each comes from. With a
// method's name what is said of that method stands in for what is said of all. It is for people: it takes locks and much memory.
func (ref *Reference) Explain(method string) []Explained {
	var out []Explained
	for _, s := range ref.sources {
		defaults := s.running.x.Parameters()
		for _, p := range s.directory.Providers() {
			said := s.rules.explain(p.Published)
			out = append(out, Explained{Registry: s.place.Scheme() + "://" + strings.Join(s.place.Addresses(), ","), Provider: p,
				Settings: settings(defaults, said, method)})
		}
	}
	return out
}

// explain follows a provider's parameters through all that changes them. The values of each are in the order in which they were said.
func (g *governance) explain(provider *url.URL) map[string][]Said {
	said := map[string][]Said{}
	for key, value := range provider.All {
		said[key] = append(said[key], Said{value, "provider"})
	}
	u := cluster.Merge(g.own, provider)
	for key := range said {
		if _, ok := u.Lookup(key); !ok { // the provider's own affair
			delete(said, key)
		}
	}
	for key, value := range u.All {
		own, ok := g.own.Lookup(key)
		switch {
		case ok && own == value:
			said[key] = append(said[key], Said{value, "consumer"})
		case ok && value != provider.Param(key):
			said[key] = append(said[key], Said{value, "consumer and provider"})
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	self := g.own.Host()
	for _, c := range g.configurators() {
		next := c.Apply(u, self)
		for key, value := range next.All {
			if old, ok := u.Lookup(key); !ok || old != value {
				said[key] = append(said[key], Said{value, g.placeOf(c)})
			}
		}
		u = next
	}
	return said
}

// placeOf is where a configurator stands. g.mu must be held.
func (g *governance) placeOf(c *rule.Configurator) string {
	for i := range g.texts {
		if slices.Contains(g.texts[i].configurators, c) {
			return g.texts[i].key
		}
	}
	for _, e := range g.entries.byID {
		if e.configurator == c {
			return shown(e.text)
		}
	}
	return "a rule"
}

// settings puts what was said in order, for parameters that somebody reads.
func settings(declared []Parameter, said map[string][]Said, method string) []Setting {
	var out []Setting
	add := func(name string, list []Said, otherwise string) {
		if otherwise != "" {
			list = append([]Said{{otherwise, "default"}}, list...)
		}
		if len(list) > 0 {
			over := slices.Clone(list[:len(list)-1])
			slices.Reverse(over)
			out = append(out, Setting{Name: name, Said: list[len(list)-1], Over: over})
		}
	}
	for _, p := range declared {
		if list := said[method+"."+p.Name]; method != "" && len(list) > 0 {
			add(method+"."+p.Name, append(slices.Clone(said[p.Name]), list...), p.Default)
			continue
		}
		add(p.Name, said[p.Name], p.Default)
	}
	if method == "" {
		for key, list := range said {
			_, name, dotted := strings.Cut(key, ".")
			if dotted && slices.ContainsFunc(declared, func(p Parameter) bool { return p.Name == name }) &&
				!slices.ContainsFunc(declared, func(p Parameter) bool { return p.Name == key }) {
				add(key, list, "")
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Setting) int { return cmp.Compare(a.Name, b.Name) })
	return out
}
