package json

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/serialize"
	"github.com/ferryrpc/ferry/serialize/serializetest"
)

func ptr[T any](v T) *T { return &v }

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

// TestForms pins the text of values.
func TestForms(t *testing.T) {
	s := New(serializetest.Types())
	var class any = &serializetest.Line{Item: "a", Count: 1}
	var empty any = Empty{}
	require.NoError(t, s.types.Add("com.example.Empty", Empty{}))
	for _, c := range []struct {
		v    any
		want string
	}{
		{ptr("a\"\\\n\r\t\x01<漢>\xff"), `"a\"\\\n\r\t\u0001<漢>` + "\ufffd" + `"`},
		{ptr(int64(-5)), `-5`}, {ptr(true), `true`}, {nil, `null`}, {(*string)(nil), `null`}, {ptr(1.5), `1.5`}, {ptr(3.0), `3`},
		{ptr([]byte("hi")), `"aGk="`}, {ptr(time.Unix(0, 0).UTC()), `"1970-01-01T00:00:00Z"`},
		{&serializetest.Line{Item: "<a>", Count: 2}, `{"Item":"<a>","Count":2}`},
		{&class, `{"@class":"com.example.Line","Item":"a","Count":1}`},
		{&empty, `{"@class":"com.example.Empty"}`},
		{ptr(any([]any{1.0, float32(0.1), 1e100, 7, "x", nil})), `[1.0,0.1,1e+100,7,"x",null]`},
		{ptr(any(map[any]any{1: true})), `{"1":true}`},
		{&serialize.Exception{Message: "m"}, `{"class":"java.lang.RuntimeException","message":"m"}`},
		{&serialize.Exception{Class: "E", Value: &serializetest.Line{}}, `{"class":"E","message":"","value":{"Item":"","Count":0}}`},
		{&serialize.Object{Class: "C", Fields: []serialize.Field{{Name: "b", Value: 1}, {Name: "a"}}}, `{"@class":"C","b":1,"a":null}`},
		{&serialize.Object{Fields: []serialize.Field{{Name: "b", Value: 1}}}, `{"b":1}`},
		{&serialize.Pairs{Items: []serialize.Pair{{Key: []any{1}, Value: "v"}}}, `[[[1],"v"]]`},
		{ptr(json.RawMessage("{\n\"a\":\n1}")), `{"a":1}`},
	} {
		require.Equal(t, c.want+"\n", string(encode(t, s, c.v)), "%T", c.v)
	}
	require.Equal(t, "1\ntrue\nnull\n", string(encode(t, s, serialize.Values{ptr(int32(1)), ptr(true), nil})))
	w := s.Writer(nil)
	w.WriteMap([]string{"a", "1", "b", "2", "odd"})
	require.Equal(t, `{"a":"1","b":"2"}`+"\n", string(w.Bytes()))
	w.Free()
}

// Empty has no fields.
type Empty struct{}

// TestStrings holds our escaping to encoding/json's.
func TestStrings(t *testing.T) {
	s := New(nil)
	for r := rune(0); r < 0x2100; r++ {
		text := "a" + string(r) + "b"
		var back string
		line := encode(t, s, &text)
		var tree any
		if err := errors.Join(json.Unmarshal(line, &back), decode(s, line, &tree)); err != nil || back != text || tree != text || strings.Count(string(line), "\n") != 1 {
			t.Fatalf("U+%04X: %q became %q, %q: %v", r, text, back, tree, err)
		}
	}
}

