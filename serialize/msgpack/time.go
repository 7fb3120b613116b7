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
		text := r.String()
		if t, ok := stamp([]byte(text)); ok { // the extension's payload as a raw string, which is all that writers before extensions had
			return t
		}
		at, err := time.Parse(time.RFC3339Nano, text)
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
	if b[0] != timeExt {
		r.fail("a time", fmt.Errorf("%w: extension %d", serialize.ErrMalformed, int8(b[0])))
		return t
	}
	if t, ok = stamp(b[1:]); !ok {
		r.fail("a time", fmt.Errorf("%w: timestamp of %d bytes", serialize.ErrMalformed, n))
	}
	return t
}

// stamp reads the payload of a timestamp, which has one of three lengths.
func stamp(b []byte) (t time.Time, ok bool) {
	switch len(b) {
	case 4:
		t = time.Unix(int64(binary.BigEndian.Uint32(b)), 0)
	case 8:
		u := binary.BigEndian.Uint64(b)
		t = time.Unix(int64(u&(1<<34-1)), int64(u>>34))
	case 12:
		t = time.Unix(int64(binary.BigEndian.Uint64(b[4:])), int64(binary.BigEndian.Uint32(b)))
	default:
		return t, false
	}
	if t.IsZero() {
		return time.Time{}, true
	}
	return t, true
}
