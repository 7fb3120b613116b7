package hessian2

import (
	"math/big"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/serialize"
)

// TestSharedIntoValues: Java shares one object, list and map in several fields; Go has values there.
func TestSharedIntoValues(t *testing.T) {
	s := New(nil)
	w := s.NewWriter(nil)
	addr := NewClass("com.example.Address", "city", "zip")
	outer := NewClass("com.example.Outer", "first", "second", "third", "tags", "more", "attrs", "other", "color", "tint", "big", "any", "lists")
	w.Object(outer) // 0
	w.Object(addr)  // 1
	w.String("Rome")
	w.Int(100)
	ref := func(n int32) { w.buf = append(w.buf, tagRef); w.Int(n) }
	ref(1)
	ref(1)
	w.List("", 2) // 2
	w.String("a")
	w.String("b")
	ref(2)
	w.Map("") // 3
	w.String("k")
	w.String("v")
	w.EndMap()
	ref(3)
	w.Enum(NewClass("com.example.Color", "name"), "RED") // 4
	ref(4)
	w.BigInt(big.NewInt(77)) // 5, 6
	ref(5)
	w.List("", 2) // 7
	ref(2)
	ref(2)

	type shared struct {
		First, Second address
		Third         *address
		Tags, More    []string
		Attrs, Other  map[string]string
		Color, Tint   color
		Big           *big.Int
		Any           any
		Lists         [][]string
	}
	var got shared
	rest, err := decode(s, w.Bytes(), &got)
	require.NoError(t, err)
	require.Zero(t, rest)
	rome := address{"Rome", ptr(int32(100))}
	require.Equal(t, shared{rome, rome, &rome, []string{"a", "b"}, []string{"a", "b"}, map[string]string{"k": "v"}, map[string]string{"k": "v"}, "RED", "RED",
		big.NewInt(77), big.NewInt(77), [][]string{{"a", "b"}, {"a", "b"}}}, got)
	got.Tags[0] = "changed"
	require.Equal(t, "a", got.More[0], "values are copies")

	var v any
	_, err = decode(s, w.Bytes(), &v)
	require.NoError(t, err)
	o := v.(*serialize.Object)
	require.Same(t, o.Fields[0].Value, o.Fields[2].Value)
	o.Fields[3].Value.([]any)[0] = "changed"
	require.Equal(t, "changed", o.Fields[4].Value.([]any)[0], "interfaces share")
}

// TestVariableLists: lists without a length keep references and definitions in step.
func TestVariableLists(t *testing.T) {
	s := New(nil)
	w := s.NewWriter(nil)
	w.buf = append(w.buf, tagVarTyped)
	w.String("java.util.ArrayList")
	w.refs++ // 0
	c := &customer{ID: 1, Name: "x"}
	require.NoError(t, w.Value(c))    // 1
	w.buf = append(w.buf, tagVarList) // 2
	w.refs++
	require.NoError(t, w.Value(c))
	w.buf = append(w.buf, tagRef, zeroInt+2, tagEnd)
	require.NoError(t, w.Value(c))
	w.buf = append(w.buf, tagEnd)
	w.Int(9)

	r := s.NewReader(w.Bytes(), serialize.Limits{})
	list := r.Any().([]any)
	require.NoError(t, r.Err())
	require.Equal(t, int32(9), r.Int())
	require.Zero(t, r.Rest())
	require.Len(t, list, 3)
	inner := list[1].([]any)
	require.Same(t, list[0], inner[0])
	require.Same(t, list[0], list[2])
	inner[0] = "mark"
	require.Equal(t, "mark", inner[1].([]any)[0], "the list contains itself")

	skip := s.NewReader(w.Bytes(), serialize.Limits{})
	require.NoError(t, skip.Read(nil))
	require.Equal(t, int32(9), skip.Int())
}

// TestCycleThroughValues: a Java cycle cannot be laid out in Go values; it must end in an error.
func TestCycleThroughValues(t *testing.T) {
	type tree struct{ Children []tree }
	s := New(nil)
	w := s.NewWriter(nil)
	w.Object(NewClass("x.Tree", "children"))
	w.List("", 1)
	w.buf = append(w.buf, tagRef, zeroInt)
	var got tree
	_, err := decode(s, w.Bytes(), &got)
	require.ErrorIs(t, err, serialize.ErrLimit)
}

