// Package transport carries bytes over connections.
//
// A transport pushes: it hands what arrives to the Receiver of the connection, and says how much of it may be
// forgotten by what Received returns. What is sent goes through a Line, which lets the first sender on an idle
// connection write for all that arrive meanwhile; system calls cost more than anything else here, and calls per write
// decide the speed.
//
// Folders hold the implementations: net (TCP and TLS), gnet (TCP with event loops, for very many connections), memory
// (inside the process). They share Line, Inbound, Group and Accept, which are for implementations; users need Transport
// and Frame.
package transport

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"github.com/ferryrpc/ferry/url"
)

// Errors that every transport reports alike.
var (
	// ErrClosed means that the connection or listener was closed on this side.
	ErrClosed = errors.New("transport: closed")
	// ErrFull means that the peer does not take what is queued for it and the queue is at its limit.
	ErrFull = errors.New("transport: send queue full")
	// ErrStalled means that the peer took nothing for the time that the parameter write.stall allows.
	ErrStalled = errors.New("transport: peer does not read")
)

// A Receiver is told what happens on one connection. Its methods are called by one goroutine at a time.
type Receiver interface {
	// Received gets all bytes that have arrived and were not used yet. It returns how many of them it used; the rest comes
	// again, at the front, with more behind it. b must not be kept. An error closes the connection with it as the cause.
	Received(b []byte) (used int, err error)
	// Closed is the last call: err is why. It matches io.EOF when the peer closed, and is io.EOF when it did so in order;
	// it is what this side gave to Close, or the error of Received, or ErrStalled.
	Closed(err error)
}

// A Conn is one connection. Its methods are safe from any number of goroutines.
type Conn interface {
	// Send queues f and takes it over; it is freed when its bytes have been handed to the socket. It does not block on the
	// peer: ErrFull says that too much is queued for it, and leaves f to the caller, who may Wait and try again. An error
	// means that no byte of f will be sent; without one, f is sent unless the connection ends before. calls is how many are
	// in flight on the connection: with more than one, the sender lets goroutines that can run add their frames before it
	// writes.
	Send(f *Frame, calls int) error
	// Wait returns a channel that is closed when the queue is half empty or the connection has ended; nil when that is so
	// now. All who wait are told at once, so that another one's frame may fill the queue again before a Send.
	Wait() <-chan struct{}
	// Close ends the connection and drops what is queued. Receiver.Closed follows, once, from another goroutine. The first
	// cause counts; nil is ErrClosed.
	Close(cause error)
	// Flush returns when all that was queued before has been handed to the socket, or an error ended the connection.
	Flush(ctx context.Context) error
	LocalAddr() net.Addr
	RemoteAddr() net.Addr
}

// A Listener accepts connections.
type Listener interface {
	// Addr is the address in use; its port is the real one.
	Addr() net.Addr
	// Close stops listening and closes all connections. It returns when no Receiver is called any more.
	Close() error
}

// A Transport makes connections. All methods are safe from any number of goroutines, but a Receiver must not call them:
// its goroutine may be the one that they wait for.
type Transport interface {
	// Listen accepts connections at u's address. accept is called for each, before any byte of it is delivered.
	Listen(u *url.URL, accept func(Conn) Receiver) (Listener, error)
	// Dial connects to u's address; ctx and the parameter connect.timeout bound it. opened is called before any byte is delivered.
	Dial(ctx context.Context, u *url.URL, opened func(Conn) Receiver) (Conn, error)
}

// Params are the URL parameters of all transports.
type Params struct {
	ConnectTimeout time.Duration `url:"connect.timeout" default:"3000" doc:"longest time to establish a connection"`
	Queue          int           `url:"queue" default:"16777216" doc:"most bytes that wait to be sent on one connection"`
	WriteStall     time.Duration `url:"write.stall" default:"30000" doc:"a peer that takes nothing for this long is closed"`
	Accepts        int           `url:"accepts" default:"0" doc:"most connections that a server has at a time, 0 is unlimited"`
}

// ReadParams reads the parameters from u. Zero means the default, but for accepts; less than zero is an error.
func ReadParams(u *url.URL) (Params, error) {
	var p Params
	if err := u.Decode(&p); err != nil {
		return p, fmt.Errorf("transport: %w", err)
	}
	return p, p.Check()
}

// Check puts defaults in place of zeros and refuses what is below zero.
func (p *Params) Check() error {
	switch {
	case p.ConnectTimeout < 0:
		return errors.New("transport: parameter connect.timeout is below zero")
	case p.Queue < 0:
		return errors.New("transport: parameter queue is below zero")
	case p.WriteStall < 0:
		return errors.New("transport: parameter write.stall is below zero")
	case p.Accepts < 0:
		return errors.New("transport: parameter accepts is below zero")
	}
	p.ConnectTimeout = cmp.Or(p.ConnectTimeout, 3*time.Second)
	p.Queue = cmp.Or(p.Queue, 16<<20)
	p.WriteStall = cmp.Or(p.WriteStall, 30*time.Second)
	return nil
}

// Cause turns the error of a socket into the reason for Receiver.Closed: it matches io.EOF when the peer ended the connection, be it
// with a reset.
func Cause(err error) error {
	switch {
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return fmt.Errorf("transport: reset by the peer: %w", io.EOF)
	case errors.Is(err, io.ErrUnexpectedEOF): // TLS without its farewell
		return fmt.Errorf("transport: cut off by the peer: %w", io.EOF)
	}
	return err
}
