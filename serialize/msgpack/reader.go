package msgpack

import (
	"encoding/binary"
	"fmt"
	"math"
	"sync"
	"unsafe"

	library "github.com/vmihailenco/msgpack/v5"

	"github.com/ferryrpc/ferry/serialize"
)

// A Reader reads the MessagePack values of a body. It belongs to one goroutine at a time.
//
// Errors are sticky: after the first one every primitive returns a zero value, lists and maps have no elements, and Next
// is false, so that generated loops end at once. The budget of serialize.Limits is drawn on by everything that is read.
type Reader struct {
	s      *Serializer
	src    []byte // cut at off when reading fails
	off    int
	err    error
	limits serialize.Limits
	dec    *library.Decoder // made when it is first needed, kept with the Reader

	elements, bytes int   // what is left of the budget
	left            int   // values still to come in the innermost open container; below 0 outside of all
	open            []int // the same of the containers around it

	listed, entries, objects int // list elements, map entries and maps seen so far

	window   span   // the piece of the body that shared is a copy of
	shared   string // what short strings that stand close together are parts of
	lastText int    // where the last short string ended
}

// A span is a piece of the body.
type span struct{ from, to int }

var readers = sync.Pool{New: func() any { return new(Reader) }}

// Free implements serialize.Reader.
func (r *Reader) Free() {
	open, dec := r.open[:0], r.dec
	if cap(open) > 1024 {
		open = nil
	}
	if len(r.src) > 64<<10 { // the decoder's buffer may have grown as large
		dec = nil
	}
	*r = Reader{open: open, dec: dec}
	readers.Put(r)
}

// Rest implements serialize.Reader.
func (r *Reader) Rest() int { return len(r.src) - r.off }

// Err returns the first error.
func (r *Reader) Err() error { return r.err }

// Fail makes err the reader's error, unless it has one.
func (r *Reader) Fail(err error) {
	if r.err == nil && err != nil {
		r.err = err
		r.src = r.src[:r.off]
	}
}

func (r *Reader) fail(what string, err error) {
	if r.err == nil {
		r.Fail(fmt.Errorf("msgpack: reading %s at byte %d: %w", what, r.off, err))
	}
}

func (r *Reader) mistyped(what string, c byte) {
	if r.err != nil {
		return
	}
	if r.off > 0 {
		r.off--
	}
	r.fail(what, fmt.Errorf("%w: code %02x", serialize.ErrMalformed, c))
}

// code reads the first byte of a value.
func (r *Reader) code() byte {
	if r.off >= len(r.src) {
		r.fail("a value", serialize.ErrTruncated)
		return codeNever
	}
	c := r.src[r.off]
	r.off++
	return c
}

// take returns the next n bytes, which alias the input.
func (r *Reader) take(n int) ([]byte, bool) {
	if n < 0 || n > len(r.src)-r.off {
		r.fail("a value", serialize.ErrTruncated)
		return nil, false
	}
	b := r.src[r.off : r.off+n]
	r.off += n
	return b, true
}

// Pass implements serialize.Passer. It is for values outside of all containers.
func (r *Reader) Pass(n int) { r.take(n) }

// uint reads an unsigned number of n bytes.
func (r *Reader) uint(n int) uint64 {
	b, ok := r.take(n)
	if !ok {
		return 0
	}
	switch n {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(binary.BigEndian.Uint16(b))
	case 4:
		return uint64(binary.BigEndian.Uint32(b))
	}
	return binary.BigEndian.Uint64(b)
}

// done counts a value of the innermost open container, and the containers that it ends. It is small enough to be inlined.
func (r *Reader) done() {
	if r.left--; r.left == 0 {
		r.leave()
	}
}

// leave ends the innermost container, and those of which it was the last value.
func (r *Reader) leave() {
	for r.left == 0 && len(r.open) > 0 {
		r.left = r.open[len(r.open)-1] - 1
		r.open = r.open[:len(r.open)-1]
	}
}

// Alloc draws the memory of n values of size bytes each on the budget and says whether it is there.
func (r *Reader) Alloc(n, size int) bool {
	if size > 0 && n > r.bytes/size {
		r.fail("a value", serialize.LimitError("bytes of memory", r.limits.Bytes))
		return false
	}
	r.bytes -= n * size
	return r.err == nil
}

// MakeSlice allocates a list of n elements within the budget; it is nil when that does not suffice.
func MakeSlice[T any](r *Reader, n int) []T {
	var zero T
	if !r.Alloc(n, int(unsafe.Sizeof(zero))) {
		return nil
	}
	return make([]T, n)
}

// MakeMap makes a map for n entries within the budget. It is never nil, so that generated code may store into it.
func MakeMap[K comparable, V any](r *Reader, n int) map[K]V {
	var key K
	var value V
	if !r.Alloc(n, 2*int(unsafe.Sizeof(key)+unsafe.Sizeof(value))) {
		return map[K]V{}
	}
	return make(map[K]V, n)
}

