package hessian2

import (
	"math"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/serialize"
)

func TestStringRoundTrip(t *testing.T) {
	s := New(nil)
	parts := []string{"", "a", "é", "你", "😀", "\xff", "\xed\xa0\x80", "\uffff", "\U0010ffff", "abcdefgh", strings.Repeat("z", 31)}
	var all []string
	for _, a := range parts {
		for _, b := range parts {
			all = append(all, a+b, strings.Repeat(a+b, 17))
		}
		for _, n := range []int{1023, 1024, 32767, 32768} {
			all = append(all, strings.Repeat("x", n)+a)
		}
		all = append(all, strings.Repeat(a+"y", 700), strings.Repeat("y"+a, 17000))
	}
	for _, in := range all {
		b, err := encode(s, in)
		require.NoError(t, err)
		var out string
		rest, err := decode(s, b, &out)
		require.NoError(t, err)
		require.Zero(t, rest)
		require.Equal(t, strings.ToValidUTF8(in, "\ufffd") == in, utf8.ValidString(in))
		require.Equal(t, string([]rune(in)), out)
		checkForm(t, b)
		r := s.Reader(b, serialize.Limits{})
		require.NoError(t, r.SkipString())
		require.Zero(t, r.Rest())
		r.Free()
	}
}

// checkForm holds a string to what Java writes: three byte sequences at most, no pair in two chunks.
func checkForm(t *testing.T, b []byte) {
	r := New(nil).NewReader(b, serialize.Limits{})
	for {
		units, last, ok := r.stringChunk()
		require.True(t, ok)
		chars, _ := r.chars(units)
		require.NoError(t, r.Err())
		if !last {
			require.GreaterOrEqual(t, units, chunkUnits-1)
		}
		if n := len(chars); n >= 3 {
			tail, m := surrogate(chars[n-3:])
			require.False(t, m > 0 && utf16.IsSurrogate(tail) && tail < 0xdc00, "a high surrogate ends a chunk")
		}
		if last {
			return
		}
	}
}

func TestStringForms(t *testing.T) {
	s := New(nil)
	for name, c := range map[string]struct{ in, want string }{
		"lone high":         {"\x01\xed\xa0\xbd", "\ufffd"},
		"lone low":          {"\x02\xed\xb8\x80a", "\ufffda"},
		"wrong order":       {"\x02\xed\xb8\x80\xed\xa0\xbd", "\ufffd\ufffd"},
		"pair in chunks":    {"R\x00\x02a\xed\xa0\xbd\x02\xed\xb8\x80b", "a😀b"},
		"java's long zero":  {"\x02\xc0\x80a", "\x00a"},
		"empty chunks":      {"R\x00\x00R\x00\x00S\x00\x01é", "é"},
		"long form, short":  {"S\x00\x01x", "x"},
		"ten bits, short":   {"\x30\x02hi", "hi"},
		"chunks then empty": {"R\x00\x01x\x00", "x"},
	} {
		var out string
		rest, err := decode(s, []byte(c.in), &out)
		require.NoError(t, err, name)
		require.Zero(t, rest, name)
		require.Equal(t, c.want, out, name)
	}
	for name, in := range map[string]string{"continuation": "\x01\x80", "four bytes": "\x02😀", "not continued": "\x01\xc3a", "three, not continued": "\x01\xe4a\xa0",
		"not a chunk": "R\x00\x01a\x90"} {
		var out string
		_, err := decode(s, []byte(in), &out)
		require.ErrorIs(t, err, serialize.ErrMalformed, name)
	}
	for _, in := range []string{"", "\x02a", "\x01\xe4\xbd", "S\x00", "\x30", "R\x00\x01a", "S\xff\xffabc", "\x01\xc3"} {
		var out string
		_, err := decode(s, []byte(in), &out)
		require.ErrorIs(t, err, serialize.ErrTruncated, "%q", in)
		require.Empty(t, out)
	}
}

func TestBinary(t *testing.T) {
	s := New(nil)
	for _, n := range []int{0, 1, 15, 16, 1023, 1024, 65535, 65536, 200000} {
		in := bytesUpTo(n)
		b, err := encode(s, in)
		require.NoError(t, err)
		var out []byte
		rest, err := decode(s, b, &out)
		require.NoError(t, err)
		require.Zero(t, rest)
		require.Equal(t, in, out)
		require.Equal(t, n, cap(out), "nothing is allocated beyond the data")
		if n > 0 {
			b[len(b)-1]++
			require.Equal(t, in, out, "nothing aliases the body")
			_, err = decode(s, b[:len(b)-1], &out)
			require.ErrorIs(t, err, serialize.ErrTruncated)
		}
	}
}

func TestNumberRoundTrip(t *testing.T) {
	s := New(nil)
	var ints []int64
	for shift := range 64 {
		for d := int64(-3); d <= 3; d++ {
			ints = append(ints, 1<<shift+d, -1<<shift+d)
		}
	}
	for _, n := range ints {
		b, err := encode(s, n)
		require.NoError(t, err)
		var got any
		_, err = decode(s, b, &got)
		require.NoError(t, err)
		require.Equal(t, n, got)
		b, err = encode(s, int32(n))
		require.NoError(t, err)
		_, err = decode(s, b, &got)
		require.NoError(t, err)
		require.Equal(t, int32(n), got)
		for _, f := range []float64{float64(n), float64(n) / 1000, 0.001 * float64(n), math.Float64frombits(uint64(n)), -float64(n) * 1e100} {
			b, err = encode(s, f)
			require.NoError(t, err)
			_, err = decode(s, b, &got)
			require.NoError(t, err)
			require.Equal(t, math.Float64bits(f), math.Float64bits(got.(float64)), "%v", f)
		}
	}
	b, err := encode(s, math.Copysign(0, -1))
	require.NoError(t, err)
	require.Len(t, b, 9, "minus zero has no short form")
	b, err = encode(s, 12.25)
	require.NoError(t, err)
	require.Equal(t, []byte{0x5f, 0, 0, 0x2f, 0xda}, b)
}
