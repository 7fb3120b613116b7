package hessian2

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/ferryrpc/ferry/serialize"
)

// A Reader walks over one body. Its primitives do not return errors: the first error stays (Err), everything after it
// reads as zero, and lists and maps have no more elements, so that generated loops end at once. A Reader belongs to one
// goroutine; nothing that it returns aliases the body.
type Reader struct {
	owner    *Serializer
	src      []byte
	pos      int
	err      error
	depth    int // containers entered and not yet left
	elements int // what is left of the budget
	memory   int
	limits   serialize.Limits

	slots   []slot // by reference number
	next    int    // the number of the next container; less than len(slots) while something is read again
	pending any    // the Go pointer that the next container fills
	frames  []frame
	classes []definition
	types   []span
	scratch []byte

	window   span // the piece of the body that text is a copy of
	text     string
	lastText int // where the last short string ended
}

var _ serialize.Reader = (*Reader)(nil)

// slot is what is known about one list, map or object: where it stands, and the Go value that it became, if that can be shared.
type slot struct {
	off   int
	value any
}

// span is a piece of the body.
type span struct{ from, to int }

// frame says what is to be done when the container at a depth has been read: consume the end mark of a list without a
// length, or go back to where a reference was met.
type frame struct {
	depth    int
	variable bool
	from     int // where the value stands that is read again
	pos      int
	next     int
}

// Rest implements serialize.Reader.
func (r *Reader) Rest() int { return len(r.src) - r.pos }

// Err returns the first error, or nil.
func (r *Reader) Err() error { return r.err }

// Fail makes err the error of the Reader unless it has one already; a nil err changes nothing.
func (r *Reader) Fail(err error) {
	if err == nil {
		return
	}
	if r.err == nil {
		r.err = err
	}
	r.pos = len(r.src) // nothing more is to be found, so every primitive fails at its first look
}

// fail is Fail with what was being read and where.
func (r *Reader) fail(kind error, what string) {
	if r.err != nil {
		r.Fail(r.err)
	} else {
		r.Fail(fmt.Errorf("hessian2: read %s at byte %d of %d: %w", what, min(r.pos, len(r.src)), len(r.src), kind))
	}
}

// mismatch fails because the value at the current place is not what the caller wants.
func (r *Reader) mismatch(what string) {
	if r.pos >= len(r.src) {
		r.fail(serialize.ErrTruncated, what)
		return
	}
	r.fail(serialize.ErrMalformed, fmt.Sprintf("%s, found tag 0x%02x", what, r.src[r.pos]))
}

// Free implements serialize.Reader.
func (r *Reader) Free() {
	if r.owner == nil || cap(r.slots) > maxPooled || cap(r.classes) > maxPooled || cap(r.types) > maxPooled || cap(r.scratch) > 64<<10 {
		return
	}
	clear(r.slots)
	clear(r.classes)
	*r = Reader{owner: r.owner, slots: r.slots[:0], frames: r.frames[:0], classes: r.classes[:0], types: r.types[:0], scratch: r.scratch[:0]}
	r.owner.readers.Put(r)
}

// tag returns the first byte of the next value without consuming it; at the end of the body it fails and returns false.
func (r *Reader) tag(what string) (byte, bool) {
	if r.pos < len(r.src) {
		return r.src[r.pos], true
	}
	r.fail(serialize.ErrTruncated, what)
	return 0, false
}

// take consumes n bytes, or fails and returns nil.
func (r *Reader) take(n int, what string) []byte {
	if n > len(r.src)-r.pos {
		r.fail(serialize.ErrTruncated, what)
		return nil
	}
	b := r.src[r.pos : r.pos+n]
	r.pos += n
	return b
}

// count draws n elements from the budget.
func (r *Reader) count(n int) bool {
	r.elements -= n
	if r.elements < 0 {
		r.Fail(fmt.Errorf("hessian2: %w", serialize.LimitError("elements", r.limits.Elements)))
		return false
	}
	return r.err == nil
}

// spend draws n bytes of memory from the budget.
func (r *Reader) spend(n int) bool {
	r.memory -= n
	if r.memory < 0 {
		r.Fail(fmt.Errorf("hessian2: %w", serialize.LimitError("bytes of memory", r.limits.Bytes)))
		return false
	}
	return r.err == nil
}

// Null consumes a null if the next value is one.
func (r *Reader) Null() bool {
	if r.pos < len(r.src) && r.src[r.pos] == tagNull {
		r.pos++
		return true
	}
	return false
}

// Bool reads a boolean; a null is false.
func (r *Reader) Bool() bool {
	if r.pos < len(r.src) {
		switch r.src[r.pos] {
		case tagTrue:
			r.pos++
			return true
		case tagFalse, tagNull:
			r.pos++
			return false
		}
	}
	r.mismatch("boolean")
	return false
}

// Int reads an integer that fits into 32 bits; a null is 0.
func (r *Reader) Int() int32 {
	if r.pos < len(r.src) {
		if b := r.src[r.pos]; b >= 0x80 && b <= 0xbf {
			r.pos++
			return int32(b) - zeroInt
		}
	}
	return int32(r.integer(math.MinInt32, math.MaxInt32, "int"))
}

