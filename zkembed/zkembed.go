// Package zkembed is a server inside the process that speaks ZooKeeper's client protocol: one node, all in memory, for a
// start without installation and for tests that inject faults. It is not a replicated store. Its answers are held equal to
// those of ZooKeeper 3.8 by a test that runs the same random operations against both.
//
//	s, err := zkembed.Start(zkembed.Options{})
//	conn, _, err := zk.Connect([]string{s.Addr()}, 5*time.Second)
//
// # Parts
//
// A Listener accepts connections; there may be several, so that one process plays an ensemble whose links are cut one by
// one. Each conn has two goroutines: the reader parses a frame, asks the fault hook, and applies the request; the writer
// sends what was queued. The Server is the state: tree (nodes), sessions with their expiry queue, watch tables. One mutex
// guards all of it. It is held while a request is applied and its reply queued, never while a socket is read or written.
//
// # Order
//
// Replies and events of a connection share one queue, filled under the mutex. So an event leaves before the reply to the
// write that caused it, and before any reply that shows the new state to its receiver, as clients rely on.
//
// # Time
//
// Sessions live on the server's own clock. It runs with the machine's, or is frozen and moved by Step, so that a test can
// walk to the very tick at which a session ends. Sessions end on ticks, never early.
//
// # Faults
//
// Intercept decides about single requests: lose them, lose the reply, delay it, answer an error, end the session. The
// methods of Listener and Server do what networks and machines do: cut, hold one direction, be deaf, refuse, stop, restart
// with or without data. All of it can be switched while clients are connected.
//
// # Differences
//
// Nothing is written to disk. Not there: quotas, reconfig, multi-read, SASL, ACL schemes other than world, auth, digest and
// ip. A request for one of them is answered as ZooKeeper answers operations it does not know: Unimplemented, and the
// connection ends. OpCheckWatches looks at the caller's watches alone, where ZooKeeper 3.8 mixes in those of others. Latencies
// in the four-letter commands are 0.
package zkembed

import (
	"cmp"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Options says how a Server is configured. The zero value works.
type Options struct {
	Addr       string        // of the first listener; "127.0.0.1:0", where port 0 means a free port
	Tick       time.Duration // sessions end on multiples of it; 100 ms
	MinSession time.Duration // smallest session timeout that a client gets; two ticks
	MaxSession time.Duration // largest session timeout that a client gets; 60 s
	Reap       time.Duration // how often used and empty containers and outdated TTL nodes are removed; 1 s
	MaxPacket  int           // bytes of one request; 1 MiB as ZooKeeper's jute.maxbuffer. A larger one ends the connection
	MaxConns   int           // open connections, further ones are closed at once; 10,000
	MaxQueue   int           // bytes queued, beside the longest reply, for a client that does not read before it is cut off; 16 MiB
	Logger     *slog.Logger  // for what cannot be returned: refused packets, expired sessions; nil: nothing is logged
}

func (o Options) withDefaults() Options {
	o.Addr = cmp.Or(o.Addr, "127.0.0.1:0")
	o.Tick = cmp.Or(o.Tick, 100*time.Millisecond)
	o.MinSession = cmp.Or(o.MinSession, 2*o.Tick)
	o.MaxSession = cmp.Or(o.MaxSession, time.Minute)
	o.Reap = cmp.Or(o.Reap, time.Second)
	o.MaxPacket = cmp.Or(o.MaxPacket, 1<<20-1)
	o.MaxConns = cmp.Or(o.MaxConns, 10_000)
	o.MaxQueue = cmp.Or(o.MaxQueue, 16<<20)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

func (o Options) check() error {
	switch {
	case o.Tick < time.Millisecond:
		return fmt.Errorf("zkembed: tick of %v, at least 1ms is needed", o.Tick)
	case o.MinSession <= 0 || o.MaxSession < o.MinSession:
		return fmt.Errorf("zkembed: session timeouts from %v to %v", o.MinSession, o.MaxSession)
	case o.Reap < 0 || o.MaxPacket < 0 || o.MaxConns < 0 || o.MaxQueue < 0:
		return fmt.Errorf("zkembed: negative limit in options")
	}
	return nil
}

// A Server holds nodes, sessions and watches, and serves them on its listeners. Its methods are safe for concurrent use.
// All but Close, which waits for every goroutine, may be called by the hook of Intercept too.
type Server struct {
	o         Options
	hook      atomic.Pointer[func(Request) Fault]
	maxPacket atomic.Int64
	requests  atomic.Int64 // numbers Requests
	received  atomic.Int64 // packets
	sent      atomic.Int64 // packets

	lifecycle sync.Mutex // serialises Stop, Start and Close
	stop      chan struct{}
	wg        sync.WaitGroup // every goroutine of the server

	mu        sync.Mutex // guards the following, and what conns, sessions and listeners say it guards
	tree      tree
	zxid      int64
	sessions  sessions
	data      watchTable
	child     watchTable
	changes   []change // of the transaction being applied; events follow when it is complete
	sweep     uint64   // number of the current round of events, see conn.mark
	told      []*conn  // scratch for a round of events
	open      acl      // world:anyone with all permissions
	clock     clock
	reaped    time.Duration // when containers were last looked at
	listeners []*Listener
	conns     map[*conn]struct{}
	running   bool
	closed    bool
}

// Start opens the first listener and serves on it.
func Start(o Options) (*Server, error) {
	o = o.withDefaults()
	if err := o.check(); err != nil {
		return nil, err
	}
	s := newServer(o)
	if _, err := s.Listen(o.Addr); err != nil {
		return nil, err
	}
	s.wg.Go(s.tick)
	return s, nil
}

func newServer(o Options) *Server {
	s := &Server{o: o, stop: make(chan struct{}), open: openACL(), clock: newClock(), conns: map[*conn]struct{}{}, running: true}
	s.maxPacket.Store(int64(o.MaxPacket))
	s.resetLocked()
	return s
}

// Addr is the host:port of the first listener.
func (s *Server) Addr() string { return s.listeners[0].addr }

// Close ends the server and all its goroutines. It is safe to call it twice.
func (s *Server) Close() error {
	s.lifecycle.Lock()
	defer s.lifecycle.Unlock()
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.haltLocked()
	s.mu.Unlock()
	close(s.stop)
	s.wg.Wait()
	return nil
}

// resetLocked makes the state that of a server started for the first time. s.mu must be held, or s not yet shared.
func (s *Server) resetLocked() {
	s.tree = newTree(s.open)
	s.zxid = 0
	s.sessions = newSessions(s.o.Tick)
	s.data, s.child = newWatchTable(), newWatchTable()
}

// haltLocked closes listeners and connections. s.mu must be held.
func (s *Server) haltLocked() {
	s.running = false
	for _, l := range s.listeners {
		l.closeLocked()
	}
	for c := range s.conns {
		s.cutLocked(c)
	}
}

// tick ends sessions and removes outdated nodes while the clock runs.
func (s *Server) tick() {
	t := time.NewTicker(s.o.Tick)
	defer t.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-t.C:
			s.mu.Lock()
			if s.running && !s.clock.frozen {
				s.expireLocked()
			}
			s.mu.Unlock()
		}
	}
}
