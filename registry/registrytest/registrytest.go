// Package registrytest is the conformance suite of package registry: what every Registry promises, whatever it is made of.
//
//	func TestConformance(t *testing.T) {
//		registrytest.Run(t, func(t testing.TB) registrytest.Pair { … })
//	}
package registrytest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/registry"
	"github.com/ferryrpc/ferry/url"
)

// Limit is how long the suite waits for something that must happen.
const Limit = 20 * time.Second

// A Pair are two registries over the same place, as two processes have them. The suite closes both. The place must hold
// no entries of the interfaces com.example.* at the start.
type Pair struct {
	A, B registry.Registry
	// Outage, if not nil, makes the place unreachable to both; back ends that.
	Outage func() (back func())
	// Forget, if not nil, makes the place lose all entries behind the registries' backs.
	Forget func()
}

// Run runs the suite; open is called once per test.
func Run(t *testing.T, open func(t testing.TB) Pair) {
	tests := []struct {
		name string
		run  func(t *testing.T, p Pair)
	}{
		{"RegisterIsSeen", registerIsSeen},
		{"SubscribeBeforeAndAfter", subscribeBeforeAndAfter},
		{"WholeSortedLists", wholeLists},
		{"Matching", matching},
		{"Categories", categories},
		{"SpecialCharacters", specialCharacters},
		{"DuplicateRegister", duplicateRegister},
		{"SameEntryOfTwoRegistries", sameEntryOfTwo},
		{"UnregisterUnknown", unregisterUnknown},
		{"EndOfContext", endOfContext},
		{"OneNotifyAtATime", oneAtATime},
		{"CloseUnregisters", closeUnregisters},
		{"ClosedRefuses", closedRefuses},
		{"ManySubscribers", manySubscribers},
		{"Observer", observer},
		{"Outage", outage},
		{"Forgotten", forgotten},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := open(t)
			t.Cleanup(func() {
				require.NoError(t, p.A.Close())
				require.NoError(t, p.B.Close())
			})
			test.run(t, p)
		})
	}
}

// Provider returns the URL of a provider for tests.
func Provider(port int, name, query string) *url.URL {
	text := fmt.Sprintf("dubbo://10.0.0.1:%d/com.example.%s?interface=com.example.%s&side=provider", port, name, name)
	if query != "" {
		text += "&" + query
	}
	return url.MustParse(text)
}

// Consumer returns the URL that a consumer subscribes with.
func Consumer(name, query string) *url.URL {
	text := fmt.Sprintf("consumer://10.0.0.9/com.example.%s?interface=com.example.%s&side=consumer", name, name)
	if query != "" {
		text += "&" + query
	}
	return url.MustParse(text)
}

// A Sink collects the states of a subscription.
type Sink struct {
	mu     sync.Mutex // guards the following
	states []registry.State
	more   chan struct{}
}

// Subscribe subscribes and returns the sink and what ends the subscription.
func Subscribe(t testing.TB, r registry.Registry, service *url.URL) (*Sink, context.CancelFunc) {
	t.Helper()
	s := &Sink{more: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	require.NoError(t, r.Subscribe(ctx, service, s.notify))
	return s, cancel
}

func (s *Sink) notify(state registry.State) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.states = append(s.states, state)
	close(s.more)
	s.more = make(chan struct{})
}

// States returns what has come so far.
func (s *Sink) States() []registry.State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.states)
}

// Wait waits until the newest state is as ok wants it.
func (s *Sink) Wait(t testing.TB, what string, ok func(registry.State) bool) registry.State {
	t.Helper()
	limit := time.NewTimer(Limit)
	defer limit.Stop()
	for {
		s.mu.Lock()
		n, more := len(s.states), s.more
		var last registry.State
		if n > 0 {
			last = s.states[n-1]
		}
		s.mu.Unlock()
		if n > 0 && ok(last) {
			return last
		}
		select {
		case <-more:
		case <-limit.C:
			require.FailNow(t, "waited in vain", "for %s; the last of %d states is %v %v, error %v", what, n, last.Source, last.URLs, last.Err)
		}
	}
}

// Live waits for a live list of exactly these URLs.
func (s *Sink) Live(t testing.TB, want ...*url.URL) registry.State {
	t.Helper()
	texts := textsOf(want)
	slices.Sort(texts)
	return s.Wait(t, fmt.Sprintf("live %v", texts), func(state registry.State) bool {
		return state.Source == registry.Live && slices.Equal(textsOf(state.URLs), texts)
	})
}

func textsOf(urls []*url.URL) []string {
	texts := []string{}
	for _, u := range urls {
		texts = append(texts, u.String())
	}
	return texts
}

// Within returns a context that ends with the suite's limit.
func Within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), Limit)
	t.Cleanup(cancel)
	return ctx
}
