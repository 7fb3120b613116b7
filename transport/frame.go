package transport

import (
	"math/bits"
	"sync"
)

// A Frame is a pooled buffer that holds one message. Whoever has it may read and append to B; whoever has it last calls Free.
// A frame handed to Conn.Send or received from a pool user is never touched again by the one who gave it away.
type Frame struct {
	B []byte
}

// Buffers come in six classes, each four times the one before: 1, 4, 16, 64, 256 KiB and 1 MiB. A buffer that grew
// belongs to the largest class that it can serve; one above the last class is left to the garbage collector, so that a
// giant message does not live for ever in the pool.
const (
	smallestBits = 10
	classes      = 6
	maxPooled    = 1 << (smallestBits + 2*(classes-1))
)

var frames [classes]sync.Pool

// NewFrame returns an empty frame with room for at least n bytes.
func NewFrame(n int) *Frame {
	if n > maxPooled {
		return &Frame{B: make([]byte, 0, n)}
	}
	class := 0
	if n > 1<<smallestBits {
		class = (bits.Len(uint(n-1)) - smallestBits + 1) / 2
	}
	if f, ok := frames[class].Get().(*Frame); ok {
		f.B = f.B[:0]
		return f
	}
	return &Frame{B: make([]byte, 0, 1<<(smallestBits+2*class))}
}

// Free gives the frame back to the pool.
func (f *Frame) Free() {
	n := cap(f.B)
	if n < 1<<smallestBits || n >= 2*maxPooled {
		return
	}
	frames[min((bits.Len(uint(n))-smallestBits-1)/2, classes-1)].Put(f)
}
