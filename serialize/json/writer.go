package json

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/ferryrpc/ferry/serialize"
)

const (
	classKey     = "@class"
	defaultClass = "java.lang.RuntimeException"
	maxDepth     = 1000 // where encoding/json, too, takes a value for a cycle
)

type writer struct {
	s     *Serializer
	buf   []byte
	depth int
	enc   *json.Encoder // made when it is first needed, kept with the writer
}

var writers = sync.Pool{New: func() any { return new(writer) }}

// Bytes implements serialize.Writer.
func (w *writer) Bytes() []byte { return w.buf }

// Free implements serialize.Writer.
func (w *writer) Free() {
	w.s, w.buf, w.depth = nil, nil, 0
	writers.Put(w)
}

// WriteRaw implements serialize.Writer.
func (w *writer) WriteRaw(b []byte) { w.buf = append(w.buf, b...) }

// WriteString implements serialize.Writer.
func (w *writer) WriteString(s string) {
	w.string(s)
	w.end()
}

// WriteMap implements serialize.Writer.
func (w *writer) WriteMap(pairs []string) {
	w.add('{')
	for i := 0; i+1 < len(pairs); i += 2 {
		w.comma(i)
		w.string(pairs[i])
		w.add(':')
		w.string(pairs[i+1])
	}
	w.add('}')
	w.end()
}

// Write implements serialize.Writer.
func (w *writer) Write(v any) error {
	if row, ok := v.(serialize.Row); ok && !isNil(v) {
		for i := range row.Len() {
			if err := w.Write(row.At(i)); err != nil {
				return err
			}
		}
		return nil
	}
	if err := w.value(v); err != nil {
		return err
	}
	w.end()
	return nil
}

func (w *writer) add(c byte) { w.buf = append(w.buf, c) }

func (w *writer) end() { w.buf = append(w.buf, '\n') }

// comma separates member i of a list or object from the one before.
func (w *writer) comma(i int) {
	if i > 0 {
		w.buf = append(w.buf, ',')
	}
}

// plainText says of each ASCII character whether it stands for itself in a JSON string.
func plainText(c byte) bool { return c >= 0x20 && c != '"' && c != '\\' && c < utf8.RuneSelf }

func (w *writer) string(s string) {
	const hex = "0123456789abcdef"
	w.buf = append(w.buf, '"')
	start := 0
	for i := 0; i < len(s); {
		if plainText(s[i]) {
			i++
			continue
		}
		size, escape := 1, ""
		switch c := s[i]; {
		case c == '"':
			escape = `\"`
		case c == '\\':
			escape = `\\`
		case c == '\n':
			escape = `\n`
		case c == '\r':
			escape = `\r`
		case c == '\t':
			escape = `\t`
		case c >= utf8.RuneSelf:
			var r rune
			if r, size = utf8.DecodeRuneInString(s[i:]); r != utf8.RuneError || size > 1 {
				i += size
				continue
			}
			escape = "\ufffd"
		default:
			w.buf = append(append(w.buf, s[start:i]...), '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		if escape != "" {
			w.buf = append(append(w.buf, s[start:i]...), escape...)
		}
		i += size
		start = i
	}
	w.buf = append(append(w.buf, s[start:]...), '"')
}

// isNil says whether v is nothing, or a pointer to nothing.
func isNil(v any) bool {
	if v == nil {
		return true
	}
	rv := reflect.ValueOf(v)
	return rv.Kind() == reflect.Pointer && rv.IsNil()
}

// value appends what v points to, or v itself when it is no pointer, without the line feed.
func (w *writer) value(v any) error {
	if isNil(v) {
		w.buf = append(w.buf, "null"...)
		return nil
	}
	switch v := v.(type) {
	case *string:
		w.string(*v)
	case *int32:
		w.buf = strconv.AppendInt(w.buf, int64(*v), 10)
	case *int64:
		w.buf = strconv.AppendInt(w.buf, *v, 10)
	case *int:
		w.buf = strconv.AppendInt(w.buf, int64(*v), 10)
	case *bool:
		w.buf = strconv.AppendBool(w.buf, *v)
	case *any:
		return w.dynamic(*v)
	case *[]any:
		return w.dynamic(*v)
	case *map[string]any:
		return w.dynamic(*v)
	case *map[any]any:
		return w.dynamic(*v)
	case *serialize.Exception:
		return w.exception(v)
	case *serialize.Object, *serialize.Pairs:
		return w.dynamic(v)
	default:
		return w.encode(v)
	}
	return nil
}

// sink lets the encoder append to a writer.
type sink struct{ w *writer }

// Write implements io.Writer.
func (s sink) Write(b []byte) (int, error) {
	s.w.buf = append(s.w.buf, b...)
	return len(b), nil
}

// encode leaves v to encoding/json.
func (w *writer) encode(v any) error {
	if w.enc == nil {
		w.enc = json.NewEncoder(sink{w})
		w.enc.SetEscapeHTML(false)
	}
	if err := w.enc.Encode(v); err != nil {
		return fmt.Errorf("json: writing %T: %w: %w", v, serialize.ErrUnsupported, err)
	}
	w.buf = w.buf[:len(w.buf)-1] // the line feed
	return nil
}

// dynamic appends the content of an interface, where the class of a registered type belongs to the value.
func (w *writer) dynamic(v any) error {
	if isNil(v) {
		return w.value(nil)
	}
	if w.depth >= maxDepth {
		return fmt.Errorf("json: writing a value that contains itself: %w", serialize.LimitError("levels of nesting", maxDepth))
	}
	w.depth++
	defer func() { w.depth-- }()
	switch v := v.(type) {
	case float64:
		return w.float(v, 64)
	case float32:
		return w.float(float64(v), 32)
	case []any:
		return w.list(v)
	case map[string]any:
		return w.dictionary(v)
	case map[any]any:
		return w.anyMap(v)
	case *serialize.Object:
		return w.object(v)
	case *serialize.Pairs:
		return w.pairs(v)
	case *any:
		return w.dynamic(*v)
	case *serialize.Exception:
		return w.exception(v)
	}
	return w.classed(v)
}

// classed appends a value with its class, if it is of a registered type and becomes an object.
func (w *writer) classed(v any) error {
	rt := reflect.TypeOf(v)
	for rt.Kind() == reflect.Pointer {
		rt = rt.Elem()
	}
	start := len(w.buf)
	if err := w.encode(v); err != nil {
		return err
	}
	class, ok := w.s.types.Class(rt)
	if !ok || w.buf[start] != '{' {
		return nil
	}
	rest := string(w.buf[start+1:])
	w.buf = w.buf[:start]
	w.head(class)
	if rest != "}" {
		w.add(',')
	}
	w.buf = append(w.buf, rest...)
	return nil
}

// head starts an object with its class.
func (w *writer) head(class string) {
	w.buf = append(w.buf, `{"`+classKey+`":`...)
	w.string(class)
}

func (w *writer) float(f float64, bits int) error {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return fmt.Errorf("json: writing float64: %w: %v", serialize.ErrUnsupported, f)
	}
	text := strconv.FormatFloat(f, 'g', -1, bits)
	w.buf = append(w.buf, text...)
	if !strings.ContainsAny(text, ".e") {
		w.buf = append(w.buf, ".0"...)
	}
	return nil
}

