package registrytest

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/registry"
	"github.com/ferryrpc/ferry/url"
)

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
