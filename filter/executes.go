package filter

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/url"
)

// ExecutesParams are the parameters of the filter executes.
type ExecutesParams struct {
	Executes int `url:"executes" default:"0" doc:"calls of a method that a provider runs at a time; more are refused; 0: no limit"`
}

// NewExecutes returns the provider's filter that refuses calls over a number running at a time, per method.
func NewExecutes(_ extension.Env, u *url.URL) (protocol.Filter, error) {
	params, err := protocol.DecodePerMethod[ExecutesParams](u, nil)
	if err != nil {
		return nil, err
	}
	if !params.Any(func(p *ExecutesParams) bool { return p.Executes > 0 }) {
		return pass, nil
	}
	return func(next protocol.Invoker) protocol.Invoker {
		running := protocol.NewSlots(func(*protocol.Method) *atomic.Int64 { return new(atomic.Int64) })
		return protocol.InvokerFunc(func(ctx context.Context, c *protocol.Invocation) error {
			most := int64(params.For(c.Method).Executes)
			if most <= 0 {
				return next.Invoke(ctx, c)
			}
			n := running.Get(c.Method)
			defer n.Add(-1)
			if n.Add(1) > most {
				return refusal(c, protocol.LimitExceeded, protocol.NotStarted, fmt.Sprintf("%d calls are running already (executes)", most))
			}
			return next.Invoke(ctx, c)
		})
	}, nil
}
