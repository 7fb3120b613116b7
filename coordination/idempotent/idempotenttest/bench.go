package idempotenttest

import (
	"context"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ferryrpc/ferry/coordination/idempotent"
)

// Bench measures recorded calls: "fresh" have keys of their own each, "replayed" all have one that was there. One caller
// shows what a call costs, 32 what the store takes.
func Bench(b *testing.B, x *idempotent.Executor) {
	run := func(context.Context) idempotent.Ran { return idempotent.Ran{Result: make([]byte, 100)} }
	var n atomic.Int64
	base := strconv.FormatInt(time.Now().UnixNano(), 36) + "/"
	do := func(b *testing.B, text string) {
		if _, err := x.Do(context.Background(), idempotent.Call{Key: idempotent.Key{Service: "bench", Text: text}, Run: run}); err != nil {
			b.Error(err)
		}
	}
	fresh := func(b *testing.B) { do(b, base+strconv.FormatInt(n.Add(1), 10)) }
	perSecond := func(b *testing.B) { b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s") }
	b.Run("fresh/1", func(b *testing.B) {
		for b.Loop() {
			fresh(b)
		}
		perSecond(b)
	})
	b.Run("fresh/32", func(b *testing.B) {
		b.SetParallelism(16)
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				fresh(b)
			}
		})
		perSecond(b)
	})
	do(b, base+"one")
	b.Run("replayed/1", func(b *testing.B) {
		for b.Loop() {
			do(b, base+"one")
		}
		perSecond(b)
	})
}
