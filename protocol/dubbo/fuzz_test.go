package dubbo_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/exchange"
	"github.com/ferryrpc/ferry/protocol"
)

// seeds adds the bodies of the golden frames whose names contain part.
func seeds(f *testing.F, part string, add func(h exchange.Header, body []byte)) {
	for name, v := range vectors(f) {
		if strings.Contains(name, part) && !strings.HasPrefix(name, "heartbeat") {
			golden := unhex(f, v.Hex)
			h, _ := exchange.ParseHeader(golden)
			add(h, golden[exchange.HeaderLen:])
		}
	}
}

// FuzzRequest: whatever the body, a server answers or refuses, and lives.
func FuzzRequest(f *testing.F) {
	seeds(f, "req_", func(_ exchange.Header, body []byte) { f.Add(body) })
	h := open(f, &User{}, &Team{}, &OutOfStock{})
	i, calls := recorder()
	e := h.export(i, "version=1.0.0")
	address := e.URL().Address()
	h.exportAt(address, i, "version=1.0.0&group=a")
	h.exportAt(address, people(), "")
	peer, err := net.Dial("tcp", address)
	require.NoError(f, err)
	f.Cleanup(func() { peer.Close() })
	f.Fuzz(func(t *testing.T, body []byte) {
		const id = 1 << 63
		require.NoError(t, peer.SetDeadline(time.Now().Add(patience)))
		_, err := peer.Write(frame(twoWay, 0, id, body))
		require.NoError(t, err)
		h, answer, err := readFrame(peer)
		require.NoError(t, err)
		require.EqualValues(t, uint64(id), h.ID)
		require.Contains(t, []byte{exchange.OK, exchange.BadRequest, exchange.ServiceError, exchange.BadResponse}, h.Status, "%q", answer)
		if h.Status != exchange.OK {
			require.NotEmpty(t, text(t, answer))
		}
		drain(calls)
	})
}

// FuzzAnswer: whatever the answer, a call gets its reply or one error.
func FuzzAnswer(f *testing.F) {
	seeds(f, "resp_", func(h exchange.Header, body []byte) { f.Add(h.Status, body) })
	type canned struct {
		status byte
		body   []byte
	}
	next := make(chan canned, 1)
	server := play(f, func(h exchange.Header, _ []byte) []byte {
		a := <-next
		return reply(h, a.status, a.body)
	})
	i := people()
	ref := open(f, &User{}, &Team{}, &OutOfStock{}).refer(server.address(), i, "timeout=10000")
	f.Fuzz(func(t *testing.T, status byte, body []byte) {
		for _, m := range i.Methods[:2] {
			next <- canned{status, body}
			err := ref.Invoke(context.Background(), invocation(m, nil))
			if err != nil {
				e := failure(t, err)
				require.NotEqual(t, protocol.NotSent, e.Outcome)
				if status != exchange.ClientTimeout && status != exchange.ServerTimeout {
					require.NotEqual(t, protocol.Timeout, e.Code)
				}
			}
		}
	})
}
