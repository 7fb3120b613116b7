// Package json is the JSON format of serialize, meant for eyes, scripts and peers that have nothing else.
//
// A body holds one value per line, each ended by a line feed; no value contains one:
//
//	"2.0.2"
//	"com.example.Greeter"
//	…
//	{"name":"Ann","age":42}
//	{"group":"a"}
//
// # Forms
//
// Values are what encoding/json makes of them, with its struct tags, base64 for []byte, RFC 3339 for time.Time and
// unknown fields ignored; a null gives the zero value. Strings are valid UTF-8 on the wire: other bytes become U+FFFD.
// NaN and the infinities have no form.
//
// An interface receives nil, bool, int64 (uint64 above its range, float64 for all other numbers), string, []any and
// map[string]any. A float64 in an interface is written with a point, so that it comes back as one. A map[any]any becomes
// an object, whose keys are the text of the scalars; a *serialize.Pairs becomes a list of [key, value] lists.
//
// A struct of a class that is registered in serialize.Types, written out of an interface, starts with the member
// "@class", its Java class name; read into an interface it becomes a pointer to the registered type again. A
// *serialize.Object is such an object as well, and what an object with an unknown "@class" becomes. This holds for
// interfaces at the top and inside []any and map[string]any; inside other types encoding/json has the word.
//
// A serialize.Exception is {"class": "…", "message": "…", "value": {…}}; "value" is there only when fields travel along,
// and is read only when the class is registered.
package json

import (
	"reflect"
	"sync"

	"github.com/ferryrpc/ferry/serialize"
)

// A Serializer is the format. Its methods may be called from any number of goroutines.
type Serializer struct {
	types      *serialize.Types
	footprints sync.Map // reflect.Type → serialize.Footprint
}

var _ serialize.Serializer = (*Serializer)(nil)

// New returns the format with a table of classes; nil is an empty one.
func New(types *serialize.Types) *Serializer { return &Serializer{types: types} }

// Untyped implements serialize.Untyped.
func (s *Serializer) Untyped() serialize.Serializer { return New(nil) }

// ID implements serialize.Serializer.
func (s *Serializer) ID() byte { return serialize.JSONID }

// Writer implements serialize.Serializer.
func (s *Serializer) Writer(dst []byte) serialize.Writer {
	w := writers.Get().(*writer)
	w.s, w.buf = s, dst
	return w
}

// Reader implements serialize.Serializer.
func (s *Serializer) Reader(src []byte, l serialize.Limits) serialize.Reader {
	r := readers.Get().(*reader)
	l = l.WithDefaults()
	*r = reader{s: s, src: src, limits: l, elements: l.Elements, bytes: l.Bytes}
	return r
}

func (s *Serializer) footprint(t reflect.Type) serialize.Footprint {
	if f, ok := s.footprints.Load(t); ok {
		return f.(serialize.Footprint)
	}
	f := serialize.FootprintOf(t)
	s.footprints.Store(t, f)
	return f
}
