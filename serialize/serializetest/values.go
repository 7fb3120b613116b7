package serializetest

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/serialize"
)

// texts are the strings that every format must carry unchanged.
func texts() []string {
	return []string{
		"", "a", "hello", "line\nbreak\ttab \"quoted\" \\ \x00 \x7f <&>", "你好,世界", "🚢🇨🇳 ferry", "\u2028\u2029",
		strings.Repeat("x", 31), strings.Repeat("x", 32), strings.Repeat("é", 127), strings.Repeat("y", 256),
		strings.Repeat("0123456789", 7000), strings.Repeat("漢字🀄", 20000),
	}
}

// scalars are the types of the table "Go and Java types" without slices, maps and structs, at their extremes.
func scalars() []Value {
	vs := []Value{
		value("false", false), value("true", true),
		value("int8 min", int8(math.MinInt8)), value("int8 max", int8(math.MaxInt8)),
		value("int16 min", int16(math.MinInt16)), value("int16 max", int16(math.MaxInt16)),
		value("float32", float32(1.5)), value("float32 max", float32(math.MaxFloat32)), value("float32 tiny", float32(math.SmallestNonzeroFloat32)),
		value("float64 tiny", math.SmallestNonzeroFloat64), value("float64 max", math.MaxFloat64), value("float64 -0.1", -0.1), value("float64 0", 0.0),
		value("float64 1e6", 1e6), value("float64 2^53", float64(1<<53)),
		value("bytes", []byte{0, 1, 2, 0xff}), value("bytes empty", []byte{}), value("bytes nil", []byte(nil)),
		value("bytes long", []byte(strings.Repeat("\xfe\x00", 40000))),
		value("pointer int32", ptr(int32(-3))), value("pointer int32 zero", ptr(int32(0))), value("pointer int32 nil", (*int32)(nil)),
		value("pointer int64", ptr(int64(math.MinInt64))), value("pointer int64 nil", (*int64)(nil)),
		value("pointer bool", ptr(false)), value("pointer bool nil", (*bool)(nil)),
		value("pointer float64", ptr(2.5)), value("pointer float64 nil", (*float64)(nil)),
		value("pointer string", ptr("s")), value("pointer string empty", ptr("")), value("pointer string nil", (*string)(nil)),
	}
	for _, n := range []int32{0, 1, -1, -16, -17, 47, 48, 127, 128, 255, 256, -128, -129, 2047, 2048, -2048, -2049, 32767, 32768, 65535, 65536,
		-32768, -32769, 262143, 262144, -262144, -262145, math.MaxInt32, math.MinInt32} {
		vs = append(vs, value(fmt.Sprint("int32 ", n), n), value(fmt.Sprint("int ", n), int(n)), value(fmt.Sprint("int64 ", n), int64(n)))
	}
	for _, n := range []int64{1 << 31, -(1 << 31) - 1, 1<<53 + 1, math.MaxUint32, math.MaxUint32 + 1, math.MaxInt64, math.MinInt64} {
		vs = append(vs, value(fmt.Sprint("int64 ", n), n), value(fmt.Sprint("int ", n), int(n)))
	}
	for _, s := range texts() {
		vs = append(vs, value(fmt.Sprintf("string %d bytes", len(s)), s))
	}
	return vs
}

func times() []Value {
	var vs []Value
	for _, at := range []time.Time{{}, time.UnixMilli(0), time.UnixMilli(1), time.UnixMilli(-1), time.UnixMilli(1700000000123),
		time.Date(1969, 7, 20, 20, 17, 40, 0, time.UTC), time.Date(2300, 1, 1, 0, 0, 0, 0, time.UTC)} {
		v := value("time "+at.UTC().Format(time.RFC3339Nano), at)
		v.Equal = sameTime
		vs = append(vs, v)
	}
	return vs
}

