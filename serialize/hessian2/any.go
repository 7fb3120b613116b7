package hessian2

import (
	"fmt"
	"reflect"
	"strings"
	"unsafe"

	"github.com/ferryrpc/ferry/serialize"
)

// boxed is what a value costs for being in an interface, and anyEntry an entry of a map[any]any besides that, roughly.
const (
	boxed    = 16
	anyEntry = 48
)

// Any reads a value by what the wire says it is; the package comment lists what comes out. References to the same list,
// map or object give the same Go value.
func (r *Reader) Any() any {
	b, ok := r.tag("value")
	if !ok || !r.spend(boxed) {
		return nil
	}
	if numberSize(b) > 0 {
		return r.anyNumber(b)
	}
	switch {
	case b == tagTrue || b == tagFalse:
		return r.Bool()
	case isString(b):
		return r.String()
	case isBinary(b):
		return r.Binary()
	case b == tagDateMillis || b == tagDateMins:
		return r.Date()
	case b != tagRef && !isContainer(b):
		r.mismatch("value")
		return nil
	}
	if v := r.known(); v != nil {
		r.Skip()
		return v
	}
	if b == tagRef {
		if !r.again() {
			return nil
		}
		return r.Any()
	}
	switch {
	case isList(b):
		return r.anyList()
	case b == tagMap || b == tagMapTyped:
		return r.anyMap()
	}
	return r.anyObject()
}

func (r *Reader) anyNumber(b byte) any {
	if b == tagNull {
		r.pos++
		return nil
	}
	switch i, f, kind := r.number("number"); kind {
	case isInt:
		return int32(i)
	case isLong:
		return i
	default:
		return f
	}
}

// become makes v the Go value of a slot.
func (r *Reader) become(slot int, v any) {
	if slot < len(r.slots) {
		r.slots[slot].value = v
	}
}

func (r *Reader) anyList() any {
	slot := r.next
	n, _ := r.List()
	list := Make[any](r, n)
	if r.err != nil {
		return nil
	}
	v := any(list)
	r.become(slot, v)
	for i := 0; r.Next(i, n); i++ {
		list[i] = r.Any()
	}
	return v
}

// anyMap reads a map[any]any, or serialize.Pairs when a key cannot be the key of a Go map or the class is not one of Java's own.
func (r *Reader) anyMap() any {
	slot := r.next
	typ, ok := r.mapType()
	if !ok {
		return nil
	}
	class := ""
	if typ.to > 0 {
		class = r.stringAt(typ)
	}
	if class != "" && !strings.HasPrefix(class, "java.util.") || !r.simpleKey() {
		return r.anyPairs(slot, &serialize.Pairs{Class: plainMap(class)})
	}
	m := map[any]any{}
	r.become(slot, m)
	start := r.pos
	for r.MoreEntries() && r.spend(anyEntry) {
		if !r.simpleKey() {
			// Read it again from the start, together with all that may know the map which this is not.
			for i := slot + 1; i < len(r.slots); i++ {
				r.slots[i].value = nil
			}
			r.pos, r.next = start, slot+1
			return r.anyPairs(slot, &serialize.Pairs{Class: plainMap(class)})
		}
		k := r.Any()
		m[k] = r.Any()
	}
	return m
}

// plainMap returns the class for serialize.Pairs: none for the maps that are nothing but maps.
func plainMap(class string) string {
	if strings.HasPrefix(class, "java.util.") {
		return ""
	}
	return class
}

// simpleKey says whether the next value can be the key of a Go map, and equal keys be found by it.
func (r *Reader) simpleKey() bool {
	if r.pos >= len(r.src) {
		return true
	}
	b := r.src[r.pos]
	return b != tagRef && !isContainer(b) && !isBinary(b)
}

func (r *Reader) anyPairs(slot int, p *serialize.Pairs) any {
	r.become(slot, p)
	for r.MoreEntries() {
		r.pair(p)
	}
	return p
}

func (r *Reader) pair(p *serialize.Pairs) {
	if !r.spend(int(unsafe.Sizeof(serialize.Pair{}))) {
		return
	}
	k := r.Any()
	p.Items = append(p.Items, serialize.Pair{Key: k, Value: r.Any()})
}

// peekClass reads the definitions in front of an object and returns the number of its class. The object itself is not
// consumed.
func (r *Reader) peekClass() (int, bool) {
	for r.err == nil {
		b, ok := r.tag("object")
		if !ok {
			break
		}
		at := r.pos
		i := int(b) - tagInstance
		switch {
		case b == tagClass:
			r.define()
			continue
		case b == tagObject:
			r.pos++
			i = int(r.integer(0, maxClasses, "class number"))
		case b < tagInstance || b >= tagListTyped0:
			r.mismatch("object")
			return 0, false
		}
		if i >= len(r.classes) {
			r.fail(serialize.ErrMalformed, fmt.Sprintf("object of class %d of %d", i, len(r.classes)))
		}
		if r.err == nil {
			r.pos = at
			return i, true
		}
	}
	return 0, false
}

func (r *Reader) anyObject() any {
	slot := r.next
	i, ok := r.peekClass()
	if !ok {
		return nil
	}
	class := r.className(&r.classes[i])
	if v, ok := r.registered(class); ok {
		return v
	}
	if v, ok := r.standard(class); ok {
		r.become(slot, v)
		return v
	}
	names := r.fieldNames(&r.classes[i])
	if _, ok := r.begin(); !ok {
		return nil
	}
	o := &serialize.Object{Class: class, Fields: Make[serialize.Field](r, len(names))}
	r.become(slot, o)
	for i := range o.Fields {
		if r.err != nil {
			return nil
		}
		o.Fields[i].Name = names[i]
		o.Fields[i].Value = r.Any()
	}
	r.EndObject()
	return o
}

// registered reads an object of a class that the Serializer has a Go type for, as a pointer to that type.
func (r *Reader) registered(class string) (any, bool) {
	t, ok := r.owner.types.Type(class)
	if !ok || !r.spend(int(t.Size())) {
		return nil, false
	}
	p := reflect.New(t).Interface()
	r.Remember(p)
	r.readInto(p)
	return p, true
}

// readInto reads an object into p without giving it a reference number of its own kind.
func (r *Reader) readInto(p any) {
	if u, ok := p.(Unmarshaler); ok {
		r.Fail(u.UnmarshalHessian2(r))
		r.pending = nil
		return
	}
	r.reflected(p)
}
