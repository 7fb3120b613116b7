package hessian2

import (
	"slices"
	"sync/atomic"

	"github.com/ferryrpc/ferry/serialize"
)

// maxLayouts is how many foreign field orders a Class remembers; maxLayoutBytes is the longest definition among them.
const (
	maxLayouts     = 8
	maxLayoutBytes = 4096
)

// A Class describes the objects of one Java class: its name and the names of its fields in the order in which they are
// written. It is made once, may be shared by all goroutines, and learns the field orders of its peers while it is used.
type Class struct {
	Name   string
	Fields []string

	def     []byte  // the definition as it stands on the wire
	same    []int16 // 0, 1, 2 … for peers that write the fields in our order
	layouts atomic.Pointer[[]layout]
}

// layout is a definition of another peer and, for each of its fields, the index in Class.Fields or -1.
type layout struct {
	def    string
	fields []int16
}

// NewClass returns the description of a Java class.
func NewClass(name string, fields ...string) *Class {
	c := &Class{Name: name, Fields: fields, same: make([]int16, len(fields))}
	w := Writer{buf: []byte{tagClass}}
	w.String(name)
	w.Int(int32(len(fields)))
	for i, f := range fields {
		w.String(f)
		c.same[i] = int16(i)
	}
	c.def = w.buf
	return c
}

// known returns the field indexes for a definition (without its tag) that was seen before.
func (c *Class) known(def []byte) ([]int16, bool) {
	if string(c.def[1:]) == string(def) {
		return c.same, true
	}
	if known := c.layouts.Load(); known != nil {
		for i := range *known {
			if l := &(*known)[i]; l.def == string(def) {
				return l.fields, true
			}
		}
	}
	return nil, false
}

// learn remembers a definition; the oldest one makes room.
func (c *Class) learn(def []byte, fields []int16) {
	if len(def) > maxLayoutBytes {
		return
	}
	old := c.layouts.Load()
	next := []layout{{string(def), fields}}
	if old != nil {
		next = append(next, (*old)[:min(len(*old), maxLayouts-1)]...)
	}
	c.layouts.CompareAndSwap(old, &next) // losing to another goroutine only means learning it again
}

// index returns the position of a field, or -1.
func (c *Class) index(field []byte) int16 {
	return int16(slices.IndexFunc(c.Fields, func(s string) bool { return s == string(field) }))
}

// FieldName returns the Java name of a Go field; see serialize.JavaName.
func FieldName(goName string) string { return serialize.JavaName(goName) }
