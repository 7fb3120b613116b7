package hessian2

import (
	"fmt"
	"unsafe"

	"github.com/ferryrpc/ferry/serialize"
)

// maxClasses and maxFields bound the class definitions of a body and the fields of each.
const (
	maxClasses = 2048
	maxFields  = 2048
)

// none is the length of a list that is not there.
const none = -1

// Make returns a slice of n elements, drawn on the budget of r; nil when n is negative or the budget does not allow it. It
// is what a list is read into.
func Make[T any](r *Reader, n int) []T {
	var zero T
	if n < 0 || !r.spend(n*int(unsafe.Sizeof(zero))) {
		return nil
	}
	return make([]T, n)
}

// enter begins the container whose tag is at off.
func (r *Reader) enter(off int) bool {
	if r.depth++; r.depth > r.limits.Depth {
		r.Fail(fmt.Errorf("hessian2: %w", serialize.LimitError("levels of nesting", r.limits.Depth)))
		return false
	}
	r.addSlot(off)
	return r.count(1)
}

// leave ends a container.
func (r *Reader) leave() {
	for n := len(r.frames); n > 0 && r.frames[n-1].depth == r.depth && r.err == nil; n-- {
		f := r.frames[n-1]
		r.frames = r.frames[:n-1]
		if !f.variable {
			// Passing over a long string costs nothing but time, which the budget for memory stands for here.
			if r.spend(r.pos - f.from) {
				r.pos, r.next = f.pos, f.next
			}
		} else if b, ok := r.tag("end of list"); ok && b == tagEnd {
			r.pos++
		}
	}
	r.depth--
}

// typeName passes over the type of a list or map and returns where its name stands.
func (r *Reader) typeName() span {
	b, ok := r.tag("type name")
	if !ok {
		return span{}
	}
	if isString(b) {
		s := span{from: r.pos}
		r.skipString()
		s.to = r.pos
		if n := len(r.types); (n == 0 || r.types[n-1].from < s.from) && r.err == nil {
			r.types = append(r.types, s)
		}
		return s
	}
	i := r.integer(0, int64(len(r.types))-1, "type reference")
	if r.err != nil {
		return span{}
	}
	return r.types[i]
}

// stringAt returns the string that stands at s.
func (r *Reader) stringAt(s span) string {
	if r.err != nil {
		return ""
	}
	at := r.pos
	r.pos = s.from
	t := r.String()
	if r.err == nil {
		r.pos = at
	}
	return t
}

// List begins a list: n elements follow, each announced by Next. ok is false, and n negative, for a null.
//
//	for i := 0; r.Next(i, n); i++ { … }
//
// Next must be called until it says false, since that ends the list.
func (r *Reader) List() (n int, ok bool) {
	n, _, ok = r.list("list")
	return n, ok
}

// list is List with the place of the type name, which is empty for an untyped list.
func (r *Reader) list(what string) (n int, typ span, ok bool) {
	b, ok := r.tag(what)
	if !ok {
		return none, typ, false
	}
	off := r.pos
	switch {
	case b == tagNull:
		r.pos++
		r.pending = nil
		return none, typ, false
	case b == tagRef:
		if !r.again() {
			return none, typ, false
		}
		return r.list(what)
	case !isList(b):
		r.mismatch(what)
		return none, typ, false
	}
	r.pos++
	variable := b == tagVarTyped || b == tagVarList
	if variable || b == tagListTyped || b >= tagListTyped0 && b < tagList0 {
		if b != tagVarList {
			typ = r.typeName()
		}
	}
	if !r.enter(off) {
		return none, typ, false
	}
	switch {
	case variable:
		n = r.elementsAhead()
		r.frames = append(r.frames, frame{depth: r.depth, variable: true})
	case b >= tagList0:
		n = int(b - tagList0)
	case b >= tagListTyped0:
		n = int(b - tagListTyped0)
	default:
		n = int(r.integer(0, 1<<31-1, "length of list"))
	}
	if n > r.Rest() {
		r.fail(serialize.ErrTruncated, fmt.Sprintf("list of %d", n))
	}
	if !r.count(n) {
		return none, typ, false
	}
	return n, typ, true
}

// elementsAhead counts the elements of a list without a length, which is read twice therefore.
func (r *Reader) elementsAhead() int {
	pos, next := r.pos, r.next
	n := 0
	for r.err == nil {
		b, ok := r.tag("list")
		if !ok || b == tagEnd {
			break
		}
		r.Skip()
		n++
	}
	if r.err == nil {
		r.pos, r.next = pos, next
	}
	return n
}

// Next says whether there is an element i of the n that List announced. It ends the list when there is none.
func (r *Reader) Next(i, n int) bool {
	if i < n {
		return r.err == nil
	}
	if n >= 0 {
		r.leave()
	}
	return false
}

// Map begins a map; it is false for a null. Each key and value are announced by MoreEntries, which must be called until it
// says false.
func (r *Reader) Map() bool {
	_, ok := r.mapType()
	return ok
}

func (r *Reader) mapType() (typ span, ok bool) {
	b, ok := r.tag("map")
	if !ok {
		return typ, false
	}
	off := r.pos
	switch b {
	case tagNull:
		r.pos++
		r.pending = nil
		return typ, false
	case tagRef:
		if !r.again() {
			return typ, false
		}
		return r.mapType()
	case tagMap:
		r.pos++
	case tagMapTyped:
		r.pos++
		typ = r.typeName()
	default:
		r.mismatch("map")
		return typ, false
	}
	return typ, r.enter(off)
}

// mapEntry is what a Go map needs for an entry besides key and value, roughly.
const mapEntry = 16

// MoreEntries says whether the map has another entry; its key and value must be read next.
func (r *Reader) MoreEntries() bool {
	b, ok := r.tag("map")
	if !ok {
		return false
	}
	if b == tagEnd {
		r.pos++
		r.leave()
		return false
	}
	return r.count(1) && r.spend(mapEntry)
}

// Skip passes over one value of any kind.
func (r *Reader) Skip() {
	b, ok := r.tag("value")
	if !ok {
		return
	}
	if n := numberSize(b); n > 0 {
		r.take(n, "number")
		return
	}
	switch {
	case b == tagTrue || b == tagFalse:
		r.pos++
	case isString(b):
		r.skipString()
	case isBinary(b):
		r.skipBinary(nil)
	case b == tagDateMillis:
		r.take(9, "date")
	case b == tagDateMins:
		r.take(5, "date")
	case b == tagRef:
		r.refNumber()
	case isList(b):
		r.skipList(b)
	case b == tagMap || b == tagMapTyped:
		if r.Map() {
			for r.MoreEntries() {
				r.Skip()
				r.Skip()
			}
		}
	default:
		d, ok := r.begin()
		if !ok {
			return
		}
		for range r.classes[d].n {
			r.Skip()
		}
		r.EndObject()
	}
}

func (r *Reader) skipList(b byte) {
	if b != tagVarTyped && b != tagVarList {
		n, _ := r.List()
		for i := 0; r.Next(i, n); i++ {
			r.Skip()
		}
		return
	}
	off := r.pos
	r.pos++
	if b == tagVarTyped {
		r.typeName()
	}
	if !r.enter(off) {
		return
	}
	for r.err == nil {
		if b, ok := r.tag("list"); ok && b == tagEnd {
			r.pos++
			break
		}
		r.count(1)
		r.Skip()
	}
	r.leave()
}
