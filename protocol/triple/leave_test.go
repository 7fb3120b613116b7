package triple_test

import (
	"bytes"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/internal/gen/gentest/streamtest"
)

// TestWhoMayGoOnCalling: a closing provider waits two seconds for callers who hear of the end by GOAWAY alone, and longer for those
// of Dubbo, whom a registry tells, if there is the time; calls that stop end the wait.
func TestWhoMayGoOnCalling(t *testing.T) {
	for _, k := range []struct {
		name          string
		header        bool
		time          time.Duration // of the shutdown
		atLeast, most time.Duration
	}{
		{"plain", false, 40 * time.Second, 2 * time.Second, 10 * time.Second},
		{"Dubbo", true, 7 * time.Second, 3500 * time.Millisecond, time.Minute},
	} {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			s := ferry.NewServer("", ferry.Param("protocol", "tri"), ferry.Param("host", "127.0.0.1"))
			for _, group := range []string{"", "a", "b", "c"} { // nobody calls the others, whose quiet is not the port's
				require.NoError(t, streamtest.ExportStreamer(s, newStreamer(), ferry.Group(group)))
			}
			var h2c http.Protocols
			h2c.SetUnencryptedHTTP2(true)
			transport := &http.Transport{Protocols: &h2c}
			defer transport.CloseIdleConnections()
			call := func() error {
				r, err := http.NewRequest(http.MethodPost, "http://"+s.URLs()[0].Address()+"/com.example.Streamer/greet", bytes.NewReader(make([]byte, 5)))
				require.NoError(t, err)
				r.Header.Set("Content-Type", "application/grpc+proto")
				if k.header {
					r.Header.Set("tri-consumer-appname", "x")
				}
				resp, err := transport.RoundTrip(r)
				if err == nil {
					err = resp.Body.Close()
				}
				return err
			}
			require.NoError(t, call())
			closed := make(chan error, 1)
			begun := time.Now()
			go func() { closed <- s.Close(within(t, k.time)) }()
			for call() == nil {
				require.Less(t, time.Since(begun), k.most)
			}
			require.Greater(t, time.Since(begun), k.atLeast)
			require.NoError(t, <-closed)
		})
	}
}
