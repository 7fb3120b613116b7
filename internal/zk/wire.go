package zk

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// Every frame behind the handshake, big endian:
//
//	0      4    8         16     20
//	|length|xid |op ...            requests; length counts from the xid
//	|length|xid |zxid     |error|  replies; xid -1 is an event, -2 answers a ping
//
// What exists, getData and getChildren2 ask for is an int32 length, the path, and one byte that sets a watch.
const (
	replyHead     = 16
	maxFrame      = 16 << 20 // a reply; 10,000 providers with 1 KiB names fit
	xidPing       = -2
	opExists      = 3
	opGetData     = 4
	opGetChildren = 12
	opClose       = -11
)

// A wire is the net.Conn that the library sees. It answers the library's handshake itself, as that is done before, notes
// what is sent and answered, and lets the library end in order when the TCP connection is lost: from then on writes
// vanish, and the library's closing request is answered here.
//
// It also sets the watches: the library is asked for plain reads and keeps no watch, as it never forgets one that does not
// fire, and races with itself over those it has.
type wire struct {
	net.Conn
	l *link

	greeted  bool   // the library has sent its handshake; used by its loop only
	greeting []byte // what is left of the answer to it; used by its reader only
	in       scanner

	bye   chan int32    // xid of the library's closing request
	gone  chan struct{} // the library has closed this conn
	leave sync.Once

	mu    sync.Mutex          // guards the following
	sent  map[int32]time.Time // requests that are not answered
	pings []time.Time
}

func newWire(l *link, tcp net.Conn, g greeting) *wire {
	w := &wire{Conn: tcp, l: l, greeting: appendGreeting(nil, g), sent: map[int32]time.Time{},
		bye: make(chan int32, 1), gone: make(chan struct{})}
	w.in.reply = w.answered
	return w
}

// Write takes one whole frame, as the library writes them.
func (w *wire) Write(b []byte) (int, error) {
	if !w.greeted {
		w.greeted = true
		return len(b), nil
	}
	if len(b) >= 12 {
		xid, op := int32(binary.BigEndian.Uint32(b[4:])), int32(binary.BigEndian.Uint32(b[8:]))
		w.note(xid)
		if op == opClose {
			w.bye <- xid // the library sends one in its life
		}
	}
	if w.l.failed() {
		return len(b), nil
	}
	frame := b
	if key, ok := readsOf(b); ok && w.l.asks(key) {
		frame = append([]byte(nil), b...)
		frame[len(frame)-1] = 1
	}
	if _, err := w.Conn.Write(frame); err != nil {
		w.l.fail(err)
	}
	return len(b), nil
}

// readsOf returns what a request reads, if it is one that can set a watch.
func readsOf(frame []byte) (watchKey, bool) {
	const head = 4 + 8 + 4 // length, xid and op, length of the path
	if len(frame) <= head {
		return watchKey{}, false
	}
	switch op := int32(binary.BigEndian.Uint32(frame[8:])); op {
	case opExists, opGetData, opGetChildren:
		path := frame[head : len(frame)-1]
		return watchKey{string(path), op == opGetChildren}, int(binary.BigEndian.Uint32(frame[12:])) == len(path)
	}
	return watchKey{}, false
}

// note keeps the time at which a request leaves.
func (w *wire) note(xid int32) {
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	if xid == xidPing {
		w.pings = append(w.pings, now)
	} else {
		w.sent[xid] = now
	}
}

// answered moves the proof of life to the time when the answered request left.
func (w *wire) answered(xid int32, zxid int64) {
	w.mu.Lock()
	var t time.Time
	if xid == xidPing {
		if len(w.pings) > 0 {
			t = w.pings[0]
			w.pings = w.pings[1:]
		}
	} else {
		t = w.sent[xid]
		delete(w.sent, xid)
	}
	w.mu.Unlock()
	if !t.IsZero() {
		w.l.c.prove(t)
	}
	if xid >= 0 && zxid > w.l.zxid.Load() { // no other goroutine stores
		w.l.zxid.Store(zxid)
	}
}

func (w *wire) Read(p []byte) (int, error) {
	if len(w.greeting) > 0 {
		n := copy(p, w.greeting)
		w.greeting = w.greeting[n:]
		return n, nil
	}
	if !w.l.failed() {
		n, err := w.Conn.Read(p)
		if e := w.in.scan(p[:n]); e != nil {
			w.l.fail(e)
			return 0, e // what was read would make the library fail in a worse way
		}
		if err == nil || n > 0 {
			return n, nil
		}
		w.l.fail(err)
	}
	return w.farewell(p)
}

// farewell waits for the library's closing request and answers it.
func (w *wire) farewell(p []byte) (int, error) {
	if len(w.greeting) == 0 && w.in.between() {
		select {
		case xid := <-w.bye:
			w.greeting = binary.BigEndian.AppendUint32(w.greeting[:0], replyHead)
			w.greeting = binary.BigEndian.AppendUint32(w.greeting, uint32(xid))
			w.greeting = append(w.greeting, make([]byte, 12)...)
			n := copy(p, w.greeting)
			w.greeting = w.greeting[n:]
			return n, nil
		case <-w.gone:
		}
	}
	return 0, io.ErrUnexpectedEOF // in the middle of a frame nothing can be said any more
}

// Close is called by the library when it is done with the connection.
func (w *wire) Close() error {
	w.leave.Do(func() { close(w.gone) })
	w.l.fail(net.ErrClosed)
	return nil
}

// A scanner follows the frames in what is read, in pieces of any size.
type scanner struct {
	reply func(xid int32, zxid int64)
	head  [4 + replyHead]byte
	have  int // bytes of head
	rest  int // bytes of the frame behind the head that are still to come
}

// between says whether the last frame is complete.
func (s *scanner) between() bool { return s.have == 0 && s.rest == 0 }

func (s *scanner) scan(b []byte) error {
	for len(b) > 0 {
		if s.rest > 0 {
			n := min(s.rest, len(b))
			s.rest, b = s.rest-n, b[n:]
			continue
		}
		n := copy(s.head[s.have:], b)
		s.have, b = s.have+n, b[n:]
		if s.have < 4 {
			continue
		}
		length := binary.BigEndian.Uint32(s.head[:])
		if length < replyHead || length > maxFrame {
			return fmt.Errorf("frame of %d bytes from the server, want %d to %d", length, replyHead, maxFrame)
		}
		if s.have < len(s.head) {
			continue
		}
		s.have, s.rest = 0, int(length)-replyHead
		s.reply(int32(binary.BigEndian.Uint32(s.head[4:])), int64(binary.BigEndian.Uint64(s.head[8:])))
	}
	return nil
}
