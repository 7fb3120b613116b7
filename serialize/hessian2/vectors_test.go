package hessian2

import (
	"encoding/hex"
	"encoding/json"
	"math"
	"math/big"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/serialize"
)

type vector struct {
	Name     string          `json:"name"`
	Category string          `json:"category"`
	Hex      string          `json:"hex"`
	JavaHex  json.RawMessage `json:"java_hex"`
}

// forms returns the distinct encodings of the value.
func (v vector) forms(t *testing.T) map[string][]byte {
	all := map[string]string{"hex": v.Hex}
	if len(v.JavaHex) > 0 {
		byVersion := map[string]string{}
		require.NoError(t, json.Unmarshal(v.JavaHex, &byVersion))
		for k, h := range byVersion {
			all[k] = h
		}
	}
	out := map[string][]byte{}
	for k, h := range all {
		b, err := hex.DecodeString(h)
		require.NoError(t, err)
		out[k] = b
	}
	return out
}

// loadVectors returns the values among the vectors; whole frames are the protocol's.
func loadVectors(t testing.TB) []vector {
	all, err := vectors()
	require.NoError(t, err)
	return all
}

var vectors = sync.OnceValues(func() (all []vector, err error) {
	for _, name := range []string{"testdata/values.json", "testdata/java.json"} {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		var file struct{ Vectors []vector }
		if err := json.Unmarshal(b, &file); err != nil {
			return nil, err
		}
		for _, v := range file.Vectors {
			if v.Category != "frame" {
				all = append(all, v)
			}
		}
	}
	return all, nil
})

// TestVectors decodes every form of every vector into the value that the vector stands for, and writes that value and reads
// it back.
func TestVectors(t *testing.T) {
	want := expectations()
	used := map[string]bool{}
	s := New(testTypes())
	for _, v := range loadVectors(t) {
		expected, ok := want[v.Name]
		require.True(t, ok, "no expectation for %s", v.Name)
		used[v.Name] = true
		for form, b := range v.forms(t) {
			t.Run(v.Name+"/"+form, func(t *testing.T) {
				var got any
				rest, err := decode(s, b, &got)
				require.NoError(t, err)
				require.Zero(t, rest)
				check(t, expected, got)

				again, err := encode(s, &got)
				require.NoError(t, err)
				var back any
				rest, err = decode(s, again, &back)
				require.NoError(t, err)
				require.Zero(t, rest)
				check(t, expected, back)

				skip := s.NewReader(b, serialize.Limits{})
				defer skip.Free()
				require.NoError(t, skip.Read(nil))
				require.Zero(t, skip.Rest())
			})
		}
	}
	for name := range want {
		assert.True(t, used[name], "expectation %s has no vector", name)
	}
}

// check compares got with a value, or hands it to a function that looks at it.
func check(t *testing.T, want, got any) {
	t.Helper()
	switch want := want.(type) {
	case func(*testing.T, any):
		want(t, got)
	case float64:
		require.IsType(t, want, got)
		require.Equal(t, math.Float64bits(want), math.Float64bits(got.(float64)))
	case *big.Int:
		require.IsType(t, want, got)
		require.Zero(t, want.Cmp(got.(*big.Int)))
	default:
		require.Equal(t, want, got)
	}
}

func object(class string, nameValue ...any) *serialize.Object {
	o := &serialize.Object{Class: class, Fields: []serialize.Field{}}
	for i := 0; i < len(nameValue); i += 2 {
		o.Fields = append(o.Fields, serialize.Field{Name: nameValue[i].(string), Value: nameValue[i+1]})
	}
	return o
}

// bytesUpTo returns the pattern of the binary vectors.
func bytesUpTo(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}

// thrown looks at a throwable that no Go type is registered for.
func thrown(class, message string, also ...func(*testing.T, *serialize.Object)) func(*testing.T, any) {
	return func(t *testing.T, got any) {
		require.IsType(t, &serialize.Object{}, got)
		o := got.(*serialize.Object)
		require.Equal(t, class, o.Class)
		m, ok := o.Field("detailMessage")
		require.True(t, ok)
		if message != "" {
			require.Equal(t, message, m)
		}
		if cause, _ := o.Field("cause"); cause != nil {
			require.IsType(t, o, cause)
		}
		for _, f := range also {
			f(t, o)
		}
	}
}

