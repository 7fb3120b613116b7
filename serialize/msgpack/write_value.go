package msgpack

import (
	"fmt"
	"reflect"
	"time"

	"github.com/ferryrpc/ferry/serialize"
)

// classKey is the key of the entry that names the class of a map.
const classKey = "@class"

// defaultClass is the class of an Exception without one.
const defaultClass = "java.lang.RuntimeException"

// Write implements serialize.Writer.
func (w *Writer) Write(v any) error { return w.Value(v) }

// Object appends m as generated code has it write itself. A nesting that does not end is serialize.ErrLimit.
func (w *Writer) Object(m Marshaler) error {
	if err := w.enter(); err != nil {
		return err
	}
	err := m.AppendMsgpack(w)
	w.depth--
	return err
}

func (w *Writer) enter() error {
	if w.depth >= maxDepth {
		return fmt.Errorf("msgpack: writing a value that contains itself: %w", serialize.LimitError("levels of nesting", maxDepth))
	}
	w.depth++
	return nil
}

// Value appends the value that v points to, or v itself when it is no pointer. Nil pointers are nulls.
func (w *Writer) Value(v any) error {
	if isNil(v) {
		w.Nil()
		return nil
	}
	if m, ok := v.(Marshaler); ok {
		return w.Object(m)
	}
	if w.pointer(v) || w.scalar(v) {
		return nil
	}
	switch v := v.(type) {
	case *any:
		return w.dynamic(*v)
	case *[]any:
		return w.list(*v)
	case *map[string]any:
		return w.dictionary(*v)
	case *map[any]any:
		return w.anyMap(*v)
	case []any:
		return w.list(v)
	case map[string]any:
		return w.dictionary(v)
	case map[any]any:
		return w.anyMap(v)
	case *serialize.Exception:
		return w.exception(v)
	case *serialize.Object:
		return w.object(v)
	case *serialize.Pairs:
		return w.pairs(v)
	case serialize.Row:
		for i := range v.Len() {
			if err := w.Value(v.At(i)); err != nil {
				return err
			}
		}
		return nil
	}
	return w.reflected(reflect.ValueOf(v))
}

// isNil says whether v is nothing, or a pointer to nothing.
func isNil(v any) bool {
	if v == nil {
		return true
	}
	rv := reflect.ValueOf(v)
	return rv.Kind() == reflect.Pointer && rv.IsNil()
}

// pointer appends what v points to when v is a pointer to one of the common types.
func (w *Writer) pointer(v any) bool {
	switch v := v.(type) {
	case *string:
		w.String(*v)
	case *int64:
		w.Int(*v)
	case *int32:
		w.Int(int64(*v))
	case *int16:
		w.Int(int64(*v))
	case *int8:
		w.Int(int64(*v))
	case *int:
		w.Int(int64(*v))
	case *uint64:
		w.Uint(*v)
	case *uint32:
		w.Uint(uint64(*v))
	case *bool:
		w.Bool(*v)
	case *float64:
		w.Float64(*v)
	case *float32:
		w.Float32(*v)
	case *[]byte:
		w.Binary(*v)
	case *time.Time:
		w.Time(*v)
	case *[]string:
		w.strings(*v)
	case *map[string]string:
		w.stringMap(*v)
	default:
		return false
	}
	return true
}

// scalar appends v when it is one of the common values that interfaces hold.
func (w *Writer) scalar(v any) bool {
	switch v := v.(type) {
	case string:
		w.String(v)
	case bool:
		w.Bool(v)
	case int64:
		w.Int(v)
	case int:
		w.Int(int64(v))
	case int32:
		w.Int(int64(v))
	case uint64:
		w.Uint(v)
	case float64:
		w.Float64(v)
	case float32:
		w.Float32(v)
	case []byte:
		w.Binary(v)
	case time.Time:
		w.Time(v)
	case []string:
		w.strings(v)
	case map[string]string:
		w.stringMap(v)
	default:
		return false
	}
	return true
}

func (w *Writer) strings(list []string) {
	if list == nil {
		w.Nil()
		return
	}
	w.Array(len(list))
	for _, s := range list {
		w.String(s)
	}
}

