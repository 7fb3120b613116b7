package measure

import (
	"math"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestBucketsHoldTheirValues(t *testing.T) {
	last := -1
	for v := time.Duration(1); v < time.Hour; v += v/200 + 1 {
		b := bucket(v)
		require.GreaterOrEqual(t, b, last, "buckets are in order at %v", v)
		last = b
		if b < buckets-1 {
			require.GreaterOrEqual(t, upper(b), v)
			require.LessOrEqual(t, float64(upper(b)), float64(v)*1.016+1)
		}
	}
	require.Equal(t, buckets-1, bucket(math.MaxInt64))
	require.Equal(t, 0, bucket(-time.Second))
}

func TestQuantiles(t *testing.T) {
	var a, b Histogram
	require.Zero(t, a.Quantile(0.5))
	for i := range 1000 {
		h := &a
		if i%2 == 0 {
			h = &b
		}
		h.Add(time.Duration(i+1) * time.Microsecond)
	}
	a.Merge(&b)
	require.EqualValues(t, 1000, a.Count())
	require.InEpsilon(t, 500*time.Microsecond, a.Quantile(0.5), 0.02)
	require.InEpsilon(t, 990*time.Microsecond, a.Quantile(0.99), 0.02)
	require.InEpsilon(t, 1000*time.Microsecond, a.Quantile(1), 0.02)
}

func TestReadCountsWhatWeDo(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	defer c.Close()
	s, err := l.Accept()
	require.NoError(t, err)
	defer s.Close()

	before, err := Read()
	require.NoError(t, err)
	const n = 50
	b := make([]byte, 100)
	for range n {
		_, err := c.Write(b)
		require.NoError(t, err)
		_, err = s.Read(b)
		require.NoError(t, err)
	}
	after, err := Read()
	require.NoError(t, err)
	used := after.Since(before)
	require.EqualValues(t, n, used.Segments)
	require.GreaterOrEqual(t, used.Writes, uint64(n))
	require.Positive(t, used.Mallocs)
	require.Positive(t, used.CPU)
	require.Greater(t, used.RSS, uint64(1<<20))
}
