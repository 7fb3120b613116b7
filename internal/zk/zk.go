// Package zk keeps one ZooKeeper session alive over github.com/go-zookeeper/zk and hides that library.
//
// The library marshals requests, pairs replies and pings. Everything that decides about a session is done here, because
// the library's own way loses: it sleeps a second per reconnection, lets a request cross from a dead session into the
// next one, waits for ever for a server that accepts and stays silent, and never gives up a history that the servers
// have lost.
//
//	Client   one session; run dials, shakes hands, and goes on after every loss          (goroutine run)
//	link     one TCP connection that has a session, with a library connection of its own (goroutines of the library)
//	wire     the net.Conn between both: it sets watches, and notes when requests left, so that replies prove how long
//	         the session lives
//	watchdog ends the generation when that proof runs out                                (goroutine watchdog)
//
//	             refused, timed out                    lost
//	dialling ------------------------> waiting <----------------- linked
//	   |  ^------------------------------|  jitter                  ^
//	   |-- session known, accepted: the same generation goes on ----|
//	   |-- session unknown, or the servers' history is older: generation ended, new session
//
// A library connection lives exactly as long as one TCP connection, and knows of no watch. It therefore never restores
// watches or repeats requests by itself, and its data race over both cannot happen. Users read again what they watch
// after an event of type Lost.
//
// A Generation is a time in which one session was provably alive: its context ends before the servers can give what the
// session holds to somebody else. Ephemeral nodes are made in a generation and never in another one.
package zk

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// The errors that callers test for. Those of the first group come from the servers.
var (
	ErrNoNode     = errors.New("no such node")
	ErrNodeExists = errors.New("node exists")
	ErrNotEmpty   = errors.New("node has children")
	ErrBadVersion = errors.New("version does not match")
	ErrNoAuth     = errors.New("not authorised")
	ErrBadPath    = errors.New("path or argument not acceptable")
	// ErrTooLarge means that the answer was read past. It is the caller's alone: the session goes on.
	ErrTooLarge = fmt.Errorf("the answer is over %d MiB", maxFrame>>20)

	// ErrDisconnected means that no server could be reached until the context ended: nothing was sent.
	ErrDisconnected = errors.New("not connected")
	// ErrConnectionLost means that the connection broke under a write: it may have been carried out.
	ErrConnectionLost = errors.New("connection lost, outcome unknown")
	// ErrAbandoned means that the caller's context ended under a write: it may be carried out.
	ErrAbandoned = errors.New("given up, outcome unknown")
	// ErrSessionEnded is what every reason for the end of a generation matches.
	ErrSessionEnded = errors.New("session ended")
	// ErrClosed means that the client is closed. It matches ErrSessionEnded.
	ErrClosed = fmt.Errorf("client closed: %w", ErrSessionEnded)

	errExpired = fmt.Errorf("expired at the server: %w", ErrSessionEnded)
	errLease   = fmt.Errorf("no proof of life before the lease ran out: %w", ErrSessionEnded)
	errHistory = fmt.Errorf("the servers lost data that this session has seen: %w", ErrSessionEnded)
)

