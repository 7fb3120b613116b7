package zkembed

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// requests are good bodies of every kind, to start fuzzing from.
func requests() [][]byte {
	head := func(op Op) []byte { return appendInt32(appendInt32(nil, 1), int32(op)) }
	open := appendEntries(nil, []entry{{permAll, identity{"world", "anyone"}}})
	create := func(b []byte, path string, flags int32) []byte {
		return appendInt32(append(appendBuffer(appendText(b, path), []byte("data")), open...), flags)
	}
	multi := head(OpMulti)
	multi = create(appendPart(multi, OpCreate, false, -1), "/m", 1)
	multi = create(appendPart(multi, OpCreate, false, -1), "/m/under-ephemeral", 0)
	multi = appendInt32(appendText(appendPart(multi, OpDelete, false, -1), "/a"), -1)
	multi = appendPart(multi, opError, true, -1)
	watches := appendInt64(head(OpSetWatches2), 1)
	for range 5 {
		watches = appendTexts(watches, []string{"/a", "/nope"})
	}
	all := [][]byte{
		head(OpPing), head(OpClose), head(OpWhoAmI), multi, watches,
		create(head(OpCreate), "/b", 0), create(head(OpCreate2), "/seq-", 3), create(head(OpCreateContainer), "/c", 4),
		appendInt64(create(head(OpCreateTTL), "/t", 5), 1000),
		appendInt32(appendText(head(OpDelete), "/a"), 0),
		appendInt32(appendBuffer(appendText(head(OpSetData), "/a"), nil), -1),
		appendInt32(append(appendText(head(OpSetACL), "/a"), open...), -1),
		appendBuffer(appendText(appendInt32(head(OpAuth), 0), "digest"), []byte("ann:secret")),
	}
	for _, op := range []Op{OpExists, OpGetData, OpGetChildren, OpGetChildren2} {
		all = append(all, appendBool(appendText(head(op), "/a"), true))
	}
	for _, op := range []Op{OpGetACL, OpSync, OpGetEphemerals, OpCountChildren} {
		all = append(all, appendText(head(op), "/a"))
	}
	for _, op := range []Op{OpCheckWatches, OpRemoveWatches, OpAddWatch} {
		all = append(all, appendInt32(appendText(head(op), "/a"), 1))
	}
	return all
}

// FuzzRequest applies a request, twice, to a server with a node, an ephemeral and a watch. Whatever comes, the tables of
// the server must agree with each other afterwards.
func FuzzRequest(f *testing.F) {
	for _, b := range requests() {
		f.Add(b)
		f.Add(b[:len(b)-1])
		f.Add(b[:len(b)/2])
	}
	f.Add([]byte{0, 0, 0, 1, 0, 0, 0, 101, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		s, c := unconnected(t)
		for _, setup := range requests()[5:8] {
			q, err := parse(setup)
			require.NoError(t, err)
			s.performLocked(c, &q, beginReply(nil))
		}
		for range 2 {
			q, err := parse(b)
			if err != nil || q.op == OpClose || s.consult(c, &q) != (Fault{}) {
				return
			}
			body, code := s.performLocked(c, &q, beginReply(nil))
			endReply(body, q.xid, s.zxid, code)
			s.check(t)
		}
		s.closeSessionLocked(c.session)
		require.Zero(t, s.tree.ephemerals)
		s.unwatchLocked(c)
		require.Empty(t, s.data.by)
		require.Empty(t, s.child.by)
		s.check(t)
	})
}

// FuzzHello must neither panic nor let anybody into another's session.
func FuzzHello(f *testing.F) {
	hello := appendBuffer(appendInt64(appendInt32(appendInt64(appendInt32(nil, 0), 0), 5000), 0), make([]byte, 16))
	f.Add(hello)
	f.Add(appendBool(hello, true))
	f.Add(hello[:20])
	f.Fuzz(func(t *testing.T, b []byte) {
		s, first := unconnected(t)
		h, ok := parseHello(b)
		if !ok {
			return
		}
		_, c := unconnected(t)
		c.s = s
		s.welcomeLocked(c, h)
		require.True(t, c.session == nil || c.session != first.session || string(h.password) == string(first.session.password[:]))
	})
}

// unconnected is a server without listeners, and a connection to it with a session, but without goroutines.
func unconnected(t *testing.T) (*Server, *conn) {
	near, far := net.Pipe()
	t.Cleanup(func() {
		near.Close()
		far.Close()
	})
	s := newServer(Options{}.withDefaults())
	c := newConn(&Listener{s: s}, near)
	c.session = s.sessions.add(time.Second, 0)
	c.session.conn = c
	return s, c
}

// Check is check for tests outside the package.
func Check(t testing.TB, s *Server) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.check(t)
}

// check compares the server's tables with the tree.
func (s *Server) check(t testing.TB) {
	t.Helper()
	count, ephemerals, mortals, bytes := 1, 0, 0, int64(0) // the second root
	var walk func(n *node)
	walk = func(n *node) {
		count++
		bytes += int64(len(n.name) + len(n.data))
		require.Same(t, n, s.tree.find(n.path()))
		if n.ephemeral() {
			ephemerals++
			require.True(t, has(s.sessions.by[n.owner].nodes, n))
			require.Zero(t, n.size())
		}
		if n.mortal() {
			mortals++
			require.True(t, has(s.tree.mortals, n))
		}
		if n.kids == nil {
			return
		}
		require.NotEmpty(t, n.kids.by)
		for name, k := range n.kids.by {
			require.Equal(t, name, k.name)
			require.Same(t, n, k.parent)
			walk(k)
		}
	}
	walk(s.tree.root)
	require.Equal(t, s.tree.count, count)
	require.Equal(t, s.tree.bytes, bytes)
	require.Equal(t, s.tree.ephemerals, ephemerals)
	require.Len(t, s.tree.mortals, mortals)
	require.Empty(t, s.changes)
	for _, table := range []*watchTable{&s.data, &s.child} {
		streams := 0
		for path, w := range table.by {
			require.Equal(t, path, w.path)
			require.NotEmpty(t, w.conns)
			for _, c := range w.conns {
				require.True(t, has(c.watches, w))
				if c.watches[w] == recursive {
					streams++
				}
			}
		}
		require.Equal(t, streams, table.recursive)
	}
}

// has is require.Contains without a look at what the pointers lead to, which other goroutines may be writing.
func has[K comparable, V any](m map[K]V, k K) bool {
	_, ok := m[k]
	return ok
}
