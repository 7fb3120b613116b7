// Package net carries bytes over TCP with the standard library's sockets, and over TLS.
//
// Each connection has one goroutine that reads. It borrows a buffer of 64 KiB while bytes come and gives it back before
// it waits, so an idle connection owns a goroutine and no buffer. What is sent goes through a transport.Line, whose
// senders write to the socket themselves; the line's flusher takes over when the socket is full. With TLS, and where
// the system has no write that returns at once, the flusher writes everything.
//
// A listener has one goroutine more, which accepts. TLS handshakes are made in the connection's own goroutine.
package net

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	stdnet "net"
	"time"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/transport"
	"github.com/ferryrpc/ferry/url"
)

// Params are the URL parameters of this transport.
type Params struct {
	transport.Params
	HandshakeTimeout time.Duration `url:"handshake.timeout" default:"5000" doc:"longest time for a TLS handshake"`
}

type carrier struct {
	client, server *tls.Config // nil means plain TCP
	log            *slog.Logger
}

var _ transport.Transport = (*carrier)(nil)

// New returns the transport. With a TLS configuration in e all connections are TLS, of version 1.2 at least. u's
// parameters are checked; those of the URLs given to Listen and Dial are in force there.
func New(e extension.Env, u *url.URL) (transport.Transport, error) {
	if _, err := read(u); err != nil {
		return nil, err
	}
	t := &carrier{log: e.Log()}
	if e.TLS != nil {
		c := e.TLS.Clone()
		c.MinVersion = max(c.MinVersion, tls.VersionTLS12)
		t.client, t.server = c, c
	}
	return t, nil
}

func read(u *url.URL) (Params, error) {
	var p Params
	if err := u.Decode(&p); err != nil {
		return p, fmt.Errorf("transport: %w", err)
	}
	if p.HandshakeTimeout < 0 {
		return p, errors.New("transport: parameter handshake.timeout is below zero")
	}
	if p.HandshakeTimeout == 0 {
		p.HandshakeTimeout = 5 * time.Second
	}
	return p, p.Check()
}

// Dial implements transport.Transport. With TLS the handshake is part of it.
func (t *carrier) Dial(ctx context.Context, u *url.URL, opened func(transport.Conn) transport.Receiver) (transport.Conn, error) {
	p, err := read(u)
	if err != nil {
		return nil, err
	}
	address := u.Address()
	within, cancel := context.WithTimeout(ctx, p.ConnectTimeout)
	defer cancel()
	var d stdnet.Dialer
	socket, err := d.DialContext(within, "tcp", address)
	if err != nil {
		return nil, transport.DialError(ctx, address, p.ConnectTimeout, err)
	}
	if t.client == nil {
		c := newConn(socket, p.Params)
		c.serve(opened)
		go c.read()
		return c, nil
	}
	config := t.client
	if config.ServerName == "" && !config.InsecureSkipVerify {
		config = config.Clone()
		config.ServerName = u.Host()
	}
	secure := tls.Client(withPatience(socket, p.WriteStall), config)
	within, cancel = context.WithTimeout(ctx, p.HandshakeTimeout)
	defer cancel()
	if err := secure.HandshakeContext(within); err != nil {
		socket.Close()
		return nil, fmt.Errorf("transport: TLS handshake with %s: %w", address, err)
	}
	c := newConn(secure, p.Params)
	c.serve(opened)
	go c.read()
	return c, nil
}

// Listen implements transport.Transport.
func (t *carrier) Listen(u *url.URL, accept func(transport.Conn) transport.Receiver) (transport.Listener, error) {
	p, err := read(u)
	if err != nil {
		return nil, err
	}
	if t.server != nil && len(t.server.Certificates) == 0 && t.server.GetCertificate == nil && t.server.GetConfigForClient == nil {
		return nil, fmt.Errorf("transport: listen at %s: the TLS configuration has no certificate", u.Address())
	}
	l, err := stdnet.Listen("tcp", u.Address())
	if err != nil {
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
	if err != nil && !errors.Is(err, stdnet.ErrClosed) {
		return fmt.Errorf("transport: close %s: %w", s.l.Addr(), err)
	}
	return nil
}

// serve starts the goroutine of an accepted connection; it must not wait for the peer.
func (s *listener) serve(socket stdnet.Conn) {
	var secure *tls.Conn
	if s.server != nil {
		secure = tls.Server(withPatience(socket, s.p.WriteStall), s.server)
		socket = secure
	}
	c := newConn(socket, s.p.Params)
	if !s.group.Add(c, s.p.Accepts) {
		s.log.Warn("transport: connection refused", "peer", socket.RemoteAddr().String(), "accepts", s.p.Accepts)
		socket.Close()
		return
	}
	go func() {
		defer s.group.Remove(c)
		if secure != nil {
			ctx, cancel := context.WithTimeout(context.Background(), s.p.HandshakeTimeout)
			err := secure.HandshakeContext(ctx)
			cancel()
			if err != nil {
				s.log.Debug("transport: TLS handshake failed", "peer", c.RemoteAddr().String(), "error", err)
				secure.NetConn().Close()
				return
			}
		}
		c.serve(s.accept)
		c.read()
	}()
}
