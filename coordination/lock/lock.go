// Package lock holds locks that exclude processes from each other, on ZooKeeper: Mutex, RWMutex, Semaphore, MultiLock.
//
//	locks, err := lock.Open(extension.Env{}, "zookeeper://127.0.0.1:2181/app")
//	mutex, err := locks.Mutex("/orders/42")
//	lease, err := mutex.Lock(ctx)
//	defer lease.Unlock(ctx)
//	work(lease.Context(), lease.Fence())
//
// # Nodes
//
// A lock is a container node, the contenders are ephemeral sequential children of it. Names are those of Apache Curator's
// InterProcessMutex and InterProcessReadWriteLock, so that Go and Java processes queue together on one path.
//
//	<path>/_c_<guid>-lock-NNNNNNNNNN         exclusive
//	<path>/_c_<guid>-__WRIT__NNNNNNNNNN      exclusive
//	<path>/_c_<guid>-__READ__NNNNNNNNNN      shared
//
// A contender waits for the nearest child before it that excludes it, watches that one alone, and lists again when it is
// gone. It holds the lock when nobody is before it, its node is there and belongs to its session, and that session is
// proved to live at this moment.
//
// # Parts
//
//	Client     the share of a session, all queues and all holds of one user
//	queue      one path in this process: who contends next, and who holds, for re-entry
//	hold       one node of ours, from its creation to its deletion
//	Lease      what a caller has: one entry into a hold, with a context of its own
//
// In one process only the first waiter of a path has a node among the contenders; the others wait in the queue in front.
// Each grant has a new node, and with it a larger token.
//
// # Goroutines
//
// A create runs on a goroutine of its own, since its caller may leave before the answer; a hold has one only while it
// looks after its node again, following an event. Nodes that cannot be deleted at once are left to the sweeper of
// internal/zk, which lives as long as the session does.
//
// # What a lease promises
//
// Its context ends before the servers can give the lock to somebody else, as long as this machine's clock runs at the rate
// of the servers' (it may be a sixth of the session timeout off), nobody ends the session by force or wipes the data, and
// the process is not stopped between its look at the context and what it does then. No lock can promise more. What must
// not be done twice at all carries the Fence, and its resource refuses smaller ones (Gate); what is kept in ZooKeeper itself is
// written by Lease.Do, which the servers refuse when the lock is gone.
package lock

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/internal/zk"
	"github.com/ferryrpc/ferry/url"
)

var (
	// ErrHeld means that a Try… call found somebody else before it.
	ErrHeld = errors.New("held by another")
	// ErrLost means that a lease ended before its Unlock: others may have held the lock since.
	ErrLost = errors.New("lease lost")
	// ErrReleased is the cause of a lease's context after Unlock.
	ErrReleased = errors.New("lease released")
	// ErrUpgrade means that an owner who holds the read lock asked for the write lock, for which it would wait for ever.
	ErrUpgrade = errors.New("a read lock cannot be upgraded")
	// ErrPath means that a path cannot be a lock's.
	ErrPath = errors.New("path cannot be a lock's")
	// ErrLimit means that the limit of a semaphore is another one than this process was told, or smaller than what was asked.
	ErrLimit = errors.New("limit of the semaphore")
	// ErrIncarnation means that fences are of another life of the ensemble's data: they cannot be compared.
	ErrIncarnation = errors.New("unknown incarnation")
	// ErrFenced means that a larger fence was presented before.
	ErrFenced = errors.New("fenced off")
	// ErrUnknown means that the connection broke under a Lease.Do: it may have been carried out.
	ErrUnknown = errors.New("outcome unknown")
	// ErrClosed means that the client is closed.
	ErrClosed = errors.New("client closed")
)

// Params are the parameters of a URL zookeeper://[user:password@]host:port[,host:port…]/[prefix].
type Params struct {
	zk.Params
	Incarnation string `url:"incarnation" doc:"hex digits of the only incarnation of the ensemble's data that locks may be of; empty takes any"`
}

const (
	incarnationNode = "/ferry/.incarnation" // outside every prefix: it belongs to the ensemble
	closing         = 2 * time.Second       // for deleting nodes at Close
)

// A Client makes locks that share one ZooKeeper session. Its methods are safe from any number of goroutines.
type Client struct {
	zk       *zk.Client
	release  func() error
	lax      func() // ends the strict proofs of life
	prefix   string // of every path; "" or "/…"
	expected string // the only incarnation that is accepted; "" for any

	ctx  context.Context // ends with Close
	stop context.CancelCauseFunc

	// Only the negative controls of the tests set these: leases stay alive when their generation ends, and nodes of unknown
	// outcome are left where they are.
	deadlineOff, sweepOff bool

	mu     sync.Mutex // guards the following
	closed bool
	queues map[string]*queue
	holds  map[*hold]struct{}
	wg     sync.WaitGroup // creates and looks; Add needs mu

	lives sync.Mutex     // guards the following, over requests
	life  *zk.Generation // in which incarnation was read
	known Incarnation
}

