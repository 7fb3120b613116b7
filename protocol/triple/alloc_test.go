package triple_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/benchmarks/echo"
)

// TestAllocations of a unary call through generated code, both sides together. Nearly all are net/http's.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		return // the race detector drops pooled objects at random
	}
	const most = 180
	s := ferry.NewServer("", ferry.Param("protocol", "tri"), ferry.Param("host", "127.0.0.1"))
	t.Cleanup(func() { _ = s.Close(within(t, 0)) })
	require.NoError(t, echo.ExportEcho(s, echo.Server{}))
	c := &ferry.Client{}
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	client, err := echo.ReferEcho(c, ferry.Direct("tri://"+s.URLs()[0].Address()))
	require.NoError(t, err)
	m := &echo.Message{ID: 7, Name: "a message", Payload: make([]byte, 128)}
	n := testing.AllocsPerRun(2000, func() {
		got, err := client.Echo(t.Context(), m)
		if err != nil || got.ID != m.ID {
			t.Fatal(got, err)
		}
	})
	t.Logf("%v allocations", n)
	require.LessOrEqual(t, n, float64(most))
}
