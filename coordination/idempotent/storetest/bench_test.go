package storetest

import (
	"testing"

	"github.com/ferryrpc/ferry/coordination/idempotent"
	"github.com/ferryrpc/ferry/coordination/idempotent/idempotenttest"
)

func BenchmarkSQL(b *testing.B) {
	for _, d := range databases(b) {
		b.Run(d.name, func(b *testing.B) { idempotenttest.Bench(b, &idempotent.Executor{Store: d.store(b)}) })
	}
}

// BenchmarkRedis writes each command through to the disk before the answer, as the tests' server does.
func BenchmarkRedis(b *testing.B) {
	idempotenttest.Bench(b, &idempotent.Executor{Store: idempotent.NewRedis(redisClient(b, startRedis(b)), idempotent.RedisOptions{})})
}
