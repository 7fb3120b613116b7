package zk

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"syscall"
	"time"
)

// refusedRounds is how often every server must hang up on our session before a new one is tried instead. A server does
// so, without a word, when we have seen transactions that it has not.
const refusedRounds = 3

// errRefused means that a server took the connection and hung up when it read our session.
var errRefused = errors.New("server hung up during the handshake")

// run keeps the client connected until it is closed.
func (c *Client) run() {
	delay := c.spread()
	for c.ctx.Err() == nil {
		l, err := c.connect()
		if err != nil {
			c.down(err)
		} else {
			began := time.Now()
			c.serve(l)
			if time.Since(began) > delay {
				delay = c.spread()
			}
		}
		c.pause(delay/2 + rand.N(delay/2+1))
		delay = min(2*delay, max(c.spread(), min(c.SessionTimeout()/3, 5*time.Second)))
	}
}

// spread is the first delay before connecting again. All clients of a server lose it at the same moment, so that each
// waits a time of its own, as long as its session can bear.
func (c *Client) spread() time.Duration {
	return min(max(c.SessionTimeout()/30, 10*time.Millisecond), time.Second)
}

func (c *Client) pause(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-c.ctx.Done():
	}
}

// serve publishes a link and stays until it is dead.
func (c *Client) serve(l *link) {
	c.mu.Lock()
	c.link, c.err = l, nil
	c.links++
	c.enterLocked(l.session)
	c.touchLocked()
	c.mu.Unlock()

	select {
	case <-l.dead:
	case <-c.ctx.Done():
	}
	c.mu.Lock()
	c.link = nil
	c.mu.Unlock()
	if c.ctx.Err() == nil {
		c.down(fmt.Errorf("connection to %s: %w", l.address, l.err))
	}
	c.zxid = max(c.zxid, l.zxid.Load())
	c.wg.Go(l.end) // the next link need not wait for the last caller of this one
}

// down notes why there is no connection.
func (c *Client) down(err error) {
	if c.ctx.Err() != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
	c.touchLocked()
}

// connect tries each server once.
func (c *Client) connect() (*link, error) {
	var errs []error
	refused := 0
	for range c.cfg.Addresses {
		address := c.cfg.Addresses[c.next%len(c.cfg.Addresses)]
		c.next++
		l, err := c.dial(address, false)
		if errors.Is(err, context.DeadlineExceeded) {
			c.silences++
		}
		if errors.Is(err, errRefused) && c.session != 0 && c.refusals >= refusedRounds {
			l, err = c.dial(address, true) // a server that is full refuses this too, and our session lives
		}
		if err == nil {
			c.refusals, c.silences = 0, 0
			return l, nil
		}
		if c.ctx.Err() != nil {
			return nil, ErrClosed
		}
		if errors.Is(err, errRefused) {
			refused++
		}
		errs = append(errs, err)
	}
	if refused == len(c.cfg.Addresses) && c.session != 0 { // a round in which one was silent says nothing
		c.refusals++
	}
	return nil, joined(errs)
}

// joined puts the reasons of several servers into one line.
func joined(errs []error) error {
	err := errs[0]
	for _, e := range errs[1:] {
		err = fmt.Errorf("%w; %w", err, e)
	}
	return err
}

// dial connects to one server and gets a session from it: ours, or a new one when ours is over or fresh is set.
func (c *Client) dial(address string, fresh bool) (*link, error) {
	ctx, cancel := context.WithTimeout(c.ctx, c.patience())
	defer cancel()
	tcp, err := c.dialTCP(ctx, address)
	if err != nil {
		return nil, err
	}
	asked := greeting{timeout: c.cfg.SessionTimeout, session: c.session, password: c.password}
	zxid := c.zxid
	if fresh {
		asked.session, asked.password, zxid = 0, nil, 0
	}
	sent := time.Now()
	got, err := shake(ctx, tcp, zxid, asked)
	if err != nil {
		_ = tcp.Close() // nothing was sent that could be lost
		return nil, fmt.Errorf("handshake with %s: %w", address, err)
	}
	if got.session == 0 {
		_ = tcp.Close() // as above
		if asked.session == 0 {
			return nil, fmt.Errorf("handshake with %s: %w: no session granted", address, errGreeting)
		}
		c.forget(errExpired)
		return c.dial(address, false)
	}
	if fresh {
		c.forget(errHistory)
	}
	return c.take(ctx, address, tcp, got, sent)
}

// firstPatience is the time for the first server of several silent ones. A server that was reached while it started never answers that
// connection, and does answer the next one; one that is busy gets twice as long each time.
const firstPatience = 5 * time.Second

// patience is the time for one server: all of them together must leave the session time to live.
func (c *Client) patience() time.Duration {
	d := min(c.cfg.ConnectTimeout, c.SessionTimeout()/3, firstPatience<<min(c.silences, 4))
	if n := time.Duration(len(c.cfg.Addresses)); n > 1 {
		d = min(d, max(c.SessionTimeout()/3/n, 100*time.Millisecond))
	}
	return d
}

func (c *Client) dialTCP(ctx context.Context, address string) (net.Conn, error) {
	tcp, err := c.cfg.Dial(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	if c.cfg.TLS == nil {
		return tcp, nil
	}
	cfg := c.cfg.TLS.Clone()
	if cfg.ServerName == "" {
		cfg.ServerName, _, _ = net.SplitHostPort(address)
	}
	secure := tls.Client(tcp, cfg)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = tcp.Close() // the handshake's error says it all
		return nil, fmt.Errorf("tls with %s: %w", address, err)
	}
	return secure, nil
}

// shake exchanges the first two packets.
func shake(ctx context.Context, tcp net.Conn, zxid int64, ask greeting) (greeting, error) {
	stop := context.AfterFunc(ctx, func() { _ = tcp.SetDeadline(time.Unix(1, 0)) }) // fails only on a closed conn
	defer stop()
	_, err := tcp.Write(appendHello(nil, zxid, ask))
	var got greeting
	if err == nil {
		got, err = readGreeting(tcp)
	}
	switch {
	case ctx.Err() != nil:
		return greeting{}, fmt.Errorf("no answer: %w", context.Cause(ctx))
	case err == io.EOF || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE):
		return greeting{}, errRefused
	}
	return got, err
}

// take makes a link of an accepted session.
func (c *Client) take(ctx context.Context, address string, tcp net.Conn, g greeting, sent time.Time) (*link, error) {
	c.session, c.password = g.session, g.password // a later dial takes the session up again
	c.grant.Store(int64(g.timeout))
	c.prove(sent)
	l, err := newLink(c, address, tcp, g)
	if err != nil {
		_ = tcp.Close() // never used
		return nil, err
	}
	if err := l.open(ctx); err != nil {
		l.fail(err)
		l.end()
		return nil, fmt.Errorf("session at %s: %w", address, err)
	}
	return l, nil
}

// forget gives our session up.
func (c *Client) forget(why error) {
	c.session, c.password, c.zxid, c.refusals = 0, nil, 0, 0
	c.leave(why)
}
