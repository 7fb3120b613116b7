package transport

import "fmt"

const (
	// Bytes are read in pieces of at most this size.
	piece = 64 << 10
	// A Receiver may leave at most this many bytes.
	leftover = 1 << 20
)

// An Inbound hands the bytes of one connection to its Receiver and keeps what the Receiver leaves. It has a buffer only
// between Space and Rest, or while bytes are left over. The zero value with a Receiver is ready; one goroutine uses it.
type Inbound struct {
	Receiver Receiver
	buf      *Frame // the bytes left over, with room for more behind them
}

// Space returns room to read into: about size bytes, or 64 KiB for a size of 0.
func (i *Inbound) Space(size int) []byte {
	if size == 0 {
		size = piece
	}
	switch {
	case i.buf == nil:
		i.buf = NewFrame(size)
	case cap(i.buf.B)-len(i.buf.B) < size/2:
		i.move(len(i.buf.B) + size)
	}
	return i.buf.B[len(i.buf.B):cap(i.buf.B)]
}

// Take says that n bytes were read into Space; they go to the Receiver. An error is the Receiver's, or says that it leaves too much.
func (i *Inbound) Take(n int) error {
	b := i.buf.B[:len(i.buf.B)+n]
	used, err := i.Receiver.Received(b)
	if err != nil {
		return err
	}
	if used > 0 {
		b = b[:copy(b, b[used:])]
	}
	i.buf.B = b
	return i.check()
}

// Feed hands bytes that are in another's buffer to the Receiver. Use it instead of Space and Take.
func (i *Inbound) Feed(b []byte) error {
	if i.buf != nil {
		if cap(i.buf.B)-len(i.buf.B) < len(b) {
			i.move(len(i.buf.B) + len(b))
		}
		n := copy(i.buf.B[len(i.buf.B):cap(i.buf.B)], b)
		if err := i.Take(n); err != nil {
			return err
		}
		i.Rest()
		return nil
	}
	used, err := i.Receiver.Received(b)
	if err != nil || used == len(b) {
		return err
	}
	i.buf = NewFrame(len(b) - used)
	i.buf.B = append(i.buf.B, b[used:]...)
	return i.check()
}

func (i *Inbound) check() error {
	if len(i.buf.B) > leftover {
		return fmt.Errorf("transport: receive: %d bytes in a row of which the receiver used none", len(i.buf.B))
	}
	return nil
}

// Rest gives the buffer back while nothing arrives; what is left over moves to a small one.
func (i *Inbound) Rest() {
	switch {
	case i.buf == nil:
	case len(i.buf.B) == 0:
		i.Drop()
	case cap(i.buf.B) > 4*len(i.buf.B) && cap(i.buf.B) > 1<<smallestBits:
		i.move(len(i.buf.B))
	}
}

// Drop gives the buffer back with all that is in it.
func (i *Inbound) Drop() {
	if i.buf != nil {
		i.buf.Free()
		i.buf = nil
	}
}

func (i *Inbound) move(n int) {
	f := NewFrame(n)
	f.B = append(f.B, i.buf.B...)
	i.buf.Free()
	i.buf = f
}
