package idempotent_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/coordination/idempotent"
	"github.com/ferryrpc/ferry/coordination/lock"
	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/internal/zktest"
	"github.com/ferryrpc/ferry/protocol"
)

// By parameters alone: records in ZooKeeper, and under the ZooKeeper lock of the key. Both providers keep one record.
func TestZooKeeperAndLockByParameters(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		for _, store := range []string{"zookeeper", "lock"} {
			t.Run(store, func(t *testing.T) {
				b := &bank{name: "both"}
				for range 2 {
					serve(t, b, nil, param{"idempotent", store}, param{"idempotent.zookeeper", "zookeeper://" + z.Addr() + "?session=30000"})
				}
				c := refer(t, param{"loadbalance", "roundrobin"}).sees(t, 2)
				key := idempotent.NewOwner()
				var wg sync.WaitGroup
				var executed atomic.Int32
				for range 6 {
					wg.Go(func() {
						ctx, outcome := keyed(t.Context(), key)
						got, err := c.Pay(ctx, "o1", 5)
						if err != nil || got != "both paid o1, run 1" {
							t.Errorf("%q, %v", got, err)
						}
						if *outcome == "executed" {
							executed.Add(1)
						}
					})
				}
				wg.Wait()
				require.Equal(t, 1, b.count("o1"))
				require.Equal(t, int32(1), executed.Load())
				for _, u := range c.in.Directory().Providers() {
					require.Equal(t, store, u.URL.Param("idempotent"), "it is published")
					require.Empty(t, u.URL.Param("idempotent.zookeeper"), "where is nobody else's business")
				}
			})
		}
	})
}

// The fence of the key's lock tells a dead executor at once: its record says a minute, the lock is free.
func TestLockTakesOverWithoutWaitingForTheLease(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		locks, err := lock.Open(extension.Env{}, "zookeeper://"+z.Addr()+"/fenced?session=30000")
		require.NoError(t, err)
		defer locks.Close()
		store := idempotent.NewMemory(0)
		take := idempotent.LockKeys(locks)
		k := idempotent.Key{Service: "s", Method: "m", Text: idempotent.NewOwner()}
		dead := idempotent.Request{Key: k, Owner: idempotent.NewOwner(), Lease: time.Minute, TTL: time.Minute}
		lease, err := take(t.Context(), k)
		require.NoError(t, err)
		dead.Fence = lease.Fence()
		b, err := store.Begin(t.Context(), dead)
		require.NoError(t, err)
		require.Equal(t, idempotent.Started, b.State)
		require.NoError(t, lease.Unlock(t.Context())) // the process died: its node is gone, its record stays
		x := &idempotent.Executor{Store: store, Policy: idempotent.ReExecutable, Lock: take}
		a, err := x.Do(t.Context(), idempotent.Call{Key: k, Run: func(context.Context) idempotent.Ran { return idempotent.Ran{Result: []byte("again")} }})
		require.NoError(t, err)
		require.Equal(t, 2, a.Attempt)
		require.ErrorIs(t, store.Finish(t.Context(), dead.Ticket(), idempotent.Final{State: idempotent.Done}), idempotent.ErrFenced)
	})
}

// The record of a dead executor is not for one that comes later with a smaller fence: it was overtaken, and runs nothing.
func TestTheRecordOfALaterExecutor(t *testing.T) {
	store, k := idempotent.NewMemory(0), idempotent.Key{Text: "k"}
	fence := func(token int64) lock.Fence { return lock.Fence{Incarnation: lock.Incarnation{1}, Token: token} }
	b, err := store.Begin(t.Context(), idempotent.Request{Key: k, Owner: "dead", Fence: fence(11), Lease: time.Nanosecond, TTL: time.Hour})
	require.NoError(t, err)
	require.Equal(t, idempotent.Started, b.State)
	x := &idempotent.Executor{Store: store, Policy: idempotent.ReExecutable}
	do := func(token int64) (ran int, err error) {
		_, err = x.Do(t.Context(), idempotent.Call{Key: k, Fence: fence(token), Run: func(context.Context) idempotent.Ran { ran++; return idempotent.Ran{} }})
		return ran, err
	}
	ran, err := do(10)
	require.ErrorIs(t, err, idempotent.ErrFenced)
	require.NotErrorIs(t, err, idempotent.ErrOutcomeUnknown)
	require.Zero(t, ran)
	ran, err = do(11)
	require.NoError(t, err)
	require.Equal(t, 1, ran)
}

