package msgpack

// text returns the bytes of a string or binary, which alias the input; ok is false for a null and after an error.
func (r *Reader) text(what string) (b []byte, ok bool) {
	if rest := r.src[r.off:]; len(rest) > 31 && rest[0]&0xe0 == fixStr {
		n := 1 + int(rest[0]&0x1f)
		r.off += n
		r.done()
		return rest[1:n:n], true
	}
	c := r.code()
	n := 0
	switch {
	case c&0xe0 == fixStr:
		n = int(c & 0x1f)
	case c == codeStr8 || c == codeBin8:
		n = int(r.uint(1))
	case c == codeStr16 || c == codeBin16:
		n = int(r.uint(2))
	case c == codeStr32 || c == codeBin32:
		n = int(r.uint(4))
	case c == codeNil:
		r.done()
		return nil, false
	default:
		r.mistyped(what, c)
		return nil, false
	}
	b, ok = r.take(n)
	r.done()
	return b, ok && r.err == nil
}

// String reads a string; a null is the empty one. Short strings may share memory, at most 256 bytes of it; strings.Clone
// takes one out.
func (r *Reader) String() string {
	b, ok := r.text("a string")
	switch {
	case !ok:
		return ""
	case len(b) <= shortText:
		return r.short(b)
	case !r.Alloc(len(b), 1):
		return ""
	}
	return string(b)
}

// windowSize is how much of the body is copied for several short strings at once, and so the most that one of them can
// keep in memory. shortText is the longest string that shares, and near is how close to each other they must stand for that.
const (
	windowSize = 256
	shortText  = 64
	near       = 48
)

// short returns the string b, which ends at the current place. Strings that stand close together, such as the fields of
// many small objects, share one copy of that piece of the body.
func (r *Reader) short(b []byte) string {
	from := r.off - len(b)
	if at := from - r.window.from; at >= 0 && r.off <= r.window.to {
		r.lastText = r.off
		return r.shared[at : at+len(b)]
	}
	dense := r.lastText > 0 && from-r.lastText <= near
	r.lastText = r.off
	if !dense || len(b) == 0 {
		if !r.Alloc(len(b), 1) {
			return ""
		}
		return string(b)
	}
	to := min(from+windowSize, len(r.src))
	if !r.Alloc(to-from, 1) {
		return ""
	}
	r.window, r.shared = span{from, to}, string(r.src[from:to])
	return r.shared[:len(b)]
}

// Binary reads bytes; a null is nil.
func (r *Reader) Binary() []byte {
	b, ok := r.text("bytes")
	if !ok || !r.Alloc(len(b), 1) {
		return nil
	}
	if len(b) == 0 {
		return []byte{}
	}
	return append([]byte(nil), b...) // which does not clear the memory first, as make would
}

// Field reads a string and returns its index in names, or -1 when it is none of them. i is where it is looked for first:
// for structs that are written in the order of names that is the number of the entry.
func (r *Reader) Field(names []string, i int) int {
	if i < len(names) {
		// Nearly every name is the one that is looked for, and shorter than 32 bytes.
		name, rest := names[i], r.src[r.off:]
		if n := len(name); n < 32 && n < len(rest) && rest[0] == fixStr|byte(n) && string(rest[1:1+n]) == name {
			r.off += 1 + n
			r.done()
			return i
		}
	}
	return r.otherField(names, i)
}

func (r *Reader) otherField(names []string, i int) int {
	b, ok := r.text("a field name")
	if !ok {
		return -1
	}
	if i < len(names) && string(b) == names[i] {
		return i
	}
	for i := range names {
		if string(b) == names[i] {
			return i
		}
	}
	return -1
}
