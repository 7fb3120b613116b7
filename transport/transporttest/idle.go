package transporttest

import (
	"net"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/transport"
)

// BenchIdle measures the memory, heap and stacks, that an idle connection costs the server of a TCP transport after it
// has carried a message both ways. The clients are bare sockets in the same process; what they cost is taken off.
func BenchIdle(b *testing.B, open Open) {
	const connections = 2000
	for range b.N {
		server, _, base := open(b)
		bare, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(b, err)
		before := memory()
		var sockets []net.Conn
		for range connections {
			c, err := net.Dial("tcp", bare.Addr().String())
			require.NoError(b, err)
			sockets = append(sockets, c)
		}
		clients := memory() - before
		for _, c := range sockets {
			c.Close()
		}
		bare.Close()
		sockets = sockets[:0]
		before = memory()
		l, err := server.Listen(base, func(c transport.Conn) transport.Receiver { return &benchServer{conn: c} })
		require.NoError(b, err)
		message := []byte("\x00\x00\x00\x08\x00\x00\x00\x00")
		for range connections {
			c, err := net.Dial("tcp", l.Addr().String())
			require.NoError(b, err)
			_, err = c.Write(message)
			require.NoError(b, err)
			_, err = c.Read(make([]byte, len(message)))
			require.NoError(b, err)
			sockets = append(sockets, c)
		}
		b.ReportMetric(float64(memory()-before-clients)/connections, "B/connection")
		for _, c := range sockets {
			c.Close()
		}
		require.NoError(b, l.Close())
	}
}

// memory is what the heap and the stacks use.
func memory() int {
	var m runtime.MemStats
	for range 3 { // pools are empty after the second collection
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc + m.StackInuse)
}
