package zk

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func requestFrame(op int32, path string, tail ...byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(12+len(path)+len(tail)))
	b = binary.BigEndian.AppendUint32(b, 7)
	b = binary.BigEndian.AppendUint32(b, uint32(op))
	b = binary.BigEndian.AppendUint32(b, uint32(len(path)))
	return append(append(b, path...), tail...)
}

func TestOnlyReadsCanSetWatches(t *testing.T) {
	for op, children := range map[int32]bool{opExists: false, opGetData: false, opGetChildren: true} {
		key, ok := readsOf(requestFrame(op, "/a/b", 0))
		require.True(t, ok)
		require.Equal(t, watchKey{"/a/b", children}, key)
	}
	for _, frame := range [][]byte{requestFrame(1, "/a", 0), requestFrame(opExists, "/a"), requestFrame(opExists, "", 0)[:16], nil, requestFrame(opClose, "")[:12]} {
		_, ok := readsOf(frame)
		require.False(t, ok, "%v", frame)
	}
}

func TestStoppedWatchesLeaveNothingBehind(t *testing.T) {
	both(t, func(t *testing.T, addr string) {
		c := open(t, Config{Addresses: []string{addr}})
		g := session(t, c)
		l := func() *link { c.mu.Lock(); defer c.mu.Unlock(); return c.link }()
		for range 100 {
			w := NewWatch(func(Event) {})
			_, _, err := c.Exists(g.Context(), "/never", w)
			require.NoError(t, err)
			w.Stop()
			w.Stop()
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		require.Len(t, l.watches, 1, "the one at the server")
		require.Empty(t, l.watches[watchKey{"/never", false}].watches)
	})
}

// Many nodes go at one moment, and each event gets to its watch, though the first ones are slow: nothing is dropped on the way.
func TestBurstOfEventsIsNotLost(t *testing.T) {
	both(t, func(t *testing.T, addr string) {
		const nodes = 500
		c, other := open(t, Config{Addresses: []string{addr}}), open(t, Config{Addresses: []string{addr}})
		ctx, g := within(t, 30*time.Second), session(t, other)
		var seen [nodes]atomic.Int32
		var events atomic.Int32
		for i := range nodes {
			path := fmt.Sprintf("/burst-%d", i)
			_, err := other.Create(ctx, Node{Path: path, Session: g})
			require.NoError(t, err)
			w := NewWatch(func(e Event) {
				if e == (Event{Deleted, path}) && seen[i].Add(1) == 1 && events.Add(1) < 20 {
					time.Sleep(time.Millisecond) // meanwhile the others come
				}
			})
			defer w.Stop()
			_, found, err := c.Exists(ctx, path, w)
			require.NoError(t, err)
			require.True(t, found)
		}
		require.NoError(t, other.Close())
		require.Eventually(t, func() bool { return events.Load() == nodes }, 20*time.Second, time.Millisecond)
		for i := range nodes {
			require.Equal(t, int32(1), seen[i].Load())
		}
	})
}
