package hessian2

import (
	"encoding"
	"fmt"
	"math/big"
	"reflect"
	"sync"
	"time"

	"github.com/ferryrpc/ferry/serialize"
)

// A plan is how values of one Go type are written and read by reflection. It is made when it is first used, so types
// may contain themselves.
type plan struct {
	owner *Serializer
	key   planKey
	once  sync.Once
	codec codec
	err   error // why the type has no form
}

// codec does the work of a plan. read gets a settable value.
type codec struct {
	write func(w *Writer, v reflect.Value) error
	read  func(r *Reader, v reflect.Value)
}

type planKey struct {
	t   reflect.Type
	opt options
}

// plan returns the plan of a type.
func (s *Serializer) plan(t reflect.Type, opt options) *plan {
	if opt == (options{}) {
		if p, ok := s.plans.Load(t); ok {
			return p.(*plan)
		}
		p, _ := s.plans.LoadOrStore(t, &plan{owner: s, key: planKey{t, opt}})
		return p.(*plan)
	}
	key := planKey{t, opt}
	p, _ := s.tagged.LoadOrStore(key, &plan{owner: s, key: key})
	return p.(*plan)
}

func (p *plan) get() (*codec, error) {
	p.once.Do(func() { p.codec, p.err = p.owner.build(p.key.t, p.key.opt) })
	return &p.codec, p.err
}

func (p *plan) write(w *Writer, v reflect.Value) error {
	c, err := p.get()
	if err != nil {
		return err
	}
	return c.write(w, v)
}

func (p *plan) read(r *Reader, v reflect.Value) {
	c, err := p.get()
	if err != nil {
		r.Fail(err)
		return
	}
	if r.err == nil {
		c.read(r, v)
	}
}

// reflected writes a value of any type.
func (w *Writer) reflected(v reflect.Value) error {
	return w.owner.plan(v.Type(), options{}).write(w, v)
}

// reflected reads into what v points to.
func (r *Reader) reflected(v any) {
	p := reflect.ValueOf(v)
	if p.Kind() != reflect.Pointer || p.IsNil() {
		r.Fail(fmt.Errorf("hessian2: read into a %T, want a pointer: %w", v, serialize.ErrUnsupported))
		return
	}
	if p.Elem().Kind() == reflect.Struct {
		r.Remember(v)
	}
	r.owner.plan(p.Type().Elem(), options{}).read(r, p.Elem())
	r.pending = nil
}

// build makes the codec of a type. What the tag says comes first, then what the type says of itself, then its kind.
func (s *Serializer) build(t reflect.Type, opt options) (codec, error) {
	if opt.form != "" && t.Kind() != reflect.Pointer && t.Kind() != reflect.Slice && t.Kind() != reflect.Map {
		return formCodec(t, opt)
	}
	switch t {
	case reflect.TypeFor[time.Time]():
		return codecOf((*Writer).Date, (*Reader).Date), nil
	case reflect.TypeFor[*big.Int]():
		return codecOf((*Writer).BigInt, (*Reader).BigInt), nil
	case reflect.TypeFor[big.Int]():
		return codec{writeBig, readBig}, nil
	case reflect.TypeFor[big.Rat]():
		return codec{writeRat, readRat}, nil
	case reflect.TypeFor[*serialize.Object](), reflect.TypeFor[*serialize.Pairs]():
		return codec{writeAny, readAny}, nil
	case reflect.TypeFor[*serialize.Exception]():
		return codec{writeAny, readException}, nil
	}
	ptr := reflect.PointerTo(t)
	if ptr.Implements(reflect.TypeFor[Marshaler]()) && ptr.Implements(reflect.TypeFor[Unmarshaler]()) && t.Kind() != reflect.Pointer {
		return codec{writeMarshaler, readUnmarshaler}, nil
	}
	if c, ok := scalarCodec(t); ok {
		if class := s.className(t); class != "" {
			return enumCodec(t, class)
		}
		return c, nil
	}
	if k := t.Kind(); (k == reflect.Slice || k == reflect.Map) && opt.class == "" && !opt.array {
		opt.class = s.className(t)
	}
	switch t.Kind() {
	case reflect.Pointer:
		return s.pointerCodec(t, opt), nil
	case reflect.Slice, reflect.Array:
		return s.listCodec(t, opt)
	case reflect.Map:
		return s.mapCodec(t, opt), nil
	case reflect.Struct:
		return s.structCodec(t)
	case reflect.Interface:
		return codec{writeAny, readAny}, nil
	}
	return codec{}, fmt.Errorf("hessian2: type %v: %w", t, serialize.ErrUnsupported)
}

