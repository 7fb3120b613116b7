package transporttest

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/transport"
)

// Bench measures echoes over one connection in a closed loop: each caller sends a message and sleeps until its answer
// comes; the server answers each message in a goroutine of its own. It reports calls per second and calls per write on
// both sides.
func Bench(b *testing.B, open Open) {
	for _, size := range []int{128, 16 << 10} {
		for _, callers := range []int{1, 64, 512} {
			b.Run(fmt.Sprintf("size=%d/callers=%d", size, callers), func(b *testing.B) { benchEcho(b, open, size, callers) })
		}
	}
}

// A message is its length, the number of its caller, and a body.
const benchHead = 8

type benchServer struct {
	conn    transport.Conn
	running atomic.Int64
}

func (s *benchServer) Closed(error) {}

func (s *benchServer) Received(b []byte) (int, error) {
	return messages(b, func(m []byte) {
		f := transport.NewFrame(len(m))
		f.B = append(f.B, m...)
		s.running.Add(1)
		go s.answer(f)
	})
}

func (s *benchServer) answer(f *transport.Frame) {
	calls := int(s.running.Add(-1)) + 1
	_ = s.conn.Send(f, calls)
}

type benchClient struct {
	waits []chan struct{}
}

func (c *benchClient) Closed(error) {}

func (c *benchClient) Received(b []byte) (int, error) {
	return messages(b, func(m []byte) { c.waits[binary.BigEndian.Uint32(m[4:])] <- struct{}{} })
}

func messages(b []byte, each func(m []byte)) (used int, err error) {
	for len(b)-used >= benchHead {
		n := int(binary.BigEndian.Uint32(b[used:]))
		if len(b)-used < n {
			break
		}
		each(b[used : used+n])
		used += n
	}
	return used, nil
}

func benchEcho(b *testing.B, open Open, size, callers int) {
	t, dialer, base := open(b)
	var server *benchServer
	l, err := t.Listen(base, func(c transport.Conn) transport.Receiver {
		server = &benchServer{conn: c}
		return server
	})
	require.NoError(b, err)
	defer l.Close()
	client := &benchClient{waits: make([]chan struct{}, callers)}
	for i := range client.waits {
		client.waits[i] = make(chan struct{}, 1)
	}
	conn, err := dialer.Dial(context.Background(), base.WithAddress(l.Addr().String()), func(transport.Conn) transport.Receiver { return client })
	require.NoError(b, err)
	defer conn.Close(nil)

	var left atomic.Int64
	var all sync.WaitGroup
	left.Store(int64(b.N))
	b.ReportAllocs()
	cpu := processTime()
	b.ResetTimer()
	for i := range callers {
		all.Go(func() {
			for left.Add(-1) >= 0 {
				f := transport.NewFrame(benchHead + size)
				f.B = f.B[:benchHead+size]
				binary.BigEndian.PutUint32(f.B, uint32(len(f.B)))
				binary.BigEndian.PutUint32(f.B[4:], uint32(i))
				if conn.Send(f, callers) != nil {
					return
				}
				<-client.waits[i]
			}
		})
	}
	all.Wait()
	b.StopTimer()
	calls := float64(b.N)
	b.ReportMetric(calls/b.Elapsed().Seconds(), "calls/s")
	b.ReportMetric(float64(processTime()-cpu)/calls/1e3, "cpu-µs/call")
	if c, ok := conn.(counter); ok {
		_, w := c.Counts()
		b.ReportMetric(calls/float64(w), "requests/write")
		_, w = server.conn.(counter).Counts()
		b.ReportMetric(calls/float64(w), "replies/write")
	}
}

type counter interface {
	Counts() (bytes, writes uint64)
}
