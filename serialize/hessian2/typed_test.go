package hessian2

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/serialize"
)

// vectorBytes returns every form of a vector.
func vectorBytes(t *testing.T, name string) map[string][]byte {
	for _, v := range loadVectors(t) {
		if v.Name == name {
			return v.forms(t)
		}
	}
	t.Fatalf("no vector %s", name)
	return nil
}

func TestTypedTargets(t *testing.T) {
	s := New(nil) // nothing registered: the target alone says what to read
	for _, c := range []struct {
		vector string
		want   any
	}{
		{"object_field_order", user{ptr(int64(1)), "Ann", 30}},
		{"object_unknown_field", user{ptr(int64(1)), "Ann", 30}},
		{"pojo_two_same_class", []user{{ptr(int64(1)), "Ann", 30}, {ptr(int64(2)), "Bob", 31}}},
		{"pojo_two_same_class", []*user{{ptr(int64(1)), "Ann", 30}, {ptr(int64(2)), "Bob", 31}}},
		{"pojo_go_acronym_fields", badUser{1, "u", "Ann"}},
		{"pojo_nested_nulls", person{Name: "N"}},
		{"enum_green", color("GREEN")},
		{"enum_list", []color{"RED", "GREEN", "RED"}},
		{"j_enum_array", []color{"RED", "BLUE"}},
		{"array_string", []string{"a", "b"}},
		{"array_int", []int32{1, 2, 3}},
		{"array_int", []int64{1, 2, 3}},
		{"array_long", [3]int{1, 2, 3}},
		{"array_long", []uint8{1, 2, 3}},
		{"array_double", []float32{1.5, 2.5}},
		{"j_integer_array", []*int32{ptr(int32(1)), ptr(int32(2))}},
		{"j_byte_wrapper_array", []byte{1, 2}},
		{"map_string_string", map[string]string{"k": "v"}},
		{"j_treemap", map[string]any{"k": "v"}},
		{"map_int_string", map[int64]string{1: "one"}},
		{"map_long_list", map[int32][]string{1: {"x"}}},
		{"j_enum_map", map[color]int{"RED": 1}},
		{"biginteger_neg1", *big.NewInt(-1)},
		{"localdate", time.Date(2020, 6, 7, 0, 0, 0, 0, time.UTC)},
		{"localdate", LocalDate{2020, 6, 7}},
		{"sql_date", time.UnixMilli(894621060000).UTC()},
		{"int_255", float64(255)},
		{"long_2047", int16(2047)},
		{"double_127", int8(127)},
		{"string_cjk", ptr("你好")},
		{"true", ptr(true)},
	} {
		for form, b := range vectorBytes(t, c.vector) {
			got := reflect.New(reflect.TypeOf(c.want))
			rest, err := decode(s, b, got.Interface())
			require.NoError(t, err, "%s/%s into %T", c.vector, form, c.want)
			require.Zero(t, rest)
			require.Equal(t, c.want, got.Elem().Interface(), "%s/%s", c.vector, form)
			again, err := encode(s, got.Interface())
			require.NoError(t, err)
			back := reflect.New(reflect.TypeOf(c.want))
			rest, err = decode(s, again, back.Interface())
			require.NoError(t, err)
			require.Zero(t, rest)
			require.Equal(t, c.want, back.Elem().Interface())
		}
	}
}

func TestPersonAndNode(t *testing.T) {
	s := New(nil)
	for form, b := range vectorBytes(t, "pojo_nested") {
		var p person
		_, err := decode(s, b, &p)
		require.NoError(t, err, form)
		require.Equal(t, "杭州", p.Address.City)
		require.Equal(t, int32(310000), *p.Address.Zip)
		require.Equal(t, []string{"x", "y"}, p.Tags)
		p.Friend = &p
		again, err := encode(s, &p)
		require.NoError(t, err)
		require.True(t, bytes.Contains(again, []byte("[string")), "the tag makes an array")
		var back person
		_, err = decode(s, again, &back)
		require.NoError(t, err)
		require.Same(t, &back, back.Friend)
		require.Equal(t, p.Attrs, back.Attrs)
	}
	for _, b := range vectorBytes(t, "pojo_self_cycle") {
		var n *node
		_, err := decode(s, b, &n)
		require.NoError(t, err)
		require.Same(t, n, n.Next)
		again, err := encode(s, &n)
		require.NoError(t, err)
		var back node
		_, err = decode(s, again, &back)
		require.NoError(t, err)
		require.Same(t, &back, back.Next)
	}
}

