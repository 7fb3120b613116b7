package hessian2

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/serialize"
)

// FuzzDecode reads arbitrary bytes into every kind of target. Nothing may panic, errors are of the known kinds, and what was
// read as an interface can be written and read again.
func FuzzDecode(f *testing.F) {
	for _, v := range loadVectors(f) {
		if b, err := hex.DecodeString(v.Hex); err == nil && len(b) < 1000 {
			f.Add(b)
		}
	}
	b, _ := encode(New(nil), &placeArgs{Order: sampleOrder(2)})
	f.Add(b)
	f.Add([]byte("zW\a[stri[stng\x01aq\x90\x01b"))
	f.Add([]byte("\x7aQ\x90Q\x90"))
	s := New(testTypes())
	limits := serialize.Limits{Elements: 10000, Bytes: 1 << 20}
	f.Fuzz(func(t *testing.T, b []byte) {
		keep := bytes.Clone(b)
		for _, target := range []any{nil, new(any), new(placeArgs), new(orderByReflection), new(derived), new(person), new(serialize.Exception), new([]string),
			new(map[string]string), new(string), new(int64), new([]byte), new(map[any]any), new([][]*node), new(color), new(serialize.Object)} {
			r := s.NewReader(b, limits)
			err := r.Read(target)
			require.True(t, err == nil || errors.Is(err, serialize.ErrMalformed) || errors.Is(err, serialize.ErrTruncated) || errors.Is(err, serialize.ErrLimit), "%v", err)
			if err == nil {
				require.Zero(t, r.depth)
				require.Empty(t, r.frames)
				require.Equal(t, len(r.slots), r.next)
			}
			r.Free()
		}
		r := s.Reader(b, limits)
		_, _ = r.ReadMap(nil)
		r.Free()
		require.Equal(t, keep, b, "the body is not written to")
		rewrite(t, s, b, limits)
	})
}

func rewrite(t *testing.T, s *Serializer, b []byte, limits serialize.Limits) {
	var v, back any
	r := s.NewReader(b, limits)
	defer r.Free()
	if r.Read(&v) != nil {
		return
	}
	out, err := encode(s, v)
	require.NoError(t, err)
	rest, err := decode(s, out, &back)
	require.NoError(t, err)
	require.Zero(t, rest)
	// An enum without a name, an empty decimal and the zero time are written as null, as a map's key too.
	if _, pairs := v.(*serialize.Pairs); !pairs && back != nil {
		require.IsType(t, v, back)
	}
}

// FuzzRoundTrip writes values made of arbitrary parts and reads them back equal.
func FuzzRoundTrip(f *testing.F) {
	f.Add("name", int64(5), int32(-7), 1.5, []byte("bytes"), true)
	f.Add("你好😀\xff", int64(-1<<40), int32(1<<20), -0.001, []byte{}, false)
	s := New(nil)
	f.Fuzz(func(t *testing.T, text string, long int64, n int32, d float64, b []byte, flag bool) {
		if d != d {
			d = 0 // NaN is not equal to itself
		}
		text = string([]rune(text))
		in := order{ID: long, Number: text, Customer: &customer{ID: int64(n), Name: text}, Notes: []string{text, ""}, Total: d, Paid: flag, Count: n, Payload: b,
			Lines: make([]line, int(uint32(n)%50)), Codes: []int64{long}, Extra: []any{text, long, n, d, flag, map[any]any{text: long}}}
		in.Ship.Parent = in.Customer
		enc, err := encode(s, &in)
		require.NoError(t, err)
		var out order
		rest, err := decode(s, enc, &out)
		require.NoError(t, err)
		require.Zero(t, rest)
		if b == nil {
			in.Payload = nil
		}
		require.Equal(t, in, out)
		require.Same(t, out.Customer, out.Ship.Parent)
	})
}
