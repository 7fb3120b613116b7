package measure

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// A value below 2^(fine+1) ns has a bucket of its own; above, each power of two is cut into 2^fine buckets, so that a
// bucket is less than 1.6 % wide. Values over about 18 minutes count as the largest.
const (
	fine    = 6
	powers  = 40
	buckets = (powers-fine)<<fine + 1<<fine
)

// Histogram counts durations. Its zero value is empty; many goroutines may add to it at once.
type Histogram struct {
	counts [buckets]atomic.Uint32
}

// Add counts d.
func (h *Histogram) Add(d time.Duration) { h.counts[bucket(d)].Add(1) }

// Merge adds what other counts. Nobody may add to other meanwhile.
func (h *Histogram) Merge(other *Histogram) {
	for i := range other.counts {
		if n := other.counts[i].Load(); n > 0 {
			h.counts[i].Add(n)
		}
	}
}

// Count is how many durations were added.
func (h *Histogram) Count() int64 {
	var n int64
	for i := range h.counts {
		n += int64(h.counts[i].Load())
	}
	return n
}

// Quantile returns the duration that a share q of all durations, 0 < q <= 1, does not exceed (the upper end of its
// bucket), and 0 if there are none.
func (h *Histogram) Quantile(q float64) time.Duration {
	total := h.Count()
	if total == 0 {
		return 0
	}
	want := min(max(int64(q*float64(total)+0.5), 1), total)
	var seen int64
	for i := range h.counts {
		if seen += int64(h.counts[i].Load()); seen >= want {
			return upper(i)
		}
	}
	return upper(buckets - 1)
}

func bucket(d time.Duration) int {
	v := uint64(max(d, 0))
	if v < 2<<fine {
		return int(v)
	}
	shift := bits.Len64(v) - fine - 1
	return min(shift<<fine+int(v>>shift), buckets-1)
}

// upper is the largest duration in bucket i.
func upper(i int) time.Duration {
	if i < 2<<fine {
		return time.Duration(i)
	}
	shift := i>>fine - 1
	return time.Duration((uint64(i-shift<<fine)+1)<<shift - 1)
}
