package hessian2

import (
	"bytes"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/serialize"
)

func TestLimits(t *testing.T) {
	s := New(nil)
	deep := append(bytes.Repeat([]byte{tagList0 + 1}, 65), tagNull)
	wide := append([]byte{tagList, tagInt, 0, 0, 0x27, 0x10}, bytes.Repeat([]byte{tagNull}, 10000)...)
	tiny := serialize.Limits{Bytes: 1000}
	few := serialize.Limits{Elements: 100}
	for name, c := range map[string]struct {
		body   []byte
		limits serialize.Limits
	}{
		"depth":       {deep, serialize.Limits{}},
		"elements":    {wide, few},
		"list memory": {wide, tiny},
		"string":      {append([]byte{tagString16, 8, 0}, bytes.Repeat([]byte("a"), 2048)...), tiny},
		"binary":      {append([]byte{tagBinary16, 8, 0}, make([]byte, 2048)...), tiny},
		"map":         {append(append([]byte{tagMap}, bytes.Repeat([]byte{tagString, tagNull}, 101)...), tagEnd), few},
		"var list":    {append(append([]byte{tagVarList}, bytes.Repeat([]byte{tagNull}, 101)...), tagEnd), few},
		"classes":     {append(bytes.Repeat([]byte{tagClass, 0, zeroInt}, maxClasses+1), tagInstance), serialize.Limits{}},
		"fields":      {[]byte{tagClass, 0, zeroInt + 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, tagInstance}, serialize.Limits{Elements: 5}},
	} {
		for _, target := range []any{nil, new(any)} {
			if target == nil && c.limits == tiny {
				continue // skipping costs no memory
			}
			r := s.Reader(c.body, c.limits)
			require.ErrorIs(t, r.Read(target), serialize.ErrLimit, "%s into %T", name, target)
			require.Error(t, r.Read(target), "the error stays")
			require.Zero(t, r.Rest())
			r.Free()
		}
	}
	r := s.Reader(deep[1:], serialize.Limits{})
	require.NoError(t, r.Read(new(any)), "64 levels are allowed")
}

// TestRepetition: references that are read again double the work at every level, within the budget.
func TestRepetition(t *testing.T) {
	w := New(nil).NewWriter(nil)
	w.List("", 31)
	w.List("", 0)
	for i := range 30 {
		w.List("", 2)
		w.buf = append(w.buf, tagRef, byte(zeroInt+i+1), tagRef, byte(zeroInt+i+1))
	}
	type tree []tree
	var got tree
	r := New(nil).NewReader(w.Bytes(), serialize.Limits{Elements: 100000})
	require.ErrorIs(t, r.Read(&got), serialize.ErrLimit)
}

// TestDeclaredLengths: a length that the body cannot hold is refused before anything is allocated for it.
func TestDeclaredLengths(t *testing.T) {
	s := New(nil)
	huge := []byte{tagInt, 0x7f, 0xff, 0xff, 0xff}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, head := range [][]byte{{tagList}, {tagListTyped, 1, 'x'}, {tagListTyped, 4, '[', 'i', 'n', 't'}} {
		body := append(append([]byte{}, head...), huge...)
		for _, target := range []any{new(any), new([]string), new([]int64), new([]byte), new([]user), new([]any), nil} {
			_, err := decode(s, body, target)
			require.ErrorIs(t, err, serialize.ErrTruncated, "%T", target)
		}
	}
	for _, body := range [][]byte{{tagClass, 0, tagInt, 0x7f, 0xff, 0xff, 0xff}, {tagList, 0x8f}, {tagObject, 0x95}, {tagInstance}, {tagRef, zeroInt}, {tagRef, 0x8f},
		{tagListTyped0, zeroInt + 5}, {tagList0 + 1, tagRef, zeroInt + 1}, {0x40}, {0x47}, {tagEnd}, {'P'}} {
		for _, target := range []any{new(any), nil} {
			_, err := decode(s, body, target)
			require.ErrorIs(t, err, serialize.ErrMalformed, "%x into %T", body, target)
		}
	}
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(2<<20))
}

func TestTruncated(t *testing.T) {
	s := New(testTypes())
	for _, v := range loadVectors(t) {
		if len(v.Hex) > 2000 {
			continue
		}
		for _, b := range v.forms(t) {
			for n := range b {
				_, err := decode(s, b[:n], new(any))
				require.Error(t, err, "%s, %d of %d bytes", v.Name, n, len(b))
				_, err = decode(s, b[:n], nil)
				require.ErrorIs(t, err, serialize.ErrTruncated, "%s, %d of %d bytes", v.Name, n, len(b))
			}
		}
	}
}