// Make allocates a T within the budget. It is never nil, so that generated code may read into it.
func Make[T any](r *Reader) *T {
	p := new(T)
	r.Alloc(1, int(unsafe.Sizeof(*p)))
	return p
}

// Nil reports whether the next value is a null, and passes over it if so.
func (r *Reader) Nil() bool {
	if r.off < len(r.src) && r.src[r.off] == codeNil {
		r.off++
		r.done()
		return true
	}
	return false
}

// Bool reads a boolean.
func (r *Reader) Bool() bool {
	c := r.code()
	switch c {
	case codeTrue, codeFalse, codeNil:
	default:
		r.mistyped("a boolean", c)
	}
	r.done()
	return c == codeTrue
}

// Int64 reads an integer.
func (r *Reader) Int64() int64 {
	if rest := r.src[r.off:]; len(rest) > 8 {
		// What most integers are, without a check per byte.
		n, size := int64(0), 0
		switch c := rest[0]; {
		case c < fixMap || c >= negFix:
			n, size = int64(int8(c)), 1
		case c == codeUint16:
			n, size = int64(binary.BigEndian.Uint16(rest[1:])), 3
		case c == codeUint32:
			n, size = int64(binary.BigEndian.Uint32(rest[1:])), 5
		case c == codeInt64 || c == codeUint64 && rest[1] < 0x80:
			n, size = int64(binary.BigEndian.Uint64(rest[1:])), 9
		}
		if size > 0 {
			r.off += size
			r.done()
			return n
		}
	}
	return r.otherInt64()
}

func (r *Reader) otherInt64() int64 {
	c := r.code()
	n, ok := r.int(c)
	if !ok {
		r.mistyped("an integer", c)
		return 0
	}
	r.done()
	return n
}

// int reads the integer with code c; ok is false when c is none, or the number is over the range of int64.
func (r *Reader) int(c byte) (n int64, ok bool) {
	if c < fixMap || c >= negFix {
		return int64(int8(c)), true
	}
	switch c {
	case codeNil:
		return 0, true
	case codeUint8:
		return int64(r.uint(1)), true
	case codeUint16:
		return int64(r.uint(2)), true
	case codeUint32:
		return int64(r.uint(4)), true
	case codeInt8:
		return int64(int8(r.uint(1))), true
	case codeInt16:
		return int64(int16(r.uint(2))), true
	case codeInt32:
		return int64(int32(r.uint(4))), true
	case codeInt64:
		return int64(r.uint(8)), true
	case codeUint64:
		u := r.uint(8)
		if u > math.MaxInt64 {
			r.fail("an integer", fmt.Errorf("%w: %d is out of range", serialize.ErrMalformed, u))
		}
		return int64(u), true
	}
	return 0, false
}

// ranged reads an integer between low and high.
func (r *Reader) ranged(low, high int64) int64 {
	n := r.Int64()
	if n < low || n > high {
		r.fail("an integer", fmt.Errorf("%w: %d is out of range", serialize.ErrMalformed, n))
		return 0
	}
	return n
}

// Int reads an integer.
func (r *Reader) Int() int { return int(r.ranged(math.MinInt, math.MaxInt)) }

// Int32 reads an integer.
func (r *Reader) Int32() int32 { return int32(r.ranged(math.MinInt32, math.MaxInt32)) }

// Int16 reads an integer.
func (r *Reader) Int16() int16 { return int16(r.ranged(math.MinInt16, math.MaxInt16)) }

// Int8 reads an integer.
func (r *Reader) Int8() int8 { return int8(r.ranged(math.MinInt8, math.MaxInt8)) }

// Uint64 reads an integer that is not negative.
func (r *Reader) Uint64() uint64 {
	if r.off < len(r.src) && r.src[r.off] == codeUint64 {
		r.off++
		n := r.uint(8)
		r.done()
		return n
	}
	return uint64(r.ranged(0, math.MaxInt64))
}

// Uint32 reads an integer that is not negative.
func (r *Reader) Uint32() uint32 { return uint32(r.ranged(0, math.MaxUint32)) }

// Float64 reads a number.
func (r *Reader) Float64() float64 {
	if rest := r.src[r.off:]; len(rest) > 8 && rest[0] == codeFloat64 {
		r.off += 9
		r.done()
		return math.Float64frombits(binary.BigEndian.Uint64(rest[1:]))
	}
	c := r.code()
	var f float64
	switch c {
	case codeFloat64:
		f = math.Float64frombits(r.uint(8))
	case codeFloat32:
		f = float64(math.Float32frombits(uint32(r.uint(4))))
	default:
		n, ok := r.int(c)
		if !ok {
			r.mistyped("a number", c)
			return 0
		}
		f = float64(n)
	}
	r.done()
	return f
}

// Float32 reads a number.
func (r *Reader) Float32() float32 { return float32(r.Float64()) }
