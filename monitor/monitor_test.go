package monitor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/url"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestBuckets: each time falls into the bucket whose bounds hold it, and they join without gaps.
func TestBuckets(t *testing.T) {
	next := time.Duration(0)
	for i := range bucketCount {
		from, to := bounds(i)
		require.Equal(t, next, from)
		require.Equal(t, i, bucketOf(from))
		require.Equal(t, i, bucketOf(to-1))
		if i > 0 && i < bucketCount-1 {
			require.LessOrEqual(t, float64(to-from)/float64(from), 0.125)
		}
		next = to
	}
	require.Equal(t, 0, bucketOf(-time.Second))
	require.Equal(t, bucketCount-1, bucketOf(math.MaxInt64))
}

func TestQuantiles(t *testing.T) {
	var c Counter
	for i := 1; i <= 1000; i++ {
		c.Begin()
		c.End(time.Duration(i)*time.Millisecond, nil)
	}
	s := c.Sample()
	for q, want := range map[float64]time.Duration{0.5: 500 * time.Millisecond, 0.99: 990 * time.Millisecond, 1: time.Second, 0: time.Millisecond} {
		require.InEpsilon(t, want, s.Times.Quantile(q), 1./15, q)
	}
	require.Zero(t, new(Histogram).Quantile(0.5))
	require.Equal(t, int64(1000), s.Calls)
	require.Equal(t, 500500*time.Millisecond, s.Elapsed)
}

func TestCounter(t *testing.T) {
	var set Counters
	c := set.Counter(Consumer, "s", "m")
	require.Same(t, c, set.Counter(Consumer, "s", "m"))
	require.NotSame(t, c, set.Counter(Provider, "s", "m"))
	c.Begin()
	c.Begin()
	c.End(time.Millisecond, errors.New("an answer of the service"))
	before := c.Sample()
	require.Equal(t, int64(1), before.InFlight)
	require.Equal(t, int64(1), before.Failed[protocol.Executed])
	for _, o := range []protocol.Outcome{protocol.NotSent, protocol.NotStarted, protocol.OutcomeUnknown, 200} {
		c.End(time.Second, fmt.Errorf("wrapped: %w", &protocol.Error{Outcome: o}))
	}
	since := c.Sample().Since(before)
	require.Equal(t, int64(4), since.Calls)
	require.Equal(t, int64(4), since.Failures())
	require.Equal(t, int64(4), since.Times.Count())
	require.Equal(t, 4*time.Second, since.Elapsed)
	require.InEpsilon(t, time.Second, since.Times.Quantile(0.01), 1./15)
}

// TestCountsAreExact: atomics lose nothing, whoever reads meanwhile.
func TestCountsAreExact(t *testing.T) {
	var set Counters
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			c := set.Counter(Consumer, "s", fmt.Sprint(g%2))
			for i := range 2000 {
				c.Begin()
				c.End(time.Duration(i), nil)
			}
		})
	}
	for range 50 {
		for _, s := range set.Samples() {
			require.GreaterOrEqual(t, s.InFlight, int64(0))
		}
	}
	wg.Wait()
	for _, s := range set.Samples() {
		require.Equal(t, int64(8000), s.Calls)
		require.Zero(t, s.InFlight)
	}
}

func TestSetIsBounded(t *testing.T) {
	var set Counters
	for i := range mostCounters + 500 {
		set.Counter(Provider, "s", fmt.Sprint(i))
	}
	require.Len(t, set.Samples(), mostCounters+1)
}

type collector struct {
	mu   sync.Mutex
	got  [][]Sample
	fail func() error
}

func (c *collector) Collect(_ context.Context, s []Sample) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got = append(c.got, s)
	if c.fail != nil {
		return c.fail()
	}
	return nil
}

func TestReporter(t *testing.T) {
	for name, fail := range map[string]func() error{"well": nil, "fails": func() error { return io.ErrClosedPipe }, "panics": func() error { panic("x") }} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var set Counters
				m := &collector{fail: fail}
				r, err := NewReporter(extension.Env{}, url.MustParse("dubbo://h:1/s?monitor.interval=1000"), &set, m)
				require.NoError(t, err)
				time.Sleep(1500 * time.Millisecond)
				require.Empty(t, m.got, "nothing to report")
				c := set.Counter(Consumer, "s", "m")
				c.Begin()
				c.End(time.Millisecond, nil)
				time.Sleep(time.Second)
				synctest.Wait()
				require.Len(t, m.got, 1)
				c.Begin()
				c.End(time.Millisecond, nil)
				require.NoError(t, r.Close())
				require.NoError(t, r.Close())
				require.Len(t, m.got, 2, "the last report is made at Close")
				require.Equal(t, int64(2), m.got[1][0].Calls)
				time.Sleep(time.Minute)
				require.Len(t, m.got, 2)
			})
		})
	}
	_, err := NewReporter(extension.Env{}, url.MustParse("dubbo://h:1/s?monitor.interval=0"), new(Counters), &collector{})
	require.Error(t, err)
}

