package rule

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/ferryrpc/ferry/url"
)

// item is one of the configs of a text.
type item struct {
	Type              string            `yaml:"type"`
	Side              string            `yaml:"side"`
	Enabled           on                `yaml:"enabled"`
	Addresses         []scalar          `yaml:"addresses"`
	ProviderAddresses []scalar          `yaml:"providerAddresses"`
	Applications      []scalar          `yaml:"applications"`
	Services          []scalar          `yaml:"services"`
	Parameters        map[string]scalar `yaml:"parameters"`
	Match             *match            `yaml:"match"`
}

// ParseConfigurators reads the YAML of {service}.configurators or {application}.configurators, or a JSON array of
// override URLs, in the order in which they are applied.
func ParseConfigurators(text []byte) ([]*Configurator, error) {
	if t := bytes.TrimSpace(text); len(t) > 0 && t[0] == '[' {
		return parseArray(t)
	}
	var y struct {
		head    `yaml:",inline"`
		Configs []item `yaml:"configs"`
	}
	blank, err := decode(text, &y)
	if err == nil && !blank {
		err = y.check(string(y.Key))
	}
	if blank || err != nil {
		return nil, err
	}
	var out []*Configurator
	for i := range y.Configs {
		it := &y.Configs[i]
		if off := it.Enabled.off; it.Type != "" && it.Type != "general" && off || (it.Type == "" || it.Type == "general") && y.Enabled.off {
			continue
		}
		list, err := it.configurators()
		if err != nil {
			return nil, fmt.Errorf("%w (config %d)", err, i+1)
		}
		if out = append(out, list...); len(out) > MaxRules {
			return nil, bad("more than %d configurators", MaxRules)
		}
	}
	Sort(out)
	return out, nil
}

func parseArray(text []byte) ([]*Configurator, error) {
	if len(text) > MaxSize {
		return nil, bad("%d bytes, at most %d are allowed", len(text), MaxSize)
	}
	var urls []string
	if err := json.Unmarshal(text, &urls); err != nil {
		return nil, bad("%v", err)
	}
	var out []*Configurator
	for i, s := range urls {
		u, err := url.Parse(s)
		if err != nil {
			return nil, bad("entry %d: %v", i+1, err)
		}
		c, err := ParseOverride(u)
		if err != nil {
			return nil, fmt.Errorf("%w (entry %d)", err, i+1)
		}
		if c != nil {
			out = append(out, c)
		}
	}
	if len(out) > MaxRules {
		return nil, bad("more than %d configurators", MaxRules)
	}
	Sort(out)
	return out, nil
}

// configurators makes one for each combination of address and application, as Dubbo does.
func (it *item) configurators() ([]*Configurator, error) {
	one := Configurator{modern: true, side: it.Side, services: texts(it.Services), match: it.Match}
	if it.Side != "" && it.Side != "consumer" && it.Side != "provider" {
		return nil, bad("side %q: want consumer or provider", it.Side)
	}
	if len(it.Parameters) == 0 {
		return nil, bad("no parameters")
	}
	var params []pair
	for _, key := range slices.Sorted(maps.Keys(it.Parameters)) {
		params = append(params, pair{key, string(it.Parameters[key])})
	}
	err := one.params(params)
	if err == nil && len(it.ProviderAddresses) > 0 {
		one.providers, err = newAddresses(texts(it.ProviderAddresses))
	}
	if err == nil && it.Match != nil {
		err = it.Match.compile()
	}
	if err != nil {
		return nil, err
	}
	addresses, applications := it.Addresses, it.Applications
	if len(addresses) == 0 {
		addresses = []scalar{anyHost}
	}
	if len(applications) == 0 {
		applications = []scalar{"*"}
	}
	if len(addresses)*len(applications) > MaxRules {
		return nil, bad("more than %d addresses and applications", MaxRules)
	}
	var out []*Configurator
	for _, address := range addresses {
		host, err := url.Parse("override://" + string(address))
		if err != nil || host.Host() == "" || len(host.Addresses()) != 1 || host.Path() != "" || len(host.Keys()) > 0 {
			return nil, bad("%q is no address", address)
		}
		for _, app := range applications {
			c := one
			c.host, c.port, c.app = host.Host(), host.Port(), string(app)
			out = append(out, &c)
		}
	}
	return out, nil
}
