package hessian2

import (
	"unicode/utf8"

	"github.com/ferryrpc/ferry/serialize"
)

// String reads a string; a null is the empty string. A surrogate without its partner becomes U+FFFD. Short strings may share
// memory, at most 512 bytes of it; strings.Clone takes one out.
func (r *Reader) String() string {
	if r.pos < len(r.src) {
		if n := int(r.src[r.pos]); n < 32 && n < len(r.src)-r.pos {
			if b := r.src[r.pos+1 : r.pos+1+n]; asciiBytes(b) {
				r.pos += 1 + n
				return r.short(b)
			}
		}
	}
	return r.longString()
}

// windowSize is how much of the body is copied for several short strings at once, and so the most that one of them can
// keep in memory. near is how close to each other they must stand for that.
const (
	windowSize = 512
	near       = 32
)

// short returns the string b, which ends at the current place. Strings that stand close together, such as the fields of
// many small objects, share one copy of that piece of the body.
func (r *Reader) short(b []byte) string {
	from := r.pos - len(b)
	at := from - r.window.from
	if at >= 0 && r.pos <= r.window.to {
		r.lastText = r.pos
		return r.text[at : at+len(b)]
	}
	dense := from-r.lastText <= near && from >= r.lastText && r.lastText > 0
	r.lastText = r.pos
	if !dense || len(b) == 0 {
		r.memory -= len(b)
		return string(b)
	}
	to := min(from+windowSize, len(r.src))
	if !r.spend(to - from) {
		return ""
	}
	r.window, r.text = span{from, to}, string(r.src[from:to])
	return r.text[:len(b)]
}

// ReadString implements serialize.Reader.
func (r *Reader) ReadString() (string, error) {
	s := r.String()
	return s, r.err
}

// SkipString implements serialize.Reader.
func (r *Reader) SkipString() error {
	if !r.Null() {
		r.skipString()
	}
	return r.err
}

// stringChunk reads the header of a string or of one chunk of it.
func (r *Reader) stringChunk() (units int, last, ok bool) {
	b, ok := r.tag("string")
	if !ok {
		return 0, false, false
	}
	size := 1
	switch {
	case b < 32:
		units, last = int(b), true
	case b >= tagString10 && b < tagBinary10:
		units, last, size = int(b-tagString10)<<8, true, 2
	case b == tagString16 || b == tagChunkStr:
		last, size = b == tagString16, 3
	default:
		r.mismatch("string")
		return 0, false, false
	}
	if len(r.src)-r.pos < size {
		r.fail(serialize.ErrTruncated, "string")
		return 0, false, false
	}
	switch size {
	case 2:
		units += int(r.src[r.pos+1])
	case 3:
		units = int(r.src[r.pos+1])<<8 | int(r.src[r.pos+2])
	}
	r.pos += size
	return units, last, true
}

// chars returns the bytes of the next n units, and whether they are plain UTF-8. It fails and returns nil when they do not
// end within the body.
func (r *Reader) chars(n int) (b []byte, plain bool) {
	if rest := r.src[r.pos:]; n <= len(rest) && asciiBytes(rest[:n]) {
		r.pos += n
		return rest[:n], true
	}
	from, i := r.pos, r.pos
	pairs := false
	for ; n > 0; n-- {
		if i >= len(r.src) {
			r.fail(serialize.ErrTruncated, "string")
			return nil, false
		}
		switch c := r.src[i]; {
		case c < 0x80:
			i++
		case c>>5 == 6:
			i += 2
		case c>>4 == 14:
			pairs = pairs || c == 0xed && i+1 < len(r.src) && r.src[i+1] >= 0xa0
			i += 3
		default:
			r.pos = i
			r.fail(serialize.ErrMalformed, "string")
			return nil, false
		}
	}
	if i > len(r.src) {
		r.fail(serialize.ErrTruncated, "string")
		return nil, false
	}
	r.pos = i
	b = r.src[from:i]
	return b, !pairs && utf8.Valid(b)
}

func (r *Reader) longString() string {
	if r.Null() {
		return ""
	}
	units, last, ok := r.stringChunk()
	if !ok {
		return ""
	}
	b, plain := r.chars(units)
	if last && plain {
		if !r.spend(len(b)) {
			return ""
		}
		return string(b)
	}
	buf := r.scratch[:0]
	for r.err == nil {
		if !r.spend(2 * len(b)) { // once for the scratch
			break
		}
		if plain {
			buf = append(buf, b...)
		} else {
			buf = r.repair(buf, b)
		}
		if last {
			break
		}
		if units, last, ok = r.stringChunk(); ok {
			b, plain = r.chars(units)
		}
	}
	r.scratch = buf
	if r.err != nil {
		return ""
	}
	if !utf8.Valid(buf) { // a surrogate was left alone, or a pair stands in two chunks
		buf = joinSurrogates(buf)
	}
	return string(buf)
}

