package hessian2

import (
	"fmt"
	"math"
	"math/big"
	"reflect"
	"time"

	"github.com/ferryrpc/ferry/serialize"
)

// maxWriteDepth is how deep values may be nested that are written by Value. Cycles through pointers and maps become
// references; what is left are slices that contain themselves.
const maxWriteDepth = 10000

// Write implements serialize.Writer.
func (w *Writer) Write(v any) error { return w.Value(v) }

// Value writes any value, or the value that a pointer points to. Generated code uses it for interface fields. A
// pointer to an object that this body has already becomes a reference.
func (w *Writer) Value(v any) error {
	if w.scalar(v) {
		return nil
	}
	if w.depth++; w.depth > maxWriteDepth {
		return fmt.Errorf("hessian2: write %T: %w", v, serialize.LimitError("levels of nesting", maxWriteDepth))
	}
	err := w.compound(v)
	w.depth--
	return err
}

// scalar writes the values that contain no others. It says whether v was one of them.
func (w *Writer) scalar(v any) bool {
	switch v := v.(type) {
	case nil:
		w.Null()
	case *string:
		w.String(*v)
	case *int64:
		w.Long(*v)
	case *[]byte:
		w.Binary(*v)
	case *bool:
		w.Bool(*v)
	case *int32:
		w.Int(*v)
	case *int:
		w.Long(int64(*v))
	case *float64:
		w.Double(*v)
	case *float32:
		w.Float(*v)
	case *int16:
		w.Int(int32(*v))
	case *int8:
		w.Int(int32(*v))
	case *time.Time:
		w.Date(*v)
	case string:
		w.String(v)
	case int64:
		w.Long(v)
	case int32:
		w.Int(v)
	case int:
		w.Long(int64(v))
	case bool:
		w.Bool(v)
	case float64:
		w.Double(v)
	case float32:
		w.Float(v)
	case int16:
		w.Int(int32(v))
	case int8:
		w.Int(int32(v))
	case []byte:
		w.Binary(v)
	case time.Time:
		w.Date(v)
	case time.Duration:
		w.Duration(v)
	case Decimal:
		w.Decimal(string(v))
	case UUID:
		w.UUID(v)
	case LocalDate:
		w.localDate(v)
	case LocalTime:
		w.localTime(v)
	case LocalDateTime:
		w.localDateTime(v)
	default:
		return false
	}
	return true
}

// compound writes the values that scalar does not know.
func (w *Writer) compound(v any) error {
	switch v := v.(type) {
	case *[]string:
		w.Strings(*v)
	case []string:
		w.Strings(v)
	case *any:
		return w.Value(*v)
	case *[]any:
		return w.values("", *v)
	case []any:
		return w.values("", v)
	case *map[string]string:
		w.StringMap(*v)
	case map[string]string:
		w.StringMap(v)
	case *map[string]any:
		return writeMap(w, *v)
	case map[string]any:
		return writeMap(w, v)
	case *map[any]any:
		return writeMap(w, *v)
	case map[any]any:
		return writeMap(w, v)
	case *serialize.Exception:
		return w.exception(v)
	case *serialize.Object:
		return w.object(v)
	case *serialize.Pairs:
		return w.pairs(v)
	case *big.Int:
		w.BigInt(v)
	case Marshaler:
		return w.marshal(v)
	case serialize.Row:
		return w.row(v)
	default:
		return w.reflected(reflect.ValueOf(v))
	}
	return nil
}

// marshal writes a value with generated code, or a reference to it. A Row has no reference of its own.
func (w *Writer) marshal(m Marshaler) error {
	if _, row := m.(serialize.Row); row {
		return m.MarshalHessian2(w)
	}
	if v := reflect.ValueOf(m); v.Kind() == reflect.Pointer {
		if v.IsNil() {
			w.Null()
			return nil
		}
		if w.Seen(m) {
			return nil
		}
	}
	err := m.MarshalHessian2(w)
	w.unseen()
	return err
}

// Strings writes a java.util.List of strings; nil is a null.
func (w *Writer) Strings(s []string) { w.strings("", s) }

// StringMap writes a java.util.Map of strings; nil is a null.
func (w *Writer) StringMap(m map[string]string) {
	if m == nil {
		w.Null()
		return
	}
	if w.seenMap(reflect.ValueOf(m)) {
		return
	}
	w.Map("")
	for k, v := range m {
		w.String(k)
		w.String(v)
	}
	w.EndMap()
}

