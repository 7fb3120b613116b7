package hessian2

import (
	"fmt"

	"github.com/ferryrpc/ferry/serialize"
)

// definition is a class definition of the body. What costs memory is filled when it is asked for.
type definition struct {
	at     span // the definition without its tag
	n      int  // fields
	class  *Class
	fields []int16 // for class
	name   string
	names  []string
}

// Object begins an object that is to be bound to c: for each field on the wire, in that order, its index in c.Fields, or -1
// for a field that c does not have and that must be passed over with Skip. EndObject must follow behind the last field.
// ok is false for a null.
//
//	fields, ok := r.Object(classUser)
//	for _, f := range fields {
//		switch f {
//		case 0: u.ID = r.Long()
//		default: r.Skip()
//		}
//	}
//	if ok { r.EndObject() }
func (r *Reader) Object(c *Class) (fields []int16, ok bool) {
	if r.ours(c) {
		return c.same, true
	}
	if r.Null() {
		r.pending = nil
		return nil, false
	}
	i, ok := r.begin()
	if !ok {
		return nil, false
	}
	d := &r.classes[i]
	if d.class != c {
		if fields, ok = r.bind(d, c); !ok {
			return nil, false
		}
		d.class, d.fields = c, fields
	}
	return d.fields, true
}

// ours enters an object whose definition stands in front of it, and is byte for byte the one that this side writes. Nearly
// every message begins with such a one, and comparing it costs less than reading it.
func (r *Reader) ours(c *Class) bool {
	rest, n, i := r.src[r.pos:], len(c.def), len(r.classes)
	if len(rest) <= n || i >= tagListTyped0-tagInstance || rest[n] != byte(tagInstance+i) || string(rest[:n]) != string(c.def) {
		return false
	}
	from := r.pos + 1
	if i > 0 && r.classes[i-1].at.from >= from || !r.count(len(c.Fields)) {
		return false // it is read again; or the budget is used up
	}
	r.classes = append(r.classes, definition{at: span{from, r.pos + n}, n: len(c.Fields), class: c, fields: c.same})
	off := r.pos + n
	r.pos = off + 1
	_, ok := r.instance(i, off)
	return ok
}

// EndObject ends an object after its last field.
func (r *Reader) EndObject() { r.leave() }

// begin enters an object that is not null and returns the number of its definition.
func (r *Reader) begin() (int, bool) {
	for {
		b, ok := r.tag("object")
		if !ok {
			return 0, false
		}
		off := r.pos
		switch {
		case b >= tagInstance && b < tagListTyped0:
			r.pos++
			return r.instance(int(b-tagInstance), off)
		case b == tagClass:
			r.define()
		case b == tagObject:
			r.pos++
			return r.instance(int(r.integer(0, maxClasses, "class number")), off)
		case b == tagRef:
			if !r.again() {
				return 0, false
			}
		default:
			r.mismatch("object")
			return 0, false
		}
	}
}

func (r *Reader) instance(i, off int) (int, bool) {
	if i >= len(r.classes) && r.err == nil {
		r.fail(serialize.ErrMalformed, fmt.Sprintf("object of class %d of %d", i, len(r.classes)))
	}
	return i, r.enter(off) && r.count(r.classes[i].n)
}

// define passes over a class definition, which is new unless it stands before one that is known.
func (r *Reader) define() {
	r.pos++
	d := definition{at: span{from: r.pos}}
	r.skipString()
	d.n = int(r.integer(0, maxFields, "number of fields"))
	if !r.count(d.n) {
		return
	}
	for i := 0; i < d.n && r.err == nil; i++ {
		r.skipString()
	}
	d.at.to = r.pos
	if n := len(r.classes); r.err != nil || n > 0 && r.classes[n-1].at.from >= d.at.from {
		return
	}
	if len(r.classes) == maxClasses {
		r.Fail(fmt.Errorf("hessian2: %w", serialize.LimitError("class definitions", maxClasses)))
		return
	}
	r.classes = append(r.classes, d)
}

// bind returns where each field of d stands in c. It fails when d is another class and has nothing in common with c.
func (r *Reader) bind(d *definition, c *Class) ([]int16, bool) {
	def := r.src[d.at.from:d.at.to]
	if fields, ok := c.known(def); ok {
		return fields, true
	}
	at := r.pos
	r.pos = d.at.from
	same := string(r.rawString()) == c.Name
	r.Int()
	fields := make([]int16, d.n)
	matched := 0
	for i := range fields {
		if fields[i] = c.index(r.rawString()); fields[i] >= 0 {
			matched++
		}
	}
	if r.err != nil {
		return nil, false
	}
	r.pos = at
	if !same && matched == 0 && d.n > 0 && len(c.Fields) > 0 {
		r.fail(serialize.ErrMalformed, fmt.Sprintf("object of class %s, found a %s", c.Name, r.className(d)))
		return nil, false
	}
	c.learn(def, fields)
	return fields, true
}

// className returns the name of a class of the body.
func (r *Reader) className(d *definition) string {
	if d.name == "" {
		d.name = r.stringAt(d.at)
	}
	return d.name
}

// fieldNames returns the names of the fields of a class of the body.
func (r *Reader) fieldNames(d *definition) []string {
	if d.names == nil && d.n > 0 {
		at := r.pos
		r.pos = d.at.from
		r.skipString()
		r.Int()
		names := Make[string](r, d.n)
		for i := range names {
			names[i] = r.String()
		}
		if r.err == nil {
			r.pos = at
		}
		d.names = names
	}
	return d.names
}

// Enum reads the name of an enum constant; a null is the empty string, and a plain string is taken as the name.
func (r *Reader) Enum() string {
	if r.pos < len(r.src) && (isString(r.src[r.pos]) || r.src[r.pos] == tagNull) {
		return r.String()
	}
	i, ok := r.begin()
	if !ok {
		return ""
	}
	name := ""
	for _, f := range r.fieldNames(&r.classes[i]) {
		if f == "name" {
			name = r.String()
		} else {
			r.Skip()
		}
	}
	r.EndObject()
	return name
}
