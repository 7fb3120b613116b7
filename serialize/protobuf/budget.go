package protobuf

import (
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/ferryrpc/ferry/serialize"
)

// maxGrowth is how many times its size a message may take in memory: an empty message in a list takes two bytes on the
// wire and a Go struct here. A message that is this much smaller than the budget needs no scan.
const maxGrowth = 512

// scan walks over the message b of type d and draws on the budget what decoding it will take.
func (r *reader) scan(d protoreflect.MessageDescriptor, b []byte, depth int) error {
	if depth == 0 {
		return serialize.LimitError("levels of nesting", r.limits.Depth)
	}
	for len(b) > 0 {
		f, rest, err := next(b)
		if err != nil {
			return err
		}
		size := len(b) - len(rest) // a field that is not known is kept as it is
		b = rest
		fd := d.Fields().ByNumber(f.num)
		n := 1
		switch {
		case fd == nil || f.typ != protowire.BytesType && f.typ != protowire.StartGroupType:
		case fd.Message() != nil:
			size = structSize(fd.Message())
			if err := r.scan(fd.Message(), f.bytes, depth-1); err != nil {
				return err
			}
		case fd.IsList() && fd.Kind() != protoreflect.StringKind && fd.Kind() != protoreflect.BytesKind:
			n, size = len(f.bytes), 8*len(f.bytes)
			switch fd.Kind() {
			case protoreflect.DoubleKind, protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind:
				n, size = n/8, n
			case protoreflect.FloatKind, protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind:
				n, size = n/4, n
			}
		default:
			size += 24
		}
		if r.elements -= n; r.elements < 0 {
			return serialize.LimitError("elements", r.limits.Elements)
		}
		if r.bytes -= size; r.bytes < 0 {
			return serialize.LimitError("bytes of memory", r.limits.Bytes)
		}
	}
	return nil
}

// structSize is about what a Go struct of the message type takes: its state, and a slice or pointer for each field.
func structSize(d protoreflect.MessageDescriptor) int { return 64 + 24*d.Fields().Len() }
