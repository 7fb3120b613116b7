//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package gnet

import (
	"errors"
	"fmt"
	"io"
	stdnet "net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"

	"github.com/ferryrpc/ferry/transport"
)

// After a failed write the peer's last words are still read for this long.
const lastWords = time.Second

type conn struct {
	transport.Line
	engine        *engine
	group         *transport.Group // nil for a dialled connection
	opened        func(transport.Conn) transport.Receiver
	local, remote stdnet.Addr
	in            transport.Inbound // the event loop's
	full          *waiting          // the flusher's, while it waits

	mu    sync.Mutex // guards the following, and is held during each write that does not wait
	fd    int        // -1 when the event loop has closed it or is about to
	gnet  gnet.Conn  // nil before it is enrolled and after it is closed
	grace *time.Timer
}

var _ transport.Conn = (*conn)(nil)

func newConn(e *engine, p transport.Params, opened func(transport.Conn) transport.Receiver, g *transport.Group) *conn {
	c := &conn{engine: e, group: g, opened: opened, fd: -1}
	c.Start(c, p, false, c.failed)
	return c
}

// enroll gives the socket to an event loop. It returns when opened has been called, or with the error that prevented it.
func (c *conn) enroll(socket stdnet.Conn) error {
	if err := c.engine.acquire(); err != nil {
		socket.Close()
		return err
	}
	c.local, c.remote = socket.LocalAddr(), socket.RemoteAddr()
	_, err := c.engine.loop.EnrollContext(socket, c) // duplicates the descriptor and closes socket
	if err == nil && c.in.Receiver == nil {
		err = errors.New("the event loop did not take the connection")
	}
	if err != nil {
		c.engine.release()
		return fmt.Errorf("gnet: %w", err)
	}
	return nil
}

// opening is the first call by the event loop.
func (c *conn) opening(g gnet.Conn) gnet.Action {
	c.mu.Lock()
	c.gnet, c.fd = g, g.Fd()
	c.mu.Unlock()
	c.in.Receiver = c.opened(c)
	c.opened = nil
	if c.Err() != nil {
		return gnet.Close // closed before it was enrolled
	}
	return gnet.None
}

// traffic hands what has arrived to the Receiver.
func (c *conn) traffic(g gnet.Conn) gnet.Action {
	b, err := g.Next(-1)
	if err == nil && c.Err() != nil {
		return gnet.Close
	}
	if err == nil && len(b) > 0 {
		err = c.in.Feed(b)
	}
	if err != nil {
		c.End(err)
		return gnet.Close
	}
	return gnet.None
}

// closing is the last call by the event loop. Nobody writes to the descriptor any more when it returns.
func (c *conn) closing(err error) {
	switch {
	case err == nil:
		err = transport.ErrClosed
	case errors.Is(err, io.EOF):
		err = io.EOF
	default:
		err = transport.Cause(fmt.Errorf("transport: read from %s: %w", c.remote, err))
	}
	c.End(err)
	c.mu.Lock()
	c.fd, c.gnet = -1, nil
	if c.grace != nil {
		c.grace.Stop()
	}
	c.mu.Unlock()
	c.in.Drop()
	go c.closed()
}

// closed ends the connection outside of the event loop: it may have to wait for the flusher, and the last one stops the loops.
func (c *conn) closed() {
	c.Quiet()
	c.in.Receiver.Closed(c.Err())
	c.engine.release()
	if c.group != nil {
		c.group.Remove(c)
	}
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

// hangUp has the event loop close the descriptor, and wakes the flusher if it waits for the peer.
func (c *conn) hangUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gnet != nil {
		_ = unix.Shutdown(c.fd, unix.SHUT_RDWR) // fails only when the connection is gone
		_ = c.gnet.Close()
	}
}

// failed is told by the line that nothing can be written any more. A peer that went away may have sent something
// before, and the event loop finds its end; a peer that does not read is cut off.
func (c *conn) failed(err error) {
	if errors.Is(err, transport.ErrStalled) {
		c.hangUp()
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gnet != nil {
		c.grace = time.AfterFunc(lastWords, c.hangUp)
	}
}

// Write implements transport.Sink.
func (c *conn) Write(bufs [][]byte, stall time.Duration) (n int, err error) {
	if stall == 0 {
		n, err = c.writeNow(bufs)
	} else {
		n, err = c.writeWaiting(bufs, stall)
	}
	if err != nil {
		return 0, fmt.Errorf("transport: write to %s: %w", c.remote, err)
	}
	return n, nil
}

func (c *conn) writeNow(bufs [][]byte) (n int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fd < 0 {
		return 0, stdnet.ErrClosed
	}
	if n, err = write(c.fd, bufs); err == syscall.EAGAIN {
		return 0, nil
	}
	return n, err
}

func write(fd int, bufs [][]byte) (n int, err error) {
	for {
		if len(bufs) == 1 {
			n, err = syscall.Write(fd, bufs[0])
		} else {
			n, err = unix.Writev(fd, bufs)
		}
		if err != syscall.EINTR {
			return n, err
		}
	}
}

// waiting is a duplicate of the descriptor that the Go runtime watches.
type waiting struct {
	file *os.File
	raw  syscall.RawConn
}

// writeWaiting writes through a duplicate of the descriptor, which has the Go runtime wake the flusher.
func (c *conn) writeWaiting(bufs [][]byte, stall time.Duration) (n int, err error) {
	if c.full == nil {
		if c.full, err = c.duplicate(); err != nil {
			return 0, err
		}
	}
	if err := c.full.file.SetWriteDeadline(time.Now().Add(stall)); err != nil {
		return 0, err
	}
	var failed error
	err = c.full.raw.Write(func(fd uintptr) bool {
		n, failed = write(int(fd), bufs)
		return failed != syscall.EAGAIN
	})
	if err != nil {
		return 0, err
	}
	return n, failed
}

func (c *conn) duplicate() (*waiting, error) {
	c.mu.Lock()
	if c.fd < 0 {
		c.mu.Unlock()
		return nil, stdnet.ErrClosed
	}
	fd, err := unix.FcntlInt(uintptr(c.fd), unix.F_DUPFD_CLOEXEC, 0)
	c.mu.Unlock()
	if err != nil {
		return nil, os.NewSyscallError("dup", err)
	}
	file := os.NewFile(uintptr(fd), "connection")
	raw, err := file.SyscallConn()
	if err != nil {
		file.Close()
		return nil, err
	}
	return &waiting{file: file, raw: raw}, nil
}

// Rest implements transport.Sink.
func (c *conn) Rest() {
	if c.full != nil {
		_ = c.full.file.Close()
		c.full = nil
	}
}
