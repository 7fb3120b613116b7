package transport

import (
	"math/bits"
	"slices"
	"sync"
)

// A Frame is a pooled buffer that holds one message. Whoever has it may read and append to B; whoever has it last calls Free.
// A frame handed to Conn.Send or received from a pool user is never touched again by the one who gave it away.
type Frame struct {
	B []byte
}

// Buffers come in classes, each twice the one before: 1 KiB to 1 MiB. A buffer that grew belongs to the largest class that
// it can serve. Larger ones are giants.
const (
	smallestBits = 10
	classes      = 11
	maxPooled    = 1 << (smallestBits + classes - 1)
)

var frames [classes]sync.Pool

// NewFrame returns an empty frame with room for at least n bytes.
func NewFrame(n int) *Frame {
	if n > maxPooled {
		if f := giants.take(n); f != nil {
			return f
		}
		return &Frame{B: make([]byte, 0, roundUp(n))}
	}
	class := 0
	if n > 1<<smallestBits {
		class = bits.Len(uint(n-1)) - smallestBits
	}
	if f, ok := frames[class].Get().(*Frame); ok {
		f.B = f.B[:0]
		return f
	}
	return &Frame{B: make([]byte, 0, 1<<(smallestBits+class))}
}

// Spare returns an empty frame for a message that is expected to have n bytes and may have far less: it has room for n where
// that costs nothing, and for 1 MiB otherwise.
func Spare(n int) *Frame {
	if n > maxPooled {
		if f := giants.take(n); f != nil {
			return f
		}
	}
	return NewFrame(min(n, maxPooled))
}

// Free gives the frame back to the pool.
func (f *Frame) Free() {
	n := cap(f.B)
	switch {
	case n < 1<<smallestBits:
	case n <= maxPooled:
		frames[bits.Len(uint(n))-smallestBits-1].Put(f)
	default:
		giants.keep(f)
	}
}

// idleGiants is the most bytes that giants have in all while nobody uses them.
const idleGiants = 32 << 20

// giants are the buffers of more than 1 MiB that are not in use. They are bounded, as giant messages must not fill the memory
// for ever; the garbage collector takes what is beyond.
var giants shelf

// A shelf holds free buffers, those that came first in front.
type shelf struct {
	mu    sync.Mutex // guards the following
	free  []*Frame
	bytes int
}

// take returns a frame for n bytes that is not much larger, or nil.
func (s *shelf) take(n int) *Frame {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := len(s.free) - 1; i >= 0; i-- {
		if f := s.free[i]; cap(f.B) >= n && cap(f.B)/4 <= n {
			s.removeLocked(i)
			f.B = f.B[:0]
			return f
		}
	}
	return nil
}

// keep puts a frame on the shelf; older ones make room for it.
func (s *shelf) keep(f *Frame) {
	n := cap(f.B)
	if n > idleGiants/2 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.bytes+n > idleGiants {
		s.removeLocked(0)
	}
	s.free = append(s.free, f)
	s.bytes += n
}

func (s *shelf) removeLocked(i int) {
	s.bytes -= cap(s.free[i].B)
	s.free = slices.Delete(s.free, i, i+1)
}

// roundUp is n or somewhat more, so that buffers of similar messages can take each other's place.
func roundUp(n int) int {
	const step = maxPooled / 4
	return (n + step - 1) &^ (step - 1)
}