func (w *writer) list(list []any) error {
	if list == nil {
		return w.value(nil)
	}
	w.add('[')
	for i, v := range list {
		w.comma(i)
		if err := w.dynamic(v); err != nil {
			return err
		}
	}
	w.add(']')
	return nil
}

func (w *writer) dictionary(m map[string]any) error {
	if m == nil {
		return w.value(nil)
	}
	w.add('{')
	i := 0
	for k, v := range m {
		w.comma(i)
		i++
		w.string(k)
		w.add(':')
		if err := w.dynamic(v); err != nil {
			return err
		}
	}
	w.add('}')
	return nil
}

func (w *writer) anyMap(m map[any]any) error {
	if m == nil {
		return w.value(nil)
	}
	w.add('{')
	i := 0
	for k, v := range m {
		switch reflect.ValueOf(k).Kind() {
		case reflect.Invalid, reflect.Struct, reflect.Pointer, reflect.Array, reflect.Chan, reflect.Func, reflect.Interface:
			return fmt.Errorf("json: writing a map with a key of type %T: %w", k, serialize.ErrUnsupported)
		}
		w.comma(i)
		i++
		w.string(fmt.Sprint(k))
		w.add(':')
		if err := w.dynamic(v); err != nil {
			return err
		}
	}
	w.add('}')
	return nil
}

func (w *writer) exception(e *serialize.Exception) error {
	class := e.Class
	if class == "" {
		class = defaultClass
	}
	w.buf = append(w.buf, `{"class":`...)
	w.string(class)
	w.buf = append(w.buf, `,"message":`...)
	w.string(e.Message)
	if e.Value != nil {
		w.buf = append(w.buf, `,"value":`...)
		if err := w.value(e.Value); err != nil {
			return err
		}
	}
	w.add('}')
	return nil
}

func (w *writer) object(o *serialize.Object) error {
	n := 0
	if o.Class == "" {
		w.add('{')
	} else {
		w.head(o.Class)
		n = 1
	}
	for i := range o.Fields {
		w.comma(n + i)
		w.string(o.Fields[i].Name)
		w.add(':')
		if err := w.dynamic(o.Fields[i].Value); err != nil {
			return err
		}
	}
	w.add('}')
	return nil
}

func (w *writer) pairs(p *serialize.Pairs) error {
	w.add('[')
	for i := range p.Items {
		w.comma(i)
		if err := w.list([]any{p.Items[i].Key, p.Items[i].Value}); err != nil {
			return err
		}
	}
	w.add(']')
	return nil
}
