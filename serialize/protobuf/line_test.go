package protobuf

import (
	"errors"

	"google.golang.org/protobuf/encoding/protowire"
)

// line is what the generator may write for a message { string item = 1; int32 count = 2; }.
type line struct {
	Item  string
	Count int32
}

// Error makes it an error with fields.
func (l *line) Error() string { return "short of " + l.Item }

func (l *line) AppendProto(b []byte) ([]byte, error) {
	if l.Item != "" {
		b = appendString(b, tagBytes1, l.Item)
	}
	if l.Count != 0 {
		b = protowire.AppendVarint(append(b, tagVarint2), uint64(l.Count))
	}
	return b, nil
}

func (l *line) UnmarshalProto(b []byte) error {
	*l = line{}
	for len(b) > 0 {
		f, rest, err := next(b)
		if err != nil {
			return err
		}
		b = rest
		switch {
		case f.num == 1 && f.typ == protowire.BytesType:
			l.Item = string(f.bytes)
		case f.num == 2 && f.typ == protowire.VarintType:
			l.Count = int32(f.number)
		case f.num <= 2:
			return errors.New("wrong wire type")
		}
	}
	return nil
}

// delimit returns a field that holds b.
func delimit(tag byte, b []byte) []byte { return append([]byte{tag}, item(b)...) }

// item returns b with its length in front.
func item(b []byte) []byte { return protowire.AppendBytes(nil, b) }