// codecOf makes a codec of two primitives.
func codecOf[T any](write func(*Writer, T), read func(*Reader) T) codec {
	return codec{
		func(w *Writer, v reflect.Value) error {
			if v.CanAddr() {
				write(w, *v.Addr().Interface().(*T))
			} else {
				write(w, v.Interface().(T))
			}
			return nil
		},
		func(r *Reader, v reflect.Value) { *v.Addr().Interface().(*T) = read(r) },
	}
}

func writeAny(w *Writer, v reflect.Value) error {
	if v.IsNil() {
		w.Null()
		return nil
	}
	return w.Value(v.Interface())
}

// readAny reads by what the wire says, which must suit the target.
func readAny(r *Reader, v reflect.Value) {
	x := reflect.ValueOf(r.Any())
	switch {
	case r.err != nil:
	case !x.IsValid():
		v.SetZero()
	case x.Type().AssignableTo(v.Type()):
		v.Set(x)
	case x.Kind() == reflect.Pointer && x.Type().Elem().AssignableTo(v.Type()):
		v.Set(x.Elem())
	default:
		r.fail(serialize.ErrMalformed, fmt.Sprintf("%v, found a %v", v.Type(), x.Type()))
	}
}

func readException(r *Reader, v reflect.Value) {
	if r.Null() {
		v.SetZero()
		return
	}
	e := new(serialize.Exception)
	r.exception(e)
	v.Set(reflect.ValueOf(e))
}

// addressable returns v, or a copy of it that has an address.
func addressable(v reflect.Value) reflect.Value {
	if v.CanAddr() {
		return v
	}
	c := reflect.New(v.Type()).Elem()
	c.Set(v)
	return c
}

func writeMarshaler(w *Writer, v reflect.Value) error {
	return addressable(v).Addr().Interface().(Marshaler).MarshalHessian2(w)
}

func readUnmarshaler(r *Reader, v reflect.Value) {
	r.Fail(v.Addr().Interface().(Unmarshaler).UnmarshalHessian2(r))
}

// enumCodec is for a type with a Java class that is no struct: a string is the name of the constant, anything else must
// turn itself into text and back.
func enumCodec(t reflect.Type, name string) (codec, error) {
	class := NewClass(name, "name")
	if t.Kind() == reflect.String {
		return codec{
			func(w *Writer, v reflect.Value) error { w.Enum(class, v.String()); return nil },
			func(r *Reader, v reflect.Value) { v.SetString(r.Enum()) },
		}, nil
	}
	c, err := textCodec(t, func(w *Writer, s string) { w.Enum(class, s) }, (*Reader).Enum)
	if err != nil {
		return c, fmt.Errorf("hessian2: enum %s (a %v must have MarshalText and UnmarshalText): %w", name, t, serialize.ErrUnsupported)
	}
	return c, nil
}

// textCodec is for types with MarshalText and UnmarshalText.
func textCodec(t reflect.Type, write func(*Writer, string), read func(*Reader) string) (codec, error) {
	ptr := reflect.PointerTo(t)
	if !ptr.Implements(reflect.TypeFor[encoding.TextMarshaler]()) || !ptr.Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return codec{}, serialize.ErrUnsupported
	}
	return codec{
		func(w *Writer, v reflect.Value) error {
			text, err := addressable(v).Addr().Interface().(encoding.TextMarshaler).MarshalText()
			if err != nil {
				return fmt.Errorf("hessian2: write %v: %w", t, err)
			}
			write(w, string(text))
			return nil
		},
		func(r *Reader, v reflect.Value) {
			if r.Null() {
				v.SetZero()
				return
			}
			text := read(r)
			if r.err != nil {
				return
			}
			if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text)); err != nil {
				r.fail(serialize.ErrMalformed, fmt.Sprintf("%v from %.40q (%v)", t, text, err))
			}
		},
	}, nil
}