// expectations says what every vector decodes to for an interface target. It is written down from java_decoded and from the
// descriptions in the vectors, not from what this package does.
func expectations() map[string]any {
	day := time.UnixMilli(894621060000).UTC()
	m := map[string]any{
		"true":     true,
		"double_1": 1.0, "double_neg1": -1.0, "double_127": 127.0, "double_neg129": -129.0, "double_neg32768": -32768.0,
		"double_32767": 32767.0, "double_32768": 32768.0, "double_12.25": 12.25, "double_3.14": 3.14, "double_Inf": math.Inf(1),
		"double_negInf": math.Inf(-1), "double_negzero": 0.0, "double_mill": 3.14, "float_99.8": 99.8,
		"double_NaN":   func(t *testing.T, got any) { require.True(t, math.IsNaN(got.(float64))) },
		"string_empty": "", "string_latin": "é", "string_cjk": "你好", "string_emoji": "😀", "string_mixed": "a😀你b",
		"string_emoji16": strings.Repeat("😀", 16), "string_emoji_chunk": strings.Repeat("a", 4095) + "😀b", "string_zero": "a\x00b",
		"char_A": "A", "j_char_array": "ab", "j_string_65536": strings.Repeat("b", 65536), "j_short": int32(6),
		"date_epoch": time.Unix(0, 0).UTC(), "date_minute": day, "date_ms": time.UnixMilli(894621091123).UTC(),
		"date_before_epoch": time.UnixMilli(-86400000).UTC(), "date_minutes": day, "sql_date": day, "j_calendar": day,
		"sql_time":     time.UnixMilli(894621091000).UTC(),
		"binary_short": bytesUpTo(16),

		"list_untyped_empty": []any{}, "list_untyped_3": []any{int32(1), "two", true}, "list_variable_untyped": []any{int32(1), int32(2)},
		"list_untyped_9": []any{int32(0), int32(1), int32(2), int32(3), int32(4), int32(5), int32(6), int32(7), int32(8)},
		"array_string":   []any{"a", "b"}, "array_int": []any{int32(1), int32(2), int32(3)}, "array_long": []any{int64(1), int64(2), int64(3)},
		"array_double": []any{1.5, 2.5}, "array_bool": []any{true, false}, "list_short_untyped": []any{int32(1)}, "list_short_typed": []any{int32(1)},
		"list_type_reference": []any{[]any{"a"}, []any{"b"}}, "j_arrays_aslist": []any{"a", "b"}, "j_unmodifiablelist": []any{"a"},
		"j_set_then_arrays_typerefs": []any{[]any{"s"}, []any{"a"}, []any{"t"}, []any{"b"}}, "j_integer_array": []any{int32(1), int32(2)},
		"j_byte_wrapper_array": []any{int32(1), int32(2)}, "j_date_array": []any{time.Unix(0, 0).UTC()}, "j_list_of_list11": []any{"a"},
		"j_set_of@hessian-lite-4.0.3": []any{"a"}, "j_enum_array": []any{ptr(color("RED")), ptr(color("BLUE"))},
		"j_bigdecimal_list@hessian-lite-4.0.3": []any{Decimal("1.5"), Decimal("2.5")},

		"map_empty": map[any]any{}, "map_string_string": map[any]any{"k": "v"}, "map_int_string": map[any]any{int32(1): "one"},
		"map_long_list": map[any]any{int64(1): []any{"x"}}, "map_typed_linked": map[any]any{"k": "v"}, "j_linkedhashmap": map[any]any{"k": "v"},
		"j_treemap": map[any]any{"k": "v"}, "j_concurrenthashmap": map[any]any{"k": "v"}, "j_emptymap": map[any]any{},
		"j_map_null_key": map[any]any{nil: "n"}, "j_map_of@hessian-lite-4.0.3": map[any]any{"k": "v"},
		"j_enum_map": &serialize.Pairs{Items: []serialize.Pair{{Key: ptr(color("RED")), Value: int32(1)}}},

		"pojo_go_acronym_fields": &badUser{1, "u", "Ann"}, "map_as_class": &user{nil, "Ann", 0},
		"pojo_two_same_class": []any{&user{ptr(int64(1)), "Ann", 30}, &user{ptr(int64(2)), "Bob", 31}}, "pojo_nested_nulls": &person{Name: "N"},
		"pojo_nested": &person{Name: "Li", Address: &address{"杭州", ptr(int32(310000))}, Tags: []string{"x", "y"},
			Attrs: map[string]string{"k": "v"}, Active: true, Score: 99.5, Born: day, Avatar: []byte{1, 2, 3}},
		"enum_green": ptr(color("GREEN")), "enum_list": []any{ptr(color("RED")), ptr(color("GREEN")), ptr(color("RED"))},
		"object_unknown_class": object("com.example.Unregistered", "a", int32(1)), "object_unknown_field": &user{ptr(int64(1)), "Ann", 30},
		"object_field_order": &user{ptr(int64(1)), "Ann", 30},

		"biginteger_4294967298": big.NewInt(4294967298), "biginteger_neg1": big.NewInt(-1),
		"uuid":                UUID{0x06, 0x5e, 0xc5, 0x8d, 0xa8, 0x9f, 0x4b, 0x64, 0x9c, 0x9f, 0xd2, 0x23, 0xea, 0x2e, 0x73, 0xb6},
		"locale_zh_CN":        object(handles+"LocaleHandle", "value", "zh_CN"),
		"localdate":           LocalDate{2020, 6, 7},
		"localtime":           LocalTime{8, 9, 10, 11},
		"class":               object("java.lang.Class", "name", "com.example.User"),
		"j_year":              object(handles+"java8.YearHandle", "year", int32(2020)),
		"j_list_of3":          object("java.util.CollSer", "tag", int32(1)),
		"j_set_of":            object("java.util.CollSer", "tag", int32(2)),
		"j_map_of":            object("java.util.CollSer", "tag", int32(3)),
		"throwable_runtime":   thrown("java.lang.RuntimeException", "boom"),
		"throwable_throwable": thrown("java.lang.Throwable", "boom"),
	}
	addNumbers(m)
	addStructural(m)
	return m
}