// A lock that is lost under a call ends its context, and the answer is not given.
func TestLostLockIsUnknown(t *testing.T) {
	zktest.Both(t, zktest.Options{}, func(t *testing.T, z zktest.Target) {
		locks, err := lock.Open(extension.Env{}, "zookeeper://"+z.Addr()+"?session=1000")
		require.NoError(t, err)
		defer locks.Close()
		x := &idempotent.Executor{Store: idempotent.NewMemory(0), Lock: idempotent.LockKeys(locks)}
		k := idempotent.Key{Service: "s", Method: "m", Text: "k"}
		_, err = x.Do(t.Context(), idempotent.Call{Key: k, Run: func(ctx context.Context) idempotent.Ran {
			z.Stop(t)
			<-ctx.Done()
			return idempotent.Ran{Result: []byte("too late")}
		}})
		require.ErrorIs(t, err, idempotent.ErrOutcomeUnknown)
		z.Start(t, true)
	})
}

// An ensemble that is away: nothing runs.
func TestLockServersAway(t *testing.T) {
	locks, err := lock.Open(extension.Env{}, "zookeeper://127.0.0.1:1?session=1000")
	require.NoError(t, err)
	defer locks.Close()
	x := &idempotent.Executor{Store: idempotent.NewMemory(0), Lock: idempotent.LockKeys(locks)}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err = x.Do(ctx, idempotent.Call{Key: idempotent.Key{Text: "k"}, Run: func(context.Context) idempotent.Ran {
		t.Error("it ran")
		return idempotent.Ran{}
	}})
	require.Error(t, err)
	require.False(t, errors.Is(err, idempotent.ErrOutcomeUnknown))
}

// Mistakes in parameters are errors of Export, not of calls.
func TestBadParameters(t *testing.T) {
	for text, params := range map[string][]param{
		`no idempotent store is called "sql"`:     {{"idempotent", "sql"}},
		`Extensions.Idempotent.Use("redis"`:       {{"idempotent", "redis"}},
		"no ensemble":                             {{"idempotent", "zookeeper"}},
		"set idempotent.zookeeper":                {{"idempotent", "lock"}},
		"want atmostonce, reexecutable":           {memory, {"idempotent.policy", "often"}},
		"needs a store of SQL records":            {memory, {"idempotent.policy", "transactional"}},
		"want the number of an argument":          {memory, {"idempotent.key", "order"}},
		"a field has no name":                     {memory, {"pay.idempotent.key", "0..id"}},
		"idempotent.lease=1ms":                    {memory, {"idempotent.lease", "1"}},
		"idempotent.ttl=-1ms":                     {memory, {"idempotent.ttl", "-1"}},
		"idempotent.result=0":                     {memory, {"idempotent.result", "0"}},
		"idempotent.records=lock":                 {{"idempotent", "lock"}, {"idempotent.records", "lock"}},
		"longer records belong into SQL or Redis": {{"idempotent", "zookeeper"}, {"idempotent.zookeeper", "zookeeper://127.0.0.1:1"}, {"idempotent.ttl", "1h"}},
		`idempotent.zookeeper: scheme "redis"`:    {{"idempotent", "lock"}, {"idempotent.zookeeper", "redis://127.0.0.1:1"}},
		`did you mean "idempotent.policy"`:        {memory, {"idempotent.polcy", "atmostonce"}},
	} {
		s := ferry.NewServer(registry(t))
		err := s.ExportValue(service, &bank{}, options(params)...)
		require.ErrorContains(t, err, text)
		require.NotContains(t, err.Error(), "\n")
		require.NoError(t, s.Close(t.Context()))
	}
	serve(t, &bank{}, nil, memory)
	c := ferry.NewClient(registry(t))
	defer c.Close()
	_, err := c.Refer(&protocol.Interface{Name: service, Methods: nil}, ferry.Param("idempotent.key", "x"))
	require.ErrorContains(t, err, "want the number of an argument")
}
