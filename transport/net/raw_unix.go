//go:build unix

package net

import (
	"errors"
	"fmt"
	"io"
	stdnet "net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ferryrpc/ferry/transport"
)

// raw reads and writes a socket with its own system calls, so that a write can return at once and a read needs no buffer while it waits. Its
// functions for the poller are made once, which keeps calls free of allocation.
type raw struct {
	socket    stdnet.Conn
	fd        syscall.RawConn
	in        *transport.Inbound
	readOnce  func(fd uintptr) bool
	writeOnce func(fd uintptr) bool

	got    int // of the reader
	gotErr error

	bufs    [][]byte // of the writer
	wait    bool
	put     int
	putErr  error
	limited bool // a deadline is set
}

// newRaw returns nil for a socket that has no descriptor of its own, such as a TLS connection.
func newRaw(socket stdnet.Conn, in *transport.Inbound) *raw {
	s, ok := socket.(syscall.Conn)
	if !ok {
		return nil
	}
	fd, err := s.SyscallConn()
	if err != nil {
		return nil
	}
	r := &raw{socket: socket, fd: fd, in: in}
	r.readOnce, r.writeOnce = r.tryRead, r.tryWrite
	return r
}

func (r *raw) readAll() error {
	for {
		if err := r.fd.Read(r.readOnce); err != nil {
			return readError(r.socket, err)
		}
		if r.gotErr != nil {
			return readError(r.socket, r.gotErr)
		}
		if r.got == 0 {
			return io.EOF
		}
		if err := r.in.Take(r.got); err != nil {
			return err
		}
	}
}

// tryRead returns false when there is nothing to read; the poller calls again when there is.
func (r *raw) tryRead(fd uintptr) bool {
	b := r.in.Space(0)
	for {
		r.got, r.gotErr = syscall.Read(int(fd), b)
		switch r.gotErr {
		case syscall.EAGAIN:
			r.in.Rest()
			return false
		case syscall.EINTR:
			continue
		}
		return true
	}
}

// Write implements transport.Sink.
func (r *raw) Write(bufs [][]byte, stall time.Duration) (int, error) {
	r.bufs, r.wait, r.put, r.putErr = bufs, stall > 0, 0, nil
	if r.wait {
		if err := r.socket.SetWriteDeadline(time.Now().Add(stall)); err != nil {
			return 0, err
		}
		r.limited = true
	} else {
		r.Rest()
	}
	err := r.fd.Write(r.writeOnce)
	r.bufs = nil
	if err == nil {
		err = r.putErr
	}
	if err != nil {
		return 0, fmt.Errorf("transport: write to %s: %w", r.socket.RemoteAddr(), err)
	}
	return r.put, nil
}

func (r *raw) tryWrite(fd uintptr) bool {
	for {
		if len(r.bufs) == 1 {
			r.put, r.putErr = syscall.Write(int(fd), r.bufs[0])
		} else {
			r.put, r.putErr = unix.Writev(int(fd), r.bufs)
		}
		switch r.putErr {
		case syscall.EAGAIN:
			r.put, r.putErr = 0, nil
			return !r.wait
		case syscall.EINTR:
			continue
		}
		return true
	}
}

// Rest implements transport.Sink.
func (r *raw) Rest() {
	if r.limited {
		r.limited = false
		_ = r.socket.SetWriteDeadline(time.Time{}) // fails only on a closed socket
	}
}

// patient is the socket under a TLS connection. Its Write fails when the peer takes nothing for the time of a stall,
// however long it lasts in all; once closing it takes only what goes out at once, so that the farewell of TLS delays
// nobody.
type patient struct {
	stdnet.Conn
	raw     *raw // used by one goroutine at a time, as TLS writes so
	stall   time.Duration
	closing atomic.Bool
}

// withPatience returns socket as it is where it has no descriptor of its own.
func withPatience(socket stdnet.Conn, stall time.Duration) stdnet.Conn {
	if raw := newRaw(socket, nil); raw != nil {
		return &patient{Conn: socket, raw: raw, stall: stall}
	}
	return socket
}

// lastWrite says that the connection is about to be closed.
func lastWrite(socket stdnet.Conn) {
	if p, ok := socket.(*patient); ok {
		p.closing.Store(true)
	}
}

func (p *patient) Write(b []byte) (n int, err error) {
	bufs := [][]byte{b}
	for len(bufs[0]) > 0 {
		m, err := 0, os.ErrDeadlineExceeded
		if !p.closing.Load() {
			m, err = p.raw.Write(bufs, p.stall)
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			// The system calls a socket writable when much of its buffer is free, which a slow peer may not bring about.
			if m, err = p.raw.Write(bufs, 0); m == 0 && err == nil {
				err = transport.ErrStalled
			}
		}
		if err != nil {
			return n, err
		}
		n += m
		bufs[0] = bufs[0][m:]
	}
	return n, nil
}

// SetWriteDeadline does nothing: the stall is the limit.
func (p *patient) SetWriteDeadline(time.Time) error { return nil }