// Open returns a client of the ensemble that address names, as zookeeper://host:port,host:port/prefix?session=10000; all paths
// of its locks lie below the prefix. It returns at once and connects in the background. With e.Shared it takes part in the
// process's session of that ensemble, which registries use too.
func Open(e extension.Env, address string) (*Client, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("lock: open: %w", err)
	}
	c, err := New(e, u)
	if err != nil {
		return nil, fmt.Errorf("lock: open: %w", err)
	}
	return c, nil
}

// New does what Open does with a URL that is parsed already.
func New(e extension.Env, u *url.URL) (*Client, error) {
	if u.Scheme() != "zookeeper" {
		return nil, fmt.Errorf("scheme %q: locks need zookeeper://", u.Scheme())
	}
	var p Params
	if err := u.Decode(&p); err != nil {
		return nil, err
	}
	if _, err := hex.DecodeString(p.Incarnation); err != nil || len(p.Incarnation) != 0 && len(p.Incarnation) != 2*len(Incarnation{}) {
		return nil, fmt.Errorf("incarnation=%s: want %d hex digits", p.Incarnation, 2*len(Incarnation{}))
	}
	c := &Client{expected: p.Incarnation, queues: map[string]*queue{}, holds: map[*hold]struct{}{}}
	if path := u.Path(); path != "" && path != "/" {
		if c.prefix = "/" + trimSlash(path); checkPath(c.prefix) != nil {
			return nil, fmt.Errorf("prefix: %w", checkPath(c.prefix))
		}
	}
	cfg, err := zk.FromURL(u, e.TLS)
	if err != nil {
		return nil, err
	}
	if err := c.open(e.Shared, cfg); err != nil {
		return nil, err
	}
	c.ctx, c.stop = context.WithCancelCause(context.Background())
	c.lax = c.zk.Strict()
	return c, nil
}

// open takes a share of the process's session, or makes one of its own.
func (c *Client) open(shared *extension.Shared, cfg zk.Config) (err error) {
	if shared == nil {
		if c.zk, err = zk.Open(cfg); err == nil {
			c.release = c.zk.Close
		}
		return err
	}
	v, release, err := shared.Acquire(cfg.Key(), func() (io.Closer, error) { return zk.Open(cfg) })
	if err != nil {
		return err
	}
	c.zk, c.release = v.(*zk.Client), release
	return nil
}

// begin runs a goroutine that Close waits for; false when the client is closed.
func (c *Client) begin(run func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.wg.Go(run)
	}
	return !c.closed
}

// Close ends all leases and waits, deletes their nodes and gives the session back. It waits at most two seconds for
// servers that do not answer; what is left is deleted when they do, or with the session.
func (c *Client) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	holds := make([]*hold, 0, len(c.holds))
	for h := range c.holds {
		holds = append(holds, h)
	}
	c.mu.Unlock()
	c.stop(ErrClosed)
	for _, h := range holds {
		h.end(fmt.Errorf("%w: %w", ErrLost, ErrClosed))
	}
	ctx, cancel := context.WithTimeout(context.Background(), closing)
	defer cancel()
	if !c.zk.Status().Connected {
		cancel()
	}
	var wg sync.WaitGroup
	for _, h := range holds {
		wg.Go(func() { _ = h.remove(ctx) }) // what it cannot delete is with the sweeper
	}
	wg.Wait()
	over := make(chan struct{})
	go func() { c.wg.Wait(); close(over) }()
	select {
	case <-over:
	case <-ctx.Done(): // a create without an answer; it ends with the connection
	}
	c.lax()
	return c.release()
}

// Addresses returns the servers, in one string for messages.
func (c *Client) Addresses() string { return c.zk.Addresses() }

// SessionTimeout returns what the servers granted: how long a lock stays taken after its holder died. It is what was asked
// for before they did.
func (c *Client) SessionTimeout() time.Duration { return c.zk.SessionTimeout() }

// within returns a context that ends with ctx and with the client.
func (c *Client) within(ctx context.Context) (context.Context, context.CancelFunc) {
	inner, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(c.ctx, func() { cancel(ErrClosed) })
	return inner, func() { stop(); cancel(nil) }
}
