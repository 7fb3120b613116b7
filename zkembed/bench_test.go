package zkembed_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/zkembed"
)

func BenchmarkGetData(b *testing.B) {
	r := dial(b, start(b, zkembed.Options{}).Addr(), 30*time.Second)
	r.must(1, createBody("/n", strings.Repeat("x", 100), anyone, 0))
	request := body{}.text("/n").flag(false)
	b.ReportAllocs()
	for b.Loop() {
		r.must(4, request)
	}
}

func BenchmarkCreateDelete(b *testing.B) {
	r := dial(b, start(b, zkembed.Options{}).Addr(), 30*time.Second)
	create, remove := createBody("/n", strings.Repeat("x", 100), anyone, 1), body{}.text("/n").int(-1)
	b.ReportAllocs()
	for b.Loop() {
		r.must(1, create)
		r.must(2, remove)
	}
}

// BenchmarkFleet is a registry of 2,000 services with 50 providers each, and 500 consumers that watch all services. It
// reports what a node and a watch cost, and the time from the end of a provider with 100 nodes until all have heard of it.
func BenchmarkFleet(b *testing.B) {
	const services, providers, consumers = 2000, 50, 500
	s := start(b, zkembed.Options{})
	s.FreezeClock() // filling takes its time
	dir := func(i int) string { return fmt.Sprintf("/dubbo/com.example.Service%d/providers", i) }
	create := func(r *raw, path string, flags int32) {
		require.NoError(b, r.write(append(body{}.int(1).int(1), createBody(path, "10.0.0.1", anyone, flags)...)))
	}
	heap := func() float64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc)
	}
	before := heap()
	admin := dial(b, s.Addr(), time.Minute)
	pipeline(b, admin, 2*services+1, func(i int) {
		switch {
		case i == 0:
			create(admin, "/dubbo", 0)
		case i%2 == 1:
			create(admin, strings.TrimSuffix(dir(i/2), "/providers"), 0)
		default:
			create(admin, dir(i/2-1), 0)
		}
	})
	var owners []*raw
	begin := time.Now()
	for p := range services * providers / 100 {
		r := dial(b, s.Addr(), time.Minute)
		owners = append(owners, r)
		pipeline(b, r, 100, func(i int) {
			n := p*100 + i
			create(r, fmt.Sprintf("%s/dubbo%%3A%%2F%%2F10.0.%d.%d%%3A20880%%2Fcom.example.Service%d%%3Fside%%3Dprovider%s",
				dir(n%services), p/250, p%250, n%services, strings.Repeat("x", 300)), 1)
		})
	}
	creates := float64(services*providers) / time.Since(begin).Seconds()
	after := heap()
	var dirs []string
	for i := range services {
		dirs = append(dirs, dir(i))
	}
	watchers := make([]*raw, consumers)
	for i := range watchers {
		watchers[i] = dial(b, s.Addr(), time.Minute)
		watchers[i].must(101, body{}.long(s.Zxid()).texts(nil).texts(nil).texts(dirs)) // child watches
	}
	watched := heap()
	n := 0
	for b.Loop() {
		require.True(b, s.Expire(owners[n].id))
		for _, w := range watchers {
			require.Len(b, w.events(), 100)
		}
		b.StopTimer()
		for _, w := range watchers {
			w.must(101, body{}.long(s.Zxid()).texts(nil).texts(nil).texts(dirs))
		}
		n++
		b.StartTimer()
	}
	b.ReportMetric(creates, "creates/s")
	b.ReportMetric((after-before)/(services*providers), "B/node")
	b.ReportMetric((watched-after)/(services*consumers), "B/watch")
}

// pipeline sends n requests and reads their replies, a few hundred at a time.
func pipeline(b *testing.B, r *raw, n int, send func(i int)) {
	for i := 0; i < n; {
		batch := min(200, n-i)
		for range batch {
			send(i)
			i++
		}
		for range batch {
			p, err := r.next()
			require.NoError(b, err)
			require.Zero(b, p.err)
		}
	}
}
