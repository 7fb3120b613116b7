package zk

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"net"
	"sync"
	"time"
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

	greeted bool // the library has sent its handshake; used by its loop only

	// The following belong to the library's reader.
	in    *bufio.Reader
	frame []byte // the last one, whole
	rest  []byte // what is left of it to hand on

	bye   chan int32    // xid of the library's closing request
	gone  chan struct{} // the library has closed this conn
	leave sync.Once

	mu    sync.Mutex        // guards the following
	sent  map[int32]request // those that are not answered
	pings []time.Time
}

// A request is what is known of one that was sent.
type request struct {
	at time.Time
	op int32
}

func newWire(l *link, tcp net.Conn, g greeting) *wire {
	return &wire{Conn: tcp, l: l, in: bufio.NewReaderSize(tcp, 16<<10), rest: appendGreeting(nil, g),
		sent: map[int32]request{}, bye: make(chan int32, 1), gone: make(chan struct{})}
}

// Write takes one whole frame, as the library writes them.
func (w *wire) Write(b []byte) (int, error) {
	if !w.greeted {
		w.greeted = true
		return len(b), nil
	}
	if len(b) >= 12 {
		xid, op := int32(binary.BigEndian.Uint32(b[4:])), int32(binary.BigEndian.Uint32(b[8:]))
		w.note(xid, op)
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
func (w *wire) note(xid, op int32) {
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	if xid == xidPing {
		w.pings = append(w.pings, now)
	} else {
		w.sent[xid] = request{now, op}
	}
}

// Read hands on one frame after the other. Only whole ones that the library can read come so far: on others it would panic.
func (w *wire) Read(p []byte) (int, error) {
	if len(w.rest) == 0 {
		if err := w.receive(); err != nil {
			w.l.fail(err)
			if err = w.farewell(); err != nil {
				return 0, err
			}
		}
	}
	n := copy(p, w.rest)
	w.rest = w.rest[n:]
	return n, nil
}

// receive reads the next frame.
func (w *wire) receive() error {
	if w.l.failed() {
		return w.l.err
	}
	var err error
	if w.frame, err = readFrame(w.in, w.frame); err != nil {
		return err
	}
	xid, zxid := int32(binary.BigEndian.Uint32(w.frame[4:])), int64(binary.BigEndian.Uint64(w.frame[8:]))
	code, body := binary.BigEndian.Uint32(w.frame[16:]), w.frame[4+replyHead:]
	var sent request
	w.mu.Lock()
	if xid == xidPing && len(w.pings) > 0 {
		sent.at, sent.op, w.pings = w.pings[0], opPing, w.pings[1:]
	} else {
		sent = w.sent[xid]
		delete(w.sent, xid)
	}
	w.mu.Unlock()
	if xid == xidEvent {
		sent.op, code = opEvent, 0
	}
	if code == 0 && !readable(sent.op, body) {
		return fmt.Errorf("%w: %d bytes in answer to request type %d", errFrame, len(body), sent.op)
	}
	if !sent.at.IsZero() && w.l.c.proves(sent.op, code) {
		w.l.c.prove(sent.at) // the session's timer was started again after that
	}
	if xid >= 0 && zxid > w.l.zxid.Load() { // no other goroutine stores
		w.l.zxid.Store(zxid)
	}
	w.rest = w.frame
	return nil
}

// farewell waits for the library's closing request and answers it.
func (w *wire) farewell() error {
	select {
	case xid := <-w.bye:
		w.rest = binary.BigEndian.AppendUint32(nil, replyHead)
		w.rest = binary.BigEndian.AppendUint32(w.rest, uint32(xid))
		w.rest = append(w.rest, make([]byte, replyHead-4)...)
		return nil
	case <-w.gone:
		return net.ErrClosed
	}
}

// Close is called by the library when it is done with the connection.
func (w *wire) Close() error {
	w.leave.Do(func() { close(w.gone) })
	w.l.fail(net.ErrClosed)
	return nil
}
