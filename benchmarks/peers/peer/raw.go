package peer

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync"

	"github.com/ferryrpc/ferry/benchmarks/peers/echo"
)

// A raw frame:
//
//	0        4                  12
//	| length | slot of caller    | the message as echo/codec.go writes it ...
//
// It is the limit that a framework can come near: no method names, no reply decoding, no deadlines. What it has is
// what no framework can do without: many callers on one connection, coalesced writes, and a goroutine per request.
const rawHeader = 12

// frame is a pooled buffer.
type frame struct{ b []byte }

var frames = sync.Pool{New: func() any { return new(frame) }}

// outbox collects what goroutines send and lets one of them write for all.
type outbox struct {
	write func(f *frame) error // owns f afterwards

	mu      sync.Mutex // guards the following
	pending *frame
	writing bool
	err     error
}

// send appends what fill adds. The first sender on an idle line steps back once, so that the others who are ready to
// run can add theirs, and then writes until nothing is left.
func (o *outbox) send(fill func(dst []byte) []byte) error {
	o.mu.Lock()
	if o.pending == nil {
		o.pending = frames.Get().(*frame)
	}
	o.pending.b = fill(o.pending.b)
	if o.writing || o.err != nil {
		err := o.err
		o.mu.Unlock()
		return err
	}
	o.writing = true
	o.mu.Unlock()
	runtime.Gosched()
	return o.drain()
}

func (o *outbox) drain() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.pending != nil && o.err == nil {
		f := o.pending
		o.pending = nil
		o.mu.Unlock()
		err := o.write(f)
		o.mu.Lock()
		o.err = err
	}
	o.writing = false
	return o.err
}

func release(f *frame) {
	f.b = f.b[:0]
	frames.Put(f)
}

// appendRaw appends a frame with this slot around what fill adds.
func appendRaw(dst []byte, slot uint64, m *echo.Message) []byte {
	start := len(dst)
	dst = binary.BigEndian.AppendUint32(dst, 0)
	dst = binary.BigEndian.AppendUint64(dst, slot)
	dst = m.AppendTo(dst)
	binary.BigEndian.PutUint32(dst[start:], uint32(len(dst)-start-rawHeader))
	return dst
}

// readRaw reads one whole frame, header included, into f.
func readRaw(r *bufio.Reader, f *frame) error {
	head, err := r.Peek(rawHeader)
	if err != nil {
		return err
	}
	n := rawHeader + int(binary.BigEndian.Uint32(head))
	if cap(f.b) < n {
		f.b = make([]byte, n)
	}
	f.b = f.b[:n]
	_, err = io.ReadFull(r, f.b)
	return err
}

func writeTo(c net.Conn) func(*frame) error {
	return func(f *frame) error {
		_, err := c.Write(f.b)
		release(f)
		return err
	}
}

// rawNet is the limit with Go's own connections on both sides.
type rawNet struct{}

func (rawNet) Name() string { return "raw-net" }

func (rawNet) Dial(addr string) (Caller, error) { return dialRaw(addr) }

func (rawNet) Serve(addr string, _ *Service) (func(), error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serveRaw(c)
		}
	}()
	return func() { l.Close() }, nil
}

func serveRaw(c net.Conn) {
	defer c.Close()
	r := bufio.NewReaderSize(c, 64<<10)
	out := &outbox{write: writeTo(c)}
	for {
		f := frames.Get().(*frame)
		if readRaw(r, f) != nil {
			return
		}
		go reply(out, f)
	}
}

// reply is the handler: it sends the frame back.
func reply(out *outbox, f *frame) {
	out.send(func(dst []byte) []byte { return append(dst, f.b...) })
	release(f)
}

// rawCaller waits for replies in slots. A slot belongs to one call from take to give.
type rawCaller struct {
	conn net.Conn
	out  *outbox

	mu    sync.Mutex // guards the following
	free  []*slot
	slots []*slot
}

type slot struct {
	index uint64
	f     *frame
	done  chan struct{}
}

func dialRaw(addr string) (*rawCaller, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	c := &rawCaller{conn: conn, out: &outbox{write: writeTo(conn)}}
	go c.read()
	return c, nil
}

func (c *rawCaller) take() *slot {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := len(c.free); n > 0 {
		s := c.free[n-1]
		c.free = c.free[:n-1]
		return s
	}
	s := &slot{index: uint64(len(c.slots)), done: make(chan struct{}, 1)}
	c.slots = append(c.slots, s)
	return s
}

func (c *rawCaller) give(s *slot) {
	c.mu.Lock()
	c.free = append(c.free, s)
	c.mu.Unlock()
}

func (c *rawCaller) slot(i uint64) *slot {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i >= uint64(len(c.slots)) {
		return nil
	}
	return c.slots[i]
}

// Echo sends m and compares the bytes that come back. It leaves m as it is, which is then the reply.
func (c *rawCaller) Echo(m *echo.Message) error {
	s := c.take()
	defer c.give(s)
	if err := c.out.send(func(dst []byte) []byte { return appendRaw(dst, s.index, m) }); err != nil {
		return err
	}
	if _, open := <-s.done; !open {
		return io.ErrUnexpectedEOF
	}
	tail := m.Payload[max(0, len(m.Payload)-64):]
	same := bytes.HasSuffix(s.f.b, tail)
	release(s.f)
	if !same {
		return fmt.Errorf("peer: raw: other bytes came back for message %d", m.ID)
	}
	return nil
}

func (c *rawCaller) read() {
	r := bufio.NewReaderSize(c.conn, 64<<10)
	for {
		f := frames.Get().(*frame)
		if readRaw(r, f) != nil {
			break
		}
		s := c.slot(binary.BigEndian.Uint64(f.b[4:]))
		if s == nil {
			break
		}
		s.f = f
		s.done <- struct{}{}
	}
	c.conn.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.slots {
		close(s.done)
	}
}

// Close ends the connection and with it the calls that wait.
func (c *rawCaller) Close() error { return c.conn.Close() }
