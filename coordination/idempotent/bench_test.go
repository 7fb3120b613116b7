package idempotent_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/coordination/idempotent"
	"github.com/ferryrpc/ferry/coordination/idempotent/idempotenttest"
	"github.com/ferryrpc/ferry/coordination/lock"
	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/internal/zktest"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/proxy"
	"github.com/ferryrpc/ferry/zkembed"
)

func BenchmarkMemory(b *testing.B) {
	idempotenttest.Bench(b, &idempotent.Executor{Store: idempotent.NewMemory(0)})
}

// ensembles are an embedded server and a real one that writes through to the disk.
func ensembles(b *testing.B, run func(b *testing.B, addr string)) {
	b.Run("embedded", func(b *testing.B) {
		z, err := zkembed.Start(zkembed.Options{})
		require.NoError(b, err)
		defer z.Close()
		run(b, z.Addr())
	})
	b.Run("real", func(b *testing.B) { run(b, zktest.Start(b, zktest.Options{Sync: true}).Addr()) })
}

func openUnlimited(b *testing.B, addr string) *idempotent.ZooKeeper {
	s, err := idempotent.OpenZooKeeper(extension.Env{}, "zookeeper://"+addr+"?session=30000")
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, s.Close()) })
	s.Unlimited() // what the servers take; the store takes 500 a second
	return s
}

func BenchmarkZooKeeper(b *testing.B) {
	ensembles(b, func(b *testing.B, addr string) {
		idempotenttest.Bench(b, &idempotent.Executor{Store: openUnlimited(b, addr)})
	})
}

// BenchmarkLock takes the lock of the key around each call; records are in memory, or in ZooKeeper too.
func BenchmarkLock(b *testing.B) {
	ensembles(b, func(b *testing.B, addr string) {
		locks, err := lock.Open(extension.Env{}, "zookeeper://"+addr+"?session=30000")
		require.NoError(b, err)
		defer locks.Close()
		idempotenttest.Bench(b, &idempotent.Executor{Store: openUnlimited(b, addr), Lock: idempotent.LockKeys(locks)})
	})
}

// BenchmarkCall is a whole call through TCP on loopback, unrecorded and recorded in memory.
func BenchmarkCall(b *testing.B) {
	for _, store := range []string{"false", "memory"} {
		b.Run(store, func(b *testing.B) {
			s := ferry.NewServer("memory://bench-"+store, ferry.Host("127.0.0.1"), ferry.Param("idempotent", store))
			require.NoError(b, s.ExportValue(service, &bank{name: "ann"}))
			defer s.Close(b.Context())
			c := ferry.NewClient("memory://bench-" + store)
			defer c.Close()
			ref, err := c.Refer(&protocol.Interface{Name: service})
			require.NoError(b, err)
			var in customer
			require.NoError(b, proxy.Fill(ref, service, &in))
			b.ReportAllocs()
			for b.Loop() {
				if err := in.Notify(b.Context(), "o1"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
