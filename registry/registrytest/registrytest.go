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
	"sync/atomic"
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

func register(t testing.TB, r registry.Registry, urls ...*url.URL) {
	t.Helper()
	for _, u := range urls {
		require.NoError(t, r.Register(Within(t), u))
	}
}

func unregister(t testing.TB, r registry.Registry, urls ...*url.URL) {
	t.Helper()
	for _, u := range urls {
		require.NoError(t, r.Unregister(Within(t), u))
	}
}

func registerIsSeen(t *testing.T, p Pair) {
	one := Provider(1, "Seen", "weight=100")
	s, _ := Subscribe(t, p.B, Consumer("Seen", ""))
	state := s.Live(t)
	require.NoError(t, state.Err)
	register(t, p.A, one)
	state = s.Live(t, one)
	require.NoError(t, state.Err)
	require.WithinDuration(t, time.Now(), state.At, time.Minute)
	unregister(t, p.A, one)
	s.Live(t)
}

func subscribeBeforeAndAfter(t *testing.T, p Pair) {
	one := Provider(1, "Early", "")
	register(t, p.A, one)
	late, _ := Subscribe(t, p.B, Consumer("Early", ""))
	late.Live(t, one)
	require.Len(t, late.States(), 1, "what is there comes at once, not after an empty list")
	own, _ := Subscribe(t, p.A, Consumer("Early", ""))
	own.Live(t, one)
}

func wholeLists(t *testing.T, p Pair) {
	s, _ := Subscribe(t, p.B, Consumer("Whole", ""))
	var all []*url.URL
	for port := range 20 {
		all = append(all, Provider(100-port, "Whole", ""))
	}
	register(t, p.A, all[:10]...)
	register(t, p.B, all[10:]...)
	s.Live(t, all...)
	unregister(t, p.A, all[3])
	s.Live(t, slices.Delete(slices.Clone(all), 3, 4)...)
	for _, state := range s.States() {
		require.True(t, slices.IsSorted(textsOf(state.URLs)), "%v", state.URLs)
	}
}

func matching(t *testing.T, p Pair) {
	plain, blue := Provider(1, "Match", ""), Provider(2, "Match", "group=blue")
	blue2, off := Provider(3, "Match", "group=blue&version=2.0"), Provider(4, "Match", "enabled=false")
	green, other := Provider(5, "Match", "group=green"), Provider(6, "Matchless", "")
	register(t, p.A, plain, blue, blue2, off, green, other)
	for query, want := range map[string][]*url.URL{
		"":                       {plain},
		"version=0.0.0":          {plain},
		"group=blue":             {blue},
		"group=blue&version=2.0": {blue2},
		"group=blue&version=*":   {blue, blue2},
		"group=green,blue":       {blue, green},
		"group=*":                {plain, blue, green},
		"group=*&version=*":      {plain, blue, blue2, green},
		"version=3":              nil,
	} {
		s, cancel := Subscribe(t, p.B, Consumer("Match", query))
		s.Live(t, want...)
		cancel()
	}
}

func categories(t *testing.T, p Pair) {
	provider := Provider(1, "Category", "")
	rule := url.MustParse("override://0.0.0.0/com.example.Category?category=configurators&dynamic=false&disabled=true")
	route := url.MustParse("condition://0.0.0.0/com.example.Category?category=routers&dynamic=false&rule=host+%3D+a+%3D%3E+host+%3D+b")
	consumer := url.MustParse("consumer://10.0.0.9/com.example.Category?category=consumers&check=false")
	register(t, p.A, provider, rule, route, consumer)
	for query, want := range map[string][]*url.URL{
		"":                                 {provider, rule, route},
		"category=configurators":           {rule},
		"category=providers":               {provider},
		"category=consumers":               {consumer},
		"category=routers,configurators":   {rule, route},
		"category=*":                       {provider, rule, route, consumer},
		"category=configurators,consumers": {rule, consumer},
	} {
		s, cancel := Subscribe(t, p.B, Consumer("Category", query))
		s.Live(t, want...)
		cancel()
	}
	unregister(t, p.A, provider, rule, route, consumer)
	s, _ := Subscribe(t, p.B, Consumer("Category", "category=*"))
	s.Live(t)
}

func specialCharacters(t *testing.T, p Pair) {
	one := Provider(1, "Special", "owner=a b/c%2Fd+e*~ü漢🚢&rule=x => y!(1,2);'q'&empty=")
	two := url.MustParse("dubbo://[2001:db8::1]:20880/path/com.example.Special?interface=com.example.Special")
	register(t, p.A, one, two)
	s, _ := Subscribe(t, p.B, Consumer("Special", ""))
	state := s.Live(t, one, two)
	for _, u := range state.URLs {
		require.True(t, u.Equal(one) || u.Equal(two), "%v", u)
	}
	unregister(t, p.A, one, two)
	s.Live(t)
}

func duplicateRegister(t *testing.T, p Pair) {
	one := Provider(1, "Twice", "")
	register(t, p.A, one, one)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { require.NoError(t, p.A.Register(Within(t), one)) })
	}
	wg.Wait()
	s, _ := Subscribe(t, p.B, Consumer("Twice", ""))
	s.Live(t, one)
	unregister(t, p.A, one)
	s.Live(t)
	register(t, p.A, one)
	s.Live(t, one)
}

func sameEntryOfTwo(t *testing.T, p Pair) {
	one := Provider(1, "Same", "")
	s, _ := Subscribe(t, p.B, Consumer("Same", ""))
	register(t, p.A, one)
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	_ = p.B.Register(ctx, one) // whether both can have it or one has to wait, the entry is there
	s.Live(t, one)
	unregister(t, p.A, one)
	s.Live(t, one)
	unregister(t, p.B, one)
	s.Live(t)
}

