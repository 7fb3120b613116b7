package zkembed

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync/atomic"
	"time"
)

// A Listener is one address at which the server can be reached. What its methods do concerns the connections made there,
// and nothing else: sessions, nodes and watches belong to the server. They are safe for concurrent use.
type Listener struct {
	s       *Server
	addr    string
	in, out gate

	// Guarded by s.mu:
	ln   net.Listener // nil while connects are refused
	deaf bool
}

// A Direction is a way that bytes go over a connection.
type Direction int

// The directions that Hold can stop.
const (
	Inbound  Direction = 1 << iota // from clients to the server
	Outbound                       // from the server to clients
	Both     = Inbound | Outbound
)

// Listen opens a further address; a port of 0 means a free one. It stays until the server is closed.
func (s *Server) Listen(addr string) (*Listener, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.running {
		return nil, errors.New("zkembed: listen: server does not run")
	}
	ln, err := listen(addr)
	if err != nil {
		return nil, fmt.Errorf("zkembed: %w", err)
	}
	l := &Listener{s: s, addr: ln.Addr().String()}
	s.listeners = append(s.listeners, l)
	l.serveLocked(ln)
	return l, nil
}

// listen prefers a port below the kernel's range for outgoing connections: while the server is stopped no other program
// gets it, and a client that dials it does not end up connected with itself.
func listen(addr string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	if port == "0" {
		for range 50 {
			ln, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(12000+rand.IntN(20000))))
			if err == nil {
				return ln, nil
			}
		}
	}
	return net.Listen("tcp", addr)
}

// Addr is the host:port of the listener.
func (l *Listener) Addr() string { return l.addr }

// Cut closes the connections made here. Sessions live on.
func (l *Listener) Cut() {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	for c := range l.s.conns {
		if c.l == l {
			l.s.cutLocked(c)
		}
	}
}

// Hold stops the bytes of a direction, or of both, like a network that drops packets: nothing is lost on connections that
// live until Release, and nobody is told of those that end meanwhile.
func (l *Listener) Hold(d Direction) {
	if d&Inbound != 0 {
		l.in.shut()
	}
	if d&Outbound != 0 {
		l.out.shut()
	}
}

// Release ends every Hold.
func (l *Listener) Release() {
	l.in.open()
	l.out.open()
}

// Deaf makes the listener accept connections and read from them, but neither apply nor answer anything. What was sent to
// a deaf listener stays lost.
func (l *Listener) Deaf(on bool) {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	l.deaf = on
}

// Refuse closes the listening socket, so that connects are refused. Connections that exist stay.
func (l *Listener) Refuse() {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	l.closeLocked()
}

// Accept ends Refuse.
func (l *Listener) Accept() error {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	if !l.s.running {
		return errors.New("zkembed: accept: server does not run")
	}
	return l.openLocked()
}

func (l *Listener) openLocked() error {
	if l.ln != nil {
		return nil
	}
	ln, err := net.Listen("tcp", l.addr)
	if err != nil {
		return fmt.Errorf("zkembed: %w", err)
	}
	l.serveLocked(ln)
	return nil
}

func (l *Listener) closeLocked() {
	if l.ln != nil {
		l.ln.Close()
		l.ln = nil
	}
}

func (l *Listener) serveLocked(ln net.Listener) {
	l.ln = ln
	l.s.wg.Go(func() { l.accept(ln) })
}

func (l *Listener) accept(ln net.Listener) {
	for {
		nc, err := ln.Accept()
		switch {
		case err == nil:
			l.admit(ln, nc)
		case errors.Is(err, net.ErrClosed):
			return
		default: // such as too many open files: it passes
			l.s.o.Logger.Warn("zkembed: accept", "cause", err)
			select {
			case <-time.After(10 * time.Millisecond):
			case <-l.s.stop:
			}
		}
	}
}

func (l *Listener) admit(ln net.Listener, nc net.Conn) {
	s := l.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.ln != ln || len(s.conns) >= s.o.MaxConns {
		s.o.Logger.Warn("zkembed: connection refused", "client", nc.RemoteAddr(), "open", len(s.conns))
		nc.Close()
		return
	}
	c := newConn(l, nc)
	s.conns[c] = struct{}{}
	s.wg.Go(c.read)
	s.wg.Go(c.write)
}

// A gate stops goroutines while it is shut.
type gate struct{ closed atomic.Pointer[chan struct{}] }

func (g *gate) shut() {
	ch := make(chan struct{})
	g.closed.CompareAndSwap(nil, &ch)
}

func (g *gate) open() {
	if ch := g.closed.Swap(nil); ch != nil {
		close(*ch)
	}
}

// pass waits until the gate is open. It returns false if gone comes first.
func (g *gate) pass(gone chan struct{}) bool {
	for {
		ch := g.closed.Load()
		if ch == nil {
			return true
		}
		select {
		case <-*ch:
		case <-gone:
			return false
		}
	}
}
