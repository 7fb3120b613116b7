package loadbalance

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
)

// index is what least active would need to find the least busy of equal weights without looking at all: providers in rows
// by their calls in flight, which every call changes twice.
type index struct {
	mu    sync.Mutex // guards the following
	rows  [][]*indexed
	least int
}

type indexed struct {
	active, place int
}

func newIndex(n, active int) *index {
	x := &index{rows: make([][]*indexed, active+1), least: active}
	for i := range n {
		x.rows[active] = append(x.rows[active], &indexed{active, i})
	}
	return x
}

func (x *index) moveLocked(t *indexed, to int) {
	row := x.rows[t.active]
	last := row[len(row)-1]
	row[t.place], last.place = last, t.place
	x.rows[t.active] = row[:len(row)-1]
	for len(x.rows) <= to {
		x.rows = append(x.rows, nil)
	}
	t.active, t.place = to, len(x.rows[to])
	x.rows[to] = append(x.rows[to], t)
	if to < x.least {
		x.least = to
	}
	for len(x.rows[x.least]) == 0 {
		x.least++
	}
}

func (x *index) begin() *indexed {
	x.mu.Lock()
	defer x.mu.Unlock()
	row := x.rows[x.least]
	t := row[rand.IntN(len(row))]
	x.moveLocked(t, t.active+1)
	return t
}

func (x *index) end(t *indexed) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.moveLocked(t, t.active-1)
}

// BenchmarkLeastActiveIndexed measures what least active would cost with an index, from one and from many goroutines, against
// BenchmarkPick/leastactive, which looks at all providers when none is idle. The index is for one method and equal weights.
func BenchmarkLeastActiveIndexed(b *testing.B) {
	for _, n := range []int{3, 100, 10000} {
		b.Run(fmt.Sprintf("alone/%d", n), func(b *testing.B) {
			x := newIndex(n, 1)
			for b.Loop() {
				x.end(x.begin())
			}
		})
		b.Run(fmt.Sprintf("together/%d", n), func(b *testing.B) {
			x := newIndex(n, 1)
			b.SetParallelism(8)
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					x.end(x.begin())
				}
			})
		})
	}
}
