// Package hessian2 reads and writes Hessian 2 as Apache Dubbo's Java side speaks it.
//
// A Writer appends to one byte slice, a Reader walks over one. Both are tables of the few things that a body remembers:
//
//	references   every list, map and object has a number, counted in order of first appearance, before its children
//	classes      a class definition is written once; objects name it by its number
//	types        the type name of a list or map is written once and named by its number from then on
//
// Values reach the wire in four ways, tried in this order: a type switch over the common Go types, generated code
// (Marshaler and Unmarshaler, which use the primitives of Writer and Reader), a serialize.Row value by value, and plans made
// by reflection once per type. The Go and Java types are matched like this:
//
//	bool, int8, int16, int32     boolean, byte, short, int        string        java.lang.String
//	int, int64                   long                             []byte        byte[]
//	float32, float64             float, double                    time.Time     java.util.Date
//	pointers to these            the wrappers, null when nil      *big.Int      java.math.BigInteger
//	[]T                          java.util.List, or an array by   struct, *S    an object; embedded structs are its
//	                             the tag option array                           superclasses, in one flat list of fields
//	map[K]V                      java.util.Map                    any           java.lang.Object
//	UUID                         java.util.UUID                   Decimal       java.math.BigDecimal
//
// Reading for an interface gives bool, int32, int64, float64, string, []byte, time.Time, []any, map[any]any,
// *serialize.Pairs, *serialize.Object, *big.Int, Decimal, UUID, LocalDate, LocalTime, LocalDateTime, time.Duration, or a
// pointer to a type that is registered in serialize.Types.
//
// Generated code is a pair of methods per struct: MarshalHessian2 calls Object and then one primitive per field,
// UnmarshalHessian2 loops over the fields that Object returns and calls EndObject. Pointers to structs go through
// Writer.Seen and the function Pointer, slices through List, Make and Next, maps through Map and MoreEntries. A Row
// writes and reads its values without anything around them.
//
// A reference met while reading for a pointer of the same type, or for an interface, gives the same Go value. For any
// other target the Reader goes back to the place where the value stands and reads it again, so one shared Java object can
// fill two Go struct fields. What limits the memory and time that a hostile body can take is serialize.Limits, drawn on by
// every container, string and repetition.
package hessian2

import (
	"reflect"
	"sync"

	"github.com/ferryrpc/ferry/serialize"
)

// A Marshaler writes itself with the primitives of a Writer. It is implemented on the pointer to the type, mostly by
// generated code, and writes exactly one value, or, when it is a serialize.Row too, its values one after another. A struct that
// embeds a Marshaler inherits the method and would be written as the embedded struct alone, so it needs its own.
type Marshaler interface {
	MarshalHessian2(w *Writer) error
}

// An Unmarshaler reads into itself with the primitives of a Reader; it is the counterpart of Marshaler. A null leaves it
// as it is.
type Unmarshaler interface {
	UnmarshalHessian2(r *Reader) error
}

// maxPooled is the largest capacity of a table that goes back to a pool with its owner.
const maxPooled = 4096

// Serializer is the Hessian 2 format. It is safe for use from any number of goroutines.
type Serializer struct {
	types   *serialize.Types
	writers sync.Pool
	readers sync.Pool
	plans   sync.Map // reflect.Type to *plan, for values without options
	tagged  sync.Map // planKey to *plan
}

var _ serialize.Serializer = (*Serializer)(nil)

// New returns a Serializer that asks types for the Go types of Java classes and back. types may be nil.
func New(types *serialize.Types) *Serializer {
	s := &Serializer{types: types}
	s.writers.New = func() any { return &Writer{owner: s} }
	s.readers.New = func() any { return &Reader{owner: s} }
	return s
}

// Untyped implements serialize.Untyped.
func (s *Serializer) Untyped() serialize.Serializer { return New(nil) }

// ID implements serialize.Serializer.
func (s *Serializer) ID() byte { return serialize.Hessian2ID }

// Writer implements serialize.Serializer; the result is a *Writer.
func (s *Serializer) Writer(dst []byte) serialize.Writer { return s.NewWriter(dst) }

// NewWriter is Writer with the concrete type as its result.
func (s *Serializer) NewWriter(dst []byte) *Writer {
	w := s.writers.Get().(*Writer)
	w.buf = dst
	return w
}

// Reader implements serialize.Serializer; the result is a *Reader.
func (s *Serializer) Reader(src []byte, l serialize.Limits) serialize.Reader {
	return s.NewReader(src, l)
}

// NewReader is Reader with the concrete type as its result.
func (s *Serializer) NewReader(src []byte, l serialize.Limits) *Reader {
	r := s.readers.Get().(*Reader)
	r.src, r.limits = src, l.WithDefaults()
	r.elements, r.memory = r.limits.Elements, r.limits.Bytes
	return r
}

// className returns the Java class of a Go type: what its method JavaClassName says, else what it is registered under,
// else "" for a type that has neither. A method that comes from an embedded struct names that one's class.
func (s *Serializer) className(t reflect.Type) string {
	if name := ownClass(t); name != "" {
		return name
	}
	name, _ := s.types.Class(t)
	return name
}

func ownClass(t reflect.Type) (name string) {
	c, ok := reflect.New(t).Interface().(javaClass)
	if !ok {
		return ""
	}
	defer func() {
		if recover() != nil {
			name = "" // the method of an embedded pointer that is nil here
		}
	}()
	name = c.JavaClassName()
	if t.Kind() == reflect.Struct {
		for i := range t.NumField() {
			if f := t.Field(i); f.Anonymous && f.Type.Kind() == reflect.Struct && ownClass(f.Type) == name {
				return ""
			}
		}
	}
	return name
}

// javaClass is implemented by types that know their Java class.
type javaClass interface{ JavaClassName() string }

// Enum implements serialize.Enums: an enum is a registered class whose Go type is no struct.
func (s *Serializer) Enum(class string) bool {
	t, ok := s.types.Type(class)
	return ok && t.Kind() != reflect.Struct
}
