package hessian2

import (
	"strconv"
	"time"
)

// ReadMap implements serialize.Reader. Dates become milliseconds since 1970, as Java's Date.getTime. A map of plain strings
// costs one string for all of them.
func (r *Reader) ReadMap(dst []string) ([]string, error) {
	if r.err != nil || r.Null() {
		return dst, r.err
	}
	if out, ok := r.plainMap(dst); ok {
		return out, nil
	}
	if !r.Map() {
		return dst, r.err
	}
	keep := len(dst)
	for r.MoreEntries() {
		k, ok := r.scalarText()
		v, ok2 := r.scalarText()
		if ok && ok2 {
			dst = append(dst, k, v)
		}
	}
	if r.err != nil {
		return dst[:keep], r.err
	}
	return dst, nil
}

// scalarText reads a scalar as text; anything else is passed over.
func (r *Reader) scalarText() (string, bool) {
	b, ok := r.tag("value")
	if !ok {
		return "", false
	}
	if b == tagNull || b == tagRef || isContainer(b) || isBinary(b) {
		r.Skip()
		return "", false
	}
	switch v := r.Any().(type) {
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case int32:
		return strconv.Itoa(int(v)), true
	case int64:
		return strconv.FormatInt(v, 10), true
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64), true
	case time.Time:
		return strconv.FormatInt(v.UnixMilli(), 10), true
	}
	return "", false
}

// maxPlain is how many strings plainMap takes.
const maxPlain = 64

// plainMap reads an untyped map in which every key and value is a short plain string. If it is another kind of map, nothing has been read.
func (r *Reader) plainMap(dst []string) ([]string, bool) {
	if r.pos >= len(r.src) || r.src[r.pos] != tagMap || r.next < len(r.slots) || r.depth >= r.limits.Depth {
		return dst, false
	}
	var at [maxPlain]span
	n, i, from := 0, r.pos+1, r.pos+1
	for {
		if i >= len(r.src) {
			return dst, false
		}
		if r.src[i] == tagEnd && n%2 == 0 {
			break
		}
		size, head := int(r.src[i]), 1
		if size >= tagString10 && size < tagBinary10 && i+1 < len(r.src) {
			size, head = (size-tagString10)<<8+int(r.src[i+1]), 2
		} else if size >= tagBinary {
			return dst, false
		}
		i += head
		if n == maxPlain || size > len(r.src)-i || !asciiBytes(r.src[i:i+size]) {
			return dst, false
		}
		at[n] = span{i, i + size}
		n, i = n+1, i+size
	}
	if !r.enter(r.pos) || !r.count(n/2) || !r.spend(i-from) {
		return dst, false
	}
	text := string(r.src[from:i])
	for _, s := range at[:n] {
		dst = append(dst, text[s.from-from:s.to-from])
	}
	r.pos = i + 1
	r.leave()
	return dst, true
}