func addNumbers(m map[string]any) {
	for _, n := range []int32{0, 1, -1, -16, 47, -17, 48, 255, -2048, 2047, -2049, 2048, 262143, -262145, 262144, math.MinInt32, math.MaxInt32} {
		m["int_"+big.NewInt(int64(n)).String()] = n
	}
	for _, n := range []int64{0, -8, 15, 16, -2048, 2047, -2049, 2048, -262144, 262143, -262145, 262144, math.MinInt32,
		math.MaxInt32 + 1, math.MinInt32 - 1, math.MaxInt64} {
		m["long_"+big.NewInt(n).String()] = n
	}
	m["long_int32"] = int64(262144)
	for _, n := range []int{31, 32, 1023, 1024, 4096, 4097, 32769} {
		m["string_"+big.NewInt(int64(n)).String()] = strings.Repeat("a", n)
	}
	for _, n := range []int{0, 15, 16, 1023, 1024, 4096, 4097} {
		m["bytes_"+big.NewInt(int64(n)).String()] = bytesUpTo(n)
	}
}

// addStructural adds the vectors that contain themselves or are long.
func addStructural(m map[string]any) {
	m["pojo_self_cycle"] = func(t *testing.T, got any) {
		n := got.(*node)
		require.Equal(t, int32(7), n.Value)
		require.Same(t, n, n.Next)
	}
	m["j_map_self"] = func(t *testing.T, got any) {
		outer := got.(map[any]any)
		require.Len(t, outer, 1)
		inner := outer["self"].(map[any]any)
		inner["mark"] = true
		require.Equal(t, true, outer["mark"])
		delete(inner, "mark")
	}
	m["pojo_17_classes"] = func(t *testing.T, got any) {
		list := got.([]any)
		require.Len(t, list, 17)
		for i, v := range list[:16] {
			o := v.(*serialize.Object)
			require.Equal(t, "com.example.C"+string(rune('0'+i/10))+string(rune('0'+i%10)), o.Class)
			require.Equal(t, []serialize.Field{{Name: "v", Value: int32(i)}}, o.Fields)
		}
		require.Equal(t, &numbered{16}, list[16])
	}
	m["throwable_generic"] = thrown("com.alibaba.dubbo.rpc.service.GenericException", "", func(t *testing.T, o *serialize.Object) {
		class, _ := o.Field("exceptionClass")
		message, _ := o.Field("exceptionMessage")
		require.Equal(t, []any{"com.example.BizException", "no stock"}, []any{class, message})
	})
	m["j_throwable_cause_stack"] = thrown("java.lang.RuntimeException", "outer", func(t *testing.T, o *serialize.Object) {
		v, _ := o.Field("cause")
		cause := v.(*serialize.Object)
		thrown("java.lang.IllegalStateException", "inner")(t, cause)
		self, _ := cause.Field("cause")
		require.Same(t, cause, self)
		trace, _ := o.Field("stackTrace")
		require.Len(t, trace, 1)
		line, _ := trace.([]any)[0].(*serialize.Object).Field("lineNumber")
		require.Equal(t, int32(12), line)
	})
}