func TestSeventeenClasses(t *testing.T) {
	type list [17]numbered
	for _, b := range vectorBytes(t, "pojo_17_classes") {
		var got list
		_, err := decode(New(nil), b, &got)
		require.NoError(t, err)
		for i := range got {
			require.Equal(t, int32(i), got[i].V)
		}
	}
	s := New(nil)
	w := s.NewWriter(nil)
	w.List("", 40)
	for i := range 40 {
		require.NoError(t, w.Value(object(fmt.Sprintf("com.example.C%02d", i), "v", int32(i))))
	}
	var got []numbered
	rest, err := decode(s, w.Bytes(), &got)
	require.NoError(t, err)
	require.Zero(t, rest)
	require.Equal(t, int32(39), got[39].V)
}

type base struct {
	ID      int64
	Name    string
	Version int32
}

type Place struct {
	City string
	Zip  *int32
}

func (Place) JavaClassName() string { return "com.example.Place" }

type derived struct {
	base
	*Place
	Name  string `java:"title"`
	When  time.Time
	Day   time.Time     `java:",localdate"`
	Clock time.Time     `java:",localtime"`
	Both  *time.Time    `java:",localdatetime"`
	Exact time.Time     `java:",instant"`
	Took  time.Duration `java:",duration"`
	Price string        `java:",decimal"`
	Share *big.Rat      `java:",decimal"`
	Key   [16]byte      `java:",uuid"`
	Big   *big.Int
	Set   []string         `java:",java.util.HashSet"`
	Tree  map[string]int32 `java:",java.util.TreeMap"`
	Days  []time.Time      `java:",array,localdate"`
	Grid  [][]int32        `java:",array"`
	Bytes []int8           `java:",array"`
	U     uint16
	UL    uint64
	F     float32
	P     *float64
	Any   any
	Fn    func() `java:"-"`
}

func TestStructOptions(t *testing.T) {
	s := New(nil)
	both := time.Date(2024, 2, 29, 12, 30, 45, 6000, time.UTC)
	in := derived{
		base: base{1, "base", 3}, Name: "title", When: time.UnixMilli(1234).UTC(),
		Day: time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC), Clock: time.Date(1970, 1, 1, 23, 59, 59, 7, time.UTC), Both: &both,
		Exact: time.Unix(-5, 999999999).UTC(), Took: -1500 * time.Millisecond, Price: "12.30", Share: big.NewRat(5, 4),
		Key: [16]byte{1, 2, 15: 255}, Big: new(big.Int).Lsh(big.NewInt(-3), 100), Set: []string{"a"}, Tree: map[string]int32{"x": 1},
		Days: []time.Time{time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)}, Grid: [][]int32{{1, 2}, {}, nil}, Bytes: []int8{-1, 2},
		U: 65535, UL: math.MaxInt64, F: 1.5, P: ptr(2.5), Any: []any{int32(1), nil, map[any]any{"k": 2.5}},
	}
	b, err := encode(s, &in)
	require.NoError(t, err)
	for _, name := range []string{"java.util.HashSet", "java.util.TreeMap", "[[int", "LocalDateHandle", "LocalTimeHandle", "LocalDateTimeHandle",
		"InstantHandle", "DurationHandle", "java.math.BigDecimal", "java.util.UUID", "hessian2.derived"} {
		require.True(t, bytes.Contains(b, []byte(name)), name)
	}
	require.Equal(t, 1, bytes.Count(b, []byte("LocalDateHandle\x93")), "a class is defined once")
	var out derived
	rest, err := decode(s, b, &out)
	require.NoError(t, err)
	require.Zero(t, rest)
	in.Place = &Place{} // nothing was there, so its fields were null and the place for them was made
	require.Equal(t, in, out)

	var o any
	_, err = decode(s, b, &o)
	require.NoError(t, err)
	obj := o.(*serialize.Object)
	for name, want := range map[string]any{
		"id": int64(1), "name": "base", "title": "title", "day": LocalDate{2024, 2, 29}, "took": in.Took, "price": Decimal("12.30"),
		"share": Decimal("1.25"), "key": UUID(in.Key), "exact": in.Exact, "both": Local(both), "grid": []any{[]any{int32(1), int32(2)}, []any{}, nil},
	} {
		got, ok := obj.Field(name)
		require.True(t, ok, name)
		require.Equal(t, want, got, name)
	}
	_, ok := obj.Field("fn")
	require.False(t, ok)
}

