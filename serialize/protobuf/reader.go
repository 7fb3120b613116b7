package protobuf

import (
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"sync"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/ferryrpc/ferry/serialize"
)

type reader struct {
	types  *serialize.Types
	src    []byte
	off    int
	err    error // the first one; nothing can be read after it
	limits serialize.Limits

	elements, bytes int // what is left of the budget
}

var readers = sync.Pool{New: func() any { return new(reader) }}

// Rest implements serialize.Reader.
func (r *reader) Rest() int { return len(r.src) - r.off }

// Free implements serialize.Reader.
func (r *reader) Free() {
	*r = reader{}
	readers.Put(r)
}

// fail makes err the reader's error, unless it has one, and returns the first one.
func (r *reader) fail(what string, err error) error {
	if r.err == nil {
		r.err = fmt.Errorf("protobuf: reading %s at byte %d: %w", what, r.off, err)
	}
	return r.err
}

// draw takes memory from the budget.
func (r *reader) draw(what string, n int) error {
	if n > r.bytes {
		return r.fail(what, serialize.LimitError("bytes of memory", r.limits.Bytes))
	}
	r.bytes -= n
	return nil
}

// item returns the next message without its length. It aliases the input.
func (r *reader) item(what string) ([]byte, error) {
	if r.err != nil {
		return nil, r.err
	}
	b := r.src[r.off:]
	n, size := protowire.ConsumeVarint(b)
	switch {
	case size < 0:
		return nil, r.fail(what, wireError(size))
	case n > uint64(len(b)-size):
		return nil, r.fail(what, serialize.ErrTruncated)
	}
	end := size + int(n)
	r.off += end
	return b[size:end:end], nil
}

// wireError tells an input that ends too early from one that is damaged.
func wireError(code int) error {
	err := protowire.ParseError(code)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return serialize.ErrTruncated
	}
	return fmt.Errorf("%w: %w", serialize.ErrMalformed, err)
}

// A field is one field of a message: number for the scalar wire types, bytes for the others.
type field struct {
	num    protowire.Number
	typ    protowire.Type
	number uint64
	bytes  []byte
}

// next takes the first field off the message b. A message that ends inside a field is malformed: its length said otherwise.
func next(b []byte) (f field, rest []byte, err error) {
	num, typ, n := protowire.ConsumeTag(b)
	if n < 0 {
		return f, nil, serialize.ErrMalformed
	}
	b = b[n:]
	f.num, f.typ = num, typ
	switch typ {
	case protowire.VarintType:
		f.number, n = protowire.ConsumeVarint(b)
	case protowire.Fixed32Type:
		var v uint32
		v, n = protowire.ConsumeFixed32(b)
		f.number = uint64(v)
	case protowire.Fixed64Type:
		f.number, n = protowire.ConsumeFixed64(b)
	case protowire.BytesType:
		f.bytes, n = protowire.ConsumeBytes(b)
	case protowire.StartGroupType:
		f.bytes, n = protowire.ConsumeGroup(num, b)
	default:
		n = -1
	}
	if n < 0 {
		return f, nil, serialize.ErrMalformed
	}
	return f, b[n:], nil
}

// wrapped reads an item whose field 1 is a scalar; ok is false for a null. Of several fields 1 the last one counts.
func (r *reader) wrapped(what string, typ protowire.Type) (f field, ok bool) {
	b, err := r.item(what)
	if err != nil {
		return f, false
	}
	for len(b) > 0 {
		g, rest, err := next(b)
		if err != nil || g.num == 1 && g.typ != typ {
			_ = r.fail(what, serialize.ErrMalformed)
			return f, false
		}
		if b = rest; g.num == 1 {
			f, ok = g, true
		}
	}
	return f, ok
}

// text builds a string of bytes of the input.
func (r *reader) text(what string, b []byte) string {
	if r.draw(what, len(b)) != nil {
		return ""
	}
	return string(b)
}

// ReadString implements serialize.Reader.
func (r *reader) ReadString() (string, error) {
	f, _ := r.wrapped("a string", protowire.BytesType)
	return r.text("a string", f.bytes), r.err
}

// SkipString implements serialize.Reader.
func (r *reader) SkipString() error {
	r.wrapped("a string", protowire.BytesType)
	return r.err
}

// Pass implements serialize.Passer.
func (r *reader) Pass(n int) {
	if n > r.Rest() {
		_ = r.fail("strings", serialize.ErrTruncated)
		return
	}
	r.off += n
}

// ReadMap implements serialize.Reader.
func (r *reader) ReadMap(dst []string) ([]string, error) {
	b, err := r.item("a map")
	for len(b) > 0 && err == nil {
		var f field
		if f, b, err = next(b); err != nil || f.num != 1 {
			continue
		}
		if r.elements--; r.elements < 0 {
			return dst, r.fail("a map", serialize.LimitError("elements", r.limits.Elements))
		}
		var pair [2]string
		for entry := f.bytes; len(entry) > 0 && err == nil; {
			var g field
			if g, entry, err = next(entry); err == nil && (g.num == 1 || g.num == 2) {
				pair[g.num-1] = r.text("a map", g.bytes)
			}
		}
		if r.draw("a map", 32) != nil {
			return dst, r.err
		}
		dst = append(dst, pair[0], pair[1])
	}
	if err != nil {
		return dst, r.fail("a map", err)
	}
	return dst, r.err
}