func TestStructFromMap(t *testing.T) {
	s := New(nil)
	in := map[any]any{"id": int32(5), "name": "Ann", "age": int64(30), "class": "com.example.User", int32(1): []any{}}
	b, err := encode(s, []any{in, in})
	require.NoError(t, err)
	var got []user
	_, err = decode(s, b, &got)
	require.NoError(t, err)
	require.Equal(t, user{ptr(int64(5)), "Ann", 30}, got[0])
	require.Equal(t, got[0], got[1])
}

func TestManyPointers(t *testing.T) {
	s := New(nil)
	var list []*customer
	for i := range 1000 {
		list = append(list, &customer{ID: int64(i)})
	}
	list = append(list, list...)
	list = append(list, &customer{Name: strings.Repeat("x", 5), Parent: list[500]})
	for range 2 { // the second body reuses the tables of the first
		b, err := encode(s, &list)
		require.NoError(t, err)
		var got []*customer
		_, err = decode(s, b, &got)
		require.NoError(t, err)
		require.Len(t, got, 2001)
		for i := range 1000 {
			require.Equal(t, int64(i), got[i].ID)
			require.Same(t, got[i], got[i+1000])
		}
		require.Same(t, got[500], got[2000].Parent)
	}
}

func TestPairs(t *testing.T) {
	s := New(nil)
	w := s.NewWriter(nil)
	w.Map("") // 0
	w.String("self")
	w.List("", 1) // 1
	w.buf = append(w.buf, tagRef, zeroInt)
	w.List("", 0) // 2
	w.String("list")
	w.Binary([]byte("b"))
	w.buf = append(w.buf, tagRef, zeroInt+1)
	w.EndMap()
	var v any
	rest, err := decode(s, w.Bytes(), &v)
	require.NoError(t, err)
	require.Zero(t, rest)
	p := v.(*serialize.Pairs)
	require.Equal(t, "self", p.Items[0].Key)
	require.Same(t, p, p.Items[0].Value.([]any)[0])
	require.Equal(t, serialize.Pair{Key: []any{}, Value: "list"}, p.Items[1])
	require.Equal(t, []byte("b"), p.Items[2].Key)
	require.Same(t, p, p.Items[2].Value.([]any)[0])

	in := &serialize.Pairs{Class: "com.example.Bag", Items: []serialize.Pair{{Key: "k", Value: int32(1)}}}
	b, err := encode(s, []any{in, in})
	require.NoError(t, err)
	_, err = decode(s, b, &v)
	require.NoError(t, err)
	require.Equal(t, in, v.([]any)[0])
	require.Same(t, v.([]any)[0], v.([]any)[1])
	var typed serialize.Pairs
	b, err = encode(s, in)
	require.NoError(t, err)
	_, err = decode(s, b, &typed)
	require.NoError(t, err)
	require.Equal(t, *in, typed)
}

// token has a codec written by hand, which makes a string of it.
type token struct{ text string }

func (t *token) MarshalHessian2(w *Writer) error {
	w.String(t.text)
	return nil
}

func (t *token) UnmarshalHessian2(r *Reader) error {
	t.text = r.String()
	return r.Err()
}

// TestHandWrittenScalars: what has no reference number is never referred to.
func TestHandWrittenScalars(t *testing.T) {
	type tokens struct {
		A, B  *token
		List  []string
		C     *token
		Any   any
		Again []*token
		Last  *customer
	}
	s := New(nil)
	x := &token{"x"}
	in := tokens{A: x, B: x, List: []string{"l"}, C: x, Any: "y", Last: &customer{Name: "z"}}
	for range 20 {
		in.Again = append(in.Again, x, &token{"y"})
	}
	b, err := encode(s, &in)
	require.NoError(t, err)
	var out tokens
	rest, err := decode(s, b, &out)
	require.NoError(t, err)
	require.Zero(t, rest)
	require.Equal(t, in, out)
	b, err = encode(s, []any{x, x, []any{}, x, in.Last, in.Last})
	require.NoError(t, err)
	var v []any
	_, err = decode(s, b, &v)
	require.NoError(t, err)
	require.Equal(t, []any{"x", "x", []any{}, "x"}, v[:4])
	require.Same(t, v[4], v[5])

	r := s.NewReader([]byte("\x01x\x78"), serialize.Limits{})
	require.Equal(t, x, Pointer[token](r))
	require.Equal(t, []any{}, r.Any())
	require.Equal(t, []any{}, r.slots[0].value, "the token did not become the list's value")
}
