package cluster

import (
	"context"
	"fmt"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/loadbalance"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/url"
)

// BroadcastParams are the parameters of the cluster broadcast.
type BroadcastParams struct {
	FailPercent int `url:"broadcast.fail.percent" default:"100" doc:"share of failed providers at which a broadcast stops early; 0: never"`
}

// NewBroadcast returns the cluster that calls all providers one after the other, for instance to empty caches. Any
// failure makes the call fail, with the last one's error, whose outcome is that of the whole call; the reply is the last
// one's. Once the share of failures in
// broadcast.fail.percent is reached, the rest is not called.
func NewBroadcast(e extension.Env, u *url.URL) (Cluster, error) {
	params, err := protocol.DecodePerMethod(u, func(p *BroadcastParams) error {
		if p.FailPercent < 0 || p.FailPercent > 100 {
			return fmt.Errorf("cluster: broadcast.fail.percent=%d: want 0 to 100", p.FailPercent)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return newCluster(e, u, func(x *core) protocol.Invoker { return &broadcast{x, params} })
}

type broadcast struct {
	*core
	params *protocol.PerMethod[BroadcastParams]
}

func (x *broadcast) Invoke(ctx context.Context, c *protocol.Invocation) error {
	s := x.directory.List(c)
	all := append(s.Targets[:len(s.Targets):len(s.Targets)], s.aside...)
	if len(all) == 0 {
		return s.noProvider(c)
	}
	enough := len(all) * x.params.For(c.Method).FailPercent / 100 // whole numbers, as in Dubbo; 0 is never reached
	var last error
	var v verdict
	failures, called := 0, 0
	for _, t := range all {
		err, gone := x.at(ctx, s, c, t)
		if gone {
			continue
		}
		called++
		v.note(err)
		if err != nil {
			last = err
			if failures++; failures == enough {
				break
			}
		}
		if over(ctx) && last != nil {
			break // the others would fail in the same way
		}
	}
	if called == 0 {
		return x.directory.List(c).noProvider(c)
	}
	if last == nil {
		return nil
	}
	return outOf(v.apply(last), failures, called)
}

// at calls one provider. One that was replaced since the list was made is called under its new parameters, and one that
// left meanwhile is gone: a change of the list is no failure.
func (x *broadcast) at(ctx context.Context, s *Snapshot, c *protocol.Invocation, t *loadbalance.Target) (err error, gone bool) {
	for {
		err := x.single(ctx, s, c, t)
		n := x.moved(s, c, err)
		if n == nil {
			return err, false
		}
		if s, t = n, n.sameAddress(t); t == nil {
			return nil, true
		}
	}
}
