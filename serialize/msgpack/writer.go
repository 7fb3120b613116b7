package msgpack

import (
	"encoding/binary"
	"math"
	"sync"
	"time"

	library "github.com/vmihailenco/msgpack/v5"
)

// Codes of the MessagePack specification.
const (
	codeNil     = 0xc0
	codeNever   = 0xc1 // never used, so it serves as "no code"
	codeFalse   = 0xc2
	codeTrue    = 0xc3
	codeBin8    = 0xc4
	codeBin16   = 0xc5
	codeBin32   = 0xc6
	codeExt8    = 0xc7
	codeExt16   = 0xc8
	codeExt32   = 0xc9
	codeFloat32 = 0xca
	codeFloat64 = 0xcb
	codeUint8   = 0xcc
	codeUint16  = 0xcd
	codeUint32  = 0xce
	codeUint64  = 0xcf
	codeInt8    = 0xd0
	codeInt16   = 0xd1
	codeInt32   = 0xd2
	codeInt64   = 0xd3
	codeFixExt1 = 0xd4
	codeFixExt4 = 0xd6
	codeFixExt8 = 0xd7
	codeFixExtF = 0xd8 // 16 bytes
	codeStr8    = 0xd9
	codeStr16   = 0xda
	codeStr32   = 0xdb
	codeArray16 = 0xdc
	codeArray32 = 0xdd
	codeMap16   = 0xde
	codeMap32   = 0xdf

	fixMap   = 0x80
	fixArray = 0x90
	fixStr   = 0xa0
	negFix   = 0xe0

	timeExt = 0xff // extension -1
)

// maxDepth is where a Writer takes a value for a cycle.
const maxDepth = 10000

// A Writer appends MessagePack values to a body. It belongs to one goroutine at a time.
// Its primitives cannot fail; Value, Write and Object can.
type Writer struct {
	s     *Serializer
	buf   []byte
	depth int
	enc   *library.Encoder // made when it is first needed, kept with the Writer
}

var writers = sync.Pool{New: func() any { return new(Writer) }}

// Bytes implements serialize.Writer.
func (w *Writer) Bytes() []byte { return w.buf }

// Free implements serialize.Writer.
func (w *Writer) Free() {
	w.s, w.buf, w.depth = nil, nil, 0
	writers.Put(w)
}

// WriteRaw implements serialize.Writer.
func (w *Writer) WriteRaw(b []byte) { w.buf = append(w.buf, b...) }

// Raw appends bytes that are MessagePack already, such as a constant map header with its first key.
func (w *Writer) Raw(s string) { w.buf = append(w.buf, s...) }

// WriteString implements serialize.Writer.
func (w *Writer) WriteString(s string) { w.String(s) }

// WriteMap implements serialize.Writer.
func (w *Writer) WriteMap(pairs []string) {
	w.Map(len(pairs) / 2)
	for _, s := range pairs[:len(pairs)&^1] {
		w.String(s)
	}
}

// Nil appends a null.
func (w *Writer) Nil() { w.buf = append(w.buf, codeNil) }

// Bool appends a boolean.
func (w *Writer) Bool(b bool) {
	if b {
		w.buf = append(w.buf, codeTrue)
	} else {
		w.buf = append(w.buf, codeFalse)
	}
}

// Int appends an integer in its shortest form.
func (w *Writer) Int(n int64) {
	switch {
	case n >= 0:
		w.Uint(uint64(n))
	case n >= -32:
		w.buf = append(w.buf, byte(n))
	case n >= math.MinInt8:
		w.buf = append(w.buf, codeInt8, byte(n))
	case n >= math.MinInt16:
		w.buf = append(w.buf, codeInt16, byte(n>>8), byte(n))
	case n >= math.MinInt32:
		w.buf = binary.BigEndian.AppendUint32(append(w.buf, codeInt32), uint32(n))
	default:
		w.buf = binary.BigEndian.AppendUint64(append(w.buf, codeInt64), uint64(n))
	}
}

