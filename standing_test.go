package ferry_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/internal/zktest"
	"github.com/ferryrpc/ferry/monitor"
)

// shown is what a handler answers.
func shown(h http.Handler) string {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	return w.Body.String()
}

// TestStandingIsShown looks at what people see while the registry goes away and comes back without its data.
func TestStandingIsShown(t *testing.T) {
	zktest.Both(t, zktest.Options{}, func(t *testing.T, z zktest.Target) {
		reg := "zookeeper://" + z.Addr() + "?cache=false&session=2000"
		s := export(t, reg, "ann")
		c := ferry.NewClient(reg)
		defer c.Close()
		_, err := c.Generic(service)
		require.NoError(t, err)
		monitorOf := map[string]*monitor.Counters{"provider": s.Monitor(), "consumer": c.Monitor()}
		page := func(side string) string { return shown(monitorOf[side].Page()) }
		gauge := func(side string) string { return shown(monitorOf[side].Prometheus()) }
		registered := func() bool { l := s.Standings(); return len(l) == 1 && l[0].Registered }
		source := func() string { return c.Standings()[0].Source }
		require.True(t, registered())
		require.Equal(t, "live", source())
		require.Equal(t, 1, c.Standings()[0].Providers)
		require.WithinDuration(t, time.Now(), c.Standings()[0].At, time.Minute)
		require.Regexp(t, `provider +`+service+` +`+z.Addr()+` +127\.0\.0\.1:\d+ +yes`, page("provider"))
		require.Regexp(t, `consumer +`+service+` +`+z.Addr()+` +- +- +live +\S+ +1 +0 +100 +-`, page("consumer"))
		labels := `\{service="` + service + `",registry="` + z.Addr() + `"`
		require.Regexp(t, `ferry_registered`+labels+`,address="127\.0\.0\.1:\d+"\} 1\n`, gauge("provider"))
		require.Regexp(t, `ferry_list_providers`+labels+`,source="live"\} 1\n`, gauge("consumer"))
		z.Stop(t)
		require.Eventually(t, func() bool { return !registered() && source() == "memory" }, patience, 10*time.Millisecond)
		require.ErrorContains(t, c.Standings()[0].Err, z.Addr())
		require.Regexp(t, ` no +- `, page("provider"))
		require.Regexp(t, ` memory +\S+ +1 +0 +100 +.*`+z.Addr(), page("consumer"))
		require.Regexp(t, `ferry_registered`+labels+`,address="127\.0\.0\.1:\d+"\} 0\n`, gauge("provider"))
		require.Regexp(t, `ferry_list_age_seconds`+labels+`,source="memory"\} [0-9.e-]+\n`, gauge("consumer"))
		z.Start(t, false)
		require.Eventually(t, func() bool { return registered() && source() == "live" }, patience, 10*time.Millisecond)
	})
}

// TestCircuitAndBudgetAreShown: who is set aside for failing, and what is left for repeats, is there for people and for
// Prometheus, and goes away with its cause.
func TestCircuitAndBudgetAreShown(t *testing.T) {
	var well atomic.Bool
	flaky := listen(t, func(c net.Conn) {
		for {
			head, ok := readRequest(c)
			if !ok {
				return
			}
			reply := answer(head, 70, text("oops"))
			if well.Load() {
				reply = answer(head, 20, "\x91"+text("flaky")) // a value, with no attachments
			}
			if _, err := c.Write(reply); err != nil {
				return
			}
		}
	})
	good := export(t, "memory://"+t.Name(), "good").URLs()[0].Address()
	c := ferry.NewClient("static://"+flaky+","+good, ferry.Timeout(patience), ferry.Param("retries", "1"), ferry.Param("outlier.failures", "3"),
		ferry.Param("outlier.interval", "100ms"), ferry.LoadBalance("roundrobin"))
	defer c.Close()
	in, err := fill(c)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(in.in.Directory().Snapshot().Targets) == 2 }, patience, time.Millisecond)
	aside := func(n int) func() bool {
		return func() bool {
			_, err := in.Buy(t.Context(), "apple", 1)
			require.NoError(t, err, "the other one answers")
			return c.Standings()[0].SetAside == n
		}
	}
	require.Eventually(t, aside(1), patience, time.Millisecond)
	state := c.Standings()[0]
	require.Equal(t, 2, state.Providers)
	require.Less(t, state.RetriesLeft, 101)
	require.GreaterOrEqual(t, in.in.Directory().Budget().State().Spent, int64(3))
	for _, p := range in.in.Directory().Providers() {
		require.Equal(t, p.Address == flaky, p.SetAside, p.Address)
		require.Equal(t, p.SetAside, !p.RetryAt.IsZero())
	}
	labels := `\{service="` + service + `",registry="` + flaky + "," + good + `"\}`
	require.Regexp(t, `ferry_providers_set_aside`+labels+` 1\n`, shown(c.Monitor().Prometheus()))
	require.Regexp(t, `ferry_retry_budget`+labels+` \d+\n`, shown(c.Monitor().Prometheus()))
	require.Regexp(t, `ferry_retries_refused_total`+labels+` 0\n`, shown(c.Monitor().Prometheus()))
	require.Regexp(t, `(?m)^consumer .* 2 +1 +\d+ +-$`, shown(c.Monitor().Page()))
	well.Store(true)
	require.Eventually(t, aside(0), patience, time.Millisecond, "a probe that is answered brings it back")
	require.Regexp(t, `ferry_providers_set_aside`+labels+` 0\n`, shown(c.Monitor().Prometheus()))
}
