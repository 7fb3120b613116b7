package echo

import (
	"encoding/binary"
	"errors"
	"math"
)

// ErrShort means that the bytes end before the value does.
var ErrShort = errors.New("echo: short bytes")

// AppendTo appends m's fields in their order: varint, and lengths before bytes. It is what a program would write by hand.
func (m *Message) AppendTo(dst []byte) []byte {
	dst = binary.AppendVarint(dst, m.ID)
	dst = appendString(dst, m.Name)
	return appendString(dst, m.Payload)
}

// ReadFrom sets m from what AppendTo made. The payload is a copy, so src may be used again.
func (m *Message) ReadFrom(src []byte) error {
	r := reader{src: src}
	m.ID, m.Name, m.Payload = r.varint(), r.string(), r.bytes()
	return r.err
}

// AppendTo appends the records field by field.
func (l *Records) AppendTo(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(l.List)))
	for i := range l.List {
		dst = l.List[i].appendTo(dst)
	}
	return dst
}

// ReadFrom sets l from what AppendTo made. Nothing of src is kept.
func (l *Records) ReadFrom(src []byte) error {
	r := reader{src: src}
	l.List = make([]Record, r.count())
	for i := range l.List {
		l.List[i].read(&r)
	}
	return r.err
}

func (v *Record) appendTo(dst []byte) []byte {
	for _, n := range [...]int64{v.ID, v.Created, v.Updated, v.Owner, int64(v.Version), int64(v.Kind), int64(v.Quantity)} {
		dst = binary.AppendVarint(dst, n)
	}
	dst = append(dst, bit(v.Active), bit(v.Hidden))
	for _, f := range [...]float64{v.Price, v.Weight, v.Score} {
		dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(f))
	}
	for _, s := range [...]string{v.Name, v.Title, v.Country, v.Comment} {
		dst = appendString(dst, s)
	}
	dst = appendString(dst, v.Digest)
	dst = binary.AppendUvarint(dst, uint64(len(v.Tags)))
	for _, s := range v.Tags {
		dst = appendString(dst, s)
	}
	dst = binary.AppendUvarint(dst, uint64(len(v.Related)))
	for _, n := range v.Related {
		dst = binary.AppendVarint(dst, n)
	}
	dst = binary.AppendUvarint(dst, uint64(len(v.Labels)))
	for k, s := range v.Labels {
		dst = appendString(appendString(dst, k), s)
	}
	return dst
}

func (v *Record) read(r *reader) {
	v.ID, v.Created, v.Updated, v.Owner = r.varint(), r.varint(), r.varint(), r.varint()
	v.Version, v.Kind, v.Quantity = int32(r.varint()), int32(r.varint()), int32(r.varint())
	v.Active, v.Hidden = r.bool(), r.bool()
	v.Price, v.Weight, v.Score = r.float(), r.float(), r.float()
	v.Name, v.Title, v.Country, v.Comment = r.string(), r.string(), r.string(), r.string()
	v.Digest = r.bytes()
	v.Tags = make([]string, r.count())
	for i := range v.Tags {
		v.Tags[i] = r.string()
	}
	v.Related = make([]int64, r.count())
	for i := range v.Related {
		v.Related[i] = r.varint()
	}
	n := r.count()
	v.Labels = make(map[string]string, n)
	for range n {
		k := r.string()
		v.Labels[k] = r.string()
	}
}

func appendString[T string | []byte](dst []byte, s T) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func bit(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// reader takes values from the front of src. After the first error it gives zero values.
type reader struct {
	src []byte
	err error
}

func (r *reader) fail() {
	r.src, r.err = nil, ErrShort
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.src)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.src = r.src[n:]
	return v
}

// count reads a length. It is at most what is left of src, since each element takes a byte or more.
func (r *reader) count() int {
	v, n := binary.Uvarint(r.src)
	if n <= 0 || v > uint64(len(r.src)-n) {
		r.fail()
		return 0
	}
	r.src = r.src[n:]
	return int(v)
}

func (r *reader) take(n int) []byte {
	if n > len(r.src) {
		r.fail()
		return nil
	}
	b := r.src[:n]
	r.src = r.src[n:]
	return b
}

func (r *reader) string() string { return string(r.take(r.count())) }

func (r *reader) bytes() []byte { return append([]byte(nil), r.take(r.count())...) }

func (r *reader) bool() bool {
	b := r.take(1)
	return len(b) == 1 && b[0] == 1
}

func (r *reader) float() float64 {
	b := r.take(8)
	if len(b) < 8 {
		return 0
	}
	return math.Float64frombits(binary.LittleEndian.Uint64(b))
}
