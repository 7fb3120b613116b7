package idempotent_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/coordination/idempotent"
	"github.com/ferryrpc/ferry/coordination/idempotent/idempotenttest"
	"github.com/ferryrpc/ferry/internal/leak"
	"github.com/ferryrpc/ferry/internal/zktest"
)

var real zktest.Shared

func TestMain(m *testing.M) { real.Main(m, leak.Known()...) }

func TestMemory(t *testing.T) {
	idempotenttest.Run(t, idempotenttest.Suite{Open: func(*testing.T) idempotent.Store { return idempotent.NewMemory(0) }})
}

func request(text string) idempotent.Request {
	return idempotent.Request{Key: idempotent.Key{Service: "s", Method: "m", Text: text}, Owner: idempotent.NewOwner(), Lease: time.Minute, TTL: time.Minute}
}

func record(t *testing.T, m idempotent.Store, q idempotent.Request, result []byte) {
	t.Helper()
	b, err := m.Begin(t.Context(), q)
	require.NoError(t, err)
	require.Equal(t, idempotent.Started, b.State)
	require.NoError(t, m.Finish(t.Context(), q.Ticket(), idempotent.Final{State: idempotent.Done, Result: result, TTL: q.TTL}))
}

// Bytes bound the store: the oldest answers leave, calls in progress stay.
func TestMemoryIsBounded(t *testing.T) {
	const most = 1 << 20
	m := idempotent.NewMemory(most)
	running := request("running")
	_, err := m.Begin(t.Context(), running)
	require.NoError(t, err)
	for i := range 10_000 {
		record(t, m, request(fmt.Sprint(i)), make([]byte, 1000))
		require.LessOrEqual(t, m.State().Bytes, int64(most+1000))
	}
	require.Greater(t, m.State().Evicted, int64(9000))
	first, err := m.Begin(t.Context(), request("0"))
	require.NoError(t, err)
	require.Equal(t, idempotent.Started, first.State, "the oldest answer left")
	last, err := m.Begin(t.Context(), request("9999"))
	require.NoError(t, err)
	require.Equal(t, idempotent.Done, last.State)
	still, err := m.Begin(t.Context(), request("running"))
	require.NoError(t, err)
	require.Equal(t, idempotent.InProgress, still.State)
}

// Calls in progress take room too, and there is an end to it.
func TestMemoryFullOfRunningCalls(t *testing.T) {
	m := idempotent.NewMemory(10_000)
	var err error
	n := 0
	for ; err == nil; n++ {
		require.Less(t, n, 100)
		_, err = m.Begin(t.Context(), request(fmt.Sprint(n)))
	}
	require.ErrorIs(t, err, idempotent.ErrFull)
	require.ErrorContains(t, err, "idempotent.bytes")
	b, err := m.Begin(t.Context(), request("0"))
	require.NoError(t, err)
	require.Equal(t, idempotent.InProgress, b.State)
}
