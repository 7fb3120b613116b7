// Package msgpack is the MessagePack format of serialize.
//
// A body is a row of MessagePack values, one behind the other, with nothing around them:
//
//	| str "2.0.2" | str path | … | argument 1 | argument 2 | map of attachments |
//
// # Forms
//
// Integers take the shortest form, whatever their Go type; float32 and float64 keep theirs; []byte is bin; time.Time is
// the timestamp extension (-1). A reader also takes bin for str and str for bin, an integer for a float, and for a time
// the milliseconds since 1970, an RFC 3339 string or a string of a timestamp's bytes, as dubbo-go writes it. A null gives the zero value. Structs are maps keyed by field name,
// named as github.com/vmihailenco/msgpack/v5 names them: the Go name, or the one of the tag `msgpack:"name"`. Unknown
// fields are passed over. That library serves the types that have no generated code, and reads what generated code wrote.
//
// An interface receives nil, bool, int64 (uint64 above its range), float64, string, []byte, time.Time, []any,
// map[string]any (map[any]any where a key is no string, *serialize.Pairs where a key cannot be a key of a Go map).
//
// A struct of a class that is registered in serialize.Types, written out of an interface, starts with one more entry
// "@class": its Java class name; read into an interface it becomes a pointer to the registered type again. A
// *serialize.Object is such a map as well, and what a map with an unknown "@class" becomes. Inside structs without
// generated code interfaces carry plain values only.
//
// A serialize.Exception is the map {"class": str, "message": str, "value": any}; "value" is there only when fields
// travel along, and is read only when the class is registered.
//
// # Generated code
//
// Generated types implement Marshaler and Unmarshaler with the primitives of Writer and Reader:
//
//	var lineFields = []string{"Item", "Count"}
//
//	func (l *Line) AppendMsgpack(w *msgpack.Writer) error {
//		w.Map(2)
//		w.String("Item")
//		w.String(l.Item)
//		w.String("Count")
//		w.Int(int64(l.Count))
//		return nil
//	}
//
//	func (l *Line) ReadMsgpack(r *msgpack.Reader) error {
//		n, _ := r.Map()
//		for i := 0; r.Next(i, n); i++ {
//			switch r.Field(lineFields, i) {
//			case 0:
//				l.Item = r.String()
//			case 1:
//				l.Count = r.Int32()
//			default:
//				r.Skip()
//			}
//		}
//		return r.Err()
//	}
//
// Lists are allocated with MakeSlice, maps with MakeMap and pointers with Make, which draw on the budget. A nested value
// that may contain its own type is written with Writer.Object, which notices cycles. Readers keep count of the open
// containers themselves, so generated code neither checks depth nor ends a container.
package msgpack

import (
	"reflect"
	"sync"

	"github.com/ferryrpc/ferry/serialize"
)

// A Marshaler writes itself: as one value, or, when it is a serialize.Row, as its values one after the other. Generated
// code implements it on *T.
type Marshaler interface {
	AppendMsgpack(w *Writer) error
}

// An Unmarshaler reads what Marshaler wrote, and a null as the zero value. Generated code implements it on *T.
type Unmarshaler interface {
	ReadMsgpack(r *Reader) error
}

// A Serializer is the format. Its methods may be called from any number of goroutines.
type Serializer struct {
	types *serialize.Types
	plans sync.Map // reflect.Type → *plan, of types without generated code
}

var _ serialize.Serializer = (*Serializer)(nil)

// New returns the format with a table of classes; nil is an empty one.
func New(types *serialize.Types) *Serializer { return &Serializer{types: types} }

// Untyped implements serialize.Untyped.
func (s *Serializer) Untyped() serialize.Serializer { return New(nil) }

// ID implements serialize.Serializer.
func (s *Serializer) ID() byte { return serialize.MsgpackID }

// Writer implements serialize.Serializer; the result is a *Writer.
func (s *Serializer) Writer(dst []byte) serialize.Writer { return s.NewWriter(dst) }

// Reader implements serialize.Serializer; the result is a *Reader.
func (s *Serializer) Reader(src []byte, l serialize.Limits) serialize.Reader {
	return s.NewReader(src, l)
}

// NewWriter is Writer with its concrete type.
func (s *Serializer) NewWriter(dst []byte) *Writer {
	w := writers.Get().(*Writer)
	w.s, w.buf = s, dst
	return w
}

// NewReader is Reader with its concrete type.
func (s *Serializer) NewReader(src []byte, l serialize.Limits) *Reader {
	r := readers.Get().(*Reader)
	l = l.WithDefaults()
	r.s, r.src, r.limits = s, src, l
	r.elements, r.bytes = l.Elements, l.Bytes
	return r
}

// A plan says how values of a type without generated code are handled.
type plan struct {
	way       way
	footprint serialize.Footprint
}

type way uint8

const (
	byLibrary way = iota
	byPointer
	byInterface
	bySlice
	byMap
)

// plan returns the plan for values of type t.
func (s *Serializer) plan(t reflect.Type) *plan {
	if p, ok := s.plans.Load(t); ok {
		return p.(*plan)
	}
	p, _ := s.plans.LoadOrStore(t, &plan{way: wayOf(t), footprint: serialize.FootprintOf(t)})
	return p.(*plan)
}