// TestAny reads values into interfaces.
func TestAny(t *testing.T) {
	s := New(serializetest.Types())
	for _, c := range []struct {
		src  string
		want any
	}{
		{`null`, nil}, {` true `, true}, {`12`, int64(12)}, {`-0`, int64(0)}, {`9223372036854775807`, int64(math.MaxInt64)},
		{`18446744073709551615`, uint64(math.MaxUint64)}, {`18446744073709551616`, 18446744073709551616.0}, {`1.0`, 1.0}, {`1e3`, 1000.0},
		{`"\u6f22\n"`, "漢\n"}, {"\"\xff\"", "\ufffd"}, {`[ ]`, []any{}}, {`{ }`, map[string]any{}}, {`[1, "a\"]", {"b" : [2]}]`, []any{int64(1), "a\"]", map[string]any{"b": []any{int64(2)}}}},
		{`{"@class":"x.Y","z":1,"a":{"@class":5}}`, &serialize.Object{Class: "x.Y", Fields: []serialize.Field{{Name: "z", Value: int64(1)}, {Name: "a", Value: map[string]any{"@class": int64(5)}}}}},
		{`{"@class":"com.example.Line","Item":"i","Count":3,"New":[1,{"a":"}"}]}`, &serializetest.Line{Item: "i", Count: 3}},
		{`[{"@class":"com.example.Line"},{"Item":"i","@class":"com.example.Line"}]`, []any{&serializetest.Line{}, map[string]any{"Item": "i", "@class": "com.example.Line"}}},
	} {
		var out any
		require.NoError(t, decode(s, []byte(c.src+"\n"), &out), c.src)
		require.Equal(t, c.want, out, c.src)
	}
	var tree any = map[string]any{"o": serializetest.NewOrder(), "f": 2.0, "p": &serialize.Object{Class: "c"}}
	var back any
	require.NoError(t, decode(s, encode(t, s, &tree), &back))
	require.Equal(t, tree, back)
	type holder struct {
		Any  any
		List []any
		Map  map[string]any
		Ptr  *any
	}
	var h holder
	require.NoError(t, decode(s, []byte(`{"Any":9007199254740993,"List":[1,{"a":1.5}],"Map":{"n":null,"i":[2]},"Ptr":7}`+"\n"), &h))
	require.Equal(t, holder{int64(9007199254740993), []any{int64(1), map[string]any{"a": 1.5}}, map[string]any{"n": nil, "i": []any{int64(2)}}, ptr(any(int64(7)))}, h)
}

// TestExceptions reads records in any order.
func TestExceptions(t *testing.T) {
	s := New(serializetest.Types())
	for _, c := range []struct {
		src  string
		want serialize.Exception
	}{
		{`{"value":{"Item":"x"},"class":"` + serializetest.ShortageClass + `"}`, serialize.Exception{Class: serializetest.ShortageClass, Value: &serializetest.Shortage{Item: "x"}}},
		{`{"class":"` + serializetest.ShortageClass + `","message":"m"}`, serialize.Exception{Class: serializetest.ShortageClass, Message: "m", Value: &serializetest.Shortage{}}},
		{`{"class":"E","message":null,"value":[1],"other":{}}`, serialize.Exception{Class: "E"}},
		{`null`, serialize.Exception{}},
	} {
		var out serialize.Exception
		require.NoError(t, decode(s, []byte(c.src+"\n"), &out), c.src)
		require.Equal(t, c.want, out, c.src)
	}
	var o serialize.Object
	require.NoError(t, decode(s, []byte(`{"b":1,"a":2}`+"\n"), &o))
	require.Equal(t, serialize.Object{Fields: []serialize.Field{{Name: "b", Value: int64(1)}, {Name: "a", Value: int64(2)}}}, o)
	require.NoError(t, decode(s, []byte("null\n"), &o))
	require.Empty(t, o)
	pairs := serialize.Pairs{Items: []serialize.Pair{{Key: "k", Value: int64(1)}}}
	var back serialize.Pairs
	require.NoError(t, decode(s, encode(t, s, &pairs), &back))
	require.Equal(t, pairs, back)
	require.NoError(t, decode(s, []byte("null\n"), &back))
	require.Empty(t, back)
}

// TestMaps demands text for scalars, the order of the input, and nothing for the rest.
func TestMaps(t *testing.T) {
	r := New(nil).Reader([]byte(`{"z":"1","a":2.50,"t":true,"n":null,"l":[1,"]"],"o":{"x":"}"},"e":""}`+"\n"), serialize.Limits{})
	defer r.Free()
	m, err := r.ReadMap(nil)
	require.NoError(t, err)
	require.Equal(t, []string{"z", "1", "a", "2.50", "t", "true", "e", ""}, m)
}

