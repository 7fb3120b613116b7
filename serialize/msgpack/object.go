package msgpack

import (
	"reflect"

	"github.com/ferryrpc/ferry/serialize"
)

// peekClass returns the class of the map that comes next, if its first entry names one.
func (r *Reader) peekClass() (class string, ok bool) {
	const key = "\xa6" + classKey // 6 bytes long
	b := r.src[r.off:]
	switch {
	case b[0] == codeMap16:
		b = b[min(3, len(b)):]
	case b[0] == codeMap32:
		b = b[min(5, len(b)):]
	default:
		b = b[1:]
	}
	if len(b) < len(key) || string(b[:len(key)]) != key {
		return "", false
	}
	b = b[len(key):]
	n := 0
	switch {
	case len(b) > 0 && b[0]&0xe0 == fixStr:
		n, b = int(b[0]&0x1f), b[1:]
	case len(b) > 1 && b[0] == codeStr8:
		n, b = int(b[1]), b[2:]
	default: // no class has a longer name
		return "", false
	}
	if n > len(b) {
		return "", false
	}
	return string(b[:n]), true
}

var exceptionFields = []string{"class", "message", "value"}

// exception reads the record of an Exception. Its value may come before its class, so it is read last.
func (r *Reader) exception(e *serialize.Exception) {
	*e = serialize.Exception{}
	n, _ := r.Map()
	at := -1
	for i := 0; r.Next(i, n); i++ {
		switch r.Field(exceptionFields, i) {
		case 0:
			e.Class = r.String()
		case 1:
			e.Message = r.String()
		case 2:
			at = r.off
			r.Skip()
		default:
			r.Skip()
		}
	}
	rt, ok := r.s.types.Type(e.Class)
	if !ok || r.err != nil || !r.Alloc(1, int(rt.Size())) {
		return
	}
	p := reflect.New(rt).Interface()
	if at >= 0 {
		r.again(at, p)
	}
	if r.err == nil {
		e.Value = p
	}
}

// again reads the value at an earlier place, which was passed over there, into v.
func (r *Reader) again(at int, v any) {
	end, left, level := r.off, r.left, len(r.open)
	r.off = at
	r.left, r.open = 2, append(r.open, left) // keeps the containers around it from being counted twice
	r.Fail(r.Read(v))
	if r.err == nil {
		r.off, r.left, r.open = end, left, r.open[:level]
	}
}

// object reads any map with string keys as an Object.
func (r *Reader) object(o *serialize.Object) {
	*o = serialize.Object{}
	n, _ := r.Map()
	if !r.Alloc(n, 32) {
		return
	}
	o.Fields = make([]serialize.Field, 0, n)
	for i := 0; r.Next(i, n); i++ {
		name := r.String()
		if i == 0 && name == classKey {
			o.Class = r.String()
			continue
		}
		o.Fields = append(o.Fields, serialize.Field{Name: name, Value: r.any()})
	}
}
