package memory

import (
	stdnet "net"
	"time"

	"github.com/ferryrpc/ferry/transport"
)

// conn is one end of a connection.
type conn struct {
	transport.Line
	in            transport.Inbound
	from, to      *pipe
	local, remote address
	group         *transport.Group // nil for the end that dialled
}

var _ transport.Conn = (*conn)(nil)

func newConn(p transport.Params, from, to *pipe) *conn {
	c := &conn{from: from, to: to}
	c.Start(sink{to}, p, false, c.failed)
	return c
}

func (c *conn) LocalAddr() stdnet.Addr  { return c.local }
func (c *conn) RemoteAddr() stdnet.Addr { return c.remote }

// Close implements transport.Conn.
func (c *conn) Close(cause error) {
	if cause == nil {
		cause = transport.ErrClosed
	}
	c.End(cause)
	c.hangUp()
}

// hangUp lets the peer read what is in its pipe, and nothing more come from it.
func (c *conn) hangUp() {
	c.to.finish()
	c.from.abandon()
}

// failed is told by the line that nothing can be written any more. When the peer has gone, the read loop finds the end
// of what it sent; a peer that does not read is cut off.
func (c *conn) failed(err error) {
	if err == transport.ErrStalled {
		c.hangUp()
	}
}

// read is the goroutine of this end.
func (c *conn) read() {
	for {
		f, err := c.from.take()
		if err == nil {
			err = c.in.Feed(f.B)
			f.Free()
		}
		if err != nil {
			c.End(err)
			break
		}
	}
	c.hangUp()
	c.Quiet()
	c.in.Drop()
	c.in.Receiver.Closed(c.Err())
	if c.group != nil {
		c.group.Remove(c)
	}
}

// sink is the writing end of a pipe.
type sink struct{ to *pipe }

func (s sink) Write(bufs [][]byte, stall time.Duration) (int, error) { return s.to.put(bufs, stall) }
func (s sink) Rest()                                                 {}