func TestReadMap(t *testing.T) {
	s := New(nil)
	in := map[any]any{"a": "b", "é": "你", "n": int32(5), "l": int64(6), "t": true, "f": 1.5, "null": nil, "list": []any{"x"}, int32(1): "one", "bytes": []byte{1}}
	b, err := encode(s, in)
	require.NoError(t, err)
	r := s.Reader(b, serialize.Limits{})
	got, err := r.ReadMap([]string{"kept", "1"})
	require.NoError(t, err)
	require.Zero(t, r.Rest())
	require.Equal(t, []string{"kept", "1"}, got[:2])
	m := map[string]string{}
	for i := 2; i < len(got); i += 2 {
		m[got[i]] = got[i+1]
	}
	require.Equal(t, map[string]string{"a": "b", "é": "你", "n": "5", "l": "6", "t": "true", "f": "1.5", "1": "one"}, m)

	for name, want := range map[string][]string{"map_empty": nil, "map_string_string": {"k", "v"}, "map_typed_linked": {"k", "v"}} {
		r := s.Reader(vectorBytes(t, name)["hex"], serialize.Limits{})
		got, err := r.ReadMap(nil)
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.Zero(t, r.Rest())
	}
	for _, bad := range []string{"", "H", "H\x01a", "H\x01a\x01", "H\x01aZ", "\x90", "H\x01a\x01bX"} {
		r := s.Reader([]byte(bad), serialize.Limits{})
		got, err := r.ReadMap([]string{"kept", "1"})
		require.Error(t, err, "%q", bad)
		require.Equal(t, []string{"kept", "1"}, got)
	}
	many := make([]string, 200)
	for i := range many {
		many[i] = string(rune('a' + i%26))
	}
	w := s.Writer(nil)
	w.WriteMap(many)
	w.WriteRaw([]byte{'N'})
	r = s.Reader(w.Bytes(), serialize.Limits{})
	got, err = r.ReadMap(nil)
	require.NoError(t, err)
	require.Equal(t, many, got)
	require.Equal(t, 1, r.Rest())
	got, err = r.ReadMap(nil)
	require.NoError(t, err)
	require.Nil(t, got)
}

// TestPooling: what one body leaves behind is not seen by the next.
func TestPooling(t *testing.T) {
	s := New(nil)
	want, err := encode(s, sampleOrder(2))
	require.NoError(t, err)
	for range 20 {
		o := sampleOrder(2)
		b, err := encode(s, o)
		require.NoError(t, err)
		require.Equal(t, want, b)
		_, err = decode(s, b[:len(b)/2], new(order))
		require.Error(t, err)
		var got order
		_, err = decode(s, b, &got)
		require.NoError(t, err)
		require.Equal(t, o, &got)
	}
	prefix := []byte("prefix")
	w := s.Writer(prefix)
	w.WriteString("x")
	require.Equal(t, "prefix\x01x", string(w.Bytes()))
	require.Equal(t, serialize.Hessian2ID, s.ID())
}

// TestRepeatedSkipping: an object that is read again for every reference, only to pass over a long field, draws on the budget.
func TestRepeatedSkipping(t *testing.T) {
	w := New(nil).NewWriter(nil)
	w.List("", 10000)
	w.Object(NewClass("com.example.Line", "sku", "unknown"))
	w.String("s")
	w.Binary(make([]byte, 1<<20))
	for range 9999 {
		w.buf = append(w.buf, tagRef, zeroInt+1)
	}
	var got []line
	_, err := decode(New(nil), w.Bytes(), &got)
	require.ErrorIs(t, err, serialize.ErrLimit)
}

// TestEchoOfRepetition: a body whose lists contain each other twice is written again as it came, and not spelled out.
func TestEchoOfRepetition(t *testing.T) {
	s := New(nil)
	w := s.NewWriter(nil)
	w.List("", 31)
	w.List("", 2)
	w.buf = append(w.buf, tagRef, zeroInt, tagRef, zeroInt)
	for i := range 30 {
		w.List("", 2)
		w.buf = append(w.buf, tagRef, byte(zeroInt+i+1), tagRef, byte(zeroInt+i+1))
	}
	var v any
	_, err := decode(s, w.Bytes(), &v)
	require.NoError(t, err)
	b, err := encode(s, v)
	require.NoError(t, err)
	require.Equal(t, w.Bytes(), b)

	half := []any{"a", "b"}
	b, err = encode(s, []any{half, half[:1], half})
	require.NoError(t, err)
	_, err = decode(s, b, &v)
	require.NoError(t, err)
	require.Equal(t, []any{[]any{"a", "b"}, []any{"a"}, []any{"a", "b"}}, v, "a part is not the whole")
}
