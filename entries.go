package ferry

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/ferryrpc/ferry/cluster/rule"
	"github.com/ferryrpc/ferry/registry"
	"github.com/ferryrpc/ferry/url"
)

// entries are the rules that stand as URLs in the lists of a service. Whoever follows the lists guards them.
type entries struct {
	configurators []*rule.Configurator
	conditions    []*rule.Conditions

	byText map[string]*ruleEntry // as they are in the list
	byID   map[string]*ruleEntry // those in force
}

// A ruleEntry is one URL as it was read.
type ruleEntry struct {
	id, text     string
	configurator *rule.Configurator
	conditions   *rule.Conditions
	err          error
}

func newEntries() *entries {
	return &entries{byText: map[string]*ruleEntry{}, byID: map[string]*ruleEntry{}}
}

// identity is what stays when an entry is replaced by a newer version of itself. Entries have no names, so that whoever
// leaves a bad entry in the lists keeps the last good one of the same kind, address and conditions in force.
func identity(u *url.URL) string {
	return strings.Join([]string{registry.Category(u), u.Scheme(), u.Address(), u.Service(), u.Param("router"), u.Param("application"),
		u.Param("side"), u.Param("name")}, "|")
}

// update takes a list and says whether anything changed. Entries are read once; of a bad one the version that was in force
// before stays.
func (e *entries) update(j judge, urls []*url.URL) bool {
	var listed []*url.URL
	for _, u := range urls {
		if c := registry.Category(u); (c == registry.Configurators || c == registry.Routers) && u.Scheme() != "empty" {
			listed = append(listed, u)
		}
	}
	if len(listed) == 0 && len(e.byText) == 0 {
		return false
	}
	before, inForce := e.byText, e.byID
	e.byText, e.byID = map[string]*ruleEntry{}, map[string]*ruleEntry{}
	changed := false
	var good []*ruleEntry
	var bad []*ruleEntry
	for n, u := range listed {
		key := u.String()
		r := before[key]
		if r == nil {
			changed = true
			r = readEntry(j, u, n)
		}
		e.byText[key] = r
		if r.err != nil {
			bad = append(bad, r)
			continue
		}
		good = append(good, r)
		e.byID[r.id] = r
	}
	for _, r := range bad {
		if old := inForce[r.id]; old != nil && e.byID[r.id] == nil {
			good = append(good, old)
			e.byID[r.id] = old
		}
	}
	if !changed && len(e.byText) == len(before) {
		return false
	}
	e.configurators, e.conditions = nil, nil
	slices.SortStableFunc(good, func(a, b *ruleEntry) int { return cmp.Compare(a.text, b.text) })
	for _, r := range good {
		if r.configurator != nil {
			e.configurators = append(e.configurators, r.configurator)
		}
		if r.conditions != nil {
			e.conditions = append(e.conditions, r.conditions)
		}
	}
	rule.Sort(e.configurators)
	slices.SortStableFunc(e.conditions, func(a, b *rule.Conditions) int { return cmp.Compare(b.Priority, a.Priority) })
	return true
}

// readEntry reads an entry, which is the nth rule of its list.
func readEntry(j judge, u *url.URL, n int) *ruleEntry {
	r := &ruleEntry{id: identity(u), text: u.String()}
	switch {
	case n >= rule.MaxRules:
		r.err = fmt.Errorf("%w: there are more than %d", rule.ErrRule, rule.MaxRules)
	case registry.Category(u) == registry.Configurators:
		if r.configurator, r.err = rule.ParseOverride(u); r.configurator != nil {
			r.err = cmp.Or(r.err, j.vet(r.configurator))
		}
	default:
		r.conditions, r.err = rule.ParseRoute(u)
	}
	if r.err != nil {
		r.configurator, r.conditions = nil, nil
		j.report(shown(r.text), r.err)
	} else if r.configurator != nil {
		j.reportRefused(shown(r.text), r.configurator.Refused)
	}
	return r
}

// shown is a URL short enough for a log.
func shown(text string) string {
	const most = 300
	if len(text) > most {
		return text[:most] + "…"
	}
	return text
}

func (e *entries) states() []RuleState {
	var out []RuleState
	for _, r := range e.byText {
		s := RuleState{Place: r.text, Err: r.err, InForce: r.configurator != nil || r.conditions != nil}
		if r.err != nil {
			s.InForce = e.byID[r.id] != nil
		} else if r.configurator != nil {
			s.Refused = slices.Clone(r.configurator.Refused)
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b RuleState) int { return cmp.Compare(a.Place, b.Place) })
	return out
}
