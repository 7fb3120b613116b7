package msgpack

import (
	"math"
	"testing"
	"testing/quick"
	"time"

	"github.com/stretchr/testify/require"
	library "github.com/vmihailenco/msgpack/v5"

	"github.com/ferryrpc/ferry/serialize"
	"github.com/ferryrpc/ferry/serialize/serializetest"
)

// encode and decode are one value's body.
func encode(t testing.TB, s *Serializer, v any) []byte {
	t.Helper()
	w := s.Writer(nil)
	defer w.Free()
	require.NoError(t, w.Write(v))
	return w.Bytes()
}

func decode(s *Serializer, src []byte, v any) error {
	r := s.Reader(src, serialize.Limits{})
	defer r.Free()
	return r.Read(v)
}

// TestGeneratedAgainstLibrary holds generated code and the library to the same wire.
func TestGeneratedAgainstLibrary(t *testing.T) {
	s := New(nil)
	check := func(c cart) bool {
		ours := encode(t, s, &c)
		var byLibrary cart
		require.NoError(t, library.Unmarshal(ours, &byLibrary))
		require.Equal(t, c, byLibrary)
		theirs, err := library.Marshal(&c)
		require.NoError(t, err)
		var byUs cart
		require.NoError(t, decode(s, theirs, &byUs))
		return c.ID == byUs.ID && assertEqual(t, c, byUs)
	}
	require.NoError(t, quick.Check(check, &quick.Config{MaxCount: 300}))
	require.True(t, check(*newCart()))
	require.True(t, check(cart{}))
}

func assertEqual(t *testing.T, a, b any) bool {
	t.Helper()
	require.Equal(t, a, b)
	return true
}

// TestPrimitivesAgainstLibrary reads every primitive with the library, and the library's with ours.
func TestPrimitivesAgainstLibrary(t *testing.T) {
	s := New(nil)
	both := func(v, ours, theirs any) {
		t.Helper()
		require.NoError(t, library.Unmarshal(encode(t, s, v), theirs))
		b, err := library.Marshal(v)
		require.NoError(t, err)
		require.NoError(t, decode(s, b, ours))
		require.Equal(t, theirs, ours)
		require.Equal(t, v, ours)
	}
	for n := range 64 {
		for _, d := range []int64{-1, 0, 1} {
			i, u := int64(1)<<n+d, uint64(1)<<n+uint64(d)
			both(&i, new(int64), new(int64))
			both(ptr(-i), new(int64), new(int64))
			both(&u, new(uint64), new(uint64))
			if f := math.Float64frombits(u); f == f {
				both(&f, new(float64), new(float64))
			}
			both(ptr(int32(i)), new(int32), new(int32))
			both(ptr(int16(i)), new(int16), new(int16))
			both(ptr(int8(i)), new(int8), new(int8))
			both(ptr(uint32(u)), new(uint32), new(uint32))
		}
	}
	for _, n := range []int{31, 32, 255, 256, 65535, 65536} {
		text := string(repeat(n, 'x'))
		both(&text, new(string), new(string))
		both(ptr([]byte(text)), new([]byte), new([]byte))
	}
	for _, n := range []int{0, 1, 15, 16, 300} {
		list, m := make([]string, n), make(map[string]string, n)
		for i := range list {
			list[i] = "s"
			m[string(rune(i))] = "v"
		}
		both(&list, new([]string), new([]string))
		both(&m, new(map[string]string), new(map[string]string))
	}
	for _, n := range []int{65535, 65536} { // where the headers grow
		list := make([]bool, n)
		src := encode(t, s, &list)
		var theirs []bool
		require.NoError(t, library.Unmarshal(src, &theirs))
		require.Len(t, theirs, n)
		r := s.NewReader(src, serialize.Limits{})
		got, ok := r.Array()
		require.True(t, ok)
		require.Equal(t, n, got)
		r.Free()
		w := s.NewWriter(nil)
		w.Map(n)
		require.Equal(t, n >= 65536, w.Bytes()[0] == codeMap32)
		w.Free()
	}
	for _, at := range []time.Time{{}, time.Unix(0, 0), time.Unix(1, 1), time.Unix(1<<32, 0), time.Unix(1<<34, 5), time.Unix(-1, 999999999)} {
		both(&at, new(time.Time), new(time.Time))
	}
}

// TestStructs leaves types without generated code to the library, tags and all.
func TestStructs(t *testing.T) {
	type Base struct{ Kind string }
	type item struct {
		Base
		Name   string         `msgpack:"n"`
		Hidden int            `msgpack:"-"`
		Empty  string         `msgpack:",omitempty"`
		Any    any            `msgpack:"any"`
		More   map[string]any `msgpack:"more"`
		Color  color
		At     time.Time
		Lines  []line
	}
	s := New(nil)
	in := item{Base: Base{"k"}, Name: "x", Hidden: 7, Any: []any{int64(5), "s", []byte{1}, map[string]any{"a": uint64(math.MaxUint64)}},
		More: map[string]any{"i": int64(-1), "f": 1.5, "m": map[any]any{int64(1): "one"}}, Color: 3, At: time.Unix(9, 9), Lines: []line{{"l", 1}}}
	src := encode(t, s, &in)
	var fields map[string]any
	require.NoError(t, decode(s, src, &fields))
	require.Equal(t, "x", fields["n"])
	require.Equal(t, "k", fields["Kind"])
	require.NotContains(t, fields, "Hidden")
	require.NotContains(t, fields, "Empty")
	var out item
	require.NoError(t, decode(s, src, &out))
	in.Hidden = 0
	require.Equal(t, in, out)
}

type color int32

// TestLibraryPanics are inputs that make the library panic; here they are errors.
func TestLibraryPanics(t *testing.T) {
	s := New(nil)
	type holder struct {
		Any any
		At  time.Time
		Err error
	}
	for name, src := range map[string][]byte{
		"list as a key":      []byte("\x81\xa3Any\x81\x91\x01\x02"),
		"null as a time":     []byte("\x81\xa2At\xc0"),
		"number as an error": []byte("\x81\xa3Err\x05"),
	} {
		var out holder
		require.ErrorIs(t, decode(s, src, &out), serialize.ErrMalformed, name)
	}
}

// TestCycles demands an error where a value contains itself.
func TestCycles(t *testing.T) {
	generated := &cart{}
	generated.Next = generated
	person := &serializetest.Person{}
	person.Friend = person
	list := []any{nil}
	list[0] = list
	dict := map[string]any{}
	dict["self"] = dict
	object := &serialize.Object{Fields: []serialize.Field{{Name: "self"}}}
	object.Fields[0].Value = object
	pairs := &serialize.Pairs{Items: make([]serialize.Pair, 1)}
	pairs.Items[0].Value = pairs
	type holder struct{ V any }
	hold := &holder{}
	hold.V = hold
	for _, v := range []any{generated, person, &list, &dict, object, pairs, hold} {
		w := New(nil).Writer(nil)
		require.ErrorIs(t, w.Write(v), serialize.ErrLimit, "%T", v)
		w.Free()
	}
}
