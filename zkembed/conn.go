package zkembed

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync/atomic"
	"time"
)

const (
	helloLimit = 10 * time.Second // until a new connection has said hello
	flushLimit = 5 * time.Second  // for the last bytes of a connection that ends
	outLimit   = 1 << 20          // bytes queued above which no request is read
	readStep   = 64 << 10         // a packet's memory grows with the bytes that came, in steps of at least this
)

// A conn is one client's connection.
type conn struct {
	s       *Server
	l       *Listener
	nc      net.Conn
	remote  string
	out     outbox
	gone    chan struct{} // closed when the connection is cut
	written chan struct{} // closed when the writer has ended

	received, sent atomic.Int64

	// Guarded by s.mu:
	session *session
	ids     []identity
	watches map[*watchers]mode
	mark    uint64 // last sweep in which it was its turn
	dead    bool   // gets no more replies and events
	cut     bool   // gone is closed
	scratch []byte // for a reply while it is made
}

func newConn(l *Listener, nc net.Conn) *conn {
	c := &conn{s: l.s, l: l, nc: nc, remote: nc.RemoteAddr().String(), gone: make(chan struct{}), written: make(chan struct{})}
	c.out.wake.L = &c.out.mu
	if host, _, err := net.SplitHostPort(c.remote); err == nil {
		c.ids = []identity{{"ip", host}}
	}
	return c
}

// read is the reader goroutine: it serves requests until the connection ends, and then tidies up behind it.
func (c *conn) read() {
	err := c.serve()
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
		c.s.o.Logger.Info("zkembed: connection ended", "client", c.remote, "cause", err)
	}
	c.s.mu.Lock()
	c.s.finishLocked(c)
	c.s.mu.Unlock()
	<-c.written
	c.s.mu.Lock()
	delete(c.s.conns, c)
	c.s.mu.Unlock()
}

// serve returns nil when the server ended the connection.
func (c *conn) serve() error {
	if err := c.nc.SetReadDeadline(time.Now().Add(helloLimit)); err != nil {
		return err
	}
	r := bufio.NewReader(c.nc)
	var length [4]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return err
	}
	if answer, ok := c.s.fourLetter(string(length[:])); ok {
		c.answer(answer)
		return nil
	}
	handle := c.hello
	var body []byte
	for {
		var err error
		if body, err = c.body(r, length, body); err != nil {
			return err
		}
		c.received.Add(1)
		c.s.received.Add(1)
		if !c.l.in.pass(c.gone) {
			return nil
		}
		if ok, err := handle(body); !ok || err != nil {
			return err
		}
		handle = c.handle
		c.out.room(outLimit)
		if cap(body) > keepBuffer {
			body = nil
		}
		if _, err := io.ReadFull(r, length[:]); err != nil {
			return err
		}
	}
}

// body reads a packet of the given length into buf, which grows with the bytes that come.
func (c *conn) body(r io.Reader, length [4]byte, buf []byte) ([]byte, error) {
	size := int64(int32(binary.BigEndian.Uint32(length[:])))
	if limit := c.s.maxPacket.Load(); size < 0 || size > limit {
		return nil, fmt.Errorf("zkembed: packet of %d bytes, at most %d are allowed", size, limit)
	}
	buf = buf[:0]
	for n := int(size); len(buf) < n; {
		from := len(buf)
		step := min(n-from, max(readStep, from))
		buf = slices.Grow(buf, step)[:from+step]
		if _, err := io.ReadFull(r, buf[from:]); err != nil {
			return nil, err
		}
	}
	return buf, nil
}

