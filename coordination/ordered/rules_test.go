package ordered_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/coordination/lock"
	"github.com/ferryrpc/ferry/coordination/ordered"
	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/internal/zk"
	"github.com/ferryrpc/ferry/internal/zktest"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/url"
	"github.com/ferryrpc/ferry/zkembed"
)

// TestALockForEachCall is ordered=lock, from consumers to handlers: one call of a key runs at a time, at whatever provider, under fences that grow.
func TestALockForEachCall(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		s := &sessions{address: z.Addr(), session: 10 * time.Second}
		j := newJournal()
		j.hold = func(string) { time.Sleep(time.Millisecond) } // so that calls which are not kept apart meet
		var ran [2]atomic.Int64
		for i := range ran {
			serveWith(t, ferry.Builtin(), s.url(), counted{desk{j}, &ran[i]}, ferry.Param("append.ordered", "lock"))
		}
		w := newWorkload(t, 2)
		for range 2 {
			w.run(consume(t, s.url(), ferry.Timeout(patience)), 3, 10)
		}
		w.wg.Wait()
		require.Equal(t, 60, w.finish(), "%v", w.failed)
		require.Equal(t, 60, j.total())
		require.Zero(t, j.overlaps)
		require.Positive(t, ran[0].Load())
		require.Positive(t, ran[1].Load())
		for key, list := range j.events {
			for i, e := range list {
				require.Positive(t, e.epoch)
				require.True(t, i == 0 || list[i-1].epoch < e.epoch, "%s[%d]: fences %d, %d", key, i, list[max(i-1, 0)].epoch, e.epoch)
			}
		}
	})
}

// TestALockByTheCallersKey: without ordered.key it is the context that has the key, for ordered=lock as for ordered=true.
func TestALockByTheCallersKey(t *testing.T) {
	z := embedded(t)
	s := &sessions{address: z.Addr(), session: 10 * time.Second}
	for _, how := range []string{"lock", "true"} {
		group := ferry.Group(how)
		server := &ferry.Server{Registry: s.url(), Extensions: ferry.Builtin(), Options: []ferry.Option{ferry.Host("127.0.0.1"), group, ferry.Param("append.ordered", how)}}
		t.Cleanup(func() { require.NoError(t, server.Close(ended())) })
		require.NoError(t, server.ExportValue(service, desk{newJournal()}))
		c := consume(t, s.url(), group)
		_, err := c.Append(t.Context(), "k", "without")
		require.ErrorContains(t, err, ordered.ErrKey.Error(), how)
		at, err := c.Append(ordered.WithKey(t.Context(), "key"), "k", "with")
		require.NoError(t, err, how)
		require.EqualValues(t, 1, at, how)
	}
}

// A counted desk counts what it runs.
type counted struct {
	desk
	n *atomic.Int64
}

// Append counts.
func (d counted) Append(ctx context.Context, key, caller string) (int64, error) {
	d.n.Add(1)
	return d.desk.Append(ctx, key, caller)
}

// pairsKey is the key of attachments that only the framework may set.
type pairsKey struct{}

// numbered returns a consumer whose calls have the attachments of their context, and what the last answer's were: a peer of another making.
func numbered(t *testing.T, registry string) (*consumer, *protocol.Attachments) {
	x := ferry.Builtin()
	last := new(protocol.Attachments)
	require.NoError(t, x.ReferenceFilters.Add("answers", nil, func(extension.Env, *url.URL) (protocol.Filter, error) {
		return func(next protocol.Invoker) protocol.Invoker {
			return protocol.InvokerFunc(func(ctx context.Context, c *protocol.Invocation) error {
				pairs, _ := ctx.Value(pairsKey{}).(protocol.Attachments)
				c.Attachments = append(c.Attachments, pairs...)
				err := next.Invoke(ctx, c)
				*last = append((*last)[:0], c.ReplyAttachments...)
				return err
			})
		}, nil
	}))
	return consumeWith(t, x, registry, ferry.Param("reference.filter", "answers"), ferry.Param("append.ordered", "false"), ferry.Param("retries", "0")), last
}

