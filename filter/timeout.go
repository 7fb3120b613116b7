package filter

import (
	"context"
	"fmt"
	"time"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/url"
)

// TimeoutParams are the parameters of the filter timeout.
type TimeoutParams struct {
	Timeout time.Duration `url:"timeout" default:"1000" doc:"longest wait for an answer, per attempt"`
}

func checkTimeout(p *TimeoutParams) error {
	if p.Timeout < 0 {
		return fmt.Errorf("filter: timeout=%s: want a time over 0", p.Timeout)
	}
	if p.Timeout == 0 {
		p.Timeout = time.Second // zero is the default, never without end
	}
	return nil
}

// NewTimeout returns the filter that gives calls without a timeout the one that is in force for their method. It is best
// used as a reference filter, where the provider's published timeout takes part; then each attempt has its provider's.
func NewTimeout(_ extension.Env, u *url.URL) (protocol.Filter, error) {
	params, err := protocol.DecodePerMethod(u, checkTimeout)
	if err != nil {
		return nil, err
	}
	return func(next protocol.Invoker) protocol.Invoker {
		return protocol.InvokerFunc(func(ctx context.Context, c *protocol.Invocation) error {
			if c.Timeout > 0 {
				return next.Invoke(ctx, c)
			}
			c.Timeout = params.For(c.Method).Timeout
			err := next.Invoke(ctx, c)
			c.Timeout = 0
			return err
		})
	}, nil
}
