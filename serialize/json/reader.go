package json

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"sync"

	"github.com/ferryrpc/ferry/serialize"
)

type reader struct {
	s      *Serializer
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
		r.err = fmt.Errorf("json: reading %s at byte %d: %w", what, r.off, err)
	}
	return r.err
}

// counts is what a line declares.
type counts struct{ listed, entries, objects int }

// line returns the next line without its line feed. It is one valid JSON value within the limits. It aliases the input.
func (r *reader) line(what string) ([]byte, counts, error) {
	if r.err != nil {
		return nil, counts{}, r.err
	}
	n := bytes.IndexByte(r.src[r.off:], '\n')
	if n < 0 {
		return nil, counts{}, r.fail(what, serialize.ErrTruncated)
	}
	line := r.src[r.off : r.off+n]
	c, err := r.scan(line)
	if err != nil {
		return nil, c, r.fail(what, err)
	}
	if !json.Valid(line) {
		return nil, c, r.fail(what, serialize.ErrMalformed)
	}
	r.off += n + 1
	return line, c, nil
}

// scan draws on the budget for depth and elements, before anything recursive looks at the line.
func (r *reader) scan(line []byte) (c counts, err error) {
	depth, elements := 0, 0
	for i := 0; i < len(line); i++ {
		switch line[i] {
		case '"':
			for i++; i < len(line) && line[i] != '"'; i++ {
				if line[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			if depth++; depth > r.limits.Depth {
				return c, serialize.LimitError("levels of nesting", r.limits.Depth)
			}
			if line[i] == '{' {
				c.objects++
			}
			elements++
		case '}', ']':
			depth--
		case ',':
			elements++
		case ':':
			c.entries++
		}
	}
	c.listed = elements - c.entries
	if elements > r.elements {
		return c, serialize.LimitError("elements", r.limits.Elements)
	}
	r.elements -= elements
	return c, nil
}

// draw takes memory from the budget.
func (r *reader) draw(what string, n int) error {
	if n > r.bytes {
		return r.fail(what, serialize.LimitError("bytes of memory", r.limits.Bytes))
	}
	r.bytes -= n
	return nil
}

// ReadString implements serialize.Reader.
func (r *reader) ReadString() (string, error) {
	line, _, err := r.line("a string")
	if err == nil {
		err = r.draw("a string", len(line))
	}
	if err != nil {
		return "", err
	}
	var s string
	if err := json.Unmarshal(line, &s); err != nil {
		return "", r.fail("a string", fmt.Errorf("%w: %w", serialize.ErrMalformed, err))
	}
	return s, nil
}

// SkipString implements serialize.Reader.
func (r *reader) SkipString() error {
	line, _, err := r.line("a string")
	if err != nil {
		return err
	}
	if c := bytes.TrimLeft(line, " \t\r")[0]; c != '"' && c != 'n' {
		return r.fail("a string", serialize.ErrMalformed)
	}
	return nil
}

// ReadMap implements serialize.Reader. Nulls are left out.
func (r *reader) ReadMap(dst []string) ([]string, error) {
	line, c, err := r.line("a map")
	if err == nil {
		err = r.draw("a map", len(line)+32*c.entries)
	}
	if err != nil {
		return dst, err
	}
	p := r.parser(line)
	switch p.peek() {
	case 'n':
		return dst, nil
	case '{':
	default:
		return dst, r.fail("a map", serialize.ErrMalformed)
	}
	p.members(func(name string) {
		if value, ok := p.text(); ok {
			dst = append(dst, name, value)
		}
	})
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
		return r.err
	}
	if s, ok := v.(*string); ok {
		var err error
		*s, err = r.ReadString()
		return err
	}
	what := "a value"
	line, c, err := r.line(what)
	if err != nil || v == nil {
		return err
	}
	return r.into(v, line, c)
}

// into stores the value in line in what v points to.
func (r *reader) into(v any, line []byte, c counts) error {
	rv := reflect.ValueOf(v)
	if rv.Kind() != reflect.Pointer || rv.IsNil() {
		return r.fail("a value", fmt.Errorf("%w: cannot read into %T", serialize.ErrUnsupported, v))
	}
	rv = rv.Elem()
	f := r.s.footprint(rv.Type())
	if err := r.draw(rv.Type().String(), len(line)+f.Bytes(c.listed, c.entries, c.objects)); err != nil {
		return err
	}
	rv.SetZero()
	switch v := v.(type) {
	case *any:
		*v = r.parser(line).any()
	case *[]any:
		return assign(r, v, r.parser(line).any())
	case *map[string]any:
		return assign(r, v, r.parser(line).any())
	case *serialize.Exception:
		return r.exception(v, line)
	case *serialize.Object:
		return r.object(v, line)
	case *serialize.Pairs:
		return r.pairs(v, line)
	default:
		return r.decode(rv, line, f)
	}
	return r.err
}

// assign stores x, which may be nil, when it is of type T.
func assign[T any](r *reader, v *T, x any) error {
	t, ok := x.(T)
	if !ok && x != nil && r.err == nil {
		return r.fail(reflect.TypeFor[T]().String(), fmt.Errorf("%w: found %T", serialize.ErrMalformed, x))
	}
	*v = t
	return r.err
}

// decode leaves a value to encoding/json.
func (r *reader) decode(rv reflect.Value, line []byte, f serialize.Footprint) (err error) {
	if f.Dynamic {
		dec := json.NewDecoder(bytes.NewReader(line))
		dec.UseNumber()
		err = dec.Decode(rv.Addr().Interface())
	} else {
		err = json.Unmarshal(line, rv.Addr().Interface())
	}
	if err != nil {
		return r.fail(rv.Type().String(), fmt.Errorf("%w: %w", serialize.ErrMalformed, err))
	}
	if f.Dynamic {
		normalize(rv)
	}
	return nil
}

// typed stores the value in line in a new value of the registered type rt and returns a pointer to it.
func (r *reader) typed(rt reflect.Type, line []byte) any {
	f := r.s.footprint(rt)
	var c counts
	for _, b := range line { // an upper bound: what stands in strings counts too
		switch b {
		case ',', '[':
			c.listed++
		case ':':
			c.entries++
		case '{':
			c.objects++
		}
	}
	if r.draw(rt.String(), int(rt.Size())+f.Bytes(c.listed, c.entries, c.objects)) != nil {
		return nil
	}
	p := reflect.New(rt)
	if r.decode(p.Elem(), line, f) != nil {
		return nil
	}
	return p.Interface()
}

// exception reads the record of an Exception, whose value may come before its class.
func (r *reader) exception(e *serialize.Exception, line []byte) error {
	var record struct {
		Class   string          `json:"class"`
		Message string          `json:"message"`
		Value   json.RawMessage `json:"value"`
	}
	if err := json.Unmarshal(line, &record); err != nil {
		return r.fail("an exception", fmt.Errorf("%w: %w", serialize.ErrMalformed, err))
	}
	e.Class, e.Message = record.Class, record.Message
	if rt, ok := r.s.types.Type(e.Class); ok {
		if len(record.Value) == 0 {
			record.Value = json.RawMessage("null")
		}
		e.Value = r.typed(rt, record.Value)
	}
	return r.err
}

// object reads any object as an Object.
func (r *reader) object(o *serialize.Object, line []byte) error {
	p := r.parser(line)
	switch p.peek() {
	case 'n':
		return nil
	case '{':
		p.object(o)
		return r.err
	}
	return r.fail("an object", serialize.ErrMalformed)
}

// pairs reads a list of [key, value] lists.
func (r *reader) pairs(v *serialize.Pairs, line []byte) error {
	list, ok := r.parser(line).any().([]any)
	for _, e := range list {
		pair, isList := e.([]any)
		if ok = ok && isList && len(pair) == 2; !ok {
			break
		}
		v.Items = append(v.Items, serialize.Pair{Key: pair[0], Value: pair[1]})
	}
	if !ok && r.err == nil && string(bytes.TrimSpace(line)) != "null" {
		return r.fail("pairs", serialize.ErrMalformed)
	}
	return r.err
}