func fetch(t *testing.T, set *Counters, prometheus bool) string {
	h := set.Page()
	if prometheus {
		h = set.Prometheus()
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	require.Equal(t, 200, w.Code)
	require.Contains(t, w.Header().Get("Content-Type"), "text/plain")
	return w.Body.String()
}

func TestPages(t *testing.T) {
	var set Counters
	c := set.Counter(Consumer, "com.example.Greeter", "sayHello")
	for range 100 {
		c.Begin()
		c.End(2*time.Millisecond, nil)
	}
	c.Begin()
	set.Counter(Provider, "evil\n\"x", `\`).Begin()
	page := fetch(t, &set, false)
	lines := strings.Split(strings.TrimSpace(page), "\n")
	require.Len(t, lines, 3, page)
	require.Equal(t, []string{"consumer", "com.example.Greeter", "sayHello", "100", "1", "0", "0", "0", "0", "0", "2ms"}, strings.Fields(lines[1])[:11])
	require.Contains(t, lines[2], `evil?"x`)

	text := fetch(t, &set, true)
	require.Contains(t, text, `ferry_call_seconds_count{side="consumer",service="com.example.Greeter",method="sayHello"} 100`)
	require.Contains(t, text, `ferry_calls_in_flight{side="provider",service="evil\n\"x",method="\\"} 1`)
	require.Contains(t, text, `method="sayHello",le="0.002097152"} 100`)
	require.Contains(t, text, `method="sayHello",le="0.001048576"} 0`)
	require.Contains(t, text, `ferry_call_failures_total{side="consumer",service="com.example.Greeter",method="sayHello",outcome="not sent"} 0`)
}

// TestStandingsOnThePages: what cannot be known has no gauge, and names from a registry break nothing.
func TestStandingsOnThePages(t *testing.T) {
	var set Counters
	require.NotContains(t, fetch(t, &set, true), "ferry_registered")
	stop := set.Observe(func() []Standing {
		return []Standing{{Side: Provider, Service: "s", Registry: "zk:1", Address: "10.0.0.1:1", Registered: true}, {Side: Provider, Service: "s", Registry: "zk:1", Address: "evil\n\"x"},
			{Side: Consumer, Service: "s", Registry: "zk:1", Source: "live", At: time.Now().Add(-time.Minute), Providers: 7, SetAside: 2, RetriesLeft: 93, RetriesRefused: 4},
			{Side: Consumer, Service: "t", Registry: "zk:1", Source: "memory", RetriesLeft: 100, Err: errors.New("away\nsince then")}}
	})
	text := fetch(t, &set, true)
	for _, want := range []string{
		`ferry_registered{service="s",registry="zk:1",address="10.0.0.1:1"} 1`, `ferry_registered{service="s",registry="zk:1",address="evil\n\"x"} 0`,
		`ferry_list_providers{service="s",registry="zk:1",source="live"} 7`, `ferry_list_providers{service="t",registry="zk:1",source="memory"} 0`,
		`ferry_list_age_seconds{service="s",registry="zk:1",source="live"} 60`, `ferry_providers_set_aside{service="s",registry="zk:1"} 2`,
		`ferry_retry_budget{service="s",registry="zk:1"} 93`, `ferry_retries_refused_total{service="s",registry="zk:1"} 4`,
		"# TYPE ferry_retries_refused_total counter\n",
	} {
		require.Contains(t, text, want)
	}
	require.NotContains(t, text, `ferry_list_age_seconds{service="t"`, "there was no list yet")
	for line := range strings.Lines(text) {
		require.Regexp(t, `^(# (HELP|TYPE) ferry_\w+ .*|ferry_\w+\{([a-z]+="([^"\\\n]|\\.)*",?)+\} \S+)\n$`, line)
	}
	lines := strings.Split(strings.TrimSpace(fetch(t, &set, false)), "\n")
	require.Len(t, lines, 7, "a header of the counters, an empty line, a header and four standings")
	require.Equal(t, []string{"consumer", "s", "zk:1", "-", "-", "live", "1m0s", "7", "2", "93", "-"}, strings.Fields(lines[3]))
	stop()
	require.NotContains(t, fetch(t, &set, false), "consumer")
}

func BenchmarkCounter(b *testing.B) {
	var c Counter
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			c.Begin()
			c.End(1234567, nil)
		}
	})
}