func (c *conn) hello(body []byte) (bool, error) {
	h, ok := parseHello(body)
	if !ok {
		return false, fmt.Errorf("zkembed: damaged connect request of %d bytes", len(body))
	}
	if err := c.nc.SetReadDeadline(time.Time{}); err != nil { // from here on the session's timeout watches over it
		return false, err
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if c.dead {
		return false, nil
	}
	if c.l.deaf {
		return true, nil
	}
	return c.s.welcomeLocked(c, h), nil
}

// handle serves one request. It returns false when the connection has to end.
func (c *conn) handle(body []byte) (bool, error) {
	q, err := parse(body)
	if err != nil {
		return false, err
	}
	s := c.s
	f := s.consult(c, &q)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case c.dead:
		return false, nil
	case c.l.deaf || c.session == nil: // the latter if it was deaf at the time of the hello
		return true, nil
	}
	if f.DropBefore {
		return false, nil
	}
	s.sessions.touch(c.session, s.clock.now())
	if f.Delay > 0 {
		c.out.delay(f.Delay)
	}
	b := beginReply(c.scratch)
	code := f.Code
	if code == OK {
		b, code = s.performLocked(c, &q, b)
	}
	if f.Expire && q.op != OpClose {
		s.endLocked(c.session)
		return false, nil
	}
	if f.DropAfter {
		return false, nil
	}
	zxid := s.zxid
	switch { // ZooKeeper answers these before it looks at its data
	case q.op == OpAuth:
		zxid = 0
	case code == Unimplemented:
		zxid = -1
	}
	b = endReply(b, q.xid, zxid, code)
	c.send(b)
	if c.scratch = b; cap(b) > keepBuffer {
		c.scratch = nil
	}
	return q.op != OpClose && code != AuthFailed && code != Unimplemented, nil
}

// performLocked applies a request and appends the body of its reply to b.
func (s *Server) performLocked(c *conn, q *request, b []byte) ([]byte, Code) {
	var code Code
	switch q.op {
	case OpPing:
		q.xid = xidPing
	case OpAuth:
		if q.bad {
			return b, AuthFailed
		}
		return b, c.authenticate(q.path, q.data)
	case OpClose:
		s.closeSessionLocked(c.session)
	case OpCreate, OpCreate2, OpCreateContainer, OpCreateTTL, OpDelete, OpSetData, OpSetACL, OpMulti:
		w := s.writeLocked(c)
		switch {
		case q.bad:
			return b, MarshallingError
		case q.op == OpMulti:
			b, code = w.applyAll(q.parts, b)
		default:
			b, code = w.apply(q, b)
		}
		s.announceLocked()
	default:
		if q.bad {
			return b, MarshallingError
		}
		b, code = s.readLocked(c, q, b)
	}
	return b, code
}

// send queues a frame. A client that lets too much pile up is cut off; one reply may be of any length, as ZooKeeper's may.
// c.s.mu must be held.
func (c *conn) send(frame []byte) {
	if c.dead || c.l.deaf {
		return
	}
	c.sent.Add(1)
	c.s.sent.Add(1)
	if c.out.put(frame) > c.s.o.MaxQueue {
		c.s.o.Logger.Warn("zkembed: client does not read, cut off", "client", c.remote, "queued", c.s.o.MaxQueue)
		c.s.cutLocked(c)
	}
}

// answer sends the text of a four-letter command.
func (c *conn) answer(text string) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if !c.dead && !c.l.deaf {
		c.out.put([]byte(text))
	}
}

// write is the writer goroutine.
func (c *conn) write() {
	defer close(c.written)
	defer c.nc.Close()
	for {
		p, ok := c.out.next()
		if !c.sleep(p.at) || !c.l.out.pass(c.gone) || !ok {
			return // even the end of a connection has to pass
		}
		if p.last {
			c.hurry()
		}
		if _, err := c.nc.Write(p.b); err != nil {
			c.out.abandon()
			return
		}
		c.out.done(p)
	}
}

// sleep waits until at. It returns false if the connection was cut meanwhile.
func (c *conn) sleep(at time.Time) bool {
	d := time.Until(at)
	if at.IsZero() || d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-c.gone:
		return false
	}
}

// finishLocked ends a connection after what is queued has been sent. s.mu must be held.
func (s *Server) finishLocked(c *conn) {
	if s.leaveLocked(c) {
		c.hurry()
		c.out.end()
	}
}

// hurry limits the time for the rest: only a client that reads gets it.
func (c *conn) hurry() {
	_ = c.nc.SetWriteDeadline(time.Now().Add(flushLimit)) // fails only if the socket is closed already
}

// cutLocked ends a connection at once. s.mu must be held.
func (s *Server) cutLocked(c *conn) {
	s.leaveLocked(c)
	if !c.cut {
		c.cut = true
		close(c.gone)
		c.out.abandon()
		c.nc.Close()
	}
}

// leaveLocked takes the connection from its session and its watches. It returns false if that was done before.
func (s *Server) leaveLocked(c *conn) bool {
	if c.dead {
		return false
	}
	c.dead = true
	s.unwatchLocked(c)
	if c.session != nil && c.session.conn == c {
		c.session.conn = nil
	}
	return true
}
