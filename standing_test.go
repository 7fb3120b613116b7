package ferry_test

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/internal/zktest"
)

// TestStandingIsShown looks at what people see while the registry goes away and comes back without its data.
func TestStandingIsShown(t *testing.T) {
	zktest.Both(t, zktest.Options{}, func(t *testing.T, z zktest.Target) {
		reg := "zookeeper://" + z.Addr() + "?cache=false&session=2000"
		s := export(t, reg, "ann")
		c := ferry.NewClient(reg)
		defer c.Close()
		_, err := c.Generic(service)
		require.NoError(t, err)
		page := func(side string) string {
			m := s.Monitor()
			if side == "consumer" {
				m = c.Monitor()
			}
			w := httptest.NewRecorder()
			m.Page().ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
			return w.Body.String()
		}
		registered := func() bool { l := s.Standings(); return len(l) == 1 && l[0].Registered }
		source := func() string { return c.Standings()[0].Source }
		require.True(t, registered())
		require.Equal(t, "live", source())
		require.Equal(t, 1, c.Standings()[0].Providers)
		require.WithinDuration(t, time.Now(), c.Standings()[0].At, time.Minute)
		require.Regexp(t, `provider +`+service+` +`+z.Addr()+` +127\.0\.0\.1:\d+ +yes`, page("provider"))
		require.Regexp(t, `consumer +`+service+` +`+z.Addr()+` +- +- +live +\S+ +1 +-`, page("consumer"))
		z.Stop(t)
		require.Eventually(t, func() bool { return !registered() && source() == "memory" }, patience, 10*time.Millisecond)
		require.ErrorContains(t, c.Standings()[0].Err, z.Addr())
		require.Regexp(t, ` no +- `, page("provider"))
		require.Regexp(t, ` memory +\S+ +1 +.*`+z.Addr(), page("consumer"))
		z.Start(t, false)
		require.Eventually(t, func() bool { return registered() && source() == "live" }, patience, 10*time.Millisecond)
	})
}
