package hessian2

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/serialize"
)

// TestParallel: one Serializer, one Class and one type serve any number of goroutines.
func TestParallel(t *testing.T) {
	s := New(testTypes())
	foreign := javaOrder(sampleOrder(1))
	want := sampleOrder(3)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				b, err := encode(s, want)
				if err != nil {
					t.Error(err)
				}
				var byReflection orderByReflection
				var o order
				var v any
				var l line
				for _, target := range []any{&byReflection, &o, &v} {
					if _, err := decode(s, b, target); err != nil {
						t.Error(err)
					}
				}
				if _, err := decode(s, foreign, &l); err != nil || l.SKU != "sku-a" {
					t.Error(err, l)
				}
				if o.Lines[2] != want.Lines[2] || v.(*serialize.Object).Class != "com.example.Order" {
					t.Error("wrong value")
				}
			}
		})
	}
	wg.Wait()
	require.False(t, t.Failed())
}
