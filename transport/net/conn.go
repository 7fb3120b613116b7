package net

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	stdnet "net"
	"sync"
	"time"

	"github.com/ferryrpc/ferry/transport"
)

// After a failed write the peer's last words are still read for this long.
const lastWords = time.Second

type conn struct {
	transport.Line
	socket stdnet.Conn
	raw    *raw // nil where reads and writes go through socket
	in     transport.Inbound

	mu    sync.Mutex  // guards the following
	grace *time.Timer // closes the socket after a failed write
	over  bool        // the read loop has ended
}

var _ transport.Conn = (*conn)(nil)

func newConn(socket stdnet.Conn, p transport.Params) *conn {
	c := &conn{socket: socket}
	c.raw = newRaw(socket, &c.in)
	if c.raw != nil {
		c.Start(c.raw, p, false, c.failed)
	} else {
		c.Start(&buffered{socket: socket}, p, true, c.failed)
	}
	return c
}

// serve lets the connection's owner see it, before anything is read.
func (c *conn) serve(opened func(transport.Conn) transport.Receiver) { c.in.Receiver = opened(c) }

func (c *conn) LocalAddr() stdnet.Addr  { return c.socket.LocalAddr() }
func (c *conn) RemoteAddr() stdnet.Addr { return c.socket.RemoteAddr() }

// Close implements transport.Conn.
func (c *conn) Close(cause error) {
	if cause == nil {
		cause = transport.ErrClosed
	}
	c.End(cause)
	c.hangUp()
}

// hangUp closes the socket without waiting for the peer.
func (c *conn) hangUp() {
	if t, ok := c.socket.(*tls.Conn); ok {
		lastWrite(t.NetConn())
	}
	c.socket.Close()
}

// failed is told by the line that nothing can be written any more. A peer that went away may have sent something
// before, and the read loop finds its end; a peer that does not read is cut off.
func (c *conn) failed(err error) {
	if errors.Is(err, transport.ErrStalled) {
		c.hangUp()
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.over {
		c.grace = time.AfterFunc(lastWords, c.hangUp)
	}
}

// read is the read loop, the connection's goroutine.
func (c *conn) read() {
	var err error
	if c.raw != nil {
		err = c.raw.readAll()
	} else {
		err = c.readAll()
	}
	c.End(err)
	c.hangUp()
	c.mu.Lock()
	c.over = true
	if c.grace != nil {
		c.grace.Stop()
	}
	c.mu.Unlock()
	c.Quiet()
	c.in.Drop()
	c.in.Receiver.Closed(c.Err())
}

// readAll is the read loop over a socket that needs its buffer while it waits: a small one that grows when reads fill it.
func (c *conn) readAll() error {
	const small, large = 4 << 10, 64 << 10
	size := small
	for {
		b := c.in.Space(size)
		n, err := c.socket.Read(b)
		if n > 0 {
			if err := c.in.Take(n); err != nil {
				return err
			}
		}
		if err != nil {
			return readError(c.socket, err)
		}
		if n == len(b) {
			size = large
		} else if n < small {
			size = small
			c.in.Rest()
		}
	}
}

func readError(socket stdnet.Conn, err error) error {
	if err == io.EOF {
		return err
	}
	return transport.Cause(fmt.Errorf("transport: read from %s: %w", socket.RemoteAddr(), err))
}

// buffered is the sink of a socket whose every write may wait.
type buffered struct{ socket stdnet.Conn }

func (s *buffered) Write(bufs [][]byte, stall time.Duration) (n int, err error) {
	for _, b := range bufs {
		// A piece at a time, so that a slow peer which does take some is not taken for a stalled one.
		for len(b) > 0 {
			if err := s.socket.SetWriteDeadline(time.Now().Add(stall)); err != nil {
				return n, err
			}
			m, err := s.socket.Write(b[:min(len(b), 16<<10)])
			n += m
			if err != nil {
				return n, fmt.Errorf("transport: write to %s: %w", s.socket.RemoteAddr(), err)
			}
			b = b[m:]
		}
	}
	return n, nil
}

func (s *buffered) Rest() {}
