package ordered_test

import (
	"context"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/coordination/lock"
	"github.com/ferryrpc/ferry/coordination/ordered"
	"github.com/ferryrpc/ferry/internal/zk"
	"github.com/ferryrpc/ferry/internal/zktest"
)

// keptStates returns what counts the keys of a group's service whose state is in ZooKeeper.
func keptStates(t *testing.T, address, group string) func() int {
	tree, err := zk.Open(zk.Config{Addresses: []string{address}, SessionTimeout: 10 * time.Second})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, tree.Close()) })
	root := "/ferry/ordered/" + url.PathEscape(group+"/"+service) + "/state"
	return func() (n int) {
		buckets, err := tree.Children(t.Context(), root, nil)
		require.NoError(t, err)
		for _, b := range buckets {
			keys, err := tree.Children(t.Context(), root+"/"+b, nil)
			require.NoError(t, err)
			n += len(keys)
		}
		return n
	}
}

// TestIdleKeysLeaveAStoreThatCannotSweep: an owner drops what it used itself.
func TestIdleKeysLeaveAStoreThatCannotSweep(t *testing.T) {
	t.Parallel()
	z := embedded(t)
	s := &sessions{address: z.Addr(), session: 10 * time.Second}
	held, x := newShelf(), ferry.Builtin()
	require.NoError(t, x.Ordered.Use("shelf", held))
	serveWith(t, x, s.url(), desk{newJournal()}, ferry.Param("ordered.replay", "1000"), ferry.Param("ordered.store", "shelf"))
	c := consume(t, s.url(), ferry.Timeout(patience))
	_, err := c.Append(t.Context(), "k", "x")
	require.NoError(t, err)
	require.NotNil(t, held.state("k"))
	require.Eventually(t, func() bool { return held.state("k") == nil }, patience, 5*time.Millisecond)
}

// TestKeysOfAnEarlierOwnerAreForgotten: what nobody uses after a change of the owner is dropped by the next one, who has never loaded it.
// What is used stays.
func TestKeysOfAnEarlierOwnerAreForgotten(t *testing.T) {
	t.Parallel()
	z := embedded(t)
	s := &sessions{address: z.Addr(), session: 10 * time.Second}
	j := newJournal()
	const group, keys = "left", 10
	options := []ferry.Option{ferry.Group(group), ferry.Param("ordered.replay", "1000"), ferry.Param("ordered.store", "zookeeper")}
	first := serve(t, s.url(), j, options...)
	c := consume(t, s.url(), ferry.Group(group), ferry.Timeout(patience))
	call := func(n int) {
		_, err := c.Append(t.Context(), fmt.Sprint("key", n), "x")
		require.NoError(t, err)
	}
	for n := range keys {
		call(n)
	}
	kept := keptStates(t, z.Addr(), group)
	require.Equal(t, keys, kept())
	serve(t, s.url(), j, options...)
	require.NoError(t, first.Close(context.Background()))
	require.Eventually(t, func() bool { call(0); return kept() == 1 }, patience, 20*time.Millisecond)
	call(0)
	require.Equal(t, 2, j.owners())
	j.requireOrder(t, false, 0)
}

// TestASweepLeavesWhatIsUsed: states of keys in use stay, those written meanwhile too, and an earlier owner sweeps nothing.
func TestASweepLeavesWhatIsUsed(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		c, err := zk.Open(zk.Config{Addresses: []string{z.Addr()}, SessionTimeout: 10 * time.Second})
		require.NoError(t, err)
		defer func() { require.NoError(t, c.Close()) }()
		store := ordered.NewZKStore(c, fmt.Sprint("/swept/", time.Now().UnixNano())) // the server is shared
		b := ordered.Bucket{Service: service, Number: 7}
		seal := func(token int64) ordered.Sweeper {
			l, err := store.Seal(t.Context(), b, lock.Fence{Incarnation: lock.Incarnation{1}, Token: token})
			require.NoError(t, err)
			return l.(ordered.Sweeper)
		}
		old := seal(10)
		for _, key := range []string{"idle", "used", "written", "foreign"} {
			state := ordered.StateOf(key)
			if key == "foreign" {
				state = []byte("of another making")
			}
			require.NoError(t, old.Save(t.Context(), key, state))
		}
		left := func() (keys []string) {
			for _, key := range []string{"idle", "used", "written", "foreign"} {
				state, err := old.Load(t.Context(), key)
				require.NoError(t, err)
				if state != nil {
					keys = append(keys, key)
				}
			}
			return keys
		}
		next := seal(11)
		require.NoError(t, old.Sweep(t.Context(), func(string) bool { return false }))
		require.Len(t, left(), 4, "he was overtaken")
		var asked []string
		require.NoError(t, next.Sweep(t.Context(), func(key string) bool {
			asked = append(asked, key)
			if key == "written" {
				require.NoError(t, next.Save(t.Context(), key, ordered.StateOf(key)))
			}
			return key == "used"
		}))
		require.ElementsMatch(t, []string{"idle", "used", "written"}, asked)
		require.Equal(t, []string{"used", "written", "foreign"}, left())
	})
}
