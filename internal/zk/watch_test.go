package zk

import (
	"encoding/binary"
	"testing"

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