// Short reads an integer that fits into 16 bits; a null is 0.
func (r *Reader) Short() int16 { return int16(r.integer(math.MinInt16, math.MaxInt16, "short")) }

// Byte reads an integer that fits into 8 bits with a sign; a null is 0.
func (r *Reader) Byte() int8 { return int8(r.integer(math.MinInt8, math.MaxInt8, "byte")) }

// Long reads an integer; a null is 0.
func (r *Reader) Long() int64 {
	if r.pos < len(r.src) {
		if b := r.src[r.pos]; b >= 0xd8 && b <= 0xef {
			r.pos++
			return int64(b) - zeroLong
		}
	}
	return r.integer(math.MinInt64, math.MaxInt64, "long")
}

// integer reads a whole number in any numeric form within bounds.
func (r *Reader) integer(min, max int64, what string) int64 {
	at := r.pos
	i, f, kind := r.number(what)
	if r.err != nil {
		return 0
	}
	if kind == isFloat {
		if i = int64(f); float64(i) != f || f >= 1<<63 {
			r.pos = at
			r.fail(serialize.ErrMalformed, fmt.Sprintf("%s, found the double %v", what, f))
			return 0
		}
	}
	if i < min || i > max {
		r.pos = at
		r.fail(serialize.ErrMalformed, fmt.Sprintf("%s, found %d, which is out of range", what, i))
		return 0
	}
	return i
}

// Double reads a number; a null is 0.
func (r *Reader) Double() float64 {
	i, f, kind := r.number("double")
	if kind == isFloat {
		return f
	}
	return float64(i)
}

// Float reads a number as a float; a null is 0. A finite number that would round to infinity is an error. Java writes the
// shortest decimal of a float, and that of Float.MAX_VALUE is a little more than it.
func (r *Reader) Float() float32 {
	f := r.Double()
	v := float32(f)
	if math.IsInf(float64(v), 0) && !math.IsInf(f, 0) {
		r.fail(serialize.ErrMalformed, fmt.Sprintf("float, found %v, which is out of range", f))
		return 0
	}
	return v
}

type numberKind uint8

const (
	isInt numberKind = iota
	isLong
	isFloat
)

// number reads any numeric form; a null is the int 0.
func (r *Reader) number(what string) (i int64, f float64, kind numberKind) {
	b, ok := r.tag(what)
	if !ok {
		return 0, 0, isInt
	}
	rest := r.src[r.pos+1:]
	n := numberSize(b)
	if n == 0 {
		r.mismatch(what)
		return 0, 0, isInt
	}
	if len(rest) < n-1 {
		r.fail(serialize.ErrTruncated, what)
		return 0, 0, isInt
	}
	r.pos += n
	switch {
	case b >= 0xf0:
		return int64(b)<<8 + int64(rest[0]) - zeroLong12<<8, 0, isLong
	case b >= 0xd8:
		return int64(b) - zeroLong, 0, isLong
	case b >= 0xd0:
		return int64(b)<<16 + int64(rest[0])<<8 + int64(rest[1]) - zeroInt19<<16, 0, isInt
	case b >= 0xc0:
		return int64(b)<<8 + int64(rest[0]) - zeroInt12<<8, 0, isInt
	case b >= 0x80:
		return int64(b) - zeroInt, 0, isInt
	case b >= tagLong19 && b <= tagLong19+7:
		return int64(b)<<16 + int64(rest[0])<<8 + int64(rest[1]) - zeroLong19<<16, 0, isLong
	}
	switch b {
	case tagInt:
		return int64(int32(binary.BigEndian.Uint32(rest))), 0, isInt
	case tagLong32:
		return int64(int32(binary.BigEndian.Uint32(rest))), 0, isLong
	case tagLong:
		return int64(binary.BigEndian.Uint64(rest)), 0, isLong
	case tagDouble1:
		return 0, 1, isFloat
	case tagDouble8:
		return 0, float64(int8(rest[0])), isFloat
	case tagDouble16:
		return 0, float64(int16(binary.BigEndian.Uint16(rest))), isFloat
	case tagDoubleMill:
		return 0, mill(int32(binary.BigEndian.Uint32(rest))), isFloat
	case tagDouble:
		return 0, math.Float64frombits(binary.BigEndian.Uint64(rest)), isFloat
	case tagDouble0:
		return 0, 0, isFloat
	}
	return 0, 0, isInt // null
}

// numberSize is the length of a number (or null) with its tag; 0 for everything else.
func numberSize(b byte) int {
	switch {
	case b >= 0xf0:
		return 2
	case b >= 0xd8:
		return 1
	case b >= 0xd0:
		return 3
	case b >= 0xc0:
		return 2
	case b >= 0x80:
		return 1
	case b >= tagLong19 && b <= tagLong19+7:
		return 3
	}
	switch b {
	case tagNull, tagDouble0, tagDouble1:
		return 1
	case tagDouble8:
		return 2
	case tagDouble16:
		return 3
	case tagInt, tagLong32, tagDoubleMill:
		return 5
	case tagLong, tagDouble:
		return 9
	}
	return 0
}