func composites() []Value {
	many := make([]string, 1000)
	entries := map[string]int32{}
	for i := range many {
		many[i] = fmt.Sprint("item ", i)
		entries[many[i]] = int32(i)
	}
	return []Value{
		value("strings", []string{"a", "b", ""}), value("strings nil", []string(nil)), value("strings many", many),
		value("int32s", []int32{1, -1, math.MaxInt32}), value("int64s", []int64{math.MinInt64, 0}), value("float64s", []float64{0.5, -1}),
		value("bools", []bool{true, false}), value("nested lists", [][]int32{{1}, {2, 3}}), value("byte lists", [][]byte{{1}, {2, 3}}),
		value("map of strings", map[string]string{"a": "1", "": "", "漢": "字"}), value("map nil", map[string]string(nil)),
		value("map of int32", entries), value("map by int32", map[int32]string{-1: "x", 7: "y"}),
		value("map of lists", map[string][]string{"a": {"b", "c"}}),
		value("struct", *NewOrder()), value("struct empty", Order{}), value("pointer struct", NewOrder()), value("pointer struct nil", (*Order)(nil)),
		value("structs", []Line{{"a", 1}, {"b", 2}}), value("pointers", []*Line{{"a", 1}, nil, {"b", 2}}),
		value("map of structs", map[string]Line{"a": {"b", 1}}), value("map of pointers", map[string]*Line{"a": {"b", 1}}),
	}
}

func (c *suite) values(t *testing.T) {
	for _, v := range c.all() {
		t.Run(v.Name, func(t *testing.T) {
			// Between two strings, so that a value that takes a byte too many or too few is noticed.
			before, after := "before", "after"
			src := c.body(t, &before, v.In, &after)
			out := v.Out()
			var b, a string
			require.NoError(t, c.read(src, func(r serialize.Reader) error {
				if err := r.Read(serialize.Values{&b, out, &a}); err != nil {
					return err
				}
				require.Zero(t, r.Rest())
				return nil
			}))
			require.Equal(t, before, b)
			require.Equal(t, after, a)
			if v.Equal != nil {
				v.Equal(t, v.In, out)
			} else {
				require.Equal(t, v.In, out)
			}
		})
	}
}

func (c *suite) strings(t *testing.T) {
	for _, s := range texts() {
		src := c.write(t, func(w serialize.Writer) error {
			w.WriteString(s)
			if err := w.Write(&s); err != nil {
				return err
			}
			w.WriteString(s)
			w.WriteString("end")
			return w.Write(nil)
		})
		require.NoError(t, c.read(src, func(r serialize.Reader) error {
			var crossed string
			require.NoError(t, r.Read(&crossed), "what WriteString wrote is read by Read")
			require.Equal(t, s, crossed)
			got, err := r.ReadString()
			require.NoError(t, err, "what Write wrote is read by ReadString")
			require.Equal(t, s, got)
			require.NoError(t, r.SkipString())
			got, err = r.ReadString()
			require.NoError(t, err)
			require.Equal(t, "end", got)
			got, err = r.ReadString()
			require.NoError(t, err, "a null is the empty string")
			require.Empty(t, got)
			require.Zero(t, r.Rest())
			return nil
		}))
	}
}

// invalidUTF8 demands that a string which is no text arrives unchanged or repaired, and that its neighbours are whole.
func (c *suite) invalidUTF8(t *testing.T) {
	for _, s := range []string{"\xff", "a\xc3", "\xed\xa0\x80", "\xf0\x9f\x9a", "ok\x80ok", strings.Repeat("\xfe", 70000)} {
		w := c.s.Writer(nil)
		w.WriteString(s)
		w.WriteString("after")
		src := w.Bytes()
		w.Free()
		require.NoError(t, c.read(src, func(r serialize.Reader) error {
			got, err := r.ReadString()
			require.NoError(t, err)
			require.True(t, got == s || utf8.ValidString(got) && got != "", "%d bytes became %d", len(s), len(got))
			got, err = r.ReadString()
			require.Equal(t, "after", got)
			return err
		}))
	}
}

