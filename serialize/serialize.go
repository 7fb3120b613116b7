// Package serialize is the contract between a protocol and the formats that turn values into bytes.
//
// One body is one session: a Writer or a Reader lives for one message, and what a format remembers inside a message
// (references, class definitions) runs through all of it. Writers and Readers are pooled by their Serializer, belong to
// one goroutine at a time, and go back with Free.
//
// Values travel as pointers. Write(v) takes a pointer to the value that is to be written, Read(v) a pointer to the
// place where it is to be stored, so that no value is boxed on the way. A Row is written as its values one after the
// other, without anything around them: that is what the arguments of a call are.
package serialize

import (
	"errors"
	"fmt"
)

// Serialization ids as they stand in the low five bits of a frame's flag byte (Apache Dubbo, Constants.java of
// dubbo-serialization-api).
const (
	Hessian2ID byte = 2
	JSONID     byte = 31 // Dubbo reserves 31 for custom formats; no Java peer claims it
	ProtobufID byte = 22
	MsgpackID  byte = 27
)

// Errors that every format reports alike. A Reader wraps them with what it was reading and where.
var (
	// ErrTruncated means that the input ended inside a value.
	ErrTruncated = errors.New("serialize: input ends inside a value")
	// ErrLimit means that the input asks for more than the Limits allow.
	ErrLimit = errors.New("serialize: limit exceeded")
	// ErrMalformed means that the input is not of the format.
	ErrMalformed = errors.New("serialize: malformed input")
	// ErrUnsupported means that a Go value has no form in the format.
	ErrUnsupported = errors.New("serialize: value has no form in this format")
)

// A Serializer is one format. It is safe for use from any number of goroutines.
type Serializer interface {
	// ID is the number of the format in a frame's flag byte.
	ID() byte
	// Writer starts a body behind the bytes of dst, which the Writer owns until Bytes is called.
	Writer(dst []byte) Writer
	// Reader reads the body src. Nothing that it returns or stores aliases src.
	Reader(src []byte, l Limits) Reader
}

// A Writer appends the values of one body. After an error the body is worthless, and only Free may follow.
type Writer interface {
	// Write appends the value that v points to; a nil v is a null. A Row is appended value by value.
	Write(v any) error
	// WriteString appends a string value without boxing it.
	WriteString(s string)
	// WriteMap appends a map of strings; pairs holds key, value, key, value.
	WriteMap(pairs []string)
	// WriteRaw appends bytes which a Writer of the same Serializer made. They must not contain references or definitions.
	WriteRaw(b []byte)
	// Bytes returns dst and all that was appended to it. It belongs to the caller from then on.
	Bytes() []byte
	// Free gives the Writer back. Neither it nor anything but the result of Bytes may be used afterwards.
	Free()
}

// A Reader reads the values of one body in the order in which they were written. It never panics, whatever the input.
type Reader interface {
	// Read stores the next value in what v points to, a Row value by value. A nil v skips one value.
	Read(v any) error
	// ReadString reads a string; a null is the empty string.
	ReadString() (string, error)
	// SkipString passes over a string or null without building it.
	SkipString() error
	// ReadMap reads a map or null and appends its pairs to dst. Scalars are brought into their text form, other values are left out.
	ReadMap(dst []string) ([]string, error)
	// Rest is the number of bytes not read yet.
	Rest() int
	// Free gives the Reader back.
	Free()
}

// A Passer is a Reader that can pass over values whose bytes the caller knows already.
type Passer interface {
	// Pass passes over the next n bytes, which are whole strings and are there.
	Pass(n int)
}

// A Row is a sequence of values with nothing around it: the arguments of a call, or its reply (a Row of one or none).
// Generated argument structs implement it, and a format's own fast path beside it.
type Row interface {
	// Len is the number of values.
	Len() int
	// At returns a pointer to value i.
	At(i int) any
}

// Arrays is a Row that has arrays for Java where Go has slices, which are lists otherwise. The other formats do not tell them
// apart.
type Arrays interface {
	Row
	// Array returns what value i is an array of, by Hessian's name (string, object); "" means that it is none.
	Array(i int) string
}

// Values is a Row for callers without generated code; each element is a pointer to a value.
type Values []any

// Len implements Row.
func (v Values) Len() int { return len(v) }

// At implements Row.
func (v Values) At(i int) any { return v[i] }

// An Exception is an error that a service answered with, in the form in which it crosses the wire.
// hessian2 writes a Java throwable; the other formats write a record of class, message and value.
type Exception struct {
	// Class is the Java class name; empty means java.lang.RuntimeException.
	Class string
	// Message is what Java calls detailMessage.
	Message string
	// Value is the registered Go error whose fields travel along, or nil. A Reader fills it when Class is registered in
	// the Types of its Serializer: it is then a pointer to the registered Go type.
	Value any
}

// An Object is a value of a class that this process knows no Go type for. Fields keep their order on the wire.
type Object struct {
	Class  string
	Fields []Field
}

// A Field is one named value of an Object.
type Field struct {
	Name  string
	Value any
}

// Field returns the value of the field called name.
func (o *Object) Field(name string) (any, bool) {
	for i := range o.Fields {
		if o.Fields[i].Name == name {
			return o.Fields[i].Value, true
		}
	}
	return nil, false
}

// Pairs is a map whose keys cannot be keys of a Go map (lists, objects), or a Java map of a class of its own.
type Pairs struct {
	Class string // empty for a plain map
	Items []Pair
}

// A Pair is one entry of Pairs.
type Pair struct{ Key, Value any }

// Limits is the budget of one body. The zero value means the defaults; nothing here means unlimited.
type Limits struct {
	Depth    int // nesting of values, 64
	Elements int // list elements, map entries and object fields in the whole body, 1<<20
	Bytes    int // memory that decoding may allocate, 64 MiB
}

// WithDefaults returns l with its zero fields set to the defaults.
func (l Limits) WithDefaults() Limits {
	if l.Depth <= 0 {
		l.Depth = 64
	}
	if l.Elements <= 0 {
		l.Elements = 1 << 20
	}
	if l.Bytes <= 0 {
		l.Bytes = 64 << 20
	}
	return l
}

// LimitError reports which limit a body broke. It matches ErrLimit.
func LimitError(what string, limit int) error {
	return fmt.Errorf("%w: more than %d %s", ErrLimit, limit, what)
}
