package hessian2

import (
	"encoding/binary"
	"unicode/utf8"
)

// Strings are CESU-8: their length counts UTF-16 units, and each unit is a sequence of one to three bytes, so a character
// beyond U+FFFF is two sequences of three. Everything else is plain UTF-8, and nearly every string can be copied whole.

const highBits = 0x8080808080808080

// word returns eight bytes of s; the compiler makes one load of it.
func word(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// ascii says whether s has bytes below 0x80 only.
func ascii(s string) bool {
	for len(s) >= 8 {
		if word(s)&highBits != 0 {
			return false
		}
		s = s[8:]
	}
	var all byte
	for i := range len(s) {
		all |= s[i]
	}
	return all < 0x80
}

// asciiBytes is ascii for bytes.
func asciiBytes(b []byte) bool {
	for len(b) >= 8 {
		if binary.LittleEndian.Uint64(b)&highBits != 0 {
			return false
		}
		b = b[8:]
	}
	var all byte
	for _, c := range b {
		all |= c
	}
	return all < 0x80
}

// String writes a string. Bytes that are not UTF-8 become U+FFFD.
func (w *Writer) String(s string) {
	if n := len(s); n < 32 && ascii(s) {
		w.buf = append(append(w.buf, byte(n)), s...)
		return
	}
	w.longString(s)
}

func (w *Writer) longString(s string) {
	units, plain := measure(s)
	if !plain {
		w.mixedString(s, units)
		return
	}
	for units > chunkUnits {
		end := cut(s, chunkUnits)
		w.buf = append(append(w.buf, tagChunkStr, chunkUnits>>8, chunkUnits&0xff), s[:end]...)
		s, units = s[end:], units-chunkUnits
	}
	w.stringHeader(units)
	w.buf = append(w.buf, s...)
}

func (w *Writer) stringHeader(units int) {
	switch {
	case units < 32:
		w.buf = append(w.buf, byte(units))
	case units < 1024:
		w.buf = append(w.buf, byte(tagString10+units>>8), byte(units))
	default:
		w.buf = append(w.buf, tagString16, byte(units>>8), byte(units))
	}
}

// measure returns the number of UTF-16 units of s, and whether its bytes are the wire form already.
func measure(s string) (units int, plain bool) {
	i := 0
	for ; i+8 <= len(s); i += 8 {
		if word(s[i:])&highBits != 0 {
			break
		}
	}
	units, plain = i, true
	for i < len(s) {
		if s[i] < 0x80 {
			i++
			units++
			continue
		}
		c, n := utf8.DecodeRuneInString(s[i:])
		if n == 4 {
			units++
			plain = false
		}
		if n == 1 && c == utf8.RuneError {
			plain = false
		}
		i += n
		units++
	}
	return units, plain
}

// cut returns how many bytes of s the first n units take; s has no surrogate pairs.
func cut(s string, n int) int {
	for i := 0; i < len(s); i++ {
		if s[i]&0xc0 != 0x80 {
			if n == 0 {
				return i
			}
			n--
		}
	}
	return len(s)
}

// mixedString writes a string that has characters beyond U+FFFF or bytes that are not UTF-8. A pair stays in one chunk.
func (w *Writer) mixedString(s string, units int) {
	for units > chunkUnits {
		w.buf = append(w.buf, tagChunkStr, 0, 0)
		at := len(w.buf)
		used, n := 0, 0
		for i, c := range s {
			if n >= chunkUnits || (n == chunkUnits-1 && c > 0xffff) {
				used = i
				break
			}
			n += w.unit(c)
		}
		binary.BigEndian.PutUint16(w.buf[at-2:], uint16(n))
		s, units = s[used:], units-n
	}
	w.stringHeader(units)
	for _, c := range s {
		w.unit(c)
	}
}

// unit writes one character and returns how many UTF-16 units it is.
func (w *Writer) unit(c rune) int {
	if c <= 0xffff {
		w.buf = utf8.AppendRune(w.buf, c)
		return 1
	}
	c -= 0x10000
	hi, lo := 0xd800+c>>10, 0xdc00+c&0x3ff
	w.buf = append(w.buf, 0xe0|byte(hi>>12), 0x80|byte(hi>>6)&0x3f, 0x80|byte(hi)&0x3f,
		0xe0|byte(lo>>12), 0x80|byte(lo>>6)&0x3f, 0x80|byte(lo)&0x3f)
	return 2
}
