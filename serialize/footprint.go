package serialize

import (
	"reflect"
	"time"
)

// A Footprint bounds the memory that values of one Go type take for what an input declares, so that a format can draw on
// Limits.Bytes before it hands an input to a decoder that knows no budget. An empty object of two bytes may well become
// a struct of a kilobyte.
type Footprint struct {
	Element   int  // bytes for each element of a list
	Entry     int  // bytes for each entry of an object or map, 0 when the type has no Go maps
	Object    int  // bytes for each object
	Dynamic   bool // the type contains interfaces
	Recursive bool // a value may contain itself, so that it may be a cycle
}

// Bytes is the memory that so many list elements, entries and objects may take.
func (f Footprint) Bytes(elements, entries, objects int) int {
	return elements*f.Element + entries*f.Entry + objects*f.Object
}

// FootprintOf works out the Footprint of values of type t. It walks the type, so its result is worth keeping.
func FootprintOf(t reflect.Type) Footprint {
	w := footprintWalk{state: map[reflect.Type]bool{}}
	w.walk(t)
	return w.Footprint
}

type footprintWalk struct {
	Footprint
	state map[reflect.Type]bool // true while the walk is inside the type, false once it has left it
}

func (w *footprintWalk) walk(t reflect.Type) {
	const word = 16 // an interface, and a small value behind it
	inside, seen := w.state[t]
	if seen {
		w.Recursive = w.Recursive || inside
		return
	}
	w.state[t] = true
	defer func() { w.state[t] = false }()
	switch t.Kind() {
	case reflect.Pointer:
		w.Object = max(w.Object, int(t.Elem().Size()))
		w.Element = max(w.Element, int(t.Elem().Size())) // a null does not allocate, any scalar does
		w.walk(t.Elem())
	case reflect.Slice:
		w.Element = max(w.Element, int(t.Elem().Size()))
		w.walk(t.Elem())
	case reflect.Array:
		w.walk(t.Elem())
	case reflect.Map:
		w.Entry = max(w.Entry, 2*int(t.Key().Size()+t.Elem().Size())+word)
		w.walk(t.Key())
		w.walk(t.Elem())
	case reflect.Interface:
		w.Dynamic = true
		w.Element = max(w.Element, 2*word)
		w.Entry = max(w.Entry, 6*word)
		w.Object = max(w.Object, 4*word)
	case reflect.Struct:
		if t == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range t.NumField() {
			if f := t.Field(i); f.IsExported() || f.Anonymous {
				w.walk(f.Type)
			}
		}
	}
}
