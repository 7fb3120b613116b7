package cluster

import (
	"context"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/loadbalance"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/url"
)

// NewFailfast returns the cluster that makes one attempt and returns what comes of it.
func NewFailfast(e extension.Env, u *url.URL) (Cluster, error) {
	return newCluster(e, u, func(x *core) protocol.Invoker { return protocol.InvokerFunc(x.once) })
}

// NewFailsafe returns the cluster for calls that may be lost, such as audit records: a failure is logged, and the caller
// gets an empty reply. What the service itself answers, errors included, is passed on.
func NewFailsafe(e extension.Env, u *url.URL) (Cluster, error) {
	return newCluster(e, u, func(x *core) protocol.Invoker {
		return protocol.InvokerFunc(func(ctx context.Context, c *protocol.Invocation) error {
			err := x.once(ctx, c)
			if err == nil || fromService(err) {
				return err
			}
			x.env.Log().Warn("cluster: failsafe: a call is lost", "error", err)
			c.Unanswered = true
			return nil
		})
	})
}

// NewAvailable returns the cluster that calls the first provider of the list that is available, without balancing.
func NewAvailable(e extension.Env, u *url.URL) (Cluster, error) {
	return newCluster(e, u, func(x *core) protocol.Invoker {
		return protocol.InvokerFunc(x.available)
	})
}

func (x *core) available(ctx context.Context, c *protocol.Invocation) error {
	for s := x.directory.List(c); ; {
		if k := x.plan(s, c.Method).keys; k != nil && !marked(c) {
			return x.keyed(ctx, k, c, x.available)
		}
		t := firstAvailable(s.Targets, 0, func(*loadbalance.Target) bool { return true })
		if t == nil {
			return x.noneAvailable(s, c)
		}
		err := x.single(ctx, s, c, t)
		if s = x.moved(s, c, err); s == nil {
			return err
		}
	}
}

func (x *core) noneAvailable(s *Snapshot, c *protocol.Invocation) error {
	err := s.noProvider(c)
	if n := len(s.Targets); n > 0 {
		err.Message += ", none of those left is connected"
	}
	return err
}

// newCluster checks the consumer's parameters and returns a cluster whose Invokers join makes.
func newCluster(e extension.Env, u *url.URL, join func(*core) protocol.Invoker) (Cluster, error) {
	if err := checked(u); err != nil {
		return nil, err
	}
	return clusterFunc(func(d Directory, b loadbalance.Balancer) protocol.Invoker {
		return join(&core{env: e, url: u, directory: d, balancer: b})
	}), nil
}

// fromService says whether an error is the answer of the service itself.
func fromService(err error) bool {
	e := errorOf(err)
	return e == nil || e.Outcome == protocol.Executed && e.Code == protocol.Application
}
