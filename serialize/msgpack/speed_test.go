package msgpack

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	library "github.com/vmihailenco/msgpack/v5"

	"github.com/ferryrpc/ferry/serialize"
)

// TestAllocations holds the call path to its numbers.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		return // the race detector allocates on its own account
	}
	s := New(nil)
	a := &args{A0: 1, A1: "a name", A2: cart{ID: 1 << 40, Price: 1.5, Data: make([]byte, 64), First: &line{"x", 1}}}
	pairs := []string{"group", "a", "version", "1.0.0"}
	buf := make([]byte, 0, 1024)
	var src []byte
	require.Zero(t, testing.AllocsPerRun(100, func() {
		w := s.Writer(buf)
		w.WriteString("com.example.Greeter")
		_ = w.Write(a)
		w.WriteMap(pairs)
		src = w.Bytes()
		w.Free()
	}), "writing a generated row")
	var out args
	got := testing.AllocsPerRun(100, func() {
		r := s.Reader(src, serialize.Limits{})
		_ = r.SkipString()
		_ = r.Read(&out)
		r.Free()
	})
	require.Equal(t, *a, out)
	require.LessOrEqual(t, got, 4.0, "reading: the name, the payload, the pointer and its string")
	n := int32(4)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		w := s.Writer(buf)
		_ = w.Write(&n)
		src = w.Bytes()
		w.Free()
		r := s.Reader(src, serialize.Limits{})
		_ = r.Read(&n)
		r.Free()
	}), "a reply's flag")
}

func BenchmarkWrite(b *testing.B) {
	s, c := New(nil), newCart()
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		w := s.Writer(buf)
		_ = w.Write(c)
		w.Free()
	}
}

func BenchmarkRead(b *testing.B) {
	s := New(nil)
	src := encode(b, s, newCart())
	var c cart
	b.ReportAllocs()
	for b.Loop() {
		_ = decode(s, src, &c)
	}
}

func BenchmarkLibraryRead(b *testing.B) {
	src := encode(b, New(nil), newCart())
	var c cart
	b.ReportAllocs()
	for b.Loop() {
		_ = library.Unmarshal(src, &c)
	}
}

func BenchmarkLibraryWrite(b *testing.B) {
	c := newCart()
	b.ReportAllocs()
	for b.Loop() {
		_, _ = library.Marshal(c)
	}
}

func TestShortStringsShareMemory(t *testing.T) {
	list := make([]string, 40)
	for i := range list {
		list[i] = string(rune('a'+i%26)) + "-short"
	}
	list[20] = strings.Repeat("long", 100)
	s := New(nil)
	src := encode(t, s, &list)
	var out []string
	require.NoError(t, decode(s, src, &out))
	require.Equal(t, list, out)
	if !raceEnabled {
		require.LessOrEqual(t, testing.AllocsPerRun(100, func() { _ = decode(s, src, &out) }), 8.0, "the list, the first, the long one and the pieces")
	}
	clear(src)
	require.Equal(t, list, out, "nothing aliases the input")
	r := s.Reader(encode(t, s, &list), serialize.Limits{Bytes: 900})
	defer r.Free()
	require.ErrorIs(t, r.Read(&out), serialize.ErrLimit, "shared pieces draw on the budget")
}
