package cluster

import (
	"strconv"

	"github.com/ferryrpc/ferry/cluster/rule"
	"github.com/ferryrpc/ferry/loadbalance"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/url"
)

// NewConditionRouter returns the Router of condition routes: those of each set one after the other. What a condition asks
// of the consumer is decided here; what it asks of a call is compared at each call, and what it asks of providers once
// per list. It returns nil when no condition can ever apply to the consumer. name tells the condition routers of one
// directory apart.
func NewConditionRouter(name string, consumer *url.URL, sets ...*rule.Conditions) Router {
	r := &conditionRouter{}
	for _, s := range sets {
		for _, c := range s.List {
			if d := newConditional(consumer, c, s.Force); d != nil {
				d.key = name + strconv.Itoa(len(r.list)) // results of several routers are kept in one snapshot
				r.list = append(r.list, d)
			}
		}
	}
	if len(r.list) == 0 {
		return nil
	}
	return r
}

type conditionRouter struct{ list []*conditional }

// A conditional is one condition for one consumer.
type conditional struct {
	key   string
	calls []rule.Term // to compare with each call
	param func(string) string
	force bool
	keep  func(*loadbalance.Target) bool
}

// byCondition is who removed providers, in errors.
const byCondition = "router condition"

func newConditional(consumer *url.URL, c *rule.Condition, force bool) *conditional {
	d := &conditional{param: parameters(consumer), force: force || c.Nobody}
	for _, t := range c.When {
		if t.Source != rule.Parameter || t.Key == "method" {
			d.calls = append(d.calls, t)
			continue
		}
		if v, ok := lookup(consumer, t.Key); !ok || !t.Match(v, d.param) {
			return nil
		}
	}
	then := c.Then
	d.keep = func(t *loadbalance.Target) bool {
		for i := range then {
			v, ok := providerValue(t, then[i].Key)
			if !ok || !then[i].Match(v, d.param) {
				return false
			}
		}
		return !c.Nobody
	}
	return d
}

// Route implements Router.
func (r *conditionRouter) Route(c *protocol.Invocation, s *Snapshot) *Snapshot {
	for _, d := range r.list {
		if !d.applies(c) {
			continue
		}
		if n := s.Narrow(byCondition, d.key, d.keep); len(n.Targets) > 0 || d.force {
			s = n
		}
	}
	return s
}

func (d *conditional) applies(c *protocol.Invocation) bool {
	if len(d.calls) == 0 {
		return true
	}
	if c == nil || c.Method == nil {
		return false
	}
	for i := range d.calls {
		t := &d.calls[i]
		var v string
		ok := true
		switch t.Source {
		case rule.Argument:
			var room [64]byte
			var b []byte
			b, ok = loadbalance.AppendArgument(room[:0], c, t.Index)
			v = string(b)
		case rule.Attachment:
			v, ok = c.Attachments.Get(t.Key)
		default:
			v = methodName(c)
		}
		if !ok || !t.Match(v, d.param) {
			return false
		}
	}
	return true
}

// lookup returns what a rule calls by key: a parameter, or a part of the URL.
func lookup(u *url.URL, key string) (string, bool) {
	switch key {
	case "host":
		return u.Host(), true
	case "address":
		return u.Address(), true
	case "port":
		return strconv.Itoa(u.Port()), true
	case "protocol":
		return u.Scheme(), true
	}
	return u.Lookup(key)
}

func parameters(u *url.URL) func(string) string {
	return func(key string) string { v, _ := lookup(u, key); return v }
}

// providerValue looks in what the provider published first, as the consumer's parameters lie over it in the merged URL.
func providerValue(t *loadbalance.Target, key string) (string, bool) {
	if t.Published != nil {
		if v, ok := lookup(t.Published, key); ok {
			return v, true
		}
	}
	if u := t.Ref.URL(); u != nil {
		return lookup(u, key)
	}
	return "", false
}
