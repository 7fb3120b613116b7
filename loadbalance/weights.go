package loadbalance

import (
	"math"
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/ferryrpc/ferry/protocol"
)

const (
	refresh = time.Second // how often weights are computed again while a target warms up
	never   = math.MaxInt64
)

// weights keeps the effective weights of a list prepared for drawing. While a target warms up they are computed again
// once a second by the call that notices; otherwise they stay, and no clock is read.
type weights struct {
	method  *protocol.Method
	targets []*Target
	epoch   time.Time
	table   atomic.Pointer[table]
}

// A table is the weights at one time.
type table struct {
	until int64   // ns since epoch
	each  []int64 // nil when all are equal, or the sum is 0: then every target has the same chance
	sums  []int64 // sums[i] is each[0]+…+each[i]
	live  []int32 // positions with a weight over 0, all when none has
}

func newWeights(m *protocol.Method, targets []*Target) *weights {
	w := &weights{method: m, targets: targets, epoch: time.Now()}
	w.table.Store(w.compute(0))
	return w
}

func (w *weights) compute(at int64) *table {
	now := w.epoch.Add(time.Duration(at))
	t := &table{until: never}
	each := make([]int64, len(w.targets))
	equal, sum := true, int64(0)
	for i, target := range w.targets {
		each[i] = int64(target.MethodWeight(w.method, now))
		sum += each[i]
		equal = equal && each[i] == each[0]
		if target.Warming(now) {
			t.until = at + int64(refresh)
		}
	}
	t.live = make([]int32, 0, len(each))
	for i, v := range each {
		if v > 0 || sum == 0 {
			t.live = append(t.live, int32(i))
		}
	}
	if equal || sum == 0 {
		return t
	}
	t.each, t.sums = each, make([]int64, len(each))
	sum = 0
	for i, v := range each {
		sum += v
		t.sums[i] = sum
	}
	return t
}

// now returns the table in force.
func (w *weights) now() *table {
	t := w.table.Load()
	if t.until == never {
		return t
	}
	at := int64(time.Since(w.epoch))
	if at < t.until {
		return t
	}
	next := w.compute(at)
	if w.table.CompareAndSwap(t, next) {
		return next
	}
	return w.table.Load()
}

// weight of the target at i; 1 when all have the same chance.
func (t *table) weight(i int) int64 {
	if t.each == nil {
		return 1
	}
	return t.each[i]
}

// draw returns a position with a chance in proportion to its weight. n is the length of the list and draws comes from
// the balancer, so that tests can fix it.
func (t *table) draw(n int, random func(int64) int64) int {
	if t.sums == nil {
		return int(random(int64(n)))
	}
	r := random(t.sums[n-1])
	low, high := 0, n-1
	for low < high { // the first prefix sum over r
		if mid := int(uint(low+high) >> 1); t.sums[mid] > r {
			high = mid
		} else {
			low = mid + 1
		}
	}
	return low
}

// drawUntried draws among the targets that are not in tried; -1 when there are none.
func (w *weights) drawUntried(t *table, tried Tried, random func(int64) int64) int {
	for range 4 { // a few tries hit nearly always, and leave the chances of the others as they are
		if i := t.draw(len(w.targets), random); !tried.Has(w.targets[i]) {
			return i
		}
	}
	best := newChoice(random)
	for i, target := range w.targets {
		if !tried.Has(target) {
			best.add(i, t.weight(i))
		}
	}
	return best.at
}

// A choice picks one of a stream of positions with a chance in proportion to weight, in one pass and without memory.
// Positions with weight 0 have a chance only when there is no other.
type choice struct {
	at    int // -1: none so far
	sum   uint64
	zeros uint64
	state uint64
}

// newChoice draws one random number, from which those for the single positions are made: there may be thousands.
func newChoice(random func(int64) int64) choice {
	return choice{at: -1, state: uint64(random(math.MaxInt64))}
}

// next returns a number in [0, n), by the splitmix64 sequence.
func (c *choice) next(n uint64) uint64 {
	c.state += 0x9e3779b97f4a7c15
	z := c.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	high, _ := bits.Mul64(z^z>>31, n)
	return high
}

func (c *choice) add(i int, weight int64) {
	if weight <= 0 {
		c.zeros++
		if c.sum == 0 && (c.at < 0 || c.next(c.zeros) == 0) {
			c.at = i
		}
		return
	}
	w := uint64(weight)
	c.sum += w
	if c.sum == w || c.next(c.sum) < w {
		c.at = i
	}
}

func (c *choice) reset() { c.at, c.sum, c.zeros = -1, 0, 0 }