// repair appends b with its sequences checked and brought into their shortest form; surrogates stay for joinSurrogates.
func (r *Reader) repair(dst, b []byte) []byte {
	for i := 0; i < len(b); {
		c := rune(b[i])
		n := 1
		switch {
		case c >= 0xe0:
			n, c = 3, c&15<<12|rune(b[i+1])&63<<6|rune(b[i+2])&63
		case c >= 0x80:
			n, c = 2, c&31<<6|rune(b[i+1])&63
		}
		for _, cont := range b[i+1 : i+n] {
			if cont>>6 != 2 {
				r.fail(serialize.ErrMalformed, "string")
				return dst
			}
		}
		if c >= 0xd800 && c <= 0xdfff {
			dst = append(dst, b[i:i+3]...)
		} else {
			dst = utf8.AppendRune(dst, c)
		}
		i += n
	}
	return dst
}

// joinSurrogates makes characters of surrogate pairs, in place; whatever is left of them becomes U+FFFD.
func joinSurrogates(b []byte) []byte {
	out := b[:0]
	for i := 0; i < len(b); {
		hi, n := surrogate(b[i:])
		if n == 0 {
			_, n = utf8.DecodeRune(b[i:])
			out = append(out, b[i:i+n]...)
			i += n
			continue
		}
		i += n
		c := rune(utf8.RuneError)
		if lo, m := surrogate(b[i:]); m > 0 && hi < 0xdc00 && lo >= 0xdc00 {
			c = (hi-0xd800)<<10 + lo - 0xdc00 + 0x10000
			i += m
		}
		out = utf8.AppendRune(out, c)
	}
	return out
}

// surrogate decodes a surrogate at the start of b; its length is 0 if there is none.
func surrogate(b []byte) (rune, int) {
	if len(b) < 3 || b[0] != 0xed || b[1] < 0xa0 {
		return 0, 0
	}
	return 0xd000 | rune(b[1]&63)<<6 | rune(b[2]&63), 3
}

// skipString passes over a string that is not null.
func (r *Reader) skipString() {
	for r.err == nil {
		units, last, ok := r.stringChunk()
		if !ok {
			return
		}
		r.chars(units)
		if last {
			return
		}
	}
}

// Pass implements serialize.Passer.
func (r *Reader) Pass(n int) { r.take(n, "strings") }

// rawString passes over a string of one chunk and returns its bytes as they stand; chunked strings take the general way.
func (r *Reader) rawString() []byte {
	at := r.pos
	units, last, ok := r.stringChunk()
	if !ok {
		return nil
	}
	b, plain := r.chars(units)
	if last && plain || r.err != nil {
		return b
	}
	r.pos = at
	return []byte(r.String())
}

// Binary reads a byte[]; a null is nil. A list of numbers is taken too.
func (r *Reader) Binary() []byte {
	if r.Null() {
		return nil
	}
	b, ok := r.tag("byte[]")
	if !ok {
		return nil
	}
	if isList(b) || b == tagRef {
		return r.byteList()
	}
	size := r.skipBinary(nil)
	if r.err != nil || !r.spend(size.n) {
		return nil
	}
	if size.n > 0 && r.pos-size.from-size.n <= 3 { // one chunk: two have more than three bytes before them
		b := append([]byte(nil), r.src[r.pos-size.n:r.pos]...) // which does not clear the memory first, as make would
		return b[:size.n:size.n]
	}
	end := r.pos
	r.pos = size.from
	out := make([]byte, 0, size.n)
	r.skipBinary(&out)
	r.pos = end
	return out
}

// byteList reads a list of numbers, such as Java's Byte[], as bytes.
func (r *Reader) byteList() []byte {
	n, _ := r.List()
	out := Make[byte](r, n)
	for i := 0; r.Next(i, n); i++ {
		out[i] = byte(r.integer(-128, 255, "byte"))
	}
	return out
}

type binarySize struct{ from, n int }

// skipBinary walks over the chunks of a binary, appends them to dst unless it is nil, and returns where they began and
// how many bytes they hold.
func (r *Reader) skipBinary(dst *[]byte) binarySize {
	s := binarySize{from: r.pos}
	for r.err == nil {
		b, ok := r.tag("byte[]")
		if !ok {
			break
		}
		n, head := 0, 1
		switch {
		case b >= tagBinary && b < tagString10:
			n = int(b - tagBinary)
		case b >= tagBinary10 && b < tagLong19:
			n, head = int(b-tagBinary10)<<8, 2
		case b == tagBinary16 || b == tagChunkBin:
			head = 3
		default:
			r.mismatch("byte[]")
			return s
		}
		h := r.take(head, "byte[]")
		if h == nil {
			break
		}
		for _, c := range h[1:] {
			n += int(c) << (8 * (head - 2))
			head--
		}
		data := r.take(n, "byte[]")
		if dst != nil {
			*dst = append(*dst, data...)
		}
		s.n += n
		if b != tagChunkBin {
			break
		}
	}
	return s
}
