package loadbalance

import (
	"sync"

	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/url"
)

// BalancerParams is the parameter that names the balancer.
type BalancerParams struct {
	LoadBalance string `url:"loadbalance" default:"random" doc:"how a provider is chosen; may be set per method"`
}

// ByURL returns a balancer that asks the URL of the first provider, in which consumer and provider settings are merged,
// which balancer each method wants, and opens it with open. It uses fallback, made from the consumer's own URL, when the
// list is empty, when the URL names none, or when what a provider publishes cannot be opened; report is told the latter
// and may be nil. Methods with the same parameters share a balancer.
func ByURL(open func(*url.URL) (Balancer, error), fallback Balancer, report func(error)) Balancer {
	return &byURL{open: open, fallback: fallback, report: report, opened: map[string]Balancer{}}
}

type byURL struct {
	open     func(*url.URL) (Balancer, error)
	fallback Balancer
	report   func(error)

	mu     sync.Mutex          // guards the following
	opened map[string]Balancer // by parameters
}

// mostOpened bounds the balancers that are remembered: parameters change with live configuration.
const mostOpened = 64

func (b *byURL) Prepare(m *protocol.Method, targets []*Target) Picker {
	return b.balancer(m, targets).Prepare(m, targets)
}

func (b *byURL) balancer(m *protocol.Method, targets []*Target) Balancer {
	if len(targets) == 0 || m == nil {
		return b.fallback
	}
	u := targets[0].Ref.URL().ForMethod(m.Key())
	if u.Param("loadbalance") == "" {
		return b.fallback
	}
	key := u.WithAddress("").Without("timestamp", "pid").String()
	b.mu.Lock()
	defer b.mu.Unlock()
	if have, ok := b.opened[key]; ok {
		return have
	}
	opened, err := b.open(u)
	if err != nil {
		if b.report != nil {
			b.report(err)
		}
		opened = b.fallback
	}
	if len(b.opened) >= mostOpened {
		clear(b.opened)
	}
	b.opened[key] = opened
	return opened
}
