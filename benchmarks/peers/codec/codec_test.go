package codec

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkCodec has a line per format, value, direction and codec, for benchstat.
func BenchmarkCodec(b *testing.B) {
	for _, p := range Pairs() {
		for _, c := range []Codec{p.Ours, p.Theirs} {
			encoded, err := c.works()
			require.NoError(b, err)
			for _, direction := range []string{"encode", "decode"} {
				f := c.operation(direction, encoded)
				b.Run(p.Format+"/"+p.Value+"/"+direction+"/"+c.Name, func(b *testing.B) {
					b.ReportAllocs()
					b.SetBytes(int64(len(encoded)))
					for b.Loop() {
						f()
					}
				})
			}
		}
	}
}

func TestPairsAgree(t *testing.T) {
	for _, p := range Pairs() {
		ours, err := p.Ours.works()
		require.NoError(t, err)
		theirs, err := p.Theirs.works()
		require.NoError(t, err)
		n, err := p.Theirs.decode(ours)
		require.NoError(t, err, "%s reads what Ferry wrote", p.Theirs.Name)
		m, err := p.Ours.decode(theirs)
		require.NoError(t, err, "Ferry reads what %s wrote", p.Theirs.Name)
		require.Equal(t, n, m)
		require.Positive(t, n)
		require.InEpsilon(t, len(theirs), len(ours), 0.25, "%s, %s: both do the same work", p.Format, p.Value)
	}
}

func TestMeasure(t *testing.T) {
	all, err := Measure(3, time.Millisecond)
	require.NoError(t, err)
	require.Len(t, all, 8)
	for _, r := range all {
		require.Positive(t, r.Ours.Nanos)
		require.LessOrEqual(t, r.Low, r.Ratio)
		require.LessOrEqual(t, r.Ratio, r.High)
		if r.Direction == "encode" {
			require.Less(t, r.Ours.Allocs, 0.5, "%s %s", r.Format, r.Value)
		}
	}
}