// Config says how to reach an ensemble.
type Config struct {
	Addresses      []string      // host:port each; the port is 2181 when left out
	SessionTimeout time.Duration // asked for; the servers may grant another. 0 means 60 s
	ConnectTimeout time.Duration // dial and handshake with one server; 0 means 30 s; never over a third of the session, and less for the first silent ones
	User, Password string        // digest authentication when User is set; nodes are then made for their creator alone
	TLS            *tls.Config   // nil means plain connections
	// Dial opens the connection; nil means TCP. ctx ends with the connect timeout.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

func (c Config) withDefaults() Config {
	c.SessionTimeout = cmp.Or(max(c.SessionTimeout, 0), 60*time.Second)
	c.ConnectTimeout = cmp.Or(max(c.ConnectTimeout, 0), 30*time.Second)
	c.Addresses = slices.Clone(c.Addresses)
	for i, a := range c.Addresses {
		if bare := strings.Trim(a, "[]"); !strings.Contains(a, ":") || net.ParseIP(bare) != nil {
			c.Addresses[i] = net.JoinHostPort(bare, "2181")
		}
	}
	if c.Dial == nil {
		c.Dial = (&net.Dialer{}).DialContext
	}
	return c
}

// Status is what a client knows of its connection now.
type Status struct {
	Connected bool
	Address   string // of the server while connected
	Session   int64  // id of the session, 0 when there is none
	// Connection numbers the connections from 1 on; it is that of the last one while there is none.
	Connection int64
	// Err says why the last attempt to connect failed or the last connection broke; nil while connected, and before the
	// first attempt came to an end.
	Err error
}

// A Client is one session with an ensemble. All methods are safe from any number of goroutines.
type Client struct {
	cfg    Config
	base   time.Time    // lease times count from here, by the monotonic clock
	proven atomic.Int64 // when the last answered request left, as ns since base
	ahead  atomic.Int64 // of the monotonic clock: the wall clock when that request left, ns
	grant  atomic.Int64 // session timeout granted, ns
	strict atomic.Int32 // users to whom only the leader's answers are proofs; see Strict

	ctx  context.Context // ends with Close
	stop context.CancelCauseFunc
	wg   sync.WaitGroup // run, watchdog, ends of links and sweeps; the latter's Add needs mu

	mu      sync.Mutex    // guards the following
	link    *link         // nil while disconnected
	gen     *Generation   // the last one, alive or not; nil before the first
	err     error         // see Status.Err
	links   int64         // how many there were
	changed chan struct{} // closed and replaced at every change of the above

	// The following belong to run alone.
	session  int64
	password []byte
	zxid     int64 // newest transaction seen
	next     int   // index of the address to try next
	silences int   // servers in a row that answered no handshake
	refusals int   // rounds in which every server hung up on our session
}

// Open starts a client and returns at once; it connects in the background. A config that cannot work is an error.
func Open(cfg Config) (*Client, error) {
	cfg = cfg.withDefaults()
	if len(cfg.Addresses) == 0 {
		return nil, errors.New("zk: open: no address")
	}
	for _, a := range cfg.Addresses {
		if _, port, err := net.SplitHostPort(a); err != nil {
			return nil, fmt.Errorf("zk: open: %w", err)
		} else if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return nil, fmt.Errorf("zk: open: address %q: port must be 1 to 65535", a)
		}
	}
	c := &Client{cfg: cfg, base: time.Now(), changed: make(chan struct{})}
	c.ctx, c.stop = context.WithCancelCause(context.Background())
	c.grant.Store(int64(cfg.SessionTimeout))
	rand.Shuffle(len(cfg.Addresses), func(i, j int) {
		cfg.Addresses[i], cfg.Addresses[j] = cfg.Addresses[j], cfg.Addresses[i]
	})
	c.wg.Go(c.run)
	c.wg.Go(c.watchdog)
	return c, nil
}

// Close ends the session at the servers, if they can be reached within a second, and waits for every goroutine of the
// client. Calls that are under way fail with ErrClosed.
func (c *Client) Close() error {
	c.mu.Lock()
	c.stop(ErrClosed)
	c.mu.Unlock()
	c.wg.Wait()
	return nil
}

// Status returns what is known now.
func (c *Client) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := Status{Err: c.err, Connection: c.links}
	if c.link != nil {
		s = Status{Connected: true, Address: c.link.address, Session: c.link.session, Connection: c.links}
	} else if c.gen != nil && c.gen.ctx.Err() == nil {
		s.Session = c.gen.id
	}
	return s
}

// Changed returns a channel that is closed when the connection, the session or Status.Err changes next.
func (c *Client) Changed() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changed
}

// Addresses returns the servers as they were configured, in one string for messages.
func (c *Client) Addresses() string {
	sorted := slices.Sorted(slices.Values(c.cfg.Addresses))
	return strings.Join(sorted, ",")
}

// SessionTimeout returns what the servers granted, or what was asked for before they did.
func (c *Client) SessionTimeout() time.Duration { return time.Duration(c.grant.Load()) }

// touchLocked tells those who wait for a change. c.mu must be held.
func (c *Client) touchLocked() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// await calls get under the lock until it says that it is done, again after each change.
func (c *Client) await(ctx context.Context, get func() bool) error {
	for {
		c.mu.Lock()
		done, changed, cause := get(), c.changed, c.err
		c.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-changed:
		case <-c.ctx.Done():
			return ErrClosed
		case <-ctx.Done():
			return c.disconnected(context.Cause(ctx), cause)
		}
	}
}

// disconnected is the error of a caller whose time ran out before a server was reached.
func (c *Client) disconnected(end, cause error) error {
	if cause == nil {
		return fmt.Errorf("%w to %s: %w", ErrDisconnected, c.Addresses(), end)
	}
	return fmt.Errorf("%w to %s: %w (%w)", ErrDisconnected, c.Addresses(), cause, end)
}
