package triple

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/ferryrpc/ferry/serialize"
)

// Tags of the wrapper messages: field number and wire type, each one byte.
const (
	tagField1 = 1<<3 | byte(protowire.BytesType)
	tagField2 = 2<<3 | byte(protowire.BytesType)
	tagField3 = 3<<3 | byte(protowire.BytesType)
)

// maxArgs is how many arguments a method may have: as many as in Java.
const maxArgs = 255

// wrapped is a TripleRequestWrapper or TripleResponseWrapper; its parts alias the message.
type wrapped struct {
	format string
	args   [][]byte // of a response the one value
	types  []string
}

var errWrapper = errors.New("the wrapper message is damaged")

// parseWrapper reads either wrapper message.
func parseWrapper(b []byte) (w wrapped, err error) {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return w, errWrapper
		}
		b = b[n:]
		if typ != protowire.BytesType || num > 3 {
			if n = protowire.ConsumeFieldValue(num, typ, b); n < 0 {
				return w, errWrapper
			}
			b = b[n:]
			continue
		}
		v, n := protowire.ConsumeBytes(b)
		if n < 0 {
			return w, errWrapper
		}
		b = b[n:]
		switch num {
		case 1:
			w.format = string(v)
		case 2:
			w.args = append(w.args, v)
		default:
			w.types = append(w.types, string(v))
		}
		if len(w.args) > maxArgs || len(w.types) > maxArgs {
			return w, fmt.Errorf("%w: more than %d arguments", errWrapper, maxArgs)
		}
	}
	return w, nil
}

// hessian4 is what Dubbo calls hessian2 inside a wrapper.
const hessian4 = "hessian4"

func wireName(format string) string {
	if format == "hessian2" {
		return hessian4
	}
	return format
}

// formatName is wireName's reverse.
func formatName(wire string) string {
	if wire == hessian4 {
		return "hessian2"
	}
	return wire
}

func appendString(b []byte, tag byte, s string) []byte {
	return append(protowire.AppendVarint(append(b, tag), uint64(len(s))), s...)
}

// appendValue appends one value as a field: a body of its own in the format.
func appendValue(b []byte, tag byte, s serialize.Serializer, v any) ([]byte, error) {
	b = append(b, tag, 0) // a length below 128 has one byte; only a longer value has to be moved
	start := len(b)
	w := s.Writer(b)
	defer w.Free()
	if err := w.Write(v); err != nil {
		return nil, err
	}
	b = w.Bytes()
	n := len(b) - start
	if more := protowire.SizeVarint(uint64(n)) - 1; more > 0 {
		var room [8]byte
		b = append(b, room[:more]...)
		copy(b[start+more:], b[start:start+n])
	}
	protowire.AppendVarint(b[:start-1], uint64(n))
	return b, nil
}

// tagged says whether a type of Java's is one that its Go type alone does not tell: a Row writes and reads it, but not the
// value by itself.
func tagged(types []string) bool {
	return slices.ContainsFunc(types, func(t string) bool { return strings.HasPrefix(t, "java.time.") || t == "[C" })
}

// separate returns the values of a row, each of which can be written by itself: as generic values where a type is tagged.
func separate(f format, row serialize.Row, types []string, l serialize.Limits) (serialize.Row, error) {
	if row == nil || row.Len() < 2 || row.Len() != len(types) || !tagged(types) {
		return row, nil
	}
	w := f.Writer(nil)
	defer w.Free()
	if err := w.Write(row); err != nil {
		return nil, err
	}
	r := serialize.Plain(f.Serializer).Reader(w.Bytes(), l)
	defer r.Free()
	out := make(serialize.Values, row.Len())
	for i := range out {
		var v any
		if err := r.Read(&v); err != nil {
			return nil, err
		}
		out[i] = instant(types[i], &v)
	}
	return out, nil
}

// appendRequest appends a TripleRequestWrapper with the values of row.
func appendRequest(b []byte, f format, row serialize.Row, s *shape, l serialize.Limits) ([]byte, error) {
	b = appendString(b, tagField1, wireName(f.name))
	row, err := separate(f, row, s.argTypes, l)
	if err != nil {
		return nil, err
	}
	n := 0
	if row != nil {
		n = row.Len()
	}
	for i := range n {
		v := row.At(i)
		if n == 1 {
			v = row // which knows more of its value than the value's type says
		}
		if b, err = appendValue(b, tagField2, f, v); err != nil {
			return nil, err
		}
	}
	for _, t := range s.wireTypes {
		b = appendString(b, tagField3, t)
	}
	return b, nil
}

// appendResponse appends a TripleResponseWrapper with one value. wire is what the request called the format.
func appendResponse(b []byte, f format, wire string, v any, typeName string) ([]byte, error) {
	b = appendString(b, tagField1, wire)
	b, err := appendValue(b, tagField2, f, v)
	if err != nil {
		return nil, err
	}
	return appendString(b, tagField3, typeName), nil
}

// readValue reads one value, which is a body of its own.
func readValue(s serialize.Serializer, b []byte, l serialize.Limits, into any) error {
	rd := s.Reader(b, l)
	defer rd.Free()
	return rd.Read(into)
}

// readValues reads the arguments of a request into row.
func (w *wrapped) readValues(s serialize.Serializer, l serialize.Limits, row serialize.Row, types []string) error {
	want := 0
	if row != nil {
		want = row.Len()
	}
	if want != len(w.args) {
		return fmt.Errorf("it takes %d arguments, the call has %d", want, len(w.args))
	}
	switch {
	case want == 1:
		return readValue(s, w.args[0], l, row)
	case want == len(types) && tagged(types):
		return w.readTogether(s, l, row, types)
	}
	for i, b := range w.args {
		if err := readValue(s, b, l, row.At(i)); err != nil {
			return fmt.Errorf("argument %d: %w", i, err)
		}
	}
	return nil
}

// readTogether reads the arguments as generic values, and gives the row all of them in one body.
func (w *wrapped) readTogether(s serialize.Serializer, l serialize.Limits, row serialize.Row, types []string) error {
	from := make(serialize.Values, len(w.args))
	plain := serialize.Plain(s)
	for i, b := range w.args {
		var v any
		if err := readValue(plain, b, l, &v); err != nil {
			return fmt.Errorf("argument %d: %w", i, err)
		}
		from[i] = instant(types[i], &v)
	}
	return serialize.Convert(s, from, row, l)
}

// instant gives a time the form of Java's Instant where the method has one: by itself a time is a Date, of milliseconds.
func instant(typeName string, v *any) *any {
	if t, ok := (*v).(time.Time); ok && typeName == "java.time.Instant" {
		*v = &serialize.Object{Class: "com.alibaba.com.caucho.hessian.io.java8.InstantHandle",
			Fields: []serialize.Field{{Name: "seconds", Value: t.Unix()}, {Name: "nanos", Value: int32(t.Nanosecond())}}}
	}
	return v
}
