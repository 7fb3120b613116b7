package exchange

import (
	"fmt"
	"time"

	"github.com/ferryrpc/ferry/transport"
)

// A body over the limit is skipped without buffering up to this size; past it the connection closes.
const maxSkip = 64 << 20

// The first piece of memory for a body that has not arrived as a whole; it grows with the bytes.
const firstPiece = 32 << 10

// How much more memory than bytes that came a body may have, at a step and at the last one: few steps, as each copies what is
// there, and yet no memory for bytes that are only announced.
const (
	growth     = 4
	lastGrowth = 8
)

// A Message is one whole message. Body belongs to whoever gets the Message, and holds the body alone.
type Message struct {
	Header
	Body *transport.Frame
	// At is when a request arrived, set on the server's side.
	At time.Time
}

// messages is told what a decoder finds.
type messages interface {
	message(m Message) error
	// tooLarge is told of a body that is skipped.
	tooLarge(h Header) error
}

// A decoder cuts a stream of bytes into messages. It consumes all it is given but an incomplete header, and holds at
// most one incomplete body.
type decoder struct {
	limit int64
	head  Header
	body  *transport.Frame // the body being filled, or nil
	skip  int64            // bytes still to be thrown away
}

// partial says whether the decoder is inside a message.
func (d *decoder) partial() bool { return d.body != nil || d.skip > 0 }

// free gives up an incomplete body.
func (d *decoder) free() {
	if d.body != nil {
		d.body.Free()
		d.body = nil
	}
}

func (d *decoder) decode(b []byte, to messages) (used int, err error) {
	for {
		switch {
		case d.skip > 0:
			n := min(d.skip, int64(len(b)-used))
			d.skip -= n
			used += int(n)
		case d.body != nil:
			used += d.fill(b[used:])
		}
		if d.partial() && (d.body == nil || len(d.body.B) < int(d.head.Length)) {
			return used, nil
		}
		if d.body != nil {
			m := Message{Header: d.head, Body: d.body}
			d.body = nil
			if err := to.message(m); err != nil {
				return used, err
			}
		}
		if len(b)-used < HeaderLen {
			return used, nil
		}
		if err := d.begin(b[used:], to); err != nil {
			return used, err
		}
		used += HeaderLen
	}
}

// begin reads a header and makes room for its body, of which rest may hold the first part.
func (d *decoder) begin(b []byte, to messages) error {
	h, ok := ParseHeader(b)
	if !ok {
		return fmt.Errorf("%w: it begins with % x", ErrBadFrame, b[:2])
	}
	d.head = h
	size := int64(h.Length)
	if size > d.limit {
		if size > maxSkip {
			return fmt.Errorf("%w: a body of %d bytes is announced, the limit is %d (parameter payload)", ErrTooLarge, size, d.limit)
		}
		d.skip = size
		return to.tooLarge(h)
	}
	d.body = transport.NewFrame(min(int(size), max(firstPiece, len(b)-HeaderLen)))
	return nil
}

// fill moves bytes into the body and returns how many.
func (d *decoder) fill(b []byte) int {
	n := min(len(b), int(d.head.Length)-len(d.body.B))
	if need := len(d.body.B) + n; need > cap(d.body.B) {
		bigger := transport.NewFrame(d.room(need))
		bigger.B = append(bigger.B, d.body.B...)
		d.body.Free()
		d.body = bigger
	}
	d.body.B = append(d.body.B, b[:n]...)
	return n
}

// room is the size of the buffer for a body of which need bytes are there.
func (d *decoder) room(need int) int {
	if whole := int(d.head.Length); whole > lastGrowth*len(d.body.B) {
		return min(max(growth*cap(d.body.B), need), whole)
	}
	return int(d.head.Length)
}
