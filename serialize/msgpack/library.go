package msgpack

import (
	"bytes"
	"encoding"
	"fmt"
	"math"
	"reflect"

	library "github.com/vmihailenco/msgpack/v5"

	"github.com/ferryrpc/ferry/serialize"
)

// wayOf says who handles values of type t: this package itself where the types below may have generated code or be
// interfaces, the library everywhere else.
func wayOf(t reflect.Type) way {
	if custom(t) || custom(reflect.PointerTo(t)) {
		return byLibrary
	}
	switch t.Kind() {
	case reflect.Pointer:
		return byPointer
	case reflect.Interface:
		if t.NumMethod() == 0 {
			return byInterface
		}
	case reflect.Slice:
		if ours(t.Elem()) {
			return bySlice
		}
	case reflect.Map:
		if ours(t.Elem()) {
			return byMap
		}
	}
	return byLibrary
}

// custom says whether the library leaves values of type t to a method of theirs.
func custom(t reflect.Type) bool {
	return t.Implements(reflect.TypeFor[library.CustomEncoder]()) || t.Implements(reflect.TypeFor[library.CustomDecoder]()) ||
		t.Implements(reflect.TypeFor[library.Marshaler]()) || t.Implements(reflect.TypeFor[library.Unmarshaler]()) ||
		t.Implements(reflect.TypeFor[encoding.BinaryMarshaler]()) || t.Implements(reflect.TypeFor[encoding.TextMarshaler]())
}

// ours says whether this package must handle the elements of type t of a container.
func ours(t reflect.Type) bool {
	if reflect.PointerTo(t).Implements(reflect.TypeFor[Marshaler]()) || t.Implements(reflect.TypeFor[Marshaler]()) {
		return true
	}
	switch wayOf(t) {
	case byInterface, bySlice, byMap:
		return true
	case byPointer:
		return ours(t.Elem())
	}
	return false
}

// reflected appends a value, or what a pointer points to, of a type that Value does not know.
func (w *Writer) reflected(v reflect.Value) error {
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	} else if reflect.PointerTo(v.Type()).Implements(reflect.TypeFor[Marshaler]()) {
		p := reflect.New(v.Type())
		p.Elem().Set(v)
		return w.Value(p.Interface())
	}
	if err := w.enter(); err != nil {
		return err
	}
	defer func() { w.depth-- }()
	switch p := w.s.plan(v.Type()); p.way {
	case byPointer:
		return w.Value(v.Interface())
	case byInterface:
		return w.dynamic(v.Interface())
	case bySlice:
		return w.slice(v)
	case byMap:
		return w.mapOf(v)
	default:
		return w.byLibrary(v, p)
	}
}

func (w *Writer) slice(v reflect.Value) error {
	if v.IsNil() {
		w.Nil()
		return nil
	}
	w.Array(v.Len())
	for i := range v.Len() {
		if err := w.Value(v.Index(i).Addr().Interface()); err != nil {
			return err
		}
	}
	return nil
}

func (w *Writer) mapOf(v reflect.Value) error {
	if v.IsNil() {
		w.Nil()
		return nil
	}
	w.Map(v.Len())
	key, elem := reflect.New(v.Type().Key()), reflect.New(v.Type().Elem())
	for it := v.MapRange(); it.Next(); {
		key.Elem().SetIterKey(it)
		elem.Elem().SetIterValue(it)
		if err := w.Value(key.Interface()); err != nil {
			return err
		}
		if err := w.Value(elem.Interface()); err != nil {
			return err
		}
	}
	return nil
}

// sink lets the library append to a Writer.
type sink struct{ w *Writer }

// Write implements io.Writer.
func (s sink) Write(b []byte) (int, error) {
	s.w.buf = append(s.w.buf, b...)
	return len(b), nil
}

// WriteByte implements io.ByteWriter.
func (s sink) WriteByte(b byte) error {
	s.w.buf = append(s.w.buf, b)
	return nil
}

func (w *Writer) byLibrary(v reflect.Value, p *plan) (err error) {
	defer func() {
		if x := recover(); x != nil {
			err = fmt.Errorf("msgpack: writing %v: %w: %v", v.Type(), serialize.ErrUnsupported, x)
		}
	}()
	// The library follows a cycle until the stack is full, which no recover catches.
	if (p.footprint.Recursive || p.footprint.Dynamic) && !ends(v, maxDepth) {
		return fmt.Errorf("msgpack: writing %v, which contains itself: %w", v.Type(), serialize.LimitError("levels of nesting", maxDepth))
	}
	if w.enc == nil {
		w.enc = library.NewEncoder(sink{w})
	}
	w.enc.Reset(sink{w})
	w.enc.UseCompactInts(true)
	if v.CanAddr() {
		v = v.Addr()
	}
	if err := w.enc.EncodeValue(v); err != nil {
		return fmt.Errorf("msgpack: writing %v: %w: %w", v.Type(), serialize.ErrUnsupported, err)
	}
	return nil
}

// ends says whether v is nested less than depth levels deep.
func ends(v reflect.Value, depth int) bool {
	if depth == 0 {
		return false
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		return v.IsNil() || ends(v.Elem(), depth-1)
	case reflect.Struct:
		for i := range v.NumField() {
			if !ends(v.Field(i), depth-1) {
				return false
			}
		}
	case reflect.Slice, reflect.Array:
		if leaf(v.Type().Elem().Kind()) {
			return true
		}
		for i := range v.Len() {
			if !ends(v.Index(i), depth-1) {
				return false
			}
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			if !ends(it.Value(), depth-1) {
				return false
			}
		}
	}
	return true
}

func leaf(k reflect.Kind) bool { return k <= reflect.Complex128 || k == reflect.String }