type level int

func (level) JavaClassName() string          { return "com.example.Level" }
func (l level) MarshalText() ([]byte, error) { return []byte([]string{"LOW", "HIGH"}[l]), nil }
func (l *level) UnmarshalText(b []byte) error {
	switch string(b) {
	case "LOW":
		*l = 0
	case "HIGH":
		*l = 1
	default:
		return errors.New("no such level")
	}
	return nil
}

func TestEnumWithText(t *testing.T) {
	s := New(nil)
	in := map[level][]level{1: {0, 1}}
	b, err := encode(s, &in)
	require.NoError(t, err)
	var out map[level][]level
	_, err = decode(s, b, &out)
	require.NoError(t, err)
	require.Equal(t, in, out)
	w := s.NewWriter(nil)
	w.Enum(NewClass("com.example.Level", "name"), "MIDDLE")
	var l level
	_, err = decode(s, w.Bytes(), &l)
	require.ErrorIs(t, err, serialize.ErrMalformed)
	require.ErrorContains(t, err, "no such level")
}

func TestConversions(t *testing.T) {
	s := New(nil)
	for _, c := range []struct {
		in     any
		target any
	}{
		{int64(1) << 31, new(int32)}, {int32(40000), new(int16)}, {int32(200), new(int8)}, {int32(-1), new(uint16)}, {int64(-1), new(uint64)},
		{1.5, new(int64)}, {1e300, new(int64)}, {math.NaN(), new(int32)}, {1e300, new(float32)}, {"x", new(int32)}, {int32(1), new(string)},
		{int32(1), new(bool)}, {"x", new([]string)}, {"x", new(map[string]string)}, {"x", new(user)}, {[]any{}, new(user)}, {true, new(time.Time)},
		{object("com.example.Other", "x", 1), new(user)}, {"x", new([]byte)}, {[]any{int32(300)}, new([]byte)}, {[]any{1, 2, 3}, new([2]int32)},
		{"x", new(UUID)}, {"nonsense", &big.Rat{}}, {map[any]any{}, new(*serialize.Object)}, {LocalDate{}, new(time.Duration)},
		{float64(1 << 62 * 2), new(int64)},
	} {
		b, err := encode(s, c.in)
		require.NoError(t, err)
		_, err = decode(s, b, c.target)
		require.ErrorIs(t, err, serialize.ErrMalformed, "%T %v into %T", c.in, c.in, c.target)
	}
}

func TestNulls(t *testing.T) {
	s := New(nil)
	for _, target := range []any{ptr("x"), ptr(int32(1)), ptr(int64(1)), ptr(true), ptr(1.5), ptr(time.Now()), ptr([]byte{1}), ptr([]string{"x"}),
		ptr(map[string]string{"a": "b"}), ptr([]int32{1}), ptr(map[int]int{1: 1}), ptr(ptr(int32(1))), ptr(&user{}), ptr(any(1)), ptr(color("RED")),
		ptr(Decimal("1")), ptr(UUID{1}), ptr(big.NewInt(1)), ptr(time.Duration(1)), ptr(level(0)), ptr([2]int{1, 2})} {
		rest, err := decode(s, []byte{'N'}, target)
		require.NoError(t, err, "%T", target)
		require.Zero(t, rest)
		require.True(t, reflect.ValueOf(target).Elem().IsZero(), "%T is %v", target, reflect.ValueOf(target).Elem())
	}
	for _, v := range []any{nil, (*user)(nil), ptr((*int32)(nil)), []byte(nil), []string(nil), map[string]string(nil), (*customer)(nil), time.Time{}, ptr(any(nil)),
		(*serialize.Object)(nil), (*serialize.Pairs)(nil), (*serialize.Exception)(nil), (*big.Int)(nil), []any(nil), map[any]any(nil), []int32(nil), Decimal("")} {
		b, err := encode(s, v)
		require.NoError(t, err)
		require.Equal(t, []byte{'N'}, b, "%T", v)
	}
}

