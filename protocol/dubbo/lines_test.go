package dubbo_test

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/exchange"
	"github.com/ferryrpc/ferry/protocol"
)

// count answers null and counts the connections that requests came on.
func counting(t testing.TB) *scripted { return play(t, always(exchange.OK, []byte("\x92"))) }

func (s *scripted) connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// TestConnections: services share a connection, unless they ask for some of their own or for other parameters.
func TestConnections(t *testing.T) {
	m := method("get", "", nil)
	i := service(demo, m)
	for name, c := range map[string]struct {
		params []string
		want   int
	}{
		"one":                 {[]string{""}, 1},
		"shared":              {[]string{"", "timeout=5", "group=a"}, 1},
		"own":                 {[]string{"connections=2"}, 2},
		"own and shared":      {[]string{"connections=2", "", ""}, 3},
		"own each":            {[]string{"connections=1", "connections=1"}, 2},
		"other parameters":    {[]string{"", "heartbeat=1000"}, 2},
		"lazy is not dialled": {[]string{"lazy=true"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			server := counting(t)
			h := open(t)
			var refs []protocol.Reference
			for _, p := range c.params {
				refs = append(refs, h.refer(server.address(), i, p))
			}
			require.Eventually(t, func() bool { return server.connections() == c.want }, patience, time.Millisecond)
			for _, r := range refs {
				require.True(t, r.Available())
				inv := invocation(m)
				inv.Timeout = patience
				require.NoError(t, r.Invoke(t.Context(), inv))
			}
			require.Equal(t, max(c.want, 1), server.connections())
		})
	}
}

// TestConnectionsTakeTurns: calls go over all connections of a reference, and over those that are left.
func TestConnectionsTakeTurns(t *testing.T) {
	var mu sync.Mutex
	ports := map[int]int{}
	m := handled(func(ctx context.Context) (any, error) {
		mu.Lock()
		defer mu.Unlock()
		ports[protocol.Peer(ctx).(*net.TCPAddr).Port]++
		return nil, nil
	})
	ref := open(t).pair(m, "connections=3&timeout=10000")
	for range 9 {
		_, err := call(t.Context(), ref, m.Methods[0])
		require.NoError(t, err)
	}
	require.Len(t, ports, 3)
	for _, n := range ports {
		require.Equal(t, 3, n)
	}
}

// TestLastCloseEndsTheConnection: references that share a connection are counted.
func TestLastCloseEndsTheConnection(t *testing.T) {
	server := counting(t)
	h := open(t)
	m := method("get", "", nil)
	i := service(demo, m)
	a, b := h.refer(server.address(), i, ""), h.refer(server.address(), i, "group=b")
	require.NoError(t, a.Close())
	require.NoError(t, a.Close(), "counts once")
	require.False(t, a.Available())
	_, err := call(t.Context(), a, m)
	e := failure(t, err)
	require.Equal(t, protocol.Closed, e.Code)
	require.Equal(t, protocol.NotSent, e.Outcome)
	_, err = call(t.Context(), b, m)
	require.NoError(t, err)
	require.NoError(t, b.Close())
	server.mu.Lock()
	conn := server.conns[0]
	server.mu.Unlock()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(patience)))
	require.Eventually(t, func() bool { _, err := conn.Write([]byte{0}); return err != nil }, patience, time.Millisecond)
	h.refer(server.address(), i, "")
	require.Eventually(t, func() bool { return server.connections() == 2 }, patience, time.Millisecond, "a new reference dials anew")
}

// TestUnreachable: a provider that is not there is not available, its calls fail at once, and it is found when it comes.
func TestUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().String()
	require.NoError(t, l.Close())
	h := open(t)
	m := hello()
	i := service(demo, m)
	ref := h.refer(address, i, "timeout=60000&reconnect.max=20")
	require.False(t, ref.Available())
	_, err = call(t.Context(), ref, m, "x")
	e := failure(t, err)
	require.Equal(t, protocol.Network, e.Code)
	require.Equal(t, protocol.NotSent, e.Outcome)
	require.ErrorContains(t, err, "connection refused")
	h.exportAt(address, i, "")
	require.Eventually(t, ref.Available, patience, time.Millisecond)
	_, err = call(t.Context(), ref, m, "x")
	require.NoError(t, err)
}

// TestLostConnection: calls in flight may have run; the next one finds a new connection.
func TestLostConnection(t *testing.T) {
	var server *scripted
	first := true
	server = play(t, func(h exchange.Header, _ []byte) []byte {
		if first {
			first = false
			server.drop()
			return nil
		}
		return reply(h, exchange.OK, []byte("\x92"))
	})
	m := method("get", "", nil)
	ref := open(t).refer(server.address(), service(demo, m), "timeout=60000&reconnect.max=20")
	_, err := call(t.Context(), ref, m)
	e := failure(t, err)
	require.Equal(t, protocol.Network, e.Code)
	require.Equal(t, protocol.OutcomeUnknown, e.Outcome)
	require.ErrorContains(t, err, "connection lost")
	require.Eventually(t, ref.Available, patience, time.Millisecond)
	_, err = call(t.Context(), ref, m)
	require.NoError(t, err)
}

// TestCloseWithCallsInFlight: they finish, or end with the time that shutdown gives them.
func TestCloseWithCallsInFlight(t *testing.T) {
	for _, c := range []struct {
		params string
		ends   bool
	}{{"shutdown=60000", true}, {"shutdown=20", false}, {"shutdown=20&connections=2", false}} {
		var entered atomic.Int32
		leave := make(chan struct{})
		i := handled(func(context.Context) (any, error) {
			entered.Add(1)
			<-leave
			return nil, nil
		})
		h := open(t)
		ref := h.refer(h.export(i, "").URL().Address(), i, "timeout=60000&"+c.params)
		results := make(chan error, 4)
		for range 4 {
			go func() { _, err := call(context.Background(), ref, i.Methods[0]); results <- err }()
		}
		require.Eventually(t, func() bool { return entered.Load() == 4 }, patience, time.Millisecond)
		if c.ends {
			time.AfterFunc(10*time.Millisecond, func() { close(leave) })
		}
		require.NoError(t, ref.Close())
		for range 4 {
			err := receive(t, results)
			if c.ends {
				require.NoError(t, err)
				continue
			}
			e := failure(t, err)
			require.Equal(t, protocol.OutcomeUnknown, e.Outcome)
			require.Equal(t, protocol.Closed, e.Code)
		}
		if !c.ends {
			close(leave)
		}
	}
}

// TestProtocolClose ends what is still open.
func TestProtocolClose(t *testing.T) {
	h := open(t)
	m := hello()
	i := service(demo, m)
	e := h.export(i, "")
	ref := h.refer(e.URL().Address(), i, "connections=2")
	shared := h.refer(e.URL().Address(), i, "")
	require.NoError(t, h.Close())
	for _, r := range []protocol.Reference{ref, shared} {
		_, err := call(t.Context(), r, m, "x")
		require.Equal(t, protocol.Closed, failure(t, err).Code)
		require.NoError(t, r.Close())
	}
	require.NoError(t, e.Close(t.Context()))
	_, err := net.Dial("tcp", e.URL().Address())
	require.Error(t, err)
}
