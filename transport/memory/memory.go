// Package memory carries bytes inside the process: for tests without ports, and for calls between a client and a server
// that happen to live together. Queues, limits, stalls and closing behave as they do over a network.
//
// A connection is two pipes, one for each direction. A pipe holds up to 256 KiB, which is what a socket buffer would;
// what is beyond waits in the sender's transport.Line. Each end has one goroutine, which takes what is in its pipe and
// calls the Receiver. An idle pipe has no buffer.
//
// An address is a name, host:port or any other; the URL's path where it has no host. Port 0 stands for a free number.
// Names belong to the Transport, or to Env.Shared where there is one, so that the transports of a client and a server find each other.
package memory

import (
	"context"
	"errors"
	"fmt"
	"io"
	stdnet "net"
	"strconv"
	"sync"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/transport"
	"github.com/ferryrpc/ferry/url"
)

// Params are the URL parameters of this transport.
type Params struct{ transport.Params }

var errNobody = errors.New("nobody listens there")

// carrier is the table of names.
type carrier struct {
	mu        sync.Mutex // guards the following
	listeners map[string]*listener
	ports     int // the last number given for port 0
}

var _ transport.Transport = (*carrier)(nil)

// New returns the transport; u's parameters are checked, and those of the URLs given to Listen and Dial are in force
// there. With e.Shared all transports made with it have one table of names.
func New(e extension.Env, u *url.URL) (transport.Transport, error) {
	if _, err := transport.ReadParams(u); err != nil {
		return nil, err
	}
	if e.Shared == nil {
		return newCarrier(), nil
	}
	table, _, err := e.Shared.Acquire("transport/memory", func() (io.Closer, error) { return newCarrier(), nil })
	if err != nil {
		return nil, fmt.Errorf("transport: memory: %w", err)
	}
	return table.(*carrier), nil
}

func newCarrier() *carrier { return &carrier{listeners: map[string]*listener{}} }

// Close does nothing: a table without listeners holds nothing.
func (t *carrier) Close() error { return nil }

// name returns the address that u names.
func name(u *url.URL) string {
	if a := u.Address(); a != "" {
		return a
	}
	return u.Path()
}

// address is a name in the table.
type address string

func (address) Network() string  { return "memory" }
func (a address) String() string { return string(a) }

// Listen implements transport.Transport.
func (t *carrier) Listen(u *url.URL, accept func(transport.Conn) transport.Receiver) (transport.Listener, error) {
	p, err := transport.ReadParams(u)
	if err != nil {
		return nil, err
	}
	at := name(u)
	if at == "" {
		return nil, fmt.Errorf("transport: listen at %s: a name is missing", u)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if host, port, err := stdnet.SplitHostPort(at); err == nil && port == "0" {
		for taken := true; taken; _, taken = t.listeners[at] {
			t.ports++
			at = stdnet.JoinHostPort(host, strconv.Itoa(t.ports))
		}
	}
	if _, taken := t.listeners[at]; taken {
		return nil, fmt.Errorf("transport: listen at %s: address already in use", at)
	}
	l := &listener{table: t, at: address(at), p: p, accept: accept}
	t.listeners[at] = l
	return l, nil
}

// Dial implements transport.Transport.
func (t *carrier) Dial(ctx context.Context, u *url.URL, opened func(transport.Conn) transport.Receiver) (transport.Conn, error) {
	p, err := transport.ReadParams(u)
	if err != nil {
		return nil, err
	}
	at := name(u)
	t.mu.Lock()
	l := t.listeners[at]
	t.mu.Unlock()
	if l == nil {
		err = errNobody
	}
	if ctx.Err() != nil || err != nil {
		return nil, transport.DialError(ctx, at, p.ConnectTimeout, err)
	}
	there, back := newPipe(), newPipe()
	client := newConn(p, back, there)
	client.remote = l.at
	server := newConn(l.p, there, back)
	server.local, server.group = l.at, &l.group
	if !l.group.Add(server, l.p.Accepts) {
		return nil, transport.DialError(ctx, at, p.ConnectTimeout, errors.New("the listener has closed or has its most connections"))
	}
	l.mu.Lock()
	l.clients++
	peer := address(fmt.Sprintf("%s#%d", at, l.clients))
	l.mu.Unlock()
	client.local, server.remote = peer, peer
	server.in.Receiver = l.accept(server)
	go server.read()
	client.in.Receiver = opened(client)
	go client.read()
	return client, nil
}

type listener struct {
	table  *carrier
	at     address
	p      transport.Params
	accept func(transport.Conn) transport.Receiver
	group  transport.Group

	mu      sync.Mutex
	clients int // guarded by mu; connections ever made
}

func (l *listener) Addr() stdnet.Addr { return l.at }

// Close implements transport.Listener. It must not be called by a Receiver, for which it waits.
func (l *listener) Close() error {
	l.table.mu.Lock()
	if l.table.listeners[string(l.at)] == l {
		delete(l.table.listeners, string(l.at))
	}
	l.table.mu.Unlock()
	l.group.Close()
	return nil
}
