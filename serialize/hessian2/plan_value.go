package hessian2

import (
	"fmt"
	"math"
	"math/big"
	"reflect"
	"time"

	"github.com/ferryrpc/ferry/serialize"
)

// scalarCodec is for the kinds that contain no others.
func scalarCodec(t reflect.Type) (codec, bool) {
	switch t.Kind() {
	case reflect.Bool:
		return codec{
			func(w *Writer, v reflect.Value) error { w.Bool(v.Bool()); return nil },
			func(r *Reader, v reflect.Value) { v.SetBool(r.Bool()) },
		}, true
	case reflect.String:
		return codec{
			func(w *Writer, v reflect.Value) error { w.String(v.String()); return nil },
			func(r *Reader, v reflect.Value) { v.SetString(r.String()) },
		}, true
	case reflect.Int8, reflect.Int16, reflect.Int32:
		limit := int64(1)<<(t.Bits()-1) - 1
		return codec{
			func(w *Writer, v reflect.Value) error { w.Int(int32(v.Int())); return nil },
			func(r *Reader, v reflect.Value) { v.SetInt(r.integer(-limit-1, limit, t.String())) },
		}, true
	case reflect.Int, reflect.Int64:
		return codec{
			func(w *Writer, v reflect.Value) error { w.Long(v.Int()); return nil },
			func(r *Reader, v reflect.Value) { v.SetInt(r.integer(-1<<(t.Bits()-1), 1<<(t.Bits()-1)-1, t.String())) },
		}, true
	case reflect.Uint8, reflect.Uint16:
		return codec{
			func(w *Writer, v reflect.Value) error { w.Int(int32(v.Uint())); return nil },
			func(r *Reader, v reflect.Value) { v.SetUint(uint64(r.integer(0, 1<<t.Bits()-1, t.String()))) },
		}, true
	case reflect.Uint, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		limit := int64(min(uint64(math.MaxUint64)>>(64-t.Bits()), math.MaxInt64))
		return codec{writeUint, func(r *Reader, v reflect.Value) { v.SetUint(uint64(r.integer(0, limit, t.String()))) }}, true
	case reflect.Float32:
		return codec{
			func(w *Writer, v reflect.Value) error { w.Double(v.Float()); return nil },
			func(r *Reader, v reflect.Value) { v.SetFloat(float64(r.Float())) },
		}, true
	case reflect.Float64:
		return codec{
			func(w *Writer, v reflect.Value) error { w.Double(v.Float()); return nil },
			func(r *Reader, v reflect.Value) { v.SetFloat(r.Double()) },
		}, true
	}
	return codec{}, false
}

func writeUint(w *Writer, v reflect.Value) error {
	if v.Uint() > math.MaxInt64 {
		return fmt.Errorf("hessian2: write %d, which is beyond a Java long: %w", v.Uint(), serialize.ErrUnsupported)
	}
	w.Long(int64(v.Uint()))
	return nil
}

// nest counts a level of nesting while something is written; the caller takes it back from w.depth.
func (w *Writer) nest(t reflect.Type) error {
	if w.depth++; w.depth > maxWriteDepth {
		return fmt.Errorf("hessian2: write %v: %w", t, serialize.LimitError("levels of nesting", maxWriteDepth))
	}
	return nil
}

// pointerCodec writes nil as null. Pointers to structs are references when they come again.
func (s *Serializer) pointerCodec(t reflect.Type, opt options) codec {
	elem := s.plan(t.Elem(), opt)
	object := t.Elem().Kind() == reflect.Struct && t.Elem() != reflect.TypeFor[time.Time]() && opt.form == ""
	return codec{
		func(w *Writer, v reflect.Value) error {
			if v.IsNil() {
				w.Null()
				return nil
			}
			if object && w.Seen(v.Interface()) {
				return nil
			}
			err := elem.write(w, v.Elem())
			if object {
				w.unseen()
			}
			return err
		},
		func(r *Reader, v reflect.Value) {
			if r.Null() {
				v.SetZero()
				return
			}
			if object {
				if old := reflect.ValueOf(r.known()); old.IsValid() && old.Type() == t {
					r.Skip()
					v.Set(old)
					return
				}
			}
			if !r.spend(int(t.Elem().Size())) {
				return
			}
			p := reflect.New(t.Elem())
			if object {
				r.Remember(p.Interface())
			}
			v.Set(p)
			elem.read(r, p.Elem())
			r.pending = nil
		},
	}
}

// listCodec is for slices and arrays.
func (s *Serializer) listCodec(t reflect.Type, opt options) (codec, error) {
	if t.Elem().Kind() == reflect.Uint8 && opt.class == "" {
		return bytesCodec(t), nil
	}
	class := opt.class
	if opt.array {
		if t.Elem().Kind() == reflect.Int8 {
			return int8Codec(t), nil
		}
		class = "[" + s.arrayElem(t.Elem())
	}
	inner := options{form: opt.form, array: opt.array && t.Elem().Kind() == reflect.Slice}
	elem := s.plan(t.Elem(), inner)
	write := func(w *Writer, v reflect.Value) error {
		if v.Kind() == reflect.Slice && v.IsNil() {
			w.Null()
			return nil
		}
		if err := w.nest(t); err != nil {
			return err
		}
		n := v.Len()
		w.List(class, n)
		for i := range n {
			if err := elem.write(w, v.Index(i)); err != nil {
				return err
			}
		}
		w.depth--
		return nil
	}
	read := func(r *Reader, v reflect.Value) {
		n, ok := r.List()
		switch {
		case !ok:
			v.SetZero()
			return
		case t.Kind() == reflect.Array:
			if v.SetZero(); n > t.Len() {
				r.fail(serialize.ErrMalformed, fmt.Sprintf("%v, found a list of %d", t, n))
			}
		case r.spend(n * int(t.Elem().Size())):
			v.Set(reflect.MakeSlice(t, n, n))
		}
		for i := 0; r.Next(i, n); i++ {
			elem.read(r, v.Index(i))
		}
	}
	return codec{write, read}, nil
}

