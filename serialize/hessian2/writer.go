package hessian2

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/ferryrpc/ferry/serialize"
)

// A Writer appends the values of one body. Its primitives never fail and do not allocate beyond the growth of the buffer;
// only Value and Write can meet something that has no form in Hessian. Generated code uses the primitives. A Writer
// belongs to one goroutine.
type Writer struct {
	owner   *Serializer
	buf     []byte
	refs    int // lists, maps and objects so far
	depth   int // nesting of values that come by way of Value
	classes []*Class
	types   []string
	seen    pointers
}

var _ serialize.Writer = (*Writer)(nil)

// Bytes implements serialize.Writer.
func (w *Writer) Bytes() []byte { return w.buf }

// Free implements serialize.Writer.
func (w *Writer) Free() {
	if w.owner == nil || cap(w.classes) > maxPooled || cap(w.types) > maxPooled {
		return
	}
	clear(w.classes)
	clear(w.types)
	w.buf, w.refs, w.depth = nil, 0, 0
	w.classes, w.types = w.classes[:0], w.types[:0]
	w.seen.reset()
	w.owner.writers.Put(w)
}

// WriteRaw implements serialize.Writer.
func (w *Writer) WriteRaw(b []byte) { w.buf = append(w.buf, b...) }

// WriteString implements serialize.Writer.
func (w *Writer) WriteString(s string) { w.String(s) }

// WriteMap implements serialize.Writer. A key without a value is left out.
func (w *Writer) WriteMap(pairs []string) {
	w.Map("")
	for i := 0; i+1 < len(pairs); i += 2 {
		w.String(pairs[i])
		w.String(pairs[i+1])
	}
	w.EndMap()
}

// Null writes a null.
func (w *Writer) Null() { w.buf = append(w.buf, tagNull) }

// Bool writes a boolean.
func (w *Writer) Bool(v bool) {
	if v {
		w.buf = append(w.buf, tagTrue)
	} else {
		w.buf = append(w.buf, tagFalse)
	}
}