func (w *Writer) stringMap(m map[string]string) {
	if m == nil {
		w.Nil()
		return
	}
	w.Map(len(m))
	for k, v := range m {
		w.String(k)
		w.String(v)
	}
}

// dynamic appends the content of an interface, where the class of a registered type belongs to the value.
func (w *Writer) dynamic(v any) error {
	if v == nil {
		w.Nil()
		return nil
	}
	if w.scalar(v) {
		return nil
	}
	rt := reflect.TypeOf(v)
	for rt.Kind() == reflect.Pointer {
		rt = rt.Elem()
	}
	class, ok := "", false
	if rt.Kind() == reflect.Struct {
		class, ok = w.s.types.Class(rt)
	}
	start := len(w.buf)
	if err := w.Value(v); err != nil || !ok {
		return err
	}
	w.addClass(start, class)
	return nil
}

// addClass makes the class the first entry of the map that starts at w.buf[start:]; anything but a map stays as it is.
func (w *Writer) addClass(start int, class string) {
	head, n := 1, 0
	switch c := w.buf[start]; {
	case c&0xf0 == fixMap:
		n = int(c & 0x0f)
	case c == codeMap16:
		head, n = 3, int(w.buf[start+1])<<8|int(w.buf[start+2])
	default:
		return
	}
	body := string(w.buf[start+head:])
	w.buf = w.buf[:start]
	w.Map(n + 1)
	w.String(classKey)
	w.String(class)
	w.Raw(body)
}

func (w *Writer) list(list []any) error {
	if list == nil {
		w.Nil()
		return nil
	}
	if err := w.enter(); err != nil {
		return err
	}
	defer func() { w.depth-- }()
	w.Array(len(list))
	for _, v := range list {
		if err := w.dynamic(v); err != nil {
			return err
		}
	}
	return nil
}

func (w *Writer) dictionary(m map[string]any) error {
	if m == nil {
		w.Nil()
		return nil
	}
	if err := w.enter(); err != nil {
		return err
	}
	defer func() { w.depth-- }()
	w.Map(len(m))
	for k, v := range m {
		w.String(k)
		if err := w.dynamic(v); err != nil {
			return err
		}
	}
	return nil
}

func (w *Writer) anyMap(m map[any]any) error {
	if m == nil {
		w.Nil()
		return nil
	}
	if err := w.enter(); err != nil {
		return err
	}
	defer func() { w.depth-- }()
	w.Map(len(m))
	for k, v := range m {
		if err := w.dynamic(k); err != nil {
			return err
		}
		if err := w.dynamic(v); err != nil {
			return err
		}
	}
	return nil
}

func (w *Writer) exception(e *serialize.Exception) error {
	class := e.Class
	if class == "" {
		class = defaultClass
	}
	n := 2
	if e.Value != nil {
		n = 3
	}
	w.Map(n)
	w.String("class")
	w.String(class)
	w.String("message")
	w.String(e.Message)
	if e.Value == nil {
		return nil
	}
	w.String("value")
	return w.Value(e.Value)
}

func (w *Writer) object(o *serialize.Object) error {
	if err := w.enter(); err != nil {
		return err
	}
	defer func() { w.depth-- }()
	if o.Class == "" {
		w.Map(len(o.Fields))
	} else {
		w.Map(len(o.Fields) + 1)
		w.String(classKey)
		w.String(o.Class)
	}
	for i := range o.Fields {
		w.String(o.Fields[i].Name)
		if err := w.dynamic(o.Fields[i].Value); err != nil {
			return err
		}
	}
	return nil
}

func (w *Writer) pairs(p *serialize.Pairs) error {
	if err := w.enter(); err != nil {
		return err
	}
	defer func() { w.depth-- }()
	w.Map(len(p.Items))
	for i := range p.Items {
		if err := w.dynamic(p.Items[i].Key); err != nil {
			return err
		}
		if err := w.dynamic(p.Items[i].Value); err != nil {
			return err
		}
	}
	return nil
}
