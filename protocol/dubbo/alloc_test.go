package dubbo_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/benchmarks/echo"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/url"
)

// TestAllocations of a call through generated code, both sides together: two messages and what they hold, the handler's
// context, and little else.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		return // the race detector drops pooled objects at random
	}
	for format, most := range map[string]float64{"hessian2": 8, "msgpack": 8} {
		h := open(t)
		u := url.MustParse("dubbo://127.0.0.1:0/" + echo.EchoService.Name + "?timeout=60000&serialization=" + format)
		e, err := h.Export(&protocol.Service{Interface: echo.EchoService, Invoker: protocol.Implementation(echo.Server{})}, u)
		require.NoError(t, err)
		ref, err := h.Refer(t.Context(), echo.EchoService, e.URL())
		require.NoError(t, err)
		client := echo.NewEcho(ref)
		m := &echo.Message{ID: 7, Name: "a message", Payload: make([]byte, 128)}
		ctx := context.Background()
		n := testing.AllocsPerRun(2000, func() {
			got, err := client.Echo(ctx, m)
			if err != nil || got.ID != m.ID {
				t.Fatal(got, err)
			}
		})
		t.Logf("%s: %v allocations", format, n)
		require.LessOrEqual(t, n, most, format)
	}
}
