package filter

import (
	"context"
	"time"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/monitor"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/url"
)

// MetricsParams are the parameters of the filter metrics.
type MetricsParams struct {
	Side string `url:"side" default:"consumer" doc:"consumer or provider"`
}

// NewMetrics returns the constructor of the filter that counts calls in a set. Above the cluster it counts calls, below
// the balancer attempts. It costs about 70 ns and does not allocate.
func NewMetrics(set *monitor.Counters) func(extension.Env, *url.URL) (protocol.Filter, error) {
	return func(_ extension.Env, u *url.URL) (protocol.Filter, error) {
		var p MetricsParams
		if err := u.Decode(&p); err != nil {
			return nil, err
		}
		epoch := time.Now() // time since it is read faster than the time of day
		counters := protocol.NewSlots(func(m *protocol.Method) *monitor.Counter {
			return set.Counter(p.Side, m.Service, m.Key())
		})
		return func(next protocol.Invoker) protocol.Invoker {
			return protocol.InvokerFunc(func(ctx context.Context, c *protocol.Invocation) error {
				n := counters.Get(c.Method)
				n.Begin()
				begun := time.Since(epoch)
				first := max(c.Attempt, 1)
				err := next.Invoke(ctx, c)
				n.End(time.Since(epoch)-begun, err)
				if c.Attempt > first {
					n.Retried(c.Attempt - first)
				}
				return err
			})
		}, nil
	}
}
