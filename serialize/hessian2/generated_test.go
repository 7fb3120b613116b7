package hessian2

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/serialize"
)

func TestGeneratedRoundTrip(t *testing.T) {
	s := New(nil)
	want := sampleOrder(3)
	b, err := encode(s, &placeArgs{Order: want, Dry: true})
	require.NoError(t, err)
	var got placeArgs
	rest, err := decode(s, b, &got)
	require.NoError(t, err)
	require.Zero(t, rest)
	require.Equal(t, want, got.Order)
	require.True(t, got.Dry)
	require.Same(t, got.Order.Customer, got.Order.Ship.Parent, "a shared pointer stays shared")

	var byRow orderByReflection
	var dry bool
	rest, err = decode(s, b, serialize.Values{&byRow, &dry})
	require.NoError(t, err)
	require.Zero(t, rest)
	require.Equal(t, want.Labels, byRow.Labels)
	require.Equal(t, want.Codes, byRow.Codes)
	require.Same(t, byRow.Customer, byRow.Ship.Parent)

	again, err := encode(s, serialize.Values{&byRow, &dry})
	require.NoError(t, err)
	require.Equal(t, b, again, "reflection and generated code write the same bytes")
}

func TestEncodeAllocations(t *testing.T) {
	if raceEnabled {
		return // the race detector drops pooled objects at random
	}
	s := New(nil)
	args := &placeArgs{Order: sampleOrder(100)}
	reflected := any(&orderByReflection{Number: "n", Lines: make([]lineByReflection, 20), Customer: &customerByReflection{}})
	buf := make([]byte, 0, 64<<10)
	for name, v := range map[string]any{"generated": args, "reflected": reflected} {
		allocs := testing.AllocsPerRun(200, func() {
			w := s.Writer(buf)
			w.WriteString("2.0.2")
			if w.Write(v) != nil {
				panic("write")
			}
			w.WriteMap([]string{"path", "x"}[:2:2])
			w.Free()
		})
		require.Zero(t, allocs, name)
	}
}

func TestDecodeAllocations(t *testing.T) {
	if raceEnabled {
		return
	}
	s := New(nil)
	want := sampleOrder(100)
	want.Labels, want.Extra = nil, nil
	b, err := encode(s, &placeArgs{Order: want})
	require.NoError(t, err)
	// Three pointers, four slices, two strings that are not ASCII, the first of the others and six pieces of the body that the
	// rest of them share.
	limit := 3.0 + 4 + 2 + 1 + 6
	var got placeArgs
	allocs := testing.AllocsPerRun(200, func() {
		r := s.Reader(b, serialize.Limits{})
		if r.Read(&got) != nil {
			panic("read")
		}
		r.Free()
	})
	require.LessOrEqual(t, allocs, limit)

	m := []string{"path", "com.example.Demo", "version", "1.0.0", "timeout", "3000"}
	w := s.Writer(nil)
	w.WriteMap(m)
	dst := make([]string, 0, 16)
	allocs = testing.AllocsPerRun(200, func() {
		r := s.Reader(w.Bytes(), serialize.Limits{})
		out, err := r.ReadMap(dst)
		if err != nil || len(out) != len(m) {
			panic("read")
		}
		r.Free()
	})
	require.LessOrEqual(t, allocs, 1.0)
}

// javaOrder encodes an order the way Java does: with the fields in another order.
func javaOrder(o *order) []byte {
	w := New(nil).NewWriter(nil)
	w.Object(NewClass("com.example.Line", "price", "amount", "sku", "unknown"))
	w.Double(o.Lines[0].Price)
	w.Int(o.Lines[0].Amount)
	w.String(o.Lines[0].SKU)
	w.List("", 1)
	w.Map("")
	w.EndMap()
	return w.Bytes()
}

func TestForeignFieldOrderIsLearned(t *testing.T) {
	s := New(nil)
	want := sampleOrder(1)
	b := javaOrder(want)
	for range 3 {
		var got line
		rest, err := decode(s, b, &got)
		require.NoError(t, err)
		require.Zero(t, rest)
		require.Equal(t, want.Lines[0], got)
	}
	require.NotNil(t, classLine.layouts.Load())
	if !raceEnabled {
		var got line
		allocs := testing.AllocsPerRun(100, func() {
			if _, err := decode(s, b, &got); err != nil {
				panic(err)
			}
		})
		require.LessOrEqual(t, allocs, 1.0, "the string and nothing else")
	}
}
