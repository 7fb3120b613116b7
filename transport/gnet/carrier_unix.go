//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package gnet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	stdnet "net"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/transport"
	"github.com/ferryrpc/ferry/url"
)

type carrier struct {
	log    *slog.Logger
	engine engine
}

var _ transport.Transport = (*carrier)(nil)

// New returns the transport. u's parameters are checked; those of the URLs given to Listen and Dial are in force there,
// but loops, which is u's. A TLS configuration in e is an error, as connections would not be protected.
func New(e extension.Env, u *url.URL) (transport.Transport, error) {
	if e.TLS != nil {
		return nil, errors.New("transport: gnet has no TLS, use transport=net")
	}
	p, err := read(u)
	if err != nil {
		return nil, err
	}
	t := &carrier{log: e.Log()}
	t.engine.log, t.engine.loops = t.log, p.Loops
	return t, nil
}

func read(u *url.URL) (Params, error) {
	var p Params
	if err := u.Decode(&p); err != nil {
		return p, fmt.Errorf("transport: %w", err)
	}
	if p.Loops < 0 {
		return p, errors.New("transport: parameter loops is below zero")
	}
	return p, p.Check()
}

// Dial implements transport.Transport.
func (t *carrier) Dial(ctx context.Context, u *url.URL, opened func(transport.Conn) transport.Receiver) (transport.Conn, error) {
	p, err := read(u)
	if err != nil {
		return nil, err
	}
	within, cancel := context.WithTimeout(ctx, p.ConnectTimeout)
	defer cancel()
	var d stdnet.Dialer
	socket, err := d.DialContext(within, "tcp", u.Address())
	if err != nil {
		return nil, transport.DialError(ctx, u.Address(), p.ConnectTimeout, err)
	}
	c := newConn(&t.engine, p.Params, opened, nil)
	if err := c.enroll(socket); err != nil {
		return nil, fmt.Errorf("transport: dial %s: %w", u.Address(), err)
	}
	return c, nil
}

// Listen implements transport.Transport.
func (t *carrier) Listen(u *url.URL, accept func(transport.Conn) transport.Receiver) (transport.Listener, error) {
	p, err := read(u)
	if err != nil {
		return nil, err
	}
	l, err := stdnet.Listen("tcp", u.Address())
	if err != nil {
		return nil, fmt.Errorf("transport: listen at %s: %w", u.Address(), err)
	}
	if err := t.engine.acquire(); err != nil {
		l.Close()
		return nil, fmt.Errorf("transport: listen at %s: %w", u.Address(), err)
	}
	s := &listener{carrier: t, l: l, p: p, accept: accept, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		transport.Accept(l, t.log, s.serve)
	}()
	return s, nil
}

type listener struct {
	*carrier
	l      stdnet.Listener
	p      Params
	accept func(transport.Conn) transport.Receiver
	group  transport.Group
	done   chan struct{} // closed when nothing is accepted any more
}

func (s *listener) Addr() stdnet.Addr { return s.l.Addr() }

// Close implements transport.Listener. It must not be called by a Receiver, for which it waits.
func (s *listener) Close() error {
	err := s.l.Close()
	<-s.done
	s.group.Close()
	if err != nil {
		if errors.Is(err, stdnet.ErrClosed) {
			return nil // closed before
		}
		return fmt.Errorf("transport: close %s: %w", s.l.Addr(), err)
	}
	s.engine.release()
	return nil
}

func (s *listener) serve(socket stdnet.Conn) {
	c := newConn(&s.engine, s.p.Params, s.accept, &s.group)
	if !s.group.Add(c, s.p.Accepts) {
		s.log.Warn("transport: connection refused", "peer", socket.RemoteAddr().String(), "accepts", s.p.Accepts)
		socket.Close()
		return
	}
	if err := c.enroll(socket); err != nil {
		s.group.Remove(c)
		s.log.Warn("transport: connection dropped", "peer", socket.RemoteAddr().String(), "error", err)
	}
}
