package hessian2

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/serialize"
)

// TestFloatsOfJava: Java writes the shortest decimal of a float as a double. That of Float.MAX_VALUE, 3.4028235E38, is a
// little beyond the greatest float and rounds to it.
func TestFloatsOfJava(t *testing.T) {
	s := New(nil)
	for _, c := range []struct {
		wire float64
		want float32
	}{
		{3.4028235e38, math.MaxFloat32}, {-3.4028235e38, -math.MaxFloat32}, {0.33333334, float32(1) / 3}, {1.4e-45, math.SmallestNonzeroFloat32},
		{math.Inf(1), float32(math.Inf(1))},
	} {
		var got float32
		_, err := decode(s, binary.BigEndian.AppendUint64([]byte{'D'}, math.Float64bits(c.wire)), &got)
		require.NoError(t, err, c.wire)
		require.Equal(t, c.want, got)
	}
	var got float32
	_, err := decode(s, binary.BigEndian.AppendUint64([]byte{'D'}, math.Float64bits(3.5e38)), &got)
	require.ErrorIs(t, err, serialize.ErrMalformed)
}
