package hessian2

import (
	"encoding/hex"
	"fmt"
	"math/big"
	"math/bits"
	"strconv"

	"github.com/ferryrpc/ferry/serialize"
)

// Descriptions of JDK classes; they are never changed.
var (
	classBigInteger = NewClass("java.math.BigInteger", "signum", "mag")
	classBigDecimal = NewClass("java.math.BigDecimal", "value")
	classUUID       = NewClass("java.util.UUID", "value")
)

// A Decimal is a java.math.BigDecimal in its text form, which keeps the scale: "12.30" and "12.3" are different values in
// Java. The empty Decimal is a null.
type Decimal string

// Rat returns the exact value, and false if the text is not a decimal number.
func (d Decimal) Rat() (*big.Rat, bool) {
	if len(d) > 1000 {
		return nil, false // an exponent of many digits would take all memory
	}
	f, _, err := big.ParseFloat(string(d), 10, 64, big.ToNearestEven)
	if err != nil || f.IsInf() || f.MantExp(nil) > 1<<16 || f.MantExp(nil) < -1<<16 {
		return nil, false
	}
	return new(big.Rat).SetString(string(d))
}

// MarshalHessian2 implements Marshaler.
func (d *Decimal) MarshalHessian2(w *Writer) error {
	w.Decimal(string(*d))
	return nil
}

// UnmarshalHessian2 implements Unmarshaler.
func (d *Decimal) UnmarshalHessian2(r *Reader) error {
	*d = Decimal(r.Decimal())
	return r.err
}

// A UUID is a java.util.UUID.
type UUID [16]byte

// String returns the usual form of 36 characters.
func (u UUID) String() string { return string(u.appendTo(nil)) }

func (u UUID) appendTo(b []byte) []byte {
	for i, part := range [...][]byte{u[:4], u[4:6], u[6:8], u[8:10], u[10:]} {
		if i > 0 {
			b = append(b, '-')
		}
		b = hex.AppendEncode(b, part)
	}
	return b
}

// ParseUUID is the reverse of UUID.String.
func ParseUUID(s string) (UUID, error) {
	var u UUID
	if len(s) == 36 && s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-' {
		if b, err := hex.DecodeString(s[:8] + s[9:13] + s[14:18] + s[19:23] + s[24:]); err == nil {
			return UUID(b), nil
		}
	}
	return u, fmt.Errorf("hessian2: uuid %.40q: %w", s, serialize.ErrMalformed)
}

// MarshalHessian2 implements Marshaler.
func (u *UUID) MarshalHessian2(w *Writer) error {
	w.UUID(*u)
	return nil
}

// UnmarshalHessian2 implements Unmarshaler.
func (u *UUID) UnmarshalHessian2(r *Reader) error {
	*u = r.UUID()
	return r.err
}

// Decimal writes a java.math.BigDecimal; the empty string is a null. The text is not checked.
func (w *Writer) Decimal(text string) {
	if text == "" {
		w.Null()
		return
	}
	w.Object(classBigDecimal)
	w.String(text)
}

// Decimal reads a java.math.BigDecimal, or any other number, as its text; a null is the empty string.
func (r *Reader) Decimal() string {
	b, ok := r.tag("decimal")
	if !ok {
		return ""
	}
	if b != tagNull && numberSize(b) > 0 {
		i, f, kind := r.number("decimal")
		if kind == isFloat {
			return strconv.FormatFloat(f, 'f', -1, 64)
		}
		return strconv.FormatInt(i, 10)
	}
	if b == tagNull || isString(b) {
		return r.String()
	}
	return r.single(classBigDecimal)
}

// single reads an object whose one field of interest, the first of c, is a string.
func (r *Reader) single(c *Class) string {
	s := ""
	fields, ok := r.Object(c)
	for _, f := range fields {
		if f == 0 {
			s = r.String()
		} else {
			r.Skip()
		}
	}
	if ok {
		r.EndObject()
	}
	return s
}

// UUID writes a java.util.UUID.
func (w *Writer) UUID(u UUID) {
	w.Object(classUUID)
	w.buf = append(w.buf, tagString10, 36)
	w.buf = u.appendTo(w.buf)
}

// UUID reads a java.util.UUID or its text; a null is the zero UUID.
func (r *Reader) UUID() UUID {
	b, ok := r.tag("uuid")
	if !ok || r.Null() {
		return UUID{}
	}
	text := ""
	if isString(b) {
		text = r.String()
	} else {
		text = r.single(classUUID)
	}
	if r.err != nil {
		return UUID{}
	}
	u, err := ParseUUID(text)
	r.Fail(err)
	return u
}

// BigInt writes a java.math.BigInteger; nil is a null.
func (w *Writer) BigInt(v *big.Int) {
	if v == nil {
		w.Null()
		return
	}
	w.Object(classBigInteger)
	w.Int(int32(v.Sign()))
	words, n := v.Bits(), (v.BitLen()+31)/32
	w.List("[int", n)
	for i := n - 1; i >= 0; i-- {
		w.Int(int32(words[i*32/bits.UintSize] >> (i * 32 % bits.UintSize)))
	}
}

// BigInt reads a java.math.BigInteger, or any other whole number; a null is nil.
func (r *Reader) BigInt() *big.Int {
	b, ok := r.tag("big integer")
	if !ok || r.Null() {
		return nil
	}
	if numberSize(b) > 0 {
		return big.NewInt(r.Long())
	}
	if v, ok := r.known().(*big.Int); ok {
		r.Skip()
		return v
	}
	slot := r.next
	var sign int32
	var mag []byte
	fields, ok := r.Object(classBigInteger)
	for _, f := range fields {
		switch f {
		case 0:
			sign = r.Int()
		case 1:
			mag = r.magnitude()
		default:
			r.Skip()
		}
	}
	if !ok {
		return nil
	}
	r.EndObject()
	v := new(big.Int).SetBytes(mag)
	if sign < 0 {
		v.Neg(v)
	}
	if b != tagRef {
		r.become(slot, v)
	}
	return v
}

// magnitude reads the 32-bit words of a number, the most significant first. dubbo-go writes them as longs.
func (r *Reader) magnitude() []byte {
	n, _ := r.List()
	mag := Make[byte](r, 4*n)
	for i := 0; r.Next(i, n); i++ {
		v := uint32(r.integer(-1<<31, 1<<32-1, "int"))
		mag[4*i], mag[4*i+1], mag[4*i+2], mag[4*i+3] = byte(v>>24), byte(v>>16), byte(v>>8), byte(v)
	}
	return mag
}