// Read implements serialize.Reader.
func (r *reader) Read(v any) error {
	switch v := v.(type) {
	case nil:
		_, err := r.item("a value")
		return err
	case serialize.Row:
		for i := 0; i < v.Len() && r.err == nil; i++ {
			_ = r.Read(v.At(i)) // the error stays in r
		}
		return r.err
	case Unmarshaler, proto.Message:
		b, err := r.item("a message")
		if err != nil {
			return err
		}
		return r.message(v, b)
	case *serialize.Exception:
		return r.exception(v)
	}
	if r.scalar(v) || r.pointer(v) || r.messagePointer(v) {
		return r.err
	}
	return r.fail("a value", unsupported("reading", v))
}

// message stores the message b in v, an Unmarshaler or proto.Message.
func (r *reader) message(v any, b []byte) error {
	what := reflect.TypeOf(v).String()
	m, isMessage := v.(proto.Message)
	if err := r.draw(what, len(b)); err != nil {
		return err
	}
	if isMessage && (len(b) > r.elements || len(b) > r.bytes/maxGrowth) {
		if err := r.scan(m.ProtoReflect().Descriptor(), b, r.limits.Depth); err != nil {
			return r.fail(what, err)
		}
	}
	var err error
	if u, ok := v.(Unmarshaler); ok {
		err = u.UnmarshalProto(b)
	} else {
		err = proto.UnmarshalOptions{RecursionLimit: r.limits.Depth, NoLazyDecoding: true}.Unmarshal(b, m)
	}
	if err == nil {
		return nil
	}
	if isMessage { // was it the depth?
		if limit := r.scan(m.ProtoReflect().Descriptor(), b, r.limits.Depth); limit != nil {
			return r.fail(what, limit)
		}
	}
	return r.fail(what, fmt.Errorf("%w: %w", serialize.ErrMalformed, err))
}

// messagePointer reads into a pointer to a pointer to a message or to another pointer, which it allocates.
func (r *reader) messagePointer(v any) bool {
	rv := reflect.ValueOf(v)
	if rv.Kind() != reflect.Pointer || rv.IsNil() || rv.Elem().Kind() != reflect.Pointer {
		return false
	}
	p := reflect.New(rv.Elem().Type().Elem())
	switch p.Interface().(type) {
	case Unmarshaler, proto.Message, *serialize.Exception:
	default:
		return false
	}
	if r.Read(p.Interface()) == nil {
		rv.Elem().Set(p)
	}
	return true
}

// exception reads what writer.exception wrote, or a Java throwable, whose cause and stack trace are passed over.
func (r *reader) exception(e *serialize.Exception) error {
	*e = serialize.Exception{}
	b, err := r.item("an exception")
	var value []byte
	for len(b) > 0 && err == nil {
		var f field
		if f, b, err = next(b); err != nil {
			break
		}
		switch {
		case f.num == 1 && f.typ == protowire.BytesType:
			e.Class = r.text("an exception", f.bytes)
		case f.num == 2 && f.typ == protowire.BytesType:
			e.Message = r.text("an exception", f.bytes)
		case f.num == valueNumber && f.typ == protowire.BytesType:
			value = f.bytes
		}
	}
	if err != nil {
		return r.fail("an exception", err)
	}
	rt, ok := r.types.Type(e.Class)
	if !ok || r.draw("an exception", int(rt.Size())) != nil {
		return r.err
	}
	e.Value = reflect.New(rt).Interface()
	switch e.Value.(type) {
	case Unmarshaler, proto.Message:
		return r.message(e.Value, value)
	}
	return r.err
}

// integer reads an integer between low and high; ok is false for a null.
func (r *reader) integer(low, high int64) (n int64, ok bool) {
	f, ok := r.wrapped("an integer", protowire.VarintType)
	n = int64(f.number)
	if n < low || n > high {
		_ = r.fail("an integer", fmt.Errorf("%w: %d is out of range", serialize.ErrMalformed, n))
		return 0, false
	}
	return n, ok
}

func (r *reader) float64() (float64, bool) {
	f, ok := r.wrapped("a number", protowire.Fixed64Type)
	return math.Float64frombits(f.number), ok
}

func (r *reader) float32() (float32, bool) {
	f, ok := r.wrapped("a number", protowire.Fixed32Type)
	return math.Float32frombits(uint32(f.number)), ok
}

func (r *reader) binary() []byte {
	f, ok := r.wrapped("bytes", protowire.BytesType)
	if !ok || r.draw("bytes", len(f.bytes)) != nil {
		return nil
	}
	if len(f.bytes) == 0 {
		return []byte{}
	}
	return append([]byte(nil), f.bytes...) // which does not clear the memory first, as make would
}

// time reads a Timestamp in local time; ok is false for a null.
func (r *reader) time() (t time.Time, ok bool) {
	b, err := r.item("a time")
	var parts [2]int64
	for len(b) > 0 && err == nil {
		var f field
		if f, b, err = next(b); err == nil && f.typ == protowire.VarintType && (f.num == 1 || f.num == 2) {
			parts[f.num-1], ok = int64(f.number), true
		}
	}
	if err != nil {
		_ = r.fail("a time", err)
		return t, false
	}
	if t = time.Unix(parts[0], parts[1]); !ok || t.IsZero() {
		return time.Time{}, ok
	}
	return t, true
}