// reuse reads into places that hold older values, as pooled arguments do: nothing of them may shine through.
func (c *suite) reuse(t *testing.T) {
	into := func(in, out any) {
		t.Helper()
		require.NoError(t, c.read(c.body(t, in), func(r serialize.Reader) error { return r.Read(out) }))
		require.Equal(t, in, out)
	}
	into(ptr([]byte{1}), ptr([]byte("an older and longer value")))
	into(ptr([]byte(nil)), ptr([]byte("old")))
	into(ptr((*int64)(nil)), ptr(ptr(int64(1))))
	kept := ptr(int64(1))
	out := kept
	into(ptr(ptr(int64(2))), &out)
	require.Equal(t, int64(1), *kept, "what an old pointer points to belongs to somebody else")
	if c.o.NoStructs {
		return
	}
	into(&Line{}, &Line{"old", 1})
	into(&Order{}, NewOrder())
	into(&Person{Name: "new"}, NewOrder().Owner)
	into(&[]string{"new"}, &[]string{"old", "older"})
	into(&[]Line{{"new", 0}}, &[]Line{{"old", 1}, {"older", 2}})
	into(ptr([]*Line(nil)), &[]*Line{{"old", 1}})
	into(&map[string]string{"new": "1"}, &map[string]string{"old": "2"})
	into(&map[string]Line{"new": {}}, &map[string]Line{"old": {"old", 1}, "new": {"old", 1}})
	order := NewOrder()
	older := order
	into(ptr(&Order{}), &order)
	require.Equal(t, NewOrder(), older, "what an old pointer points to belongs to somebody else")
}

func (c *suite) null(t *testing.T) {
	var s *string
	var n *int32
	src := c.body(t, nil, &s, &n)
	text, ps, pn := "old", ptr("old"), ptr(int32(1))
	require.NoError(t, c.read(src, func(r serialize.Reader) error { return r.Read(serialize.Values{&text, &ps, &pn}) }))
	require.Empty(t, text)
	require.Nil(t, ps)
	require.Nil(t, pn)
	require.NoError(t, c.read(src, func(r serialize.Reader) error {
		require.NoError(t, r.SkipString(), "a null counts as a string")
		m, err := r.ReadMap([]string{"kept", "pair"})
		require.NoError(t, err, "a null counts as a map")
		require.Equal(t, []string{"kept", "pair"}, m)
		return nil
	}))
}

func (c *suite) skip(t *testing.T) {
	for _, v := range c.all() {
		after := "after"
		src := c.body(t, v.In, &after)
		require.NoError(t, c.read(src, func(r serialize.Reader) error {
			require.NoError(t, r.Read(nil), v.Name)
			got, err := r.ReadString()
			require.Equal(t, "after", got, v.Name)
			return err
		}))
	}
}

// any reads values into interfaces. Widths of numbers and the key type of maps are the format's own affair.
func (c *suite) any(t *testing.T) {
	if c.o.NoStructs {
		return
	}
	for _, in := range []any{nil, true, int64(7), int64(-1), int64(math.MaxInt64), 1.5, "text", "", []any{}, map[string]any{},
		[]any{int64(1), "two", nil, []any{3.5}}, map[string]any{"a": int64(1), "b": []any{"c"}, "d": map[string]any{"e": false}}} {
		src := c.body(t, &in)
		var out any
		require.NoError(t, c.read(src, func(r serialize.Reader) error { return r.Read(&out) }))
		require.Equal(t, in, plain(out))
	}
}

// plain widens numbers and gives maps string keys where all keys are strings.
func plain(v any) any {
	switch v := v.(type) {
	case int32:
		return int64(v)
	case int:
		return int64(v)
	case float32:
		return float64(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = plain(v[i])
		}
		return out
	case map[string]any:
		for k := range v {
			v[k] = plain(v[k])
		}
	case map[any]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			s, ok := k.(string)
			if !ok {
				return v
			}
			out[s] = plain(e)
		}
		return out
	}
	return v
}

func (c *suite) unsupported(t *testing.T) {
	ch := make(chan int)
	for _, v := range []any{&ch, ptr(func() {})} {
		w := c.s.Writer(nil)
		err := w.Write(v)
		w.Free()
		require.ErrorIs(t, err, serialize.ErrUnsupported)
		require.NotContains(t, err.Error(), "\n")
		text := "a text"
		err = c.read(c.body(t, &text), func(r serialize.Reader) error { return r.Read(v) })
		require.Error(t, err)
		require.True(t, known(err), "%v", err)
	}
}
