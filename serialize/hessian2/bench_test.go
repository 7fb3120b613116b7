package hessian2

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/serialize"
)

func BenchmarkEncodeOrder(b *testing.B) { benchmarkEncode(b, sampleOrder(1)) }

func BenchmarkEncodeList100(b *testing.B) { benchmarkEncode(b, sampleOrder(100)) }

func benchmarkEncode(b *testing.B, v any) {
	s := New(nil)
	buf := make([]byte, 0, 64<<10)
	b.ReportAllocs()
	for b.Loop() {
		w := s.Writer(buf)
		if err := w.Write(v); err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(w.Bytes())))
		w.Free()
	}
}

func BenchmarkDecodeOrder(b *testing.B) {
	benchmarkDecode(b, sampleOrder(1), func() any { return new(order) })
}

func BenchmarkDecodeList100(b *testing.B) {
	benchmarkDecode(b, sampleOrder(100), func() any { return new(order) })
}

func BenchmarkDecodeOrderReflected(b *testing.B) {
	benchmarkDecode(b, sampleOrder(1), func() any { return new(orderByReflection) })
}

func BenchmarkDecodeOrderAny(b *testing.B) {
	benchmarkDecode(b, sampleOrder(1), func() any { return new(any) })
}

func BenchmarkEncodeOrderReflected(b *testing.B) {
	enc, err := encode(New(nil), sampleOrder(1))
	require.NoError(b, err)
	var v orderByReflection
	_, err = decode(New(nil), enc, &v)
	require.NoError(b, err)
	benchmarkEncode(b, &v)
}

func benchmarkDecode(b *testing.B, v any, target func() any) {
	s := New(nil)
	enc, err := encode(s, v)
	require.NoError(b, err)
	b.SetBytes(int64(len(enc)))
	b.ReportAllocs()
	for b.Loop() {
		r := s.Reader(enc, serialize.Limits{})
		if err := r.Read(target()); err != nil {
			b.Fatal(err)
		}
		r.Free()
	}
}
