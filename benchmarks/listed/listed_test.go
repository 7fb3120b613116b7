package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCallsInFlightAreBounded(t *testing.T) {
	const n, threads, queue = 2000, 100, 200
	f, err := inFlight(n, map[string]int{"threads": threads, "queues": queue})
	require.NoError(t, err)
	require.EqualValues(t, threads, f.Running)
	require.Equal(t, n, f.Accepted+f.Refused, "every call has an answer, and a refused one is proved not to have run")
	require.GreaterOrEqual(t, f.Accepted, threads)
	require.LessOrEqual(t, f.Accepted, threads+queue)
}

func TestRaisedLimitsTakeAll(t *testing.T) {
	const n = 2000
	f, err := inFlight(n, limits(n, true))
	require.NoError(t, err)
	require.EqualValues(t, n, f.Running)
	require.Equal(t, n, f.Accepted)
}

func TestVariantsCall(t *testing.T) {
	for name, open := range map[string]func(int) (setup, error){"providers": withProviders, "services": withServices} {
		v, err := compare([]int{3, 20}, open, 3, 10*time.Millisecond)
		require.NoError(t, err, name)
		require.Len(t, v, 2)
		require.InDelta(t, 1, v[0].Ratio, 1e-9)
		require.Positive(t, v[1].Rate)
	}
}
