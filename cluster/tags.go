package cluster

import (
	"github.com/ferryrpc/ferry/cluster/rule"
	"github.com/ferryrpc/ferry/loadbalance"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/url"
)

// TagParams are the parameters of tag routing. A call's attachments of the same names win over them.
type TagParams struct {
	Tag   string `url:"dubbo.tag" doc:"of a provider: its tag, so that only calls with it come; of a consumer: the tag of its calls"`
	Force bool   `url:"dubbo.force.tag" default:"false" doc:"calls with a tag go to nobody rather than to a provider without one"`
}

// NewTagRouter returns the Router of tags. A call with a tag goes to the providers that have it, by the route of their
// application or else by their own parameter dubbo.tag; when there is none, to those without any tag, unless the route or
// the call forces it. A call without a tag goes to providers without one. route is nil when there is none. Where nobody
// has a tag, a call without attachments costs some comparisons.
func NewTagRouter(consumer *url.URL, route *rule.Tags) (Router, error) {
	r := &tagRouter{route: route}
	return r, consumer.Decode(&r.own)
}

type tagRouter struct {
	own   TagParams
	route *rule.Tags
}

const byTag = "router tag"

// Route implements Router.
func (r *tagRouter) Route(c *protocol.Invocation, s *Snapshot) *Snapshot {
	tag, force := r.own.Tag, r.own.Force
	if c != nil && len(c.Attachments) > 0 {
		if v := c.Attachments.Value("dubbo.tag"); v != "" {
			tag = v
		}
		if v, ok := c.Attachments.Get("dubbo.force.tag"); ok {
			force = v == "true"
		}
	}
	if !s.tagged && r.route == nil && (tag == "" || !force) {
		return s
	}
	if tag != "" {
		n, ok := s.narrowed(byTag, tag)
		if !ok {
			n = s.Narrow(byTag, tag, func(t *loadbalance.Target) bool { return r.has(t, tag) })
		}
		if len(n.Targets) > 0 || force || r.route != nil && r.route.Force && r.route.Names(tag) {
			return n
		}
	}
	if n, ok := s.narrowed(byTag, ""); ok {
		return n
	}
	return s.Narrow(byTag, "", r.untagged)
}

// has says whether a provider has a tag: a tag that the route knows is the route's alone to give.
func (r *tagRouter) has(t *loadbalance.Target, tag string) bool {
	if r.route != nil && r.route.Names(tag) {
		return r.route.Has(tag, t.Ref.URL())
	}
	return t.Ref.URL().Param("dubbo.tag") == tag
}

func (r *tagRouter) untagged(t *loadbalance.Target) bool {
	return !tagged(t.Ref.URL()) && (r.route == nil || !r.route.Any(t.Ref.URL()))
}

// tagged says whether a provider gave itself a tag.
func tagged(u *url.URL) bool { return u != nil && u.Param("dubbo.tag") != "" }
