package rule

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// glob compares with a pattern in which one * stands for any text, as Dubbo does.
func glob(pattern, value string) bool {
	if pattern == "*" {
		return true
	}
	if pattern == "" || value == "" {
		return pattern == value
	}
	i := strings.LastIndexByte(pattern, '*')
	if i < 0 {
		return pattern == value
	}
	before, behind := pattern[:i], pattern[i+1:]
	return len(value) >= len(before)+len(behind) && strings.HasPrefix(value, before) && strings.HasSuffix(value, behind)
}

// Addresses is a set of hosts: ip:port, ip, ip:*, 10.1.*, 10.1.0.0/16, 0.0.0.0 for all and 0.0.0.0:port.
type Addresses struct {
	exact    map[string]struct{}
	patterns []string
	networks []netip.Prefix
}

const anyHost = "0.0.0.0"

func newAddresses(list []string) (*Addresses, error) {
	a := &Addresses{exact: map[string]struct{}{}}
	for _, text := range list {
		text = strings.TrimSpace(text)
		switch {
		case text == "" || strings.ContainsAny(text, "&=?, "):
			return nil, bad("%q is no address", text)
		case text == anyHost || text == anyHost+":*":
			a.patterns = append(a.patterns, "*")
		case strings.HasPrefix(text, anyHost+":"):
			a.patterns = append(a.patterns, "*"+text[len(anyHost):])
		case strings.Contains(text, "/"):
			p, err := netip.ParsePrefix(text)
			if err != nil {
				return nil, bad("%q is no network", text)
			}
			a.networks = append(a.networks, p.Masked())
		case strings.Contains(text, "*"):
			a.patterns = append(a.patterns, text)
		default:
			a.exact[text] = struct{}{}
		}
	}
	return a, nil
}

// Has says whether a provider is in the set. address is host:port.
func (a *Addresses) Has(address, host string) bool {
	if _, ok := a.exact[address]; ok {
		return true
	}
	if _, ok := a.exact[host]; ok {
		return true
	}
	for _, p := range a.patterns {
		if glob(p, address) || glob(p, host) {
			return true
		}
	}
	if len(a.networks) == 0 {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && slices.ContainsFunc(a.networks, func(n netip.Prefix) bool { return n.Contains(ip) })
}

// textMatch is how rules of version v3.0 compare a text.
type textMatch struct {
	Exact    scalar `yaml:"exact"`
	Prefix   scalar `yaml:"prefix"`
	Regex    scalar `yaml:"regex"`
	Wildcard scalar `yaml:"wildcard"`
	NoEmpty  scalar `yaml:"noempty"`
	Empty    scalar `yaml:"empty"`

	regex *regexp.Regexp
}

func (m *textMatch) compile() error {
	if m.Regex == "" {
		if m.Exact == "" && m.Prefix == "" && m.Wildcard == "" && m.NoEmpty == "" && m.Empty == "" {
			return bad("a match names nothing to compare with: want exact, prefix, regex, wildcard, noempty or empty")
		}
		return nil
	}
	re, err := regexp.Compile("^(?:" + string(m.Regex) + ")$")
	if err != nil {
		return bad("%v", err)
	}
	m.regex = re
	return nil
}

func (m *textMatch) match(v string) bool {
	switch {
	case m.Exact != "":
		return v == string(m.Exact)
	case m.Prefix != "":
		return strings.HasPrefix(v, string(m.Prefix))
	case m.regex != nil:
		return m.regex.MatchString(v)
	case m.Wildcard != "":
		return glob(string(m.Wildcard), v)
	case m.Empty != "":
		return v == ""
	}
	return v != ""
}

// A paramMatch compares one parameter of a URL.
type paramMatch struct {
	Key   scalar    `yaml:"key"`
	Value textMatch `yaml:"value"`
}

func compileParams(list []paramMatch) error {
	for i := range list {
		if list[i].Key == "" {
			return bad("a match without a key")
		}
		if err := list[i].Value.compile(); err != nil {
			return err
		}
	}
	return nil
}

func matchParams(list []paramMatch, param func(string) string) bool {
	for i := range list {
		if !list[i].Value.match(param(string(list[i].Key))) {
			return false
		}
	}
	return true
}
