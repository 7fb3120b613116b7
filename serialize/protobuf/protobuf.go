// Package protobuf is the Protocol Buffers format of serialize.
//
// Every value of a body is one message with its length, a varint, in front: what protobuf libraries call delimited. It is
// the form of Apache Dubbo's dubbo-serialization-protobuf for Java, which has the same serialization id.
//
//	| len | StringValue "2.0.2" | len | StringValue path | … | len | message of argument 1 | len | map of attachments |
//
// # Forms
//
// A proto.Message is itself. Scalars are the well-known wrappers: bool is BoolValue, int8, int16 and int32 are
// Int32Value, int and int64 Int64Value, uint32 UInt32Value, uint64 UInt64Value, float32 FloatValue, float64 DoubleValue,
// string StringValue, []byte BytesValue; time.Time is Timestamp. A null has length 0. Scalars are written with their
// field even when it is zero, so that pointers to scalars tell a null from a zero; a message cannot, so a nil message
// arrives as an empty one. Strings are valid UTF-8 on the wire: other bytes become U+FFFD.
//
// A map of strings, and a serialize.Exception, are these messages; value holds the encoded fields of an error that is a
// message itself and is read when its class is registered.
//
//	message Map       { map<string, string> attachments = 1; }
//	message Throwable { string original_class_name = 1; string original_message = 2; bytes value = 15; }
//
// Other Go values, *serialize.Object and interfaces among them, have no form: serialize.ErrUnsupported names their type.
//
// A Reader checks the nesting and the number of fields of large messages before they are decoded. A type with generated
// code (Marshaler, Unmarshaler) that is no proto.Message must keep its own memory in proportion to its input.
package protobuf

import (
	"fmt"

	"github.com/ferryrpc/ferry/serialize"
)

// A Marshaler appends its fields to b as a message without length. Generated code implements it on *T as the faster way;
// it is asked before proto.Message.
type Marshaler interface {
	AppendProto(b []byte) ([]byte, error)
}

// An Unmarshaler replaces its fields by those of the message b, without keeping any part of b.
type Unmarshaler interface {
	UnmarshalProto(b []byte) error
}

// A Serializer is the format. Its methods may be called from any number of goroutines.
type Serializer struct{ types *serialize.Types }

var _ serialize.Serializer = (*Serializer)(nil)

// New returns the format with a table of classes; nil is an empty one.
func New(types *serialize.Types) *Serializer { return &Serializer{types: types} }

// ID implements serialize.Serializer.
func (s *Serializer) ID() byte { return serialize.ProtobufID }

// Writer implements serialize.Serializer.
func (s *Serializer) Writer(dst []byte) serialize.Writer {
	w := writers.Get().(*writer)
	w.buf = dst
	return w
}

// Reader implements serialize.Serializer.
func (s *Serializer) Reader(src []byte, l serialize.Limits) serialize.Reader {
	r := readers.Get().(*reader)
	l = l.WithDefaults()
	*r = reader{types: s.types, src: src, limits: l, elements: l.Elements, bytes: l.Bytes}
	return r
}

func unsupported(doing string, v any) error {
	return fmt.Errorf("protobuf: %s %T: %w: it is neither a proto.Message nor a scalar", doing, v, serialize.ErrUnsupported)
}