func TestUnsupported(t *testing.T) {
	s := New(nil)
	third := struct {
		R *big.Rat `java:",decimal"`
	}{big.NewRat(1, 3)}
	badTag := struct {
		A int `java:"a,wrong"`
	}{}
	badForm := struct {
		A int `java:"a,uuid"`
	}{}
	type tree []tree
	loop := tree{nil}
	loop[0] = loop
	for _, v := range []any{make(chan int), func() {}, complex(1, 2), uint64(math.MaxUint64), &third, &badTag, &badForm, struct{ F func() }{}} {
		_, err := encode(s, v)
		require.ErrorIs(t, err, serialize.ErrUnsupported, "%T", v)
	}
	_, err := encode(s, loop)
	require.ErrorIs(t, err, serialize.ErrLimit)
	_, err = decode(s, []byte{0x90}, 5)
	require.ErrorIs(t, err, serialize.ErrUnsupported)
	_, err = decode(s, []byte{0x90}, new(chan int))
	require.ErrorIs(t, err, serialize.ErrUnsupported)
}

func TestFieldName(t *testing.T) {
	for in, want := range map[string]string{"ID": "id", "URLPath": "urlPath", "HTTPServer": "httpServer", "UserID": "userID", "Name": "name", "A": "a",
		"IDs": "ids", "ID2": "id2", "AName": "aName", "X509Cert": "x509Cert", "sayHello": "sayHello", "SayHello": "sayHello", "": "", "Ärger": "ärger"} {
		require.Equal(t, want, FieldName(in), in)
	}
}

func TestArrayNames(t *testing.T) {
	s := New(testTypes())
	for want, v := range map[string]any{
		"[boolean": []bool{}, "[short": []int16{}, "[int": []int32{}, "[long": []int{}, "[float": []float32{}, "[double": []float64{}, "[string": []string{},
		"[object": []any{}, "[date": []time.Time{}, "[java.lang.Integer": []*int32{}, "[java.lang.Long": []*int64{}, "[java.lang.Boolean": []*bool{},
		"[java.lang.Double": []*float64{}, "[java.lang.Float": []*float32{}, "[java.lang.Short": []*int16{}, "[java.lang.Byte": []*int8{}, "[[int": [][]int32{},
		"[com.example.User": []*user{}, "[com.example.Color": []color{}, "[java.math.BigInteger": []*big.Int{}, "[java.math.BigDecimal": []Decimal{},
		"[java.util.UUID": []UUID{}, "[hessian2.base": []base{},
	} {
		require.Equal(t, want, "["+s.arrayElem(reflect.TypeOf(v).Elem()), "%T", v)
	}
	require.Equal(t, "[string", "["+s.arrayElem(reflect.TypeFor[*string]()))
}

// TestPointersToHelpers: the helper types write and read themselves by pointer as they do by value.
func TestPointersToHelpers(t *testing.T) {
	type all struct {
		D  *Decimal
		U  *UUID
		L  *LocalDate
		T  LocalTime
		B  big.Int
		R  big.Rat
		I8 int8
		I6 int16
		F  [2]byte
		S  [2]int8 `java:",array"`
		O  *serialize.Object
		E  *serialize.Exception
		X  error
	}
	s := New(nil)
	in := all{ptr(Decimal("1.0")), &UUID{1}, &LocalDate{1, 2, 3}, LocalTime{4, 5, 6, 7}, *big.NewInt(8), *big.NewRat(1, 8), -9, -10, [2]byte{11, 12},
		[2]int8{-13, 14}, object("a.B", "c", int32(1)), &serialize.Exception{Class: "x.Y", Message: "m"}, nil}
	b, err := encode(s, in) // not a pointer: the fields have no address
	require.NoError(t, err)
	var out all
	rest, err := decode(s, b, &out)
	require.NoError(t, err)
	require.Zero(t, rest)
	require.Equal(t, in, out)
	_, err = encode(s, &in)
	require.NoError(t, err)

	for _, v := range []any{int8(-3), int16(300), float32(1.5), ptr(int8(-3)), ptr(int16(300)), ptr(float32(1.5)), []string{"a"}, ptr([]any{"x"}), ptr(map[string]any{"k": "v"})} {
		b, err := encode(s, v)
		require.NoError(t, err)
		target := reflect.ValueOf(v)
		if target.Kind() == reflect.Pointer {
			target = target.Elem()
		}
		got := reflect.New(target.Type())
		_, err = decode(s, b, got.Interface())
		require.NoError(t, err)
		require.Equal(t, target.Interface(), got.Elem().Interface())
	}
}