func unregisterUnknown(t *testing.T, p Pair) {
	mine := Provider(1, "Unknown", "")
	register(t, p.B, mine)
	unregister(t, p.A, mine, Provider(2, "Unknown", "")) // neither is A's
	s, _ := Subscribe(t, p.A, Consumer("Unknown", ""))
	s.Live(t, mine)
}

func endOfContext(t *testing.T, p Pair) {
	one, two := Provider(1, "End", ""), Provider(2, "End", "")
	s, cancel := Subscribe(t, p.B, Consumer("End", ""))
	still, _ := Subscribe(t, p.B, Consumer("End", ""))
	register(t, p.A, one)
	s.Live(t, one)
	cancel()
	seen := len(s.States())
	register(t, p.A, two)
	still.Live(t, one, two)
	require.LessOrEqual(t, len(s.States()), seen+1, "at most the call that was under way")
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	require.NoError(t, p.B.Subscribe(ended, Consumer("End", ""), func(registry.State) {}))
}

func oneAtATime(t *testing.T, p Pair) {
	var running atomic.Int32
	var overlap atomic.Bool
	release := make(chan struct{})
	first := make(chan struct{})
	var once sync.Once
	s := &Sink{more: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	require.NoError(t, p.B.Subscribe(ctx, Consumer("Slow", ""), func(state registry.State) {
		if running.Add(1) > 1 {
			overlap.Store(true)
		}
		once.Do(func() { close(first) })
		<-release
		s.notify(state)
		running.Add(-1)
	}))
	<-first
	quick, _ := Subscribe(t, p.B, Consumer("Slow", "")) // is not held up by the slow one
	var all []*url.URL
	for port := range 5 {
		all = append(all, Provider(port+1, "Slow", ""))
		register(t, p.A, all[port])
		quick.Live(t, all...)
	}
	close(release)
	s.Live(t, all...)
	require.False(t, overlap.Load())
	require.LessOrEqual(t, len(s.States()), 3, "lists are not queued")
}

func closeUnregisters(t *testing.T, p Pair) {
	one, two, three := Provider(1, "Close", ""), Provider(2, "Close", ""), Provider(3, "Close", "dynamic=false")
	register(t, p.A, one, three)
	register(t, p.B, two)
	mine, _ := Subscribe(t, p.A, Consumer("Close", ""))
	mine.Live(t, one, two, three)
	s, _ := Subscribe(t, p.B, Consumer("Close", ""))
	s.Live(t, one, two, three)
	require.NoError(t, p.A.Close())
	seen := len(mine.States())
	s.Live(t, two, three)
	require.Len(t, mine.States(), seen, "no notify after Close")
	require.NoError(t, p.A.Close())
}

func closedRefuses(t *testing.T, p Pair) {
	require.NoError(t, p.A.Close())
	require.Error(t, p.A.Register(Within(t), Provider(1, "Closed", "")))
	require.Error(t, p.A.Subscribe(Within(t), Consumer("Closed", ""), func(registry.State) {}))
}

func manySubscribers(t *testing.T, p Pair) {
	var all []*url.URL
	for port := range 4 {
		all = append(all, Provider(port+1, "Many", ""))
	}
	var wg sync.WaitGroup
	sinks := make([]*Sink, 32)
	for i := range sinks {
		wg.Go(func() {
			sinks[i], _ = Subscribe(t, []registry.Registry{p.A, p.B}[i%2], Consumer("Many", ""))
		})
	}
	for _, u := range all {
		wg.Go(func() { require.NoError(t, p.A.Register(Within(t), u)) })
	}
	wg.Wait()
	for _, s := range sinks {
		s.Live(t, all...)
	}
}

func observer(t *testing.T, p Pair) {
	o, ok := p.A.(registry.Observer)
	if !ok {
		return // an optional power
	}
	one := Provider(1, "Observe", "")
	require.Empty(t, o.Registered())
	register(t, p.A, one)
	require.Equal(t, map[string]bool{one.String(): true}, o.Registered())
	unregister(t, p.A, one)
	require.Empty(t, o.Registered())
}

func outage(t *testing.T, p Pair) {
	if p.Outage == nil {
		return // a place that is always reachable
	}
	one, two := Provider(1, "Outage", ""), Provider(2, "Outage", "")
	register(t, p.A, one)
	s, _ := Subscribe(t, p.B, Consumer("Outage", ""))
	s.Live(t, one)
	back := p.Outage()
	state := s.Wait(t, "an old list", func(state registry.State) bool { return state.Source == registry.Memory })
	require.Error(t, state.Err)
	require.Equal(t, textsOf([]*url.URL{one}), textsOf(state.URLs))
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, p.A.Register(ctx, two), context.DeadlineExceeded)
	given, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, p.A.Register(given, Provider(3, "Outage", "check=true")), context.DeadlineExceeded)
	back()
	require.NoError(t, s.Live(t, one, two).Err)
}

func forgotten(t *testing.T, p Pair) {
	if p.Forget == nil {
		return // a place that does not forget
	}
	one, two := Provider(1, "Forget", ""), Provider(2, "Forget", "dynamic=false")
	register(t, p.A, one, two)
	s, _ := Subscribe(t, p.B, Consumer("Forget", ""))
	s.Live(t, one, two)
	p.Forget()
	if o, ok := p.A.(registry.Observer); ok {
		require.Eventually(t, func() bool {
			return o.Registered()[one.String()] && o.Registered()[two.String()]
		}, Limit, time.Millisecond)
	}
	s.Live(t, one, two)
	late, _ := Subscribe(t, p.B, Consumer("Forget", ""))
	late.Live(t, one, two)
}
