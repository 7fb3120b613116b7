package filter

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/url"
)

// TPSParams are the parameters of the filter tps.
type TPSParams struct {
	TPS      int           `url:"tps" default:"0" doc:"calls of a service that a provider takes per tps.interval; 0: no limit"`
	Interval time.Duration `url:"tps.interval" default:"60000" doc:"the interval of tps"`
}

// NewTPS returns the provider's filter that takes a number of calls per interval, all methods of the service together.
// As in Dubbo the count starts anew when an interval has passed, so at the seam of two intervals twice as many may come.
func NewTPS(_ extension.Env, u *url.URL) (protocol.Filter, error) {
	var p TPSParams
	if err := u.Decode(&p); err != nil {
		return nil, err
	}
	if p.Interval <= 0 {
		return nil, fmt.Errorf("filter: tps.interval=%s: want a time over 0", p.Interval)
	}
	if p.TPS <= 0 {
		return pass, nil
	}
	w := &window{params: p, from: time.Now()}
	return func(next protocol.Invoker) protocol.Invoker {
		return protocol.InvokerFunc(func(ctx context.Context, c *protocol.Invocation) error {
			if !w.take() {
				return refusal(c, protocol.LimitExceeded, protocol.NotStarted, fmt.Sprintf("more than %d calls in %s (tps)", p.TPS, p.Interval))
			}
			return next.Invoke(ctx, c)
		})
	}, nil
}

type window struct {
	params TPSParams

	mu   sync.Mutex // guards the following
	from time.Time
	used int
}

func (w *window) take() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now := time.Now(); now.Sub(w.from) >= w.params.Interval {
		w.from, w.used = now, 0
	}
	if w.used >= w.params.TPS {
		return false
	}
	w.used++
	return true
}
