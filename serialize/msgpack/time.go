package msgpack

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/ferryrpc/ferry/serialize"
)

// Time reads an instant, in local time; a null is the zero time.
func (r *Reader) Time() time.Time {
	c := r.code()
	var t time.Time
	switch {
	case c == codeNil:
	case c == codeFixExt4 || c == codeFixExt8 || c == codeExt8:
		t = r.timestamp(c)
	case c&0xe0 == fixStr || c == codeStr8:
		r.off--
		at, err := time.Parse(time.RFC3339Nano, r.String())
		if err != nil {
			r.fail("a time", fmt.Errorf("%w: %w", serialize.ErrMalformed, err))
		}
		return at.Local()
	default:
		n, ok := r.int(c)
		if !ok {
			r.mistyped("a time", c)
			return time.Time{}
		}
		t = time.UnixMilli(n)
	}
	r.done()
	return t
}

// timestamp reads the extension with code c as a time.
func (r *Reader) timestamp(c byte) (t time.Time) {
	n := 4
	switch c {
	case codeFixExt8:
		n = 8
	case codeExt8:
		n = int(r.uint(1))
	}
	b, ok := r.take(1 + n)
	if !ok {
		return t
	}
	switch {
	case b[0] != timeExt:
		r.fail("a time", fmt.Errorf("%w: extension %d", serialize.ErrMalformed, int8(b[0])))
	case n == 4:
		t = time.Unix(int64(binary.BigEndian.Uint32(b[1:])), 0)
	case n == 8:
		u := binary.BigEndian.Uint64(b[1:])
		t = time.Unix(int64(u&(1<<34-1)), int64(u>>34))
	case n == 12:
		t = time.Unix(int64(binary.BigEndian.Uint64(b[5:])), int64(binary.BigEndian.Uint32(b[1:])))
	default:
		r.fail("a time", fmt.Errorf("%w: timestamp of %d bytes", serialize.ErrMalformed, n))
	}
	if t.IsZero() {
		return time.Time{}
	}
	return t
}