// TestAGapIsRefused: a call whose predecessor does not come is refused when its time is over, has not run, and runs once the other one has.
func TestAGapIsRefused(t *testing.T) {
	z := embedded(t)
	s := &sessions{address: z.Addr(), session: 10 * time.Second}
	j := newJournal()
	serve(t, s.url(), j, ferry.Param("ordered.gap", "50"))
	c, answer := numbered(t, s.url())
	epoch := ""
	call := func(seq string) (int64, error) {
		pairs := protocol.Attachments{"order-call", epoch + " peer " + seq + " 1 k"}
		return c.Append(context.WithValue(t.Context(), pairsKey{}, pairs), "k", seq)
	}
	require.Eventually(t, func() bool { // who does not know the epoch is told
		_, err := call("1")
		epoch = strings.Clone(answer.Value("order-epoch"))
		return err != nil && answer.Value("order-error") == "NOT_OWNER" && epoch != ""
	}, patience, time.Millisecond)
	require.Zero(t, j.total())
	_, err := call("2")
	require.ErrorContains(t, err, "waited 50ms for call 1")
	require.Equal(t, "ORDER_GAP", answer.Value("order-error"))
	_, err = call("70")
	require.ErrorContains(t, err, "ahead")
	require.Equal(t, "ORDER_GAP", answer.Value("order-error"), "at once: no consumer is so far ahead")
	require.Zero(t, j.total())
	for n, seq := range []string{"1", "2"} {
		at, err := call(seq)
		require.NoError(t, err)
		require.EqualValues(t, n+1, at)
	}
	at, err := call("2") // a repeat has the first answer
	require.NoError(t, err)
	require.EqualValues(t, 2, at)
	require.Equal(t, 2, j.total())
}

