package rule

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/ferryrpc/ferry/url"
)

// Conditions is a set of condition routes that belong together.
type Conditions struct {
	List []*Condition
	// Force says that no provider is better than one that the conditions do not name.
	Force bool
	// Priority orders sets: higher ones come first.
	Priority int
}

// ParseRoute reads a condition route of the registry: condition://, or route:// with router=condition.
func ParseRoute(u *url.URL) (*Conditions, error) {
	kind := u.Scheme()
	if r := u.Param("router"); kind == "route" && r != "" {
		kind = r
	}
	if kind != "condition" && kind != "route" {
		return nil, bad("routes of the kind %q are not supported", kind)
	}
	if u.Param("enabled") == "false" {
		return nil, nil
	}
	text, err := url.Decode(u.Param("rule"))
	if err != nil {
		return nil, bad("%v", err)
	}
	c, err := ParseCondition(text)
	if err != nil {
		return nil, err
	}
	s := &Conditions{List: []*Condition{c}}
	if s.Force, err = flag(u, "force"); err != nil {
		return nil, err
	}
	if p := u.Param("priority"); p != "" {
		if s.Priority, err = strconv.Atoi(p); err != nil {
			return nil, bad("priority=%s: want a whole number", p)
		}
	}
	return s, nil
}

func flag(u *url.URL, key string) (bool, error) {
	text := u.Param(key)
	if text == "" {
		return false, nil
	}
	v, err := strconv.ParseBool(text)
	if err != nil {
		return false, bad("%s=%s: want true or false", key, text)
	}
	return v, nil
}

// head is what all YAML rules start with.
type head struct {
	ConfigVersion string `yaml:"configVersion"`
	Scope         string `yaml:"scope"`
	Key           scalar `yaml:"key"`
	Enabled       on     `yaml:"enabled"`
	Force         bool   `yaml:"force"`
	Runtime       bool   `yaml:"runtime"` // kept for Dubbo's sake: here every call is routed, and what can be cached is
	Priority      int    `yaml:"priority"`
}

func (h *head) check(key string) error {
	switch {
	case h.Scope != "" && h.Scope != "service" && h.Scope != "application":
		return bad("scope %q: want service or application", h.Scope)
	case h.ConfigVersion != "" && h.ConfigVersion != "v2.7" && h.ConfigVersion != "v3.0":
		return bad("configVersion %q is not supported: there are v2.7 and v3.0", h.ConfigVersion)
	case len(key) > 1024:
		return bad("the key has %d bytes", len(key))
	}
	return nil
}

// ParseConditions reads the YAML of a condition-router.
func ParseConditions(text []byte) (*Conditions, error) {
	var y struct {
		head       `yaml:",inline"`
		Conditions []scalar `yaml:"conditions"`
	}
	blank, err := decode(text, &y)
	if err == nil && !blank {
		err = y.check(string(y.Key))
	}
	if blank || err != nil || y.Enabled.off {
		return nil, err
	}
	if len(y.Conditions) == 0 || len(y.Conditions) > MaxRules {
		return nil, bad("%d conditions: want 1 to %d", len(y.Conditions), MaxRules)
	}
	s := &Conditions{Force: y.Force, Priority: y.Priority}
	for i, line := range y.Conditions {
		c, err := ParseCondition(string(line))
		if err != nil {
			return nil, fmt.Errorf("%w (condition %d)", err, i+1)
		}
		s.List = append(s.List, c)
	}
	return s, nil
}

// Tags is a tag route: which providers of an application have which tag.
type Tags struct {
	// Force says that a call with a tag of the route goes to nobody rather than to a provider without the tag.
	Force bool
	tags  map[string]*tag
}

type tag struct {
	addresses *Addresses
	params    []paramMatch
}

// ParseTags reads the YAML of a tag-router.
func ParseTags(text []byte) (*Tags, error) {
	var y struct {
		head `yaml:",inline"`
		Tags []struct {
			Name      scalar       `yaml:"name"`
			Addresses []scalar     `yaml:"addresses"`
			Match     []paramMatch `yaml:"match"`
		} `yaml:"tags"`
	}
	blank, err := decode(text, &y)
	if err == nil && !blank {
		err = y.check(string(y.Key))
	}
	if blank || err != nil || y.Enabled.off {
		return nil, err
	}
	if len(y.Tags) > MaxRules {
		return nil, bad("%d tags: at most %d are allowed", len(y.Tags), MaxRules)
	}
	s := &Tags{Force: y.Force, tags: map[string]*tag{}}
	for _, in := range y.Tags {
		name := strings.TrimSpace(string(in.Name))
		if name == "" || s.tags[name] != nil {
			return nil, bad("tag %q: want a name that is not there yet", name)
		}
		t := &tag{params: in.Match}
		if err := compileParams(in.Match); err != nil {
			return nil, fmt.Errorf("%w (tag %s)", err, shorten(name))
		}
		if t.addresses, err = newAddresses(texts(in.Addresses)); err != nil {
			return nil, fmt.Errorf("%w (tag %s)", err, shorten(name))
		}
		s.tags[name] = t
	}
	return s, nil
}

func texts(in []scalar) []string {
	out := make([]string, len(in))
	for i, s := range in {
		out[i] = string(s)
	}
	return out
}

// Names says whether the route has the tag.
func (s *Tags) Names(name string) bool { return s.tags[name] != nil }

// Has says whether a provider has the tag by the route.
func (s *Tags) Has(name string, provider *url.URL) bool {
	t := s.tags[name]
	return t != nil && t.has(provider)
}

// Any says whether a provider has any tag by the route.
func (s *Tags) Any(provider *url.URL) bool {
	for _, t := range s.tags {
		if t.has(provider) {
			return true
		}
	}
	return false
}

func (t *tag) has(provider *url.URL) bool {
	return t.addresses.Has(provider.Address(), provider.Host()) || len(t.params) > 0 && matchParams(t.params, provider.Param)
}
