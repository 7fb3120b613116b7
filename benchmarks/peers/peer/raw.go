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

// frame is a pooled buffer: a message, or a chunk of many small ones.
type frame struct {
	b     []byte
	chunk bool
}

// chunkLen is where a chunk is full. A message of a quarter of it is not copied into a chunk but written from its own frame.
const chunkLen = 64 << 10

var (
	messages = sync.Pool{New: func() any { return new(frame) }}
	chunks   = sync.Pool{New: func() any { return &frame{b: make([]byte, 0, chunkLen), chunk: true} }}
)

func release(f *frame) {
	f.b = f.b[:0]
	if f.chunk {
		chunks.Put(f)
	} else {
		messages.Put(f)
	}
}

// outbox collects what goroutines send and lets one of them write for all.
type outbox struct {
	write func(list []*frame) error // owns the frames afterwards, the list not

	mu      sync.Mutex // guards the following
	pending []*frame
	spare   []*frame // the list that is not being filled
	writing bool
	err     error
}

// send takes f over. The first sender on an idle line steps back once, so that the others who are ready to run can add
// theirs, and then writes until nothing is left.
func (o *outbox) send(f *frame) error {
	o.mu.Lock()
	o.addLocked(f)
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

func (o *outbox) addLocked(f *frame) {
	if len(f.b) >= chunkLen/4 {
		o.pending = append(o.pending, f)
		return
	}
	n := len(o.pending)
	if n == 0 || !o.pending[n-1].chunk || len(o.pending[n-1].b)+len(f.b) > chunkLen {
		o.pending = append(o.pending, chunks.Get().(*frame))
		n++
	}
	last := o.pending[n-1]
	last.b = append(last.b, f.b...)
	release(f)
}

func (o *outbox) drain() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.pending) > 0 && o.err == nil {
		list := o.pending
		o.pending = o.spare[:0]
		o.mu.Unlock()
		err := o.write(list)
		clear(list)
		o.mu.Lock()
		o.spare, o.err = list, err
	}
	o.writing = false
	return o.err
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

// writeTo writes all frames with one call.
func writeTo(c net.Conn) func([]*frame) error {
	var all net.Buffers // one writer at a time uses it
	return func(list []*frame) error {
		all = all[:0]
		for _, f := range list {
			all = append(all, f.b)
		}
		rest := all // WriteTo moves its receiver on
		_, err := rest.WriteTo(c)
		for _, f := range list {
			release(f)
		}
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
		f := messages.Get().(*frame)
		if readRaw(r, f) != nil {
			return
		}
		go out.send(f) // the handler: the frame goes back as it is
	}
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
	f := messages.Get().(*frame)
	f.b = appendRaw(f.b[:0], s.index, m)
	if err := c.out.send(f); err != nil {
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
		f := messages.Get().(*frame)
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