// bytesCodec is for slices and arrays of bytes.
func bytesCodec(t reflect.Type) codec {
	return codec{
		func(w *Writer, v reflect.Value) error {
			if v.Kind() == reflect.Array {
				v = addressable(v)
			}
			w.Binary(v.Bytes())
			return nil
		},
		func(r *Reader, v reflect.Value) {
			b := r.Binary()
			switch {
			case v.Kind() == reflect.Slice:
				v.SetBytes(b)
			case len(b) > t.Len():
				r.fail(serialize.ErrMalformed, fmt.Sprintf("%v, found %d bytes", t, len(b)))
			default:
				v.SetZero()
				reflect.Copy(v, reflect.ValueOf(b))
			}
		},
	}
}

// int8Codec is for slices of signed bytes that are a byte[] in Java.
func int8Codec(t reflect.Type) codec {
	return codec{
		func(w *Writer, v reflect.Value) error {
			if v.Kind() == reflect.Slice && v.IsNil() {
				w.Null()
				return nil
			}
			b := make([]byte, v.Len())
			for i := range b {
				b[i] = byte(v.Index(i).Int())
			}
			w.Binary(b)
			return nil
		},
		func(r *Reader, v reflect.Value) {
			b := r.Binary()
			if b == nil || v.Kind() == reflect.Array && len(b) > t.Len() {
				v.SetZero()
				return
			}
			if v.Kind() == reflect.Slice {
				v.Set(reflect.MakeSlice(t, len(b), len(b)))
			}
			for i, c := range b {
				v.Index(i).SetInt(int64(int8(c)))
			}
		},
	}
}

// arrayElem returns Hessian's name of an array element.
func (s *Serializer) arrayElem(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[time.Time]():
		return "date"
	case reflect.TypeFor[*big.Int]():
		return classBigInteger.Name
	case reflect.TypeFor[Decimal]():
		return classBigDecimal.Name
	case reflect.TypeFor[UUID]():
		return classUUID.Name
	}
	if t.Kind() != reflect.Pointer && t.Kind() != reflect.Interface {
		if class := s.className(t); class != "" {
			return class
		}
	}
	switch t.Kind() {
	case reflect.Struct:
		return t.String()
	case reflect.Slice:
		return "[" + s.arrayElem(t.Elem())
	case reflect.Pointer:
		if _, wrapper := javaScalar(t.Elem().Kind()); wrapper != "" && s.className(t.Elem()) == "" {
			return wrapper
		}
		return s.arrayElem(t.Elem())
	}
	primitive, _ := javaScalar(t.Kind())
	return primitive
}

// javaScalar returns Hessian's names of arrays of a primitive type and of its wrapper.
func javaScalar(k reflect.Kind) (primitive, wrapper string) {
	switch k {
	case reflect.Bool:
		return "boolean", "java.lang.Boolean"
	case reflect.Int8:
		return "byte", "java.lang.Byte"
	case reflect.Int16, reflect.Uint8:
		return "short", "java.lang.Short"
	case reflect.Int32, reflect.Uint16:
		return "int", "java.lang.Integer"
	case reflect.Int, reflect.Int64, reflect.Uint, reflect.Uint32, reflect.Uint64:
		return "long", "java.lang.Long"
	case reflect.Float32:
		return "float", "java.lang.Float"
	case reflect.Float64:
		return "double", "java.lang.Double"
	case reflect.String:
		return "string", ""
	}
	return "object", ""
}

// mapCodec is for maps, which are references when they come again.
func (s *Serializer) mapCodec(t reflect.Type, opt options) codec {
	key, elem := s.plan(t.Key(), options{}), s.plan(t.Elem(), options{form: opt.form})
	size := int(t.Key().Size() + t.Elem().Size())
	write := func(w *Writer, v reflect.Value) error {
		if v.IsNil() {
			w.Null()
			return nil
		}
		if w.seenMap(v) {
			return nil
		}
		if err := w.nest(t); err != nil {
			return err
		}
		w.Map(opt.class)
		for it := v.MapRange(); it.Next(); {
			if err := key.write(w, it.Key()); err != nil {
				return err
			}
			if err := elem.write(w, it.Value()); err != nil {
				return err
			}
		}
		w.EndMap()
		w.depth--
		return nil
	}
	read := func(r *Reader, v reflect.Value) {
		if old := reflect.ValueOf(r.known()); old.IsValid() && old.Type() == t {
			r.Skip()
			v.Set(old)
			return
		}
		m := reflect.MakeMap(t)
		r.Remember(m.Interface())
		if !r.Map() {
			v.SetZero()
			return
		}
		v.Set(m)
		k, e := reflect.New(t.Key()).Elem(), reflect.New(t.Elem()).Elem()
		for r.MoreEntries() && r.spend(size) {
			k.SetZero()
			e.SetZero()
			key.read(r, k)
			elem.read(r, e)
			if r.err != nil {
				return
			}
			if !k.Comparable() {
				r.fail(serialize.ErrMalformed, fmt.Sprintf("key of %v, found a %v", t, k.Elem().Type()))
				return
			}
			m.SetMapIndex(k, e)
		}
	}
	return codec{write, read}
}