// Int writes a Java int; byte and short have the same form.
func (w *Writer) Int(v int32) {
	switch {
	case v >= -16 && v <= 47:
		w.buf = append(w.buf, byte(v+zeroInt))
	case v >= -2048 && v <= 2047:
		w.buf = append(w.buf, byte(v>>8+zeroInt12), byte(v))
	case v >= -262144 && v <= 262143:
		w.buf = append(w.buf, byte(v>>16+zeroInt19), byte(v>>8), byte(v))
	default:
		w.buf = append(w.buf, tagInt, byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
	}
}

// Long writes a Java long.
func (w *Writer) Long(v int64) {
	switch {
	case v >= -8 && v <= 15:
		w.buf = append(w.buf, byte(v+zeroLong))
	case v >= -2048 && v <= 2047:
		w.buf = append(w.buf, byte(v>>8+zeroLong12), byte(v))
	case v >= -262144 && v <= 262143:
		w.buf = append(w.buf, byte(v>>16+zeroLong19), byte(v>>8), byte(v))
	case v >= math.MinInt32 && v <= math.MaxInt32:
		w.buf = append(w.buf, tagLong32, byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
	default:
		w.buf = binary.BigEndian.AppendUint64(append(w.buf, tagLong), uint64(v))
	}
}

// Double writes a Java double, or a float after widening, in the shortest form that gives the same bits back.
func (w *Writer) Double(v float64) {
	bits := math.Float64bits(v)
	if n := int32(v); v == float64(n) && v >= math.MinInt32 && v <= math.MaxInt32 && bits != 1<<63 {
		switch {
		case n == 0:
			w.buf = append(w.buf, tagDouble0)
			return
		case n == 1:
			w.buf = append(w.buf, tagDouble1)
			return
		case n == int32(int8(n)):
			w.buf = append(w.buf, tagDouble8, byte(n))
			return
		case n == int32(int16(n)):
			w.buf = append(w.buf, tagDouble16, byte(n>>8), byte(n))
			return
		}
	}
	if v > -2147483 && v < 2147483 {
		if m := int32(v * 1000); mill(m) == v && bits != 1<<63 {
			w.buf = append(w.buf, tagDoubleMill, byte(m>>24), byte(m>>16), byte(m>>8), byte(m))
			return
		}
	}
	w.buf = binary.BigEndian.AppendUint64(append(w.buf, tagDouble), bits)
}

// mill is what the five byte form of a double means; Java multiplies, and m/1000 differs in the last bit.
func mill(m int32) float64 { return 0.001 * float64(m) }

// Float writes a Java float: widened, as Java does it.
func (w *Writer) Float(v float32) { w.Double(float64(v)) }

// Binary writes a byte[]; nil is a null.
func (w *Writer) Binary(b []byte) {
	if b == nil {
		w.Null()
		return
	}
	for len(b) > chunkBytes {
		w.buf = append(append(w.buf, tagChunkBin, 0xff, 0xff), b[:chunkBytes]...)
		b = b[chunkBytes:]
	}
	switch n := len(b); {
	case n < 16:
		w.buf = append(w.buf, byte(tagBinary+n))
	case n < 1024:
		w.buf = append(w.buf, byte(tagBinary10+n>>8), byte(n))
	default:
		w.buf = append(w.buf, tagBinary16, byte(n>>8), byte(n))
	}
	w.buf = append(w.buf, b...)
}

// Date writes a java.util.Date, which has milliseconds; the zero time is a null.
func (w *Writer) Date(t time.Time) {
	if t.IsZero() {
		w.Null()
		return
	}
	ms := t.UnixMilli()
	if min := ms / 60000; ms%60000 == 0 && min == int64(int32(min)) {
		w.buf = binary.BigEndian.AppendUint32(append(w.buf, tagDateMins), uint32(min))
		return
	}
	w.buf = binary.BigEndian.AppendUint64(append(w.buf, tagDateMillis), uint64(ms))
}

// List begins a list of exactly n elements, which follow; nothing ends it. class is "" for a java.util.List, else the Java
// class of the collection or the array type as Hessian names it: [int, [string, [object, [com.example.User.
func (w *Writer) List(class string, n int) {
	w.refs++
	switch {
	case class == "" && n < 8:
		w.buf = append(w.buf, byte(tagList0+n))
		return
	case class == "":
		w.buf = append(w.buf, tagList)
	case n < 8:
		w.buf = append(w.buf, byte(tagListTyped0+n))
		w.typeName(class)
		return
	default:
		w.buf = append(w.buf, tagListTyped)
		w.typeName(class)
	}
	w.Int(int32(n))
}

// Map begins a map, whose keys and values follow in turn until EndMap. class is "" for a java.util.HashMap.
func (w *Writer) Map(class string) {
	w.refs++
	if class == "" {
		w.buf = append(w.buf, tagMap)
		return
	}
	w.buf = append(w.buf, tagMapTyped)
	w.typeName(class)
}

// EndMap ends a map.
func (w *Writer) EndMap() { w.buf = append(w.buf, tagEnd) }

// typeName writes the name of a list or map type, or the number that it has already.
func (w *Writer) typeName(name string) {
	for i, t := range w.types {
		if t == name {
			w.Int(int32(i))
			return
		}
	}
	w.types = append(w.types, name)
	w.String(name)
}

// Object begins an object; the values of c.Fields follow in their order. The definition of c goes ahead when this body
// does not have it yet.
func (w *Writer) Object(c *Class) {
	w.refs++
	for i, k := range w.classes {
		if k == c {
			w.instance(i)
			return
		}
	}
	w.classes = append(w.classes, c)
	w.buf = append(w.buf, c.def...)
	w.instance(len(w.classes) - 1)
}

func (w *Writer) instance(i int) {
	if i < 16 {
		w.buf = append(w.buf, byte(tagInstance+i))
		return
	}
	w.buf = append(w.buf, tagObject)
	w.Int(int32(i))
}

// Enum writes a constant of the Java enum c, whose only field is name; an empty name is a null.
func (w *Writer) Enum(c *Class, name string) {
	if name == "" {
		w.Null()
		return
	}
	w.Object(c)
	w.String(name)
}

// Seen says whether the object that p points to is in this body already, and writes a reference to it in that case. If not,
// the caller must write it now, as one list, map or object and nothing else. p is a pointer and not nil; passing it costs no allocation.
func (w *Writer) Seen(p any) bool { return w.seenSlice(p, 0) }

// unseen takes back the last Seen if nothing was written since that has a reference number: codecs written by hand may
// make a string or a number of their type.
func (w *Writer) unseen() { w.seen.forget(w.refs) }

// seenSlice is Seen for a slice of n elements, of which p points to the first. Only slices of interfaces are remembered:
// they alone can come from the wire with themselves inside.
func (w *Writer) seenSlice(p any, n int) bool {
	ref, ok := w.seen.add(p, n, w.refs)
	if ok {
		w.buf = append(w.buf, tagRef)
		w.Int(int32(ref))
	}
	return ok
}
