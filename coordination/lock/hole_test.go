package lock

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/internal/zk"
	"github.com/ferryrpc/ferry/url"
)

// openVia opens a client whose connections go through a hole.
func openVia(t testing.TB, addr string, session time.Duration, h *hole) *Client {
	t.Helper()
	c, err := New(extension.Env{}, url.MustParse("zookeeper://"+addr))
	require.NoError(t, err)
	require.NoError(t, c.release())
	require.NoError(t, c.open(nil, zk.Config{Addresses: []string{addr}, SessionTimeout: session, Dial: h.dial}))
	c.lax = c.zk.Strict()
	t.Cleanup(func() { h.fill(); require.NoError(t, c.Close()) })
	return c
}

// A hole is a network in which packets vanish while it is open, in both directions, without anybody being told.
type hole struct {
	mu       sync.Mutex
	closed   chan struct{} // nil: packets pass
	conns    []*holeConn
	greeting []byte // the server's answer to the last handshake
}

// greetingSize is that of a length, a protocol, a timeout, a session, and a password of 16 bytes with its length.
const greetingSize = 4 + 4 + 4 + 8 + 4 + 16

func (h *hole) dig() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = make(chan struct{})
}

func (h *hole) fill() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed != nil {
		close(h.closed)
		h.closed = nil
	}
}

func (h *hole) state() chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.closed
}

func (h *hole) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if closed := h.state(); closed != nil {
		select {
		case <-closed:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	through := &holeConn{Conn: conn, h: h, over: make(chan struct{})}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.conns = append(h.conns, through)
	return through, nil
}

type holeConn struct {
	net.Conn
	h    *hole
	once sync.Once
	over chan struct{}
	lost atomic.Bool
	head []byte // what came first, greetingSize bytes of it; the reader's
}

func (c *holeConn) Write(p []byte) (int, error) {
	if c.h.state() != nil || c.lost.Load() { // a stream with a gap does not go on
		c.lost.Store(true)
		return len(p), nil
	}
	return c.Conn.Write(p)
}

func (c *holeConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if left := greetingSize - len(c.head); left > 0 {
		if c.head = append(c.head, p[:min(n, left)]...); len(c.head) == greetingSize {
			c.h.mu.Lock()
			c.h.greeting = c.head
			c.h.mu.Unlock()
		}
	}
	if closed := c.h.state(); closed != nil && err == nil {
		c.lost.Store(true)
		select {
		case <-closed:
		case <-c.over:
		}
		return 0, net.ErrClosed
	}
	return n, err
}

func (c *holeConn) Close() error {
	c.once.Do(func() { close(c.over) })
	return c.Conn.Close()
}

// cut breaks all connections.
func (h *hole) cut() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.conns {
		_ = c.Conn.Close() // it may have ended before
	}
	h.conns = nil
}

// session is the id of the last session, 0 before the first.
func (h *hole) session() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.greeting == nil {
		return 0
	}
	return int64(binary.BigEndian.Uint64(h.greeting[12:]))
}

// expire ends the last session at the server, as whoever knows its password can: it takes the session up and closes it.
func (h *hole) expire(addr string) error {
	h.mu.Lock()
	g := bytes.Clone(h.greeting)
	h.mu.Unlock()
	if g == nil {
		return nil
	}
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	hello := binary.BigEndian.AppendUint32(nil, greetingSize+4)
	hello = append(hello, make([]byte, 4+8)...) // the protocol, and no transaction seen
	hello = binary.BigEndian.AppendUint32(hello, 10_000)
	hello = append(hello, g[12:]...)
	bye := []byte{0, 0, 0, 8, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xf5} // request 1, of type -11
	if _, err := conn.Write(append(hello, bye...)); err != nil {
		return err
	}
	_ = conn.SetReadDeadline(time.Now().Add(time.Second)) // fails only on a closed connection
	_, _ = io.Copy(io.Discard, conn)                      // until the server has closed it
	return nil
}
