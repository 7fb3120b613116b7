package serialize

import (
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLimits(t *testing.T) {
	require.Equal(t, Limits{Depth: 64, Elements: 1 << 20, Bytes: 64 << 20}, Limits{}.WithDefaults())
	require.Equal(t, Limits{Depth: 64, Elements: 1 << 20, Bytes: 64 << 20}, Limits{-1, -1, -1}.WithDefaults(), "nothing means unlimited")
	require.Equal(t, Limits{1, 2, 3}, Limits{1, 2, 3}.WithDefaults())
	err := LimitError("elements", 7)
	require.ErrorIs(t, err, ErrLimit)
	require.EqualError(t, err, "serialize: limit exceeded: more than 7 elements")
}

func TestValues(t *testing.T) {
	a, b := 1, "two"
	var row Row = Values{&a, &b}
	require.Equal(t, 2, row.Len())
	require.Same(t, &a, row.At(0))
	require.Same(t, &b, row.At(1))
	require.Zero(t, Values(nil).Len())
}

func TestObjectField(t *testing.T) {
	o := Object{Class: "c", Fields: []Field{{"a", 1}, {"b", nil}}}
	v, ok := o.Field("a")
	require.True(t, ok)
	require.Equal(t, 1, v)
	v, ok = o.Field("b")
	require.True(t, ok)
	require.Nil(t, v)
	_, ok = o.Field("c")
	require.False(t, ok)
}

func TestFootprint(t *testing.T) {
	type leaf struct{ A, B int64 }
	type node struct {
		Next  *node
		Name  string
		at    *node
		Leafs []leaf
	}
	for _, c := range []struct {
		sample any
		want   Footprint
	}{
		{int64(0), Footprint{}},
		{"", Footprint{}},
		{time.Time{}, Footprint{}},
		{leaf{}, Footprint{}},
		{[]leaf{}, Footprint{Element: 16}},
		{[4][]leaf{}, Footprint{Element: 16}},
		{&leaf{}, Footprint{Element: 16, Object: 16}},
		{map[string]leaf{}, Footprint{Entry: 2*(16+16) + 16}},
		{map[string][]leaf{}, Footprint{Entry: 2*(16+24) + 16, Element: 16}},
		{struct{ A any }{}, Footprint{Element: 32, Entry: 96, Object: 64, Dynamic: true}},
		{node{at: nil}, Footprint{Element: 56, Object: 56, Recursive: true}},
		{struct{ A, B []leaf }{}, Footprint{Element: 16}},
	} {
		require.Equal(t, c.want, FootprintOf(reflect.TypeOf(c.sample)), "%T", c.sample)
	}
	require.Equal(t, 2*10+3*100+5*1000, Footprint{Element: 10, Entry: 100, Object: 1000}.Bytes(2, 3, 5))
}
