package zkembed

import (
	"slices"
	"strings"
)

// readLocked answers a request that changes nothing but watches, and appends the body of the reply to b.
func (s *Server) readLocked(c *conn, q *request, b []byte) ([]byte, Code) {
	switch q.op {
	case OpSync:
		return appendText(b, q.path), OK
	case OpExists:
		return s.existsLocked(c, q, b)
	case OpGetData, OpGetChildren, OpGetChildren2, OpCountChildren:
		return s.getLocked(c, q, b)
	case OpGetACL:
		return s.getACLLocked(c, q, b)
	case OpSetWatches, OpSetWatches2:
		s.rearmLocked(c, q)
		return b, OK
	case OpCheckWatches, OpRemoveWatches:
		return b, s.watchedLocked(c, q)
	case OpAddWatch:
		if q.flags < 0 || q.flags > 1 {
			return b, MarshallingError
		}
		m := persistent + mode(q.flags)
		s.data.add(q.path, c, m)
		s.child.add(q.path, c, m)
		return appendInt32(b, int32(OK)), OK
	case OpGetEphemerals:
		return appendTexts(b, c.session.paths(q.path)), OK
	case OpWhoAmI:
		b = appendInt32(b, int32(len(c.ids)))
		for _, id := range c.ids {
			b = appendText(appendText(b, id.scheme), id.name())
		}
		return b, OK
	}
	return b, Unimplemented
}

func (s *Server) existsLocked(c *conn, q *request, b []byte) ([]byte, Code) {
	if strings.IndexByte(q.path, 0) >= 0 {
		return b, BadArguments
	}
	if q.watch {
		s.data.add(q.path, c, oneShot)
	}
	n := s.tree.find(q.path)
	if n == nil {
		return b, NoNode
	}
	return n.appendStat(b), OK
}

func (s *Server) getLocked(c *conn, q *request, b []byte) ([]byte, Code) {
	n := s.tree.find(q.path)
	if n == nil {
		return b, NoNode
	}
	if !s.allow(n.acl, permRead, c.ids) {
		return b, NoAuth
	}
	switch q.op {
	case OpCountChildren:
		count := s.below(n)
		if q.path == "" {
			count++ // ZooKeeper's second root
		}
		return appendInt32(b, int32(count)), OK
	case OpGetData:
		b = n.appendStat(appendBuffer(b, n.data))
		if q.watch {
			s.data.add(q.path, c, oneShot)
		}
		return b, OK
	}
	b = n.appendNames(b)
	if q.op == OpGetChildren2 {
		b = n.appendStat(b)
	}
	if q.watch {
		s.child.add(q.path, c, oneShot)
	}
	return b, OK
}

// below counts all nodes under n. It is the only request whose cost grows with the tree.
func (s *Server) below(n *node) int {
	if n == s.tree.root {
		return s.tree.count - 2
	}
	count := n.size()
	if n.kids != nil {
		for _, k := range n.kids.by {
			count += s.below(k)
		}
	}
	return count
}

func (s *Server) getACLLocked(c *conn, q *request, b []byte) ([]byte, Code) {
	n := s.tree.find(q.path)
	if n == nil {
		return b, NoNode
	}
	if !s.allow(n.acl, permRead|permAdmin, c.ids) {
		return b, NoAuth
	}
	if s.allow(n.acl, permAdmin, c.ids) {
		b = append(b, n.acl.Value()...)
	} else {
		b = appendEntries(b, masked(n.acl.entries()))
	}
	return n.appendStat(b), OK
}

// paths is where the session's ephemerals are, of those whose path starts with prefix.
func (x *session) paths(prefix string) []string {
	var list []string
	for n := range x.nodes {
		if p := n.path(); strings.HasPrefix(p, prefix) {
			list = append(list, p)
		}
	}
	slices.Sort(list)
	return list
}

// name is an identity without secrets.
func (i identity) name() string {
	if i.scheme == "digest" {
		user, _, _ := strings.Cut(i.id, ":")
		return user
	}
	return i.id
}
