package hessian2

import (
	"fmt"
	"unsafe"

	"github.com/ferryrpc/ferry/serialize"
)

// Reading again
//
// Every container has a slot, numbered in order of first appearance, with the place where it stands. To give the value of a
// reference to a target that cannot share the Go value of its slot, the Reader goes to that place, counts slots from that
// number on, reads, and comes back when the container is left (see frame). Class definitions and type names are known by
// where they stand, so meeting them again changes nothing. A cycle that is read again and again ends at the depth limit.

// addSlot gives the next container its number.
func (r *Reader) addSlot(off int) {
	if r.next == len(r.slots) && r.spend(int(unsafe.Sizeof(slot{}))) {
		r.slots = append(r.slots, slot{off: off})
	}
	if r.pending != nil && r.next < len(r.slots) {
		r.slots[r.next].value, r.pending = r.pending, nil
	}
	r.next++
}

// refNumber consumes a reference and returns its slot.
func (r *Reader) refNumber() (int, bool) {
	r.pos++
	i := r.integer(0, int64(len(r.slots))-1, "reference")
	if i >= int64(r.next) && r.err == nil {
		r.fail(serialize.ErrMalformed, fmt.Sprintf("reference to value %d, which comes later", i))
	}
	return int(i), r.err == nil
}

// again consumes a reference and goes to the value that it names, which must be a container and be read next.
func (r *Reader) again() bool {
	i, ok := r.refNumber()
	if !ok {
		return false
	}
	// The way back must not be lost when the value turns out to be of another kind, but then there is an error anyway.
	r.frames = append(r.frames, frame{depth: r.depth + 1, from: r.slots[i].off, pos: r.pos, next: r.next})
	r.pos, r.next = r.slots[i].off, i
	return r.count(1)
}

// Pointer reads an object for a field of type *T: nil for a null, and the pointer from before for a reference to an object
// that became a *T already.
func Pointer[T any, P interface {
	*T
	Unmarshaler
}](r *Reader) *T {
	if r.Null() {
		return nil
	}
	if p, ok := r.known().(*T); ok {
		r.Skip()
		return p
	}
	var p P = new(T)
	if !r.spend(int(unsafe.Sizeof(*p))) {
		return nil
	}
	r.Remember(p)
	r.Fail(p.UnmarshalHessian2(r))
	r.pending = nil // a codec written by hand may have read a string or a number
	return p
}

// Remember makes p, a pointer, the Go value of the next list, map or object, so that references to it become p.
func (r *Reader) Remember(p any) { r.pending = p }

// known returns the Go value that the next value has already, if it is a reference, or is a container that is read again.
func (r *Reader) known() any {
	if r.pos < len(r.src) && r.src[r.pos] == tagRef {
		at := r.pos
		i, ok := r.refNumber()
		if !ok {
			return nil
		}
		r.pos = at
		return r.slots[i].value
	}
	if r.next < len(r.slots) && r.pos < len(r.src) && isContainer(r.src[r.pos]) {
		return r.slots[r.next].value
	}
	return nil
}