// seenMap is Seen for a map, whose identity is its address.
func (w *Writer) seenMap(m reflect.Value) bool { return w.Seen(m.UnsafePointer()) }

func writeMap[K comparable](w *Writer, m map[K]any) error {
	if m == nil {
		w.Null()
		return nil
	}
	if w.seenMap(reflect.ValueOf(m)) {
		return nil
	}
	w.Map("")
	for k, v := range m {
		if err := w.Value(k); err != nil {
			return err
		}
		if err := w.Value(v); err != nil {
			return err
		}
	}
	w.EndMap()
	return nil
}

func (w *Writer) pairs(p *serialize.Pairs) error {
	if p == nil {
		w.Null()
		return nil
	}
	if w.Seen(p) {
		return nil
	}
	w.Map(p.Class)
	for i := range p.Items {
		if err := w.Value(p.Items[i].Key); err != nil {
			return err
		}
		if err := w.Value(p.Items[i].Value); err != nil {
			return err
		}
	}
	w.EndMap()
	return nil
}

func (w *Writer) object(o *serialize.Object) error {
	if o == nil {
		w.Null()
		return nil
	}
	if w.Seen(o) {
		return nil
	}
	w.Object(w.objectClass(o))
	for i := range o.Fields {
		if err := w.Value(o.Fields[i].Value); err != nil {
			return err
		}
	}
	return nil
}

// objectClass returns the class of o, the one that this body has already if there is one.
func (w *Writer) objectClass(o *serialize.Object) *Class {
next:
	for _, c := range w.classes {
		if c.Name != o.Class || len(c.Fields) != len(o.Fields) {
			continue
		}
		for i, f := range c.Fields {
			if f != o.Fields[i].Name {
				continue next
			}
		}
		return c
	}
	names := make([]string, len(o.Fields))
	for i := range names {
		names[i] = o.Fields[i].Name
	}
	return NewClass(o.Class, names...)
}

// Read implements serialize.Reader.
func (r *Reader) Read(v any) error {
	if r.err == nil && !r.readScalar(v) {
		r.readCompound(v)
	}
	return r.err
}

func (r *Reader) readScalar(v any) bool {
	switch v := v.(type) {
	case nil:
		r.Skip()
	case *string:
		*v = r.String()
	case *int64:
		*v = r.Long()
	case *[]byte:
		*v = r.Binary()
	case *bool:
		*v = r.Bool()
	case *int32:
		*v = r.Int()
	case *int:
		*v = int(r.integer(math.MinInt, math.MaxInt, "int"))
	case *float64:
		*v = r.Double()
	case *float32:
		*v = r.Float()
	case *int16:
		*v = r.Short()
	case *int8:
		*v = r.Byte()
	case *time.Time:
		*v = r.Date()
	default:
		return false
	}
	return true
}

func (r *Reader) readCompound(v any) {
	switch v := v.(type) {
	case *[]string:
		*v = r.Strings()
	case *any:
		*v = r.Any()
	case *map[string]string:
		*v = r.StringMap()
	case *serialize.Exception:
		r.exception(v)
	case *serialize.Object:
		if o, ok := r.Any().(*serialize.Object); ok {
			*v = *o
		} else {
			r.fail(serialize.ErrMalformed, "object, found something else")
		}
	case *serialize.Pairs:
		if p, ok := r.Any().(*serialize.Pairs); ok {
			*v = *p
		} else {
			r.fail(serialize.ErrMalformed, "map with complex keys, found something else")
		}
	case Unmarshaler:
		if _, row := v.(serialize.Row); !row {
			r.Remember(v)
		}
		r.Fail(v.UnmarshalHessian2(r))
		r.pending = nil
	case serialize.Row:
		for i := range v.Len() {
			if r.Read(v.At(i)) != nil {
				return
			}
		}
	default:
		r.reflected(v)
	}
}

// Strings reads a list of strings; a null is nil.
func (r *Reader) Strings() []string {
	n, ok := r.List()
	if !ok {
		return nil
	}
	s := Make[string](r, n)
	for i := 0; r.Next(i, n); i++ {
		s[i] = r.String()
	}
	return s
}

// StringMap reads a map of strings; a null is nil.
func (r *Reader) StringMap() map[string]string {
	if !r.Map() {
		return nil
	}
	m := map[string]string{}
	for r.MoreEntries() {
		k := r.String()
		m[k] = r.String()
	}
	return m
}