// TestCallsWithoutNumbers are those of a consumer that knows nothing of order, such as one in Java: one of a key runs at a time, at
// the owner. Elsewhere they are refused as not run, after which the consumer's cluster asks another provider.
func TestCallsWithoutNumbers(t *testing.T) {
	z := embedded(t)
	s := &sessions{address: z.Addr(), session: 10 * time.Second}
	j := newJournal()
	j.hold = func(string) { time.Sleep(time.Millisecond) }
	var ran [2]atomic.Int64
	for i := range ran {
		serveWith(t, ferry.Builtin(), s.url(), counted{desk{j}, &ran[i]}, ferry.Param("ordered.move", "5000"))
	}
	for i := range 2 { // until both own some
		c := consume(t, s.url())
		require.Eventually(t, func() bool {
			for n := range 20 {
				_, err := c.Append(t.Context(), fmt.Sprint("key", n), "x")
				require.NoError(t, err)
			}
			return ran[i].Load() > 0
		}, patience, time.Millisecond)
	}
	before := j.total()
	c := consume(t, s.url(), ferry.Param("append.ordered", "false"), ferry.Param("retries", "3"), ferry.Timeout(patience))
	var wg sync.WaitGroup
	for g := range 6 {
		wg.Go(func() {
			for n := range 20 {
				if _, err := c.Append(t.Context(), fmt.Sprint("key", n), fmt.Sprint(g, "/", n)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	require.Equal(t, 6*20, j.total()-before)
	require.Zero(t, j.overlaps)
}

// TestIdleKeysAreForgotten: what a key did is dropped when nobody uses it, in the owner's memory and in the store.
func TestIdleKeysAreForgotten(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		s := &sessions{address: z.Addr(), session: 10 * time.Second}
		j := newJournal()
		group := fmt.Sprint("idle-", time.Now().UnixNano()) // the server is shared
		serve(t, s.url(), j, ferry.Group(group), ferry.Param("ordered.replay", "2000"), ferry.Param("ordered.store", "zookeeper"))
		c := consume(t, s.url(), ferry.Group(group))
		for n := range 10 {
			_, err := c.Append(t.Context(), fmt.Sprint("key", n), "x")
			require.NoError(t, err)
		}
		kept := keptStates(t, z.Addr(), group)
		require.Positive(t, kept())
		require.Eventually(t, func() bool { return kept() == 0 }, patience, 20*time.Millisecond)
		_, err := c.Append(t.Context(), "key1", "y")
		require.NoError(t, err)
	})
}

// TestNoRequestPerCall: ZooKeeper is asked when owners change, not when calls are made.
func TestNoRequestPerCall(t *testing.T) {
	z := embedded(t)
	s := &sessions{address: z.Addr(), session: 10 * time.Second}
	serve(t, s.url(), newJournal())
	c := consume(t, s.url())
	const keys, calls = 50, 2000
	call := func(n int) {
		for i := range n {
			_, err := c.Append(t.Context(), fmt.Sprint("key", i%keys), "x")
			require.NoError(t, err)
		}
	}
	call(keys)
	var asked atomic.Int64
	z.Intercept(func(r zkembed.Request) zkembed.Fault {
		if r.Op != zkembed.OpPing && r.Op != zkembed.OpSync { // what keeps a session alive is of the clock
			asked.Add(1)
		}
		return zkembed.Fault{}
	})
	call(calls)
	z.Intercept(nil)
	require.Less(t, asked.Load(), int64(calls/20))
}

// TestTheStoreInZooKeeperSealsOff: after a later epoch was sealed, an earlier owner writes nothing.
func TestTheStoreInZooKeeperSealsOff(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		c, err := zk.Open(zk.Config{Addresses: []string{z.Addr()}, SessionTimeout: 10 * time.Second})
		require.NoError(t, err)
		defer func() { require.NoError(t, c.Close()) }()
		store := ordered.NewZKStore(c, fmt.Sprint("/sealed/", time.Now().UnixNano())) // the server is shared
		b, f := ordered.Bucket{Service: service, Number: 7}, func(token int64) lock.Fence { return lock.Fence{Incarnation: lock.Incarnation{1}, Token: token} }
		old, err := store.Seal(t.Context(), b, f(10))
		require.NoError(t, err)
		require.NoError(t, old.Save(t.Context(), "k", []byte("old")))
		next, err := store.Seal(t.Context(), b, f(11))
		require.NoError(t, err)
		state, err := next.Load(t.Context(), "k")
		require.NoError(t, err)
		require.Equal(t, "old", string(state))
		require.NoError(t, next.Save(t.Context(), "k", []byte("new")))
		require.ErrorIs(t, old.Save(t.Context(), "k", []byte("late")), ordered.ErrSealed)
		require.ErrorIs(t, old.Save(t.Context(), "other", []byte("late")), ordered.ErrSealed)
		require.ErrorIs(t, old.Drop(t.Context(), "k"), ordered.ErrSealed)
		_, err = store.Seal(t.Context(), b, f(10))
		require.ErrorIs(t, err, ordered.ErrSealed)
		state, err = next.Load(t.Context(), "k")
		require.NoError(t, err)
		require.Equal(t, "new", string(state))
	})
}

// TestAFirstStateIsSealedOffToo: an owner is overtaken between the look for a key's node and its making.
func TestAFirstStateIsSealedOffToo(t *testing.T) {
	z := embedded(t)
	c, err := zk.Open(zk.Config{Addresses: []string{z.Addr()}, SessionTimeout: 10 * time.Second})
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close()) }()
	other, err := zk.Open(zk.Config{Addresses: []string{z.Addr()}, SessionTimeout: 10 * time.Second})
	require.NoError(t, err)
	defer func() { require.NoError(t, other.Close()) }()
	b, f := ordered.Bucket{Service: service, Number: 7}, func(token int64) lock.Fence { return lock.Fence{Incarnation: lock.Incarnation{1}, Token: token} }
	old, err := ordered.NewZKStore(c, "/first").Seal(t.Context(), b, f(10))
	require.NoError(t, err)
	var writes atomic.Int64
	z.Intercept(func(r zkembed.Request) zkembed.Fault {
		if r.Op == zkembed.OpMulti && writes.Add(1) == 2 {
			_, err := ordered.NewZKStore(other, "/first").Seal(context.Background(), b, f(11))
			if err != nil {
				t.Error(err)
			}
		}
		return zkembed.Fault{}
	})
	require.ErrorIs(t, old.Save(t.Context(), "k", []byte("late")), ordered.ErrSealed)
	z.Intercept(nil)
	state, err := old.Load(t.Context(), "k")
	require.NoError(t, err)
	require.Nil(t, state)
}
