package msgpack

import "github.com/ferryrpc/ferry/serialize"

// Array enters a list of n elements; all of them must be read. ok is false for a null and after an error.
func (r *Reader) Array() (n int, ok bool) {
	c := r.code()
	switch {
	case c&0xf0 == fixArray:
		n = int(c & 0x0f)
	case c == codeArray16:
		n = int(r.uint(2))
	case c == codeArray32:
		n = int(r.uint(4))
	case c == codeNil:
		r.done()
		return 0, false
	default:
		r.mistyped("a list", c)
		return 0, false
	}
	r.listed += n
	if !r.enter(n, n) {
		return 0, false
	}
	return n, true
}

// Map enters a map of n entries, of each of which the key and the value must be read. ok is false for a null and after an error.
func (r *Reader) Map() (n int, ok bool) {
	c := r.code()
	switch {
	case c&0xf0 == fixMap:
		n = int(c & 0x0f)
	case c == codeMap16:
		n = int(r.uint(2))
	case c == codeMap32:
		n = int(r.uint(4))
	case c == codeNil:
		r.done()
		return 0, false
	default:
		r.mistyped("a map", c)
		return 0, false
	}
	r.entries += n
	r.objects++
	if !r.enter(n, 2*n) {
		return 0, false
	}
	return n, true
}

// enter opens a container of n elements, which are so many values of one byte or more each.
func (r *Reader) enter(n, values int) bool {
	switch {
	case r.err != nil:
		return false
	case values > len(r.src)-r.off:
		r.fail("a container", serialize.ErrTruncated)
		return false
	case n > r.elements:
		r.fail("a container", serialize.LimitError("elements", r.limits.Elements))
		return false
	case len(r.open) >= r.limits.Depth:
		r.fail("a container", serialize.LimitError("levels of nesting", r.limits.Depth))
		return false
	}
	if n == 0 {
		r.done()
		return true
	}
	r.elements -= n
	r.open = append(r.open, r.left)
	r.left = values
	return true
}

// Next says whether element i of n is to be read: the condition of a loop over a list or map.
func (r *Reader) Next(i, n int) bool { return i < n && r.err == nil }

// Skip passes over one value.
func (r *Reader) Skip() {
	level := len(r.open)
	for {
		r.skipOne()
		if len(r.open) <= level || r.err != nil {
			return
		}
	}
}

// skipOne passes over a value that is no container, or over the header of one.
func (r *Reader) skipOne() {
	if r.off >= len(r.src) {
		r.fail("a value", serialize.ErrTruncated)
		return
	}
	c := r.src[r.off]
	switch {
	case c < fixMap || c >= negFix || c == codeNil || c == codeFalse || c == codeTrue:
		r.off++
		r.done()
	case c&0xf0 == fixMap || c == codeMap16 || c == codeMap32:
		r.Map()
	case c&0xf0 == fixArray || c == codeArray16 || c == codeArray32:
		r.Array()
	case c >= codeFloat32 && c <= codeInt64:
		r.off++
		r.take(int(numberSize[c-codeFloat32]))
		r.done()
	case c >= codeExt8 && c <= codeExt32 || c >= codeFixExt1 && c <= codeFixExtF:
		r.off++
		r.take(1 + r.extSize(c))
		r.done()
	default:
		r.text("a value")
	}
}

// numberSize holds the bytes behind the codes from codeFloat32 to codeInt64.
var numberSize = [...]byte{4, 8, 1, 2, 4, 8, 1, 2, 4, 8}

// extSize reads the length of the extension with code c, without its type.
func (r *Reader) extSize(c byte) int {
	switch c {
	case codeExt8:
		return int(r.uint(1))
	case codeExt16:
		return int(r.uint(2))
	case codeExt32:
		return int(r.uint(4))
	}
	return 1 << (c - codeFixExt1)
}
