package rule

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/ferryrpc/ferry/url"
)

// A Configurator changes parameters of the providers and consumers that it matches.
type Configurator struct {
	// Refused are the parameters that it names but cannot set, as they are protected.
	Refused []string

	set      *url.URL // the parameters
	absent   bool     // only where there is none yet
	host     string   // 0.0.0.0 for all
	port     int      // with one, host is a provider's
	priority int

	modern    bool // of a text with a configVersion
	side      string
	app       string // of the consumer; empty or * for all
	services  []string
	equals    []pair // ~key=value
	providers *Addresses
	match     *match
}

type pair struct{ key, value string }

// match narrows an item of version v3.0 down.
type match struct {
	Address         *addressMatch `yaml:"address"`
	ProviderAddress *addressMatch `yaml:"providerAddress"`
	Service         oneOf         `yaml:"service"`
	App             oneOf         `yaml:"app"`
	Param           []paramMatch  `yaml:"param"`
}

type oneOf struct {
	OneOf []textMatch `yaml:"oneof"`
}

type addressMatch struct {
	Exact    scalar `yaml:"exact"`
	Wildcard scalar `yaml:"wildcard"`
	CIDR     scalar `yaml:"cidr"`

	set *Addresses
}

// ParseOverride reads an override:// or absent:// URL of the registry.
func ParseOverride(u *url.URL) (*Configurator, error) {
	if u.Scheme() != "override" && u.Scheme() != "absent" {
		return nil, bad("%s:// is no configurator", u.Scheme())
	}
	switch u.Param("enabled") {
	case "", "true":
	case "false":
		return nil, nil
	default:
		return nil, bad("enabled=%s: want true or false", u.Param("enabled"))
	}
	if len(u.Addresses()) > 1 {
		return nil, bad("several addresses in one override")
	}
	c := &Configurator{absent: u.Scheme() == "absent", host: u.Host(), port: u.Port(), side: u.Param("side"), app: u.Param("application"),
		modern: u.Param("configVersion") != ""}
	if c.host == "" {
		return nil, bad("an override needs an address: 0.0.0.0 stands for all")
	}
	var err error
	if p := u.Param("priority"); p != "" {
		if c.priority, err = strconv.Atoi(p); err != nil {
			return nil, bad("priority=%s: want a whole number", p)
		}
	}
	if list := url.SplitList(u.Param("providerAddresses")); len(list) > 0 {
		if c.providers, err = newAddresses(list); err != nil {
			return nil, err
		}
	}
	var params []pair
	for key, value := range u.All {
		name, equal := strings.CutPrefix(key, "~")
		switch {
		case equal:
			c.equals = append(c.equals, pair{name, value})
		case conditional(key):
		default:
			if (key == "mock" || strings.HasSuffix(key, ".mock")) && strings.ContainsAny(value, "%+") { // Dubbo writes it encoded twice
				if value, err = url.Decode(value); err != nil {
					return nil, bad("%s: %v", key, err)
				}
			}
			params = append(params, pair{key, value})
		}
	}
	return c, c.params(params)
}

// conditional are the parameters of an override that say when it counts, and not what it sets.
func conditional(key string) bool {
	switch key {
	case "category", "check", "dynamic", "enabled", "group", "version", "application", "side", "configVersion", "compatible_config",
		"interfaces", "interface", "priority", "providerAddresses", "anyhost", "timestamp", "pid", "classifier":
		return true
	}
	return false
}

// params takes the parameters over that may be set.
func (c *Configurator) params(params []pair) error {
	if len(params) > MaxTerms {
		return bad("%d parameters: at most %d are allowed", len(params), MaxTerms)
	}
	c.set = url.New("override", "", "")
	for _, p := range params {
		switch {
		case !validKey(p.key):
			return bad("%q is no name of a parameter", p.key)
		case strings.ContainsFunc(p.value, func(r rune) bool { return r == '&' || r < ' ' || r == 0x7f }) || len(p.value) > 4096:
			return bad("the value of %s has a character that no parameter has, or is too long", p.key)
		case Protected(p.key):
			c.Refused = append(c.Refused, p.key)
		default:
			c.set = c.set.With(p.key, p.value)
		}
	}
	return nil
}

func validKey(key string) bool {
	return key != "" && len(key) <= 256 && !strings.ContainsFunc(key, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune(".-_$", r)
	})
}

// Params returns what the configurator sets, as the parameters of a URL without an address.
func (c *Configurator) Params() *url.URL { return c.set }

