// Package nearest is a balancer that keeps calls within their zone: loadbalance=nearest&zone=berlin.
//
// A provider publishes its zone, a consumer sets its own. Both use the same parameter, so the consumer's zone is what is
// in force for every provider (Target.Ref.URL), and what the provider said itself is in Target.Published. A provider is
// near when the two agree. A consumer without a zone finds every provider near. Within the near ones, and within the
// others when no near one is left, the balancer random decides.
package nearest

import (
	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/loadbalance"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/url"
)

// Params are the URL parameters of the balancer.
type Params struct {
	Zone string `url:"zone" doc:"where this process runs; the balancer nearest prefers providers of the same zone"`
}

// New makes the balancer.
func New(e extension.Env, u *url.URL) (loadbalance.Balancer, error) {
	random, err := loadbalance.NewRandom(e, u)
	if err != nil {
		return nil, err
	}
	return balancer{random}, nil
}

type balancer struct{ random loadbalance.Balancer }

// Prepare implements loadbalance.Balancer.
func (b balancer) Prepare(m *protocol.Method, targets []*loadbalance.Target) loadbalance.Picker {
	var near, far []*loadbalance.Target
	for _, t := range targets {
		if isNear(t, m) {
			near = append(near, t)
		} else {
			far = append(far, t)
		}
	}
	return picker{b.random.Prepare(m, near), b.random.Prepare(m, far)}
}

func isNear(t *loadbalance.Target, m *protocol.Method) bool {
	u := t.Ref.URL()
	if m != nil {
		u = u.ForMethod(m.Key())
	}
	return t.Published == nil || t.Published.Param("zone") == u.Param("zone")
}

// A picker has the near providers and the others.
type picker struct{ near, far loadbalance.Picker }

// Pick implements loadbalance.Picker.
func (p picker) Pick(c *protocol.Invocation, tried loadbalance.Tried) *loadbalance.Target {
	if t := p.near.Pick(c, tried); t != nil {
		return t
	}
	return p.far.Pick(c, tried)
}
