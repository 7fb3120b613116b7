package exchange

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ferryrpc/ferry/transport"
)

// A Handler is what a Server hands requests to.
type Handler interface {
	// Handle runs one request on a worker's goroutine and returns the answer with its status, nil for none. The frame has
	// HeaderLen bytes free at its front. The request's body belongs to Handle.
	Handle(c *ServerConn, m Message) (answer *transport.Frame, status byte)
	// Refuse builds the answer to a request that is not handled, or nil, and says in which serialization it is: the one
	// of the request may be unknown here. It is called where bytes are read and must not block.
	Refuse(h Header, status byte, reason string) (f *transport.Frame, serialization byte)
}

// A Server takes connections of one listener and hands their requests to a Handler.
type Server struct {
	params   Params
	limits   ServerParams
	handler  Handler
	log      *slog.Logger
	workers  *workers
	listener transport.Listener
	requests atomic.Int64 // ever received; draining looks whether it moves
	accepted atomic.Int64 // connections ever
	refusing atomic.Bool
	talks    atomic.Int32   // connections that carry text
	talking  atomic.Int32   // those that work on an answer
	talkers  sync.WaitGroup // their goroutines
	tickStop chan struct{}
	tickDone chan struct{}
	closing  sync.Once // guards the following
	closeErr error

	mu    sync.Mutex // guards the following
	conns map[*ServerConn]struct{}
}

// A ServerConn is one connection of a consumer.
type ServerConn struct {
	server  *Server
	conn    transport.Conn
	decoder decoder
	running atomic.Int32 // requests that wait or run
	text    atomic.Bool  // it carries text, and no messages
	heard   atomic.Bool
	inFrame atomic.Bool
	whole   atomic.Bool // a message was finished since the last tick
	now     time.Time   // of the bytes that are being received
	silent  int         // ticks; only the server's ticker looks at it
	slow    int

	ctxMu  sync.Mutex // guards the following
	ctx    context.Context
	cancel context.CancelCauseFunc
	gone   error
}

// Serve starts a server on what listen opens.
func Serve(listen func(accept func(transport.Conn) transport.Receiver) (transport.Listener, error),
	p Params, limits ServerParams, h Handler, log *slog.Logger) (*Server, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Server{params: p.withDefaults(), limits: limits.withDefaults(), handler: h, log: log,
		conns: map[*ServerConn]struct{}{}, tickStop: make(chan struct{}), tickDone: make(chan struct{})}
	s.workers = newWorkers(s.limits.Threads, s.limits.Queue, s.run)
	l, err := listen(s.accept)
	if err != nil {
		return nil, err
	}
	s.listener = l
	go s.tick()
	return s, nil
}

// Addr is the address in use.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Connections is the number of open connections.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// Busy is the number of requests that wait or run.
func (s *Server) Busy() int { return s.workers.busy() + int(s.talking.Load()) }

func (s *Server) accept(conn transport.Conn) transport.Receiver {
	c := &ServerConn{server: s, conn: conn}
	c.decoder.limit = s.params.Payload
	s.accepted.Add(1)
	s.mu.Lock()
	s.conns[c] = struct{}{}
	s.mu.Unlock()
	if t, ok := s.handler.(Talker); ok {
		return &greeting{c: c, talker: t}
	}
	return c
}

// idleWorker is how long a worker is kept without work.
const idleWorker = 10 * time.Second

// tick closes connections that are silent, or that do not finish a message, and lets idle workers go.
func (s *Server) tick() {
	defer close(s.tickDone)
	every := max(min(s.params.HeartbeatTimeout, s.params.FrameTimeout)/ticksPerHeartbeat, time.Millisecond)
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-s.tickStop:
			return
		case <-t.C:
		}
		s.workers.trim(idleWorker)
		for _, c := range s.all() {
			c.tick(every)
		}
	}
}

func (s *Server) all() []*ServerConn {
	s.mu.Lock()
	defer s.mu.Unlock()
	conns := make([]*ServerConn, 0, len(s.conns))
	for c := range s.conns {
		conns = append(conns, c)
	}
	return conns
}

func (c *ServerConn) tick(every time.Duration) {
	if c.heard.Swap(false) || c.running.Load() > 0 {
		c.silent = 0
	} else {
		c.silent++
	}
	if c.whole.Swap(false) || !c.inFrame.Load() {
		c.slow = 0
	} else {
		c.slow++
	}
	switch p := &c.server.params; {
	case time.Duration(c.silent)*every >= p.HeartbeatTimeout:
		c.conn.Close(fmt.Errorf("%w for %v", ErrSilent, p.HeartbeatTimeout))
	case time.Duration(c.slow)*every > p.FrameTimeout:
		c.conn.Close(fmt.Errorf("%w within %v", ErrSlowFrame, p.FrameTimeout))
	}
}

// Received implements transport.Receiver.
func (c *ServerConn) Received(b []byte) (int, error) {
	if !c.heard.Load() {
		c.heard.Store(true)
	}
	c.now = time.Now() // once for all messages in b
	used, err := c.decoder.decode(b, c)
	// A message counts as unfinished from its first byte on.
	if in := c.decoder.partial() || used < len(b); in != c.inFrame.Load() {
		c.inFrame.Store(in)
	}
	return used, err
}