// Apply returns u with the parameters set, or u itself when the configurator does not match. u is the merged URL of a
// provider or the consumer's own; self is the consumer's host.
func (c *Configurator) Apply(u *url.URL, self string) *url.URL {
	if !c.matches(u, self) {
		return u
	}
	return c.put(u)
}

// put sets the parameters.
func (c *Configurator) put(u *url.URL) *url.URL {
	if !c.absent {
		return u.WithAll(c.set)
	}
	for key, value := range c.set.All {
		if _, there := u.Lookup(key); !there {
			u = u.With(key, value)
		}
	}
	return u
}

// ApplyToProvider does for the provider itself what Apply does for consumers. u is its own URL, with the address that it
// publishes.
func (c *Configurator) ApplyToProvider(u *url.URL) *url.URL {
	if !c.matchesProvider(u) {
		return u
	}
	return c.put(u)
}

// matchesProvider follows Dubbo: an override with a port is about that provider, one without about all if its host is
// 0.0.0.0, since another host is a consumer's; an item of a text must say side: provider.
func (c *Configurator) matchesProvider(u *url.URL) bool {
	switch {
	case c.modern && c.side != "provider",
		!c.modern && c.side != "" && c.side != "*" && c.side != "provider",
		!c.modern && c.port == 0 && c.host != anyHost,
		c.port != 0 && c.port != u.Port(),
		c.host != anyHost && c.host != u.Host():
		return false
	}
	return c.meets(u, u.Host())
}

// matches follows Dubbo: an override with a port is about that provider, one without about a consumer; a text with a
// configVersion says by its side whom it is about, and names providers apart.
func (c *Configurator) matches(u *url.URL, self string) bool {
	host := self
	if c.port != 0 && !c.modern {
		if u.Port() != c.port {
			return false
		}
		host = u.Host()
	}
	if c.host != anyHost && c.host != host || c.side != "" && c.side != "*" && c.side != "consumer" {
		return false
	}
	return c.meets(u, self)
}

// meets says whether u meets the conditions that are the same for both sides.
func (c *Configurator) meets(u *url.URL, self string) bool {
	switch {
	case c.app != "" && c.app != "*" && c.app != u.Param("application"),
		c.providers != nil && !c.providers.Has(u.Address(), u.Host()),
		len(c.services) > 0 && !slices.ContainsFunc(c.services, func(s string) bool { return isService(s, u) }):
		return false
	}
	for _, p := range c.equals {
		if p.value != "*" && p.value != u.Param(p.key) {
			return false
		}
	}
	return c.match == nil || c.match.matches(u, self)
}

// isService compares with [group/]interface[:version], interface:version:group or *.
func isService(key string, u *url.URL) bool {
	return key == "*" || key == u.Service() || key == ColonKey(u)
}

// ColonKey returns interface:version:group of a service, under which texts are kept. Both colons are always there.
func ColonKey(u *url.URL) string {
	version := u.Param("version")
	if version == "0.0.0" {
		version = ""
	}
	return u.Interface() + ":" + version + ":" + u.Param("group")
}

func (m *match) compile() error {
	for _, a := range []*addressMatch{m.Address, m.ProviderAddress} {
		if a == nil {
			continue
		}
		var list []string
		for _, s := range []scalar{a.Exact, a.Wildcard, a.CIDR} {
			if s != "" {
				list = append(list, string(s))
			}
		}
		var err error
		if a.set, err = newAddresses(list); err != nil {
			return err
		}
	}
	for _, list := range [][]textMatch{m.Service.OneOf, m.App.OneOf} {
		for i := range list {
			if err := list[i].compile(); err != nil {
				return err
			}
		}
	}
	return compileParams(m.Param)
}

func (m *match) matches(u *url.URL, self string) bool {
	any := func(list []textMatch, value string) bool {
		return len(list) == 0 || slices.ContainsFunc(list, func(t textMatch) bool { return t.match(value) })
	}
	return (m.Address == nil || m.Address.set.Has(self, self)) &&
		(m.ProviderAddress == nil || m.ProviderAddress.set.Has(u.Address(), u.Host())) &&
		any(m.Service.OneOf, u.Service()) && any(m.App.OneOf, u.Param("application")) && matchParams(m.Param, u.Param)
}

// Sort puts configurators in the order in which Dubbo applies them: by host, so that 0.0.0.0 comes first, then by
// priority; later ones win.
func Sort(list []*Configurator) {
	slices.SortStableFunc(list, func(a, b *Configurator) int {
		return cmp.Or(cmp.Compare(a.host, b.host), cmp.Compare(a.priority, b.priority))
	})
}