// TestRefused are lines that are no values, or not of the type.
func TestRefused(t *testing.T) {
	s := New(serializetest.Types())
	for _, c := range []struct {
		src string
		out any
	}{
		{"\n", nil}, {"{\n", nil}, {"1 2\n", new(any)}, {"]\n", new(any)}, {"[}\n", new(any)}, {`"a`, nil}, {"tru\n", new(any)}, {"\"a\x00\"\n", new(string)},
		{"1\n", new(string)}, {`"1"` + "\n", new(int32)}, {"300\n", new(int8)}, {"1.5\n", new(int64)}, {"{}\n", new([]string)}, {"[]\n", new(map[string]any)},
		{"5\n", new([]any)}, {"5\n", new(serialize.Exception)}, {"5\n", new(serialize.Object)}, {"5\n", new(serialize.Pairs)}, {"[[1]]\n", new(serialize.Pairs)},
		{`{"@class":"com.example.Line","Count":"x"}` + "\n", new(any)},
	} {
		err := decode(s, []byte(c.src), c.out)
		require.Error(t, err, c.src)
		require.True(t, errors.Is(err, serialize.ErrMalformed) || errors.Is(err, serialize.ErrTruncated), "%v", err)
		require.Regexp(t, `^json: reading .* at byte \d+: `, err.Error())
	}
	r := s.Reader([]byte("5\n5\n"), serialize.Limits{})
	defer r.Free()
	_, err := r.ReadMap(nil)
	require.ErrorIs(t, err, serialize.ErrMalformed)
	require.Equal(t, err, r.Read(new(int32)), "errors are sticky")
	require.Equal(t, err, r.SkipString())
	for _, v := range []any{ptr(math.NaN()), ptr(any(math.Inf(1))), ptr(any(map[any]any{[1]int{}: 1})), ptr(any([]any{make(chan int)})), &map[bool]int{}} {
		w := s.Writer(nil)
		require.ErrorIs(t, w.Write(v), serialize.ErrUnsupported, "%T", v)
		w.Free()
	}
}

// TestCycles demands an error where a value contains itself.
func TestCycles(t *testing.T) {
	list := []any{nil}
	list[0] = list
	person := &serializetest.Person{}
	person.Friend = person
	object := &serialize.Object{Fields: []serialize.Field{{Name: "self"}}}
	object.Fields[0].Value = object
	for _, v := range []any{&list, person, object} {
		w := New(nil).Writer(nil)
		require.Error(t, w.Write(v), "%T", v)
		w.Free()
	}
}

// TestClassBudget draws on the budget for the classes that an input names.
func TestClassBudget(t *testing.T) {
	s := New(new(serialize.Types))
	require.NoError(t, s.types.Add("W", wide{}))
	src := []byte("[" + strings.Repeat(`{"@class":"W"},`, 100) + "1]\n")
	for limit, want := range map[int]error{50000: serialize.ErrLimit, 1 << 20: nil} {
		r := s.Reader(src, serialize.Limits{Bytes: limit})
		require.ErrorIs(t, r.Read(new(any)), want)
		r.Free()
	}
}

// FuzzReader reads arbitrary bytes into everything that there is a way for.
func FuzzReader(f *testing.F) {
	s := New(serializetest.Types())
	var tree any = []any{serializetest.NewOrder(), map[any]any{1: 2.5}, []byte("b"), &serialize.Object{Class: "c", Fields: []serialize.Field{{Name: "a", Value: 1}}}}
	for _, v := range []any{serializetest.NewOrder(), &tree, &serialize.Exception{Class: serializetest.ShortageClass, Value: &serializetest.Shortage{Item: "x"}},
		&serialize.Pairs{Items: []serialize.Pair{{Key: 1, Value: "v"}}}, ptr("a\u2028\"\\"), ptr(1e300)} {
		f.Add(encode(f, s, v))
	}
	f.Add([]byte(`[1.5e3, -0, "\u6f22\ud83d\ude00", {"@class":"com.example.Line","Item":"x"}, {"@class":"other","a":[{}]}, true, false, null]`))
	f.Fuzz(func(t *testing.T, src []byte) {
		src = append(bytes.Clone(src), '\n') // most damage is done to lines that are whole
		for _, out := range []any{nil, new(any), new(serializetest.Order), new(*serializetest.Person), new(map[string]any), new([]any), new([]string),
			new(serialize.Exception), new(serialize.Object), new(serialize.Pairs), new(string), new(int32), new(float64), new([]byte)} {
			r := s.Reader(src, serialize.Limits{Bytes: 1 << 20, Elements: 1 << 12, Depth: 32})
			err := r.Read(out)
			r.Free()
			known := errors.Is(err, serialize.ErrTruncated) || errors.Is(err, serialize.ErrMalformed) || errors.Is(err, serialize.ErrLimit)
			require.True(t, err == nil || known, "%T: %v", out, err)
			if tree, ok := out.(*any); ok && err == nil {
				w := s.Writer(nil)
				if err := w.Write(tree); err != nil { // a number beyond float64 is an infinity, which has no form
					require.ErrorIs(t, err, serialize.ErrUnsupported)
				} else {
					var back any
					require.NoError(t, decode(s, w.Bytes(), &back))
				}
				w.Free()
			}
		}
		r := s.Reader(src, serialize.Limits{Bytes: 1 << 20})
		_, _ = r.ReadMap(nil)
		r.Free()
	})
}