// message implements messages.
func (c *ServerConn) message(m Message) error {
	if !c.whole.Load() {
		c.whole.Store(true)
	}
	if m.Event() {
		if m.Request() && m.TwoWay() && len(m.Body.B) <= maxEvent {
			offer(c.conn, answer(m))
		}
		m.Body.Free()
		return nil
	}
	if !m.Request() {
		m.Body.Free() // an answer to nothing: this side calls nobody
		return nil
	}
	m.At = c.now
	s := c.server
	s.requests.Add(1)
	running := c.running.Add(1) // before refusing is looked at: farewell looks at both the other way round
	switch {
	case s.refusing.Load():
		c.running.Add(-1)
		return c.refuse(m, Exhausted, "the server is shutting down")
	case int(running) > s.limits.Connection:
		c.running.Add(-1)
		return c.refuse(m, Exhausted, fmt.Sprintf("%d requests of this connection are running or waiting (parameter connection.executes)", s.limits.Connection))
	}
	if !s.workers.submit(task{c, m}) {
		c.running.Add(-1)
		return c.refuse(m, Exhausted, fmt.Sprintf("%d requests are waiting for a handler (parameters threads=%d, queues=%d)", s.limits.Queue, s.limits.Threads, s.limits.Queue))
	}
	return nil
}

// refuse answers a request that does not run. A peer that neither reads its refusals nor stops is closed.
func (c *ServerConn) refuse(m Message, status byte, reason string) error {
	m.Body.Free()
	return c.Refuse(m.Header, status, reason)
}

// Refuse answers a request by the Handler's Refuse; nothing is sent for a one-way request. An error means that the
// peer does not read its refusals.
func (c *ServerConn) Refuse(h Header, status byte, reason string) error {
	if !h.TwoWay() {
		return nil
	}
	f, serialization := c.server.handler.Refuse(h, status, reason)
	if f == nil {
		return nil
	}
	h.Flags = serialization & MaskID
	err := c.reply(h, f, status)
	if err == transport.ErrFull {
		f.Free()
		return fmt.Errorf("%w: refusals pile up", transport.ErrStalled)
	}
	return nil
}

// tooLarge implements messages.
func (c *ServerConn) tooLarge(h Header) error {
	if !h.Request() || h.Event() {
		return nil
	}
	return c.Refuse(h, BadRequest, "request of "+(&TooLargeError{int64(h.Length), c.server.params.Payload}).Error())
}

// run is a worker's task.
func (s *Server) run(t task) {
	h := t.m.Header
	f, status := s.handler.Handle(t.conn, t.m)
	if f != nil {
		if err := t.conn.replyWhenRoom(h, f, status); err != nil && !errors.Is(err, transport.ErrClosed) {
			s.log.Warn("exchange: answer dropped", "peer", t.conn.conn.RemoteAddr(), "cause", err)
		}
	}
	t.conn.running.Add(-1)
}

// replyWhenRoom waits while the peer does not read; the transport closes the connection when that takes too long.
func (c *ServerConn) replyWhenRoom(h Header, f *transport.Frame, status byte) error {
	for {
		err := c.reply(h, f, status)
		if err != transport.ErrFull {
			return err
		}
		if full := c.conn.Wait(); full != nil {
			<-full
		}
	}
}

// reply sends an answer; f is taken over, unless the queue is full.
func (c *ServerConn) reply(h Header, f *transport.Frame, status byte) error {
	Header{Flags: h.Serialization(), Status: status, ID: h.ID, Length: uint32(len(f.B) - HeaderLen)}.Put(f.B)
	return c.conn.Send(f, int(c.running.Load()))
}

// Payload is the largest body that may be sent as an answer.
func (c *ServerConn) Payload() int64 { return c.server.params.Payload }

// Refusing says that the server closes and takes no requests any more.
func (c *ServerConn) Refusing() bool { return c.server.refusing.Load() }

// RemoteAddr is the consumer's address.
func (c *ServerConn) RemoteAddr() net.Addr { return c.conn.RemoteAddr() }

// LocalAddr is the address that the consumer connected to.
func (c *ServerConn) LocalAddr() net.Addr { return c.conn.LocalAddr() }

// Context ends, with the cause, when the connection does.
func (c *ServerConn) Context() context.Context {
	c.ctxMu.Lock()
	defer c.ctxMu.Unlock()
	if c.ctx == nil {
		c.ctx, c.cancel = context.WithCancelCause(context.Background())
		if c.gone != nil {
			c.cancel(c.gone)
		}
	}
	return c.ctx
}

// Closed implements transport.Receiver.
func (c *ServerConn) Closed(err error) {
	c.decoder.free()
	c.ctxMu.Lock()
	c.gone = fmt.Errorf("exchange: consumer's connection lost: %w", err)
	if c.cancel != nil {
		c.cancel(c.gone)
	}
	c.ctxMu.Unlock()
	s := c.server
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	if errors.Is(err, ErrBadFrame) || errors.Is(err, ErrTooLarge) || errors.Is(err, ErrSlowFrame) || errors.Is(err, ErrTalk) || errors.Is(err, transport.ErrStalled) {
		s.log.Warn("exchange: connection closed", "peer", c.conn.RemoteAddr(), "cause", err)
	}
}
