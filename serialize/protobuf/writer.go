package protobuf

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/ferryrpc/ferry/serialize"
)

const defaultClass = "java.lang.RuntimeException"

// Tags: field number and wire type.
const (
	tagVarint1  = 1<<3 | byte(protowire.VarintType)
	tagFixed32  = 1<<3 | byte(protowire.Fixed32Type)
	tagFixed64  = 1<<3 | byte(protowire.Fixed64Type)
	tagBytes1   = 1<<3 | byte(protowire.BytesType)
	tagBytes2   = 2<<3 | byte(protowire.BytesType)
	tagVarint2  = 2<<3 | byte(protowire.VarintType)
	valueNumber = 15 // field of Throwable
	tagValue    = valueNumber<<3 | byte(protowire.BytesType)
)

type writer struct{ buf []byte }

var writers = sync.Pool{New: func() any { return new(writer) }}

// Bytes implements serialize.Writer.
func (w *writer) Bytes() []byte { return w.buf }

// Free implements serialize.Writer.
func (w *writer) Free() {
	w.buf = nil
	writers.Put(w)
}

// WriteRaw implements serialize.Writer.
func (w *writer) WriteRaw(b []byte) { w.buf = append(w.buf, b...) }

// WriteString implements serialize.Writer.
func (w *writer) WriteString(s string) {
	s = valid(s)
	w.length(fieldSize(len(s)))
	w.buf = appendString(w.buf, tagBytes1, s)
}

// WriteMap implements serialize.Writer.
func (w *writer) WriteMap(pairs []string) {
	start := w.begin()
	for i := 0; i+1 < len(pairs); i += 2 {
		k, v := valid(pairs[i]), valid(pairs[i+1])
		w.buf = append(w.buf, tagBytes1)
		w.length(fieldSize(len(k)) + fieldSize(len(v)))
		w.buf = appendString(w.buf, tagBytes1, k)
		w.buf = appendString(w.buf, tagBytes2, v)
	}
	w.finish(start)
}

// valid repairs a string that is no UTF-8, which other readers refuse.
func valid(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(s, "\ufffd")
}

// fieldSize is the size of a field of n bytes with a tag of one.
func fieldSize(n int) int { return 1 + protowire.SizeBytes(n) }

func appendString(b []byte, tag byte, s string) []byte {
	return append(protowire.AppendVarint(append(b, tag), uint64(len(s))), s...)
}

func (w *writer) length(n int) { w.buf = protowire.AppendVarint(w.buf, uint64(n)) }

// begin leaves a byte free for the length of a message whose size is not known yet, and finish sets it. Only a message
// of 128 bytes or more has to be moved.
func (w *writer) begin() int {
	w.buf = append(w.buf, 0)
	return len(w.buf)
}

func (w *writer) finish(start int) {
	n := len(w.buf) - start
	if more := protowire.SizeVarint(uint64(n)) - 1; more > 0 {
		var room [8]byte
		w.buf = append(w.buf, room[:more]...)
		copy(w.buf[start+more:], w.buf[start:])
	}
	protowire.AppendVarint(w.buf[:start-1], uint64(n))
}

// isNil says whether v is nothing, or a pointer to nothing.
func isNil(v any) bool {
	if v == nil {
		return true
	}
	rv := reflect.ValueOf(v)
	return rv.Kind() == reflect.Pointer && rv.IsNil()
}

// Write implements serialize.Writer.
func (w *writer) Write(v any) error {
	if isNil(v) {
		w.length(0)
		return nil
	}
	switch v := v.(type) {
	case serialize.Row:
		for i := range v.Len() {
			if err := w.Write(v.At(i)); err != nil {
				return err
			}
		}
		return nil
	case Marshaler, proto.Message:
		return w.message(v)
	case *serialize.Exception:
		return w.exception(v)
	}
	if w.scalar(v) {
		return nil
	}
	if rv := reflect.ValueOf(v); rv.Kind() == reflect.Pointer && rv.Elem().Kind() == reflect.Pointer {
		return w.Write(rv.Elem().Interface())
	}
	return unsupported("writing", v)
}

// message appends a Marshaler or a proto.Message with its length.
func (w *writer) message(v any) error {
	if m, ok := v.(Marshaler); ok {
		start := w.begin()
		b, err := m.AppendProto(w.buf)
		if err != nil {
			return fmt.Errorf("protobuf: writing %T: %w", v, err)
		}
		w.buf = b
		w.finish(start)
		return nil
	}
	m := v.(proto.Message)
	w.length(proto.Size(m))
	b, err := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(w.buf, m)
	if err != nil {
		return fmt.Errorf("protobuf: writing %T: %w: %w", v, serialize.ErrUnsupported, err)
	}
	w.buf = b
	return nil
}

// scalar appends what v points to when that is a scalar.
func (w *writer) scalar(v any) bool {
	switch v := v.(type) {
	case *string:
		w.WriteString(*v)
	case *int64:
		w.varint(uint64(*v))
	case *int32:
		w.varint(uint64(*v))
	case *int16:
		w.varint(uint64(*v))
	case *int8:
		w.varint(uint64(*v))
	case *int:
		w.varint(uint64(*v))
	case *uint64:
		w.varint(*v)
	case *uint32:
		w.varint(uint64(*v))
	case *bool:
		w.varint(protowire.EncodeBool(*v))
	case *float32:
		w.length(5)
		w.buf = protowire.AppendFixed32(append(w.buf, tagFixed32), math.Float32bits(*v))
	case *float64:
		w.length(9)
		w.buf = protowire.AppendFixed64(append(w.buf, tagFixed64), math.Float64bits(*v))
	case *[]byte:
		w.binary(*v)
	case *time.Time:
		w.time(*v)
	default:
		return false
	}
	return true
}

func (w *writer) varint(n uint64) {
	w.length(1 + protowire.SizeVarint(n))
	w.buf = protowire.AppendVarint(append(w.buf, tagVarint1), n)
}

func (w *writer) binary(b []byte) {
	if b == nil {
		w.length(0)
		return
	}
	w.length(fieldSize(len(b)))
	w.buf = protowire.AppendBytes(append(w.buf, tagBytes1), b)
}

func (w *writer) time(t time.Time) {
	sec, nsec := uint64(t.Unix()), uint64(t.Nanosecond())
	w.length(2 + protowire.SizeVarint(sec) + protowire.SizeVarint(nsec))
	w.buf = protowire.AppendVarint(append(w.buf, tagVarint1), sec)
	w.buf = protowire.AppendVarint(append(w.buf, tagVarint2), nsec)
}

// exception appends an error; a Value that is no message stays here.
func (w *writer) exception(e *serialize.Exception) error {
	class := e.Class
	if class == "" {
		class = defaultClass
	}
	start := w.begin()
	w.buf = appendString(w.buf, tagBytes1, valid(class))
	w.buf = appendString(w.buf, tagBytes2, valid(e.Message))
	switch e.Value.(type) {
	case Marshaler, proto.Message:
		w.buf = append(w.buf, tagValue)
		if err := w.message(e.Value); err != nil {
			return err
		}
	}
	w.finish(start)
	return nil
}
