package dubbo_test

import (
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/exchange"
)

// A script is a provider that answers as a test says. It runs for each request with its header and body; what it
// returns is sent.
type script func(h exchange.Header, body []byte) []byte

// A scripted server counts the connections that it took.
type scripted struct {
	net.Listener
	mu    sync.Mutex // guards the following
	conns []net.Conn
}

func play(t testing.TB, run script) *scripted {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &scripted{Listener: l}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns = append(s.conns, c)
			s.mu.Unlock()
			serving.Go(func() {
				for {
					h, body, err := readFrame(c)
					if err != nil {
						return
					}
					if _, err := c.Write(run(h, body)); err != nil {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		s.drop()
		serving.Wait()
	})
	return s
}

// drop closes all connections and says how many there were.
func (s *scripted) drop() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.conns {
		c.Close()
	}
	return len(s.conns)
}

func (s *scripted) address() string { return s.Addr().String() }

// reply is an answer to h.
func reply(h exchange.Header, status byte, body []byte) []byte {
	return frame(h.Serialization(), status, h.ID, body)
}

// always answers every request with the same.
func always(status byte, body []byte) script {
	return func(h exchange.Header, _ []byte) []byte { return reply(h, status, body) }
}

// words is a text in hessian2.
func words(s string) []byte {
	w := plain.Writer(nil)
	defer w.Free()
	w.WriteString(s)
	return w.Bytes()
}