// reflected reads into what v points to, of a type that Read does not know.
func (r *Reader) reflected(v any) {
	rv := reflect.ValueOf(v)
	if rv.Kind() != reflect.Pointer || rv.IsNil() {
		r.fail("a value", fmt.Errorf("%w: cannot read into %T", serialize.ErrUnsupported, v))
		return
	}
	rv = rv.Elem()
	switch p := r.s.plan(rv.Type()); p.way {
	case byPointer:
		r.reflectPointer(rv)
	case byInterface:
		rv.SetZero()
		if x := r.any(); x != nil {
			rv.Set(reflect.ValueOf(x))
		}
	case bySlice:
		r.reflectSlice(rv)
	case byMap:
		r.reflectMap(rv)
	default:
		r.byLibrary(rv, p)
	}
}

func (r *Reader) reflectPointer(rv reflect.Value) {
	rv.SetZero()
	if r.Nil() || !r.Alloc(1, int(rv.Type().Elem().Size())) {
		return
	}
	p := reflect.New(rv.Type().Elem())
	r.Fail(r.Read(p.Interface()))
	rv.Set(p)
}

func (r *Reader) reflectSlice(rv reflect.Value) {
	rv.SetZero()
	n, ok := r.Array()
	if !ok || !r.Alloc(n, int(rv.Type().Elem().Size())) {
		return
	}
	rv.Set(reflect.MakeSlice(rv.Type(), n, n))
	for i := 0; r.Next(i, n); i++ {
		r.Fail(r.Read(rv.Index(i).Addr().Interface()))
	}
}

func (r *Reader) reflectMap(rv reflect.Value) {
	rv.SetZero()
	n, ok := r.Map()
	t := rv.Type()
	if !ok || !r.Alloc(n, 2*int(t.Key().Size()+t.Elem().Size())) {
		return
	}
	rv.Set(reflect.MakeMapWithSize(t, n))
	for i := 0; r.Next(i, n); i++ {
		key, elem := reflect.New(t.Key()), reflect.New(t.Elem())
		r.Fail(r.Read(key.Interface()))
		r.Fail(r.Read(elem.Interface()))
		if key.Elem().Comparable() {
			rv.SetMapIndex(key.Elem(), elem.Elem())
		} else {
			r.fail("a map key", serialize.ErrMalformed)
		}
	}
}

// byLibrary passes over one value, which draws on the budget, and only then lets the library read it.
func (r *Reader) byLibrary(rv reflect.Value, p *plan) {
	listed, entries, objects, start := r.listed, r.entries, r.objects, r.off
	r.Skip()
	value := r.src[start:r.off]
	if r.err != nil || !r.Alloc(len(value)+p.footprint.Bytes(r.listed-listed, r.entries-entries, r.objects-objects), 1) {
		return
	}
	defer func() {
		if x := recover(); x != nil { // the library panics on some inputs that do not fit the type
			r.fail(rv.Type().String(), fmt.Errorf("%w: %v", serialize.ErrMalformed, x))
		}
	}()
	dec := r.dec
	if r.dec = nil; dec == nil { // it goes back only when it is whole
		dec = library.NewDecoder(nil)
	}
	dec.Reset(bytes.NewReader(value))
	dec.SetMapDecoder(func(d *library.Decoder) (any, error) { return d.DecodeUntypedMap() })
	rv.SetZero()
	if err := dec.DecodeValue(rv); err != nil {
		r.fail(rv.Type().String(), fmt.Errorf("%w: %w", serialize.ErrMalformed, err))
		return
	}
	dec.Reset(nil)
	r.dec = dec
	if p.footprint.Dynamic {
		normalize(rv)
	}
}

// normalize gives the interfaces inside v the values that Reader.any gives.
func normalize(v reflect.Value) {
	switch v.Kind() {
	case reflect.Interface:
		if !v.IsNil() && v.CanSet() && v.NumMethod() == 0 {
			v.Set(reflect.ValueOf(normal(v.Elem().Interface())))
		}
	case reflect.Pointer:
		normalize(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			normalize(v.Field(i))
		}
	case reflect.Slice, reflect.Array:
		if leaf(v.Type().Elem().Kind()) {
			return
		}
		for i := range v.Len() {
			normalize(v.Index(i))
		}
	case reflect.Map:
		if leaf(v.Type().Elem().Kind()) || !v.CanInterface() {
			return
		}
		for it := v.MapRange(); it.Next(); {
			e := reflect.New(v.Type().Elem()).Elem()
			e.Set(it.Value())
			normalize(e)
			v.SetMapIndex(it.Key(), e)
		}
	}
}

// normal widens the numbers in x and gives its maps string keys where they can have them.
func normal(x any) any {
	switch x := x.(type) {
	case int8:
		return int64(x)
	case int16:
		return int64(x)
	case int32:
		return int64(x)
	case uint8:
		return int64(x)
	case uint16:
		return int64(x)
	case uint32:
		return int64(x)
	case uint64:
		if x <= math.MaxInt64 {
			return int64(x)
		}
	case float32:
		return float64(x)
	case []any:
		for i := range x {
			if x[i] != nil {
				x[i] = normal(x[i])
			}
		}
	case map[any]any:
		return normalMap(x)
	}
	return x
}

func normalMap(m map[any]any) any {
	byString, byAny := make(map[string]any, len(m)), make(map[any]any, len(m))
	for k, v := range m {
		if v != nil {
			v = normal(v)
		}
		if s, ok := k.(string); ok {
			byString[s] = v
		}
		byAny[normal(k)] = v
	}
	if len(byString) == len(m) {
		return byString
	}
	return byAny
}
