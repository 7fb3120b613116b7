package monitor

import (
	"math/bits"
	"time"
)

// Times are sorted into buckets whose width is an eighth of the power of two below them:
//
//	ns:  0 … 63 | 64 72 80 88 … 120 | 128 144 … 240 | 256 … | … 2^37 and more
//
// so that a quantile is off by at most 1/16 from the middle of its bucket, up to two minutes, in 2 KiB.
const (
	firstBits   = 6  // below 2^6 ns there is one bucket
	lastBits    = 37 // from 2^37 ns (137 s) there is one bucket
	parts       = 8
	bucketCount = 1 + (lastBits-firstBits)*parts + 1
)

func bucketOf(d time.Duration) int {
	if d < 1<<firstBits {
		return 0
	}
	n := uint64(d)
	power := bits.Len64(n) - 1
	if power >= lastBits {
		return bucketCount - 1
	}
	return 1 + (power-firstBits)*parts + int(n>>(power-3)&(parts-1))
}

// bounds returns the smallest time in a bucket and the smallest behind it.
func bounds(i int) (from, to time.Duration) {
	switch {
	case i == 0:
		return 0, 1 << firstBits
	case i == bucketCount-1:
		return 1 << lastBits, 1 << (lastBits + 1)
	}
	i--
	power, part := firstBits+i/parts, i%parts
	width := time.Duration(1) << (power - 3)
	from = time.Duration(1)<<power + time.Duration(part)*width
	return from, from + width
}

// A Histogram is how many calls took how long.
type Histogram struct{ counts [bucketCount]int64 }

// Count returns the number of calls.
func (h *Histogram) Count() (n int64) {
	for _, c := range h.counts {
		n += c
	}
	return n
}

// Quantile returns the time within which the share q of the calls ended, for instance 0.99; 0 when there were none. It is
// the middle of the bucket in which that call is.
func (h *Histogram) Quantile(q float64) time.Duration {
	total := h.Count()
	if total == 0 {
		return 0
	}
	rank := min(max(int64(q*float64(total)+0.999999), 1), total)
	for i, c := range h.counts {
		if rank -= c; rank <= 0 {
			from, to := bounds(i)
			return (from + to) / 2
		}
	}
	return 0
}

// below returns the number of calls that took less than 2^power ns, from firstBits to lastBits.
func (h *Histogram) below(power int) (n int64) {
	for _, c := range h.counts[:1+(power-firstBits)*parts] {
		n += c
	}
	return n
}
