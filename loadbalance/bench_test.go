package loadbalance

import (
	"fmt"
	"testing"
)

// BenchmarkPick measures a pick among equal (e), unequally weighted (w) and busy (b) providers.
func BenchmarkPick(b *testing.B) {
	for _, name := range []string{"random", "roundrobin", "leastactive", "shortestresponse", "p2c", "consistenthash"} {
		balancer := all(b)[name]
		for _, n := range []int{3, 100, 1000, 10000} {
			for _, kind := range []string{"e", "w", "b"} {
				targets := list(n)
				if kind != "e" {
					targets = list(n, 100, 37, 200, 1, 99)
				}
				if kind == "b" {
					for _, t := range targets {
						t.Load.Active.Store(1)
					}
				}
				b.Run(fmt.Sprintf("%s/%d%s", name, n, kind), func(b *testing.B) {
					p := balancer.Prepare(sayHello, targets)
					key := "user-42"
					c := invocation(&key)
					b.ReportAllocs()
					for b.Loop() {
						p.Pick(c, nil)
					}
				})
			}
		}
	}
}

// BenchmarkPrepare measures what a change of the list costs.
func BenchmarkPrepare(b *testing.B) {
	for _, name := range []string{"random", "roundrobin", "consistenthash"} {
		for _, n := range []int{100, 10000} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				targets := list(n, 100, 37, 200)
				for b.Loop() {
					all(b)[name].Prepare(sayHello, targets)
				}
			})
		}
	}
}
