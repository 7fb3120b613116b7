package zk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Every frame behind the handshake, big endian:
//
//	0      4    8         16     20
//	|length|xid |op ...            requests; length counts from the xid
//	|length|xid |zxid     |error|  replies; xid -1 is an event, -2 answers a ping
//
// What exists, getData and getChildren2 ask for is an int32 length, the path, and one byte that sets a watch.
const (
	replyHead = 16
	maxFrame  = 16 << 20 // a reply; 10,000 providers with 1 KiB names fit
	mostFrame = 1 << 30  // a longer reply costs the connection; one between both costs who asked
	keepFrame = 64 << 10 // a larger buffer is not used again
	statSize  = 68

	xidEvent = -1
	xidPing  = -2

	codeTooLarge = -100 // put in the place of a reply that is; servers never send it
)

// The request types whose answers have a body. opEvent is our number for what nobody asked for; it must not be 0, which
// the answers to pings have.
const (
	opEvent           = -100
	opCreate          = 1
	opDelete          = 2
	opExists          = 3
	opGetData         = 4
	opSetData         = 5
	opSync            = 9
	opPing            = 11
	opGetChildren     = 12
	opCheck           = 13
	opMulti           = 14
	opCreateContainer = 19
	opFailed          = -1
	opClose           = -11
)

// errFrame means that a server sent what no server sends.
var errFrame = errors.New("not a ZooKeeper frame")

// readFrame reads a whole frame with its length into buf, or into a larger one that grows with what arrives. A reply that is
// too large is read past and replaced by a reply that says so: the session, and all others who use it, go on.
func readFrame(r io.Reader, buf []byte) ([]byte, error) {
	if cap(buf) > keepFrame || cap(buf) < 4+replyHead {
		buf = make([]byte, 0, 512)
	}
	buf = buf[:4+replyHead]
	if _, err := io.ReadFull(r, buf[:4]); err != nil {
		return buf, err
	}
	length := binary.BigEndian.Uint32(buf)
	if length < replyHead || length > mostFrame {
		return buf, fmt.Errorf("%w: %d bytes long, want %d to %d", errFrame, length, replyHead, maxFrame)
	}
	if length > maxFrame {
		return skipFrame(r, buf, length)
	}
	buf = buf[:4]
	for missing := int(length); missing > 0; {
		n := min(missing, max(len(buf), 512))
		start := len(buf)
		buf = append(buf, make([]byte, n)...)
		if _, err := io.ReadFull(r, buf[start:]); err != nil {
			return buf, err
		}
		missing -= n
	}
	return buf, nil
}

func skipFrame(r io.Reader, buf []byte, length uint32) ([]byte, error) {
	if _, err := io.ReadFull(r, buf[4:]); err != nil {
		return buf, err
	}
	if int32(binary.BigEndian.Uint32(buf[4:])) < 0 {
		return buf, fmt.Errorf("%w: %d bytes long, and no reply", errFrame, length)
	}
	if _, err := io.CopyN(io.Discard, r, int64(length)-replyHead); err != nil {
		return buf, err
	}
	code := int32(codeTooLarge)
	binary.BigEndian.PutUint32(buf, replyHead)
	binary.BigEndian.PutUint32(buf[16:], uint32(code))
	return buf, nil
}

// readable says whether the body of an answer has the shape that the library expects; it panics on some that have not.
func readable(op int32, body []byte) bool {
	b := shape(body)
	switch op {
	case opEvent:
		return b.skip(8) && b.text()
	case opCreate, opCreateContainer, opSync:
		return b.text()
	case opExists, opSetData:
		return b.skip(statSize)
	case opGetData:
		return b.bytes() && b.skip(statSize)
	case opGetChildren:
		n, ok := b.int()
		ok = ok && n >= 0
		for i := int32(0); ok && i < n; i++ {
			ok = b.text()
		}
		return ok && b.skip(statSize)
	case opMulti:
		return b.multi()
	}
	return true
}

// A shape is what is left to look at.
type shape []byte

func (b *shape) skip(n int) bool {
	if n < 0 || n > len(*b) {
		return false
	}
	*b = (*b)[n:]
	return true
}

func (b *shape) int() (int32, bool) {
	if len(*b) < 4 {
		return 0, false
	}
	n := int32(binary.BigEndian.Uint32(*b))
	*b = (*b)[4:]
	return n, true
}

func (b *shape) text() bool {
	n, ok := b.int()
	return ok && b.skip(int(n))
}

// bytes are a text that may also be absent.
func (b *shape) bytes() bool {
	n, ok := b.int()
	return ok && b.skip(int(max(n, 0)))
}

// multi are parts of an int32 type, a byte that ends them, an int32 error, and what the type answers.
func (b *shape) multi() bool {
	for {
		op, ok := b.int()
		if !ok || len(*b) < 5 {
			return false
		}
		done := (*b)[0] != 0
		b.skip(5)
		if done {
			return true
		}
		switch op {
		case opFailed:
			ok = b.skip(4)
		case opCreate:
			ok = b.text()
		case opSetData:
			ok = b.skip(statSize)
		case opDelete, opCheck:
		default:
			ok = false
		}
		if !ok {
			return false
		}
	}
}
