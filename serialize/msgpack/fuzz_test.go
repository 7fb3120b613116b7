package msgpack

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/serialize"
	"github.com/ferryrpc/ferry/serialize/serializetest"
)

// FuzzReader reads arbitrary bytes into everything that there is a way for.
func FuzzReader(f *testing.F) {
	s := New(serializetest.Types())
	var tree any = []any{serializetest.NewOrder(), map[any]any{1: 2.5}, []byte("b")}
	for _, v := range []any{newCart(), serializetest.NewOrder(), &tree, &serialize.Exception{Class: serializetest.ShortageClass, Value: &serializetest.Shortage{Item: "x"}},
		&serialize.Object{Class: "c", Fields: []serialize.Field{{Name: "a", Value: 1}}}, &args{A1: "x"}} {
		f.Add(encode(f, s, v))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		rest := map[bool]int{}
		for _, out := range []any{nil, new(any), new(cart), new(args), new(serializetest.Order), new(*serializetest.Person), new([]line), new(map[string]any),
			new(map[any]any), new([]string), new(serialize.Exception), new(serialize.Object), new(serialize.Pairs), new(string), new(int32), new([]holder)} {
			r := s.Reader(src, serialize.Limits{Bytes: 1 << 20, Elements: 1 << 12, Depth: 32})
			err := r.Read(out)
			if err == nil && (out == nil || isAny(out)) {
				rest[out == nil] = r.Rest()
			}
			r.Free()
			known := errors.Is(err, serialize.ErrTruncated) || errors.Is(err, serialize.ErrMalformed) || errors.Is(err, serialize.ErrLimit)
			require.True(t, err == nil || known, "%T: %v", out, err)
			if err == nil && isAny(out) {
				w := s.Writer(nil)
				require.NoError(t, w.Write(out), "what was read can be written")
				require.NoError(t, decode(s, w.Bytes(), new(any)))
				w.Free()
			}
		}
		if after, ok := rest[false]; ok {
			require.Equal(t, rest[true], after, "skipping and reading take the same bytes")
		}
		r := s.Reader(src, serialize.Limits{Bytes: 1 << 20})
		_, _ = r.ReadMap(nil)
		r.Free()
	})
}

// holder leads through the library into interfaces.
type holder struct {
	A any
	M map[string]any
	E error
}

func isAny(v any) bool { _, ok := v.(*any); return ok }
