package tsv

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/ferryrpc/ferry/serialize"
)

type reader struct {
	src    []byte
	off    int
	limits serialize.Limits

	elements, bytes int // what is left of the budget
}

// A line is one value, its fields still escaped. They alias the input.
type line struct {
	kind   byte
	fields [][]byte
}

// Rest implements serialize.Reader.
func (r *reader) Rest() int { return len(r.src) - r.off }

// Free implements serialize.Reader.
func (r *reader) Free() { *r = reader{} }

// fail says where and what could not be read.
func (r *reader) fail(what string, err error) error {
	return fmt.Errorf("tsv: reading %s at byte %d: %w", what, r.off, err)
}

// next passes over the next line and draws what it may cost from the budget.
func (r *reader) next(what string) (line, error) {
	n := bytes.IndexByte(r.src[r.off:], '\n')
	if n < 0 {
		return line{}, r.fail(what, serialize.ErrTruncated)
	}
	raw := r.src[r.off : r.off+n]
	fields := bytes.Count(raw, []byte{'\t'})
	const header = 40 // of a field and its text
	switch cost := n + header*fields; {
	case n == 0:
		return line{}, r.fail(what, serialize.ErrMalformed)
	case fields > r.elements:
		return line{}, r.fail(what, serialize.LimitError("elements", r.limits.Elements))
	case cost > r.bytes:
		return line{}, r.fail(what, serialize.LimitError("bytes of memory", r.limits.Bytes))
	default:
		r.elements, r.bytes = r.elements-fields, r.bytes-cost
	}
	parts := bytes.Split(raw, []byte{'\t'})
	if len(parts[0]) != 1 || !wellFormed(parts[0][0], len(parts)-1) {
		return line{}, r.fail(what, serialize.ErrMalformed)
	}
	r.off += n + 1
	return line{parts[0][0], parts[1:]}, nil
}

// wellFormed says whether a line of that kind has so many fields.
func wellFormed(kind byte, fields int) bool {
	switch kind {
	case null:
		return fields == 0
	case boolean, integer, float, text, data, instant:
		return fields == 1
	case thrown:
		return fields == 2
	case mapping:
		return fields%2 == 0
	}
	return false
}

// unescape is the text of a field.
func unescape(field []byte) (string, error) {
	if bytes.IndexByte(field, '\\') < 0 {
		return string(field), nil
	}
	var b strings.Builder
	for i := 0; i < len(field); i++ {
		c := field[i]
		if c == '\\' {
			i++
			at := -1
			if i < len(field) {
				at = strings.IndexByte(`tn\`, field[i])
			}
			if at < 0 {
				return "", serialize.ErrMalformed
			}
			c = "\t\n\\"[at]
		}
		b.WriteByte(c)
	}
	return b.String(), nil
}

// ReadString implements serialize.Reader.
func (r *reader) ReadString() (string, error) {
	l, err := r.next("a string")
	switch {
	case err != nil:
		return "", err
	case l.kind == null:
		return "", nil
	case l.kind != text:
		return "", r.fail("a string", serialize.ErrMalformed)
	}
	s, err := unescape(l.fields[0])
	if err != nil {
		return "", r.fail("a string", err)
	}
	return s, nil
}

// SkipString implements serialize.Reader.
func (r *reader) SkipString() error {
	l, err := r.next("a string")
	if err == nil && l.kind != text && l.kind != null {
		err = r.fail("a string", serialize.ErrMalformed)
	}
	return err
}

// ReadMap implements serialize.Reader.
func (r *reader) ReadMap(dst []string) ([]string, error) {
	l, err := r.next("a map")
	if err == nil && l.kind != mapping && l.kind != null {
		err = r.fail("a map", serialize.ErrMalformed)
	}
	if err != nil {
		return dst, err
	}
	for _, f := range l.fields {
		s, err := unescape(f)
		if err != nil {
			return dst, r.fail("a map", err)
		}
		dst = append(dst, s)
	}
	return dst, nil
}

// Read implements serialize.Reader.
func (r *reader) Read(v any) error {
	if row, ok := v.(serialize.Row); ok {
		for i := range row.Len() {
			if err := r.Read(row.At(i)); err != nil {
				return err
			}
		}
		return nil
	}
	l, err := r.next("a value")
	if err != nil || v == nil {
		return err
	}
	if err := l.into(v); err != nil {
		return r.fail(fmt.Sprintf("a %T", v), err)
	}
	return nil
}

// into stores the value of a line in what v points to.
func (l line) into(v any) error {
	rv := reflect.ValueOf(v)
	if rv.Kind() != reflect.Pointer || rv.IsNil() {
		return serialize.ErrUnsupported
	}
	rv = rv.Elem()
	if l.kind == null {
		rv.SetZero()
		return nil
	}
	switch v := v.(type) {
	case *time.Time:
		ms, err := l.int(instant, 64)
		*v = time.UnixMilli(ms)
		return err
	case *[]byte:
		if l.kind != data {
			return serialize.ErrMalformed
		}
		b, err := base64.StdEncoding.AppendDecode([]byte{}, l.fields[0])
		if err != nil {
			return serialize.ErrMalformed
		}
		*v = b
		return nil
	case *serialize.Exception:
		return l.exception(v)
	}
	return l.scalar(rv)
}

func (l line) exception(x *serialize.Exception) (err error) {
	if l.kind != thrown {
		return serialize.ErrMalformed
	}
	*x = serialize.Exception{}
	if x.Class, err = unescape(l.fields[0]); err == nil {
		x.Message, err = unescape(l.fields[1])
	}
	return err
}

// scalar stores a scalar, or a pointer to a new one.
func (l line) scalar(rv reflect.Value) error {
	switch {
	case rv.Kind() == reflect.Pointer:
		fresh := reflect.New(rv.Type().Elem())
		if err := l.into(fresh.Interface()); err != nil {
			return err
		}
		rv.Set(fresh)
		return nil
	case rv.Kind() == reflect.String && l.kind == text:
		s, err := unescape(l.fields[0])
		rv.SetString(s)
		return err
	case rv.Kind() == reflect.Bool && l.kind == boolean:
		b, err := strconv.ParseBool(string(l.fields[0]))
		rv.SetBool(b)
		return malformed(err)
	case rv.CanInt():
		n, err := l.int(integer, rv.Type().Bits())
		rv.SetInt(n)
		return err
	case rv.CanFloat() && l.kind == float:
		f, err := strconv.ParseFloat(string(l.fields[0]), rv.Type().Bits())
		rv.SetFloat(f)
		return malformed(err)
	case rv.Kind() == reflect.String, rv.Kind() == reflect.Bool, rv.CanFloat():
		return serialize.ErrMalformed
	}
	return serialize.ErrUnsupported
}

func (l line) int(kind byte, bits int) (int64, error) {
	if l.kind != kind {
		return 0, serialize.ErrMalformed
	}
	n, err := strconv.ParseInt(string(l.fields[0]), 10, bits)
	return n, malformed(err)
}

// malformed keeps strconv's errors, which quote the input, out of messages.
func malformed(err error) error {
	if err != nil {
		return serialize.ErrMalformed
	}
	return nil
}