// Uint appends an integer in its shortest form.
func (w *Writer) Uint(n uint64) {
	switch {
	case n < 0x80:
		w.buf = append(w.buf, byte(n))
	case n <= math.MaxUint8:
		w.buf = append(w.buf, codeUint8, byte(n))
	case n <= math.MaxUint16:
		w.buf = append(w.buf, codeUint16, byte(n>>8), byte(n))
	case n <= math.MaxUint32:
		w.buf = binary.BigEndian.AppendUint32(append(w.buf, codeUint32), uint32(n))
	default:
		w.buf = binary.BigEndian.AppendUint64(append(w.buf, codeUint64), n)
	}
}

// Float32 appends a number of 4 bytes.
func (w *Writer) Float32(f float32) {
	w.buf = binary.BigEndian.AppendUint32(append(w.buf, codeFloat32), math.Float32bits(f))
}

// Float64 appends a number of 8 bytes.
func (w *Writer) Float64(f float64) {
	w.buf = binary.BigEndian.AppendUint64(append(w.buf, codeFloat64), math.Float64bits(f))
}

// String appends a string.
func (w *Writer) String(s string) {
	n := len(s)
	switch {
	case n < 32:
		w.buf = append(w.buf, fixStr|byte(n))
	case n <= math.MaxUint8:
		w.buf = append(w.buf, codeStr8, byte(n))
	case n <= math.MaxUint16:
		w.buf = append(w.buf, codeStr16, byte(n>>8), byte(n))
	default:
		w.buf = binary.BigEndian.AppendUint32(append(w.buf, codeStr32), uint32(n))
	}
	w.buf = append(w.buf, s...)
}

// Binary appends bytes; nil is a null.
func (w *Writer) Binary(b []byte) {
	n := len(b)
	switch {
	case b == nil:
		w.Nil()
	case n <= math.MaxUint8:
		w.buf = append(w.buf, codeBin8, byte(n))
	case n <= math.MaxUint16:
		w.buf = append(w.buf, codeBin16, byte(n>>8), byte(n))
	default:
		w.buf = binary.BigEndian.AppendUint32(append(w.buf, codeBin32), uint32(n))
	}
	w.buf = append(w.buf, b...)
}

// Time appends an instant with its nanoseconds; the zone is lost.
func (w *Writer) Time(t time.Time) {
	sec, nsec := uint64(t.Unix()), uint64(t.Nanosecond())
	switch {
	case sec>>34 != 0:
		w.buf = append(w.buf, codeExt8, 12, timeExt)
		w.buf = binary.BigEndian.AppendUint32(w.buf, uint32(nsec))
		w.buf = binary.BigEndian.AppendUint64(w.buf, sec)
	case sec>>32 != 0 || nsec != 0:
		w.buf = binary.BigEndian.AppendUint64(append(w.buf, codeFixExt8, timeExt), nsec<<34|sec)
	default:
		w.buf = binary.BigEndian.AppendUint32(append(w.buf, codeFixExt4, timeExt), uint32(sec))
	}
}

// Array starts a list; exactly n values follow.
func (w *Writer) Array(n int) {
	switch {
	case n < 16:
		w.buf = append(w.buf, fixArray|byte(n))
	case n <= math.MaxUint16:
		w.buf = append(w.buf, codeArray16, byte(n>>8), byte(n))
	default:
		w.buf = binary.BigEndian.AppendUint32(append(w.buf, codeArray32), uint32(n))
	}
}

// Map starts a map; exactly n times a key and a value follow.
func (w *Writer) Map(n int) {
	switch {
	case n < 16:
		w.buf = append(w.buf, fixMap|byte(n))
	case n <= math.MaxUint16:
		w.buf = append(w.buf, codeMap16, byte(n>>8), byte(n))
	default:
		w.buf = binary.BigEndian.AppendUint32(append(w.buf, codeMap32), uint32(n))
	}
}
