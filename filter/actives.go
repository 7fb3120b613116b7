package filter

import (
	"context"
	"fmt"
	"time"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/url"
)

// ActivesParams are the parameters of the filter actives.
type ActivesParams struct {
	Actives int           `url:"actives" default:"0" doc:"calls in flight to one provider, per method; more wait; 0: no limit"`
	Timeout time.Duration `url:"timeout" default:"1000" doc:"longest wait for an answer, per attempt"`
}

// mostActives bounds what a limit reserves, 8 bytes or less each.
const mostActives = 1 << 20

// NewActives returns the reference filter that limits the calls in flight to one provider, per method. A call over the
// limit waits for its turn within its own timeout, of which the wait is a part; then it fails with LimitExceeded.
func NewActives(_ extension.Env, u *url.URL) (protocol.Filter, error) {
	params, err := protocol.DecodePerMethod(u, func(p *ActivesParams) error {
		if p.Actives > mostActives {
			return fmt.Errorf("filter: actives=%d: want at most %d", p.Actives, mostActives)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if !params.Any(func(p *ActivesParams) bool { return p.Actives > 0 }) {
		return pass, nil
	}
	return func(next protocol.Invoker) protocol.Invoker {
		gates := protocol.NewSlots(func(m *protocol.Method) *gate {
			p := params.For(m)
			g := &gate{next: next, timeout: p.Timeout, limit: p.Actives}
			if p.Actives > 0 {
				g.places = make(chan struct{}, p.Actives)
			}
			return g
		})
		return protocol.InvokerFunc(func(ctx context.Context, c *protocol.Invocation) error {
			return gates.Get(c.Method).invoke(ctx, c)
		})
	}, nil
}

// A gate lets a number of calls of a method through at a time.
type gate struct {
	next    protocol.Invoker
	places  chan struct{} // nil: no limit
	timeout time.Duration
	limit   int
}

func (g *gate) invoke(ctx context.Context, c *protocol.Invocation) error {
	if g.places == nil {
		return g.next.Invoke(ctx, c)
	}
	select {
	case g.places <- struct{}{}:
	default:
		own := c.Timeout
		defer func() { c.Timeout = own }()
		if err := g.wait(ctx, c); err != nil {
			return err
		}
	}
	defer func() { <-g.places }()
	return g.next.Invoke(ctx, c)
}

// wait waits for a place and takes the time off the call's timeout.
func (g *gate) wait(ctx context.Context, c *protocol.Invocation) error {
	timeout := c.Timeout
	if timeout <= 0 {
		timeout = g.timeout
	}
	begun := time.Now()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case g.places <- struct{}{}:
		c.Timeout = max(timeout-time.Since(begun), time.Nanosecond)
		return nil
	case <-timer.C:
		return refusal(c, protocol.LimitExceeded, protocol.NotSent, fmt.Sprintf("%d calls in flight (actives), none ended within %s", g.limit, timeout))
	case <-ctx.Done():
		err := refusal(c, protocol.Canceled, protocol.NotSent, "given up while waiting for its turn (actives)").(*protocol.Error)
		err.Cause = ctx.Err()
		return err
	}
}
