package zkembed

// Types of events.
const (
	eventCreated  = 1
	eventDeleted  = 2
	eventData     = 3
	eventChildren = 4
)

// Kinds of watches, in check and remove requests.
const (
	kindChildren = 1
	kindData     = 2
	kindAny      = 3
)

// A mode says how long a watch lives and what it covers. In requests persistent is 0 and recursive 1.
type mode uint8

const (
	oneShot    mode = iota
	persistent      // until it is removed
	recursive       // the same, for the path and all below
)

// A change is one part of a transaction. When all parts succeeded the events follow.
type change struct {
	typ    int32 // eventCreated, eventDeleted or eventData
	path   string
	acl    acl // of the node: who may not read it is not told
	parent acl
}

// A watchTable holds the watches of one kind: data watches are those of getData and exists, child watches those of
// getChildren, and those that stay are in both. A connection has at most one watch per path in a table, the last one set.
type watchTable struct {
	by        map[string]*watchers
	recursive int // number of recursive watches
}

// watchers is the connections that watch one path. The connections point back, so that both ends are cheap to take apart.
type watchers struct {
	table *watchTable
	path  string
	conns []*conn
}

func newWatchTable() watchTable { return watchTable{by: map[string]*watchers{}} }

func (t *watchTable) add(path string, c *conn, m mode) {
	w := t.by[path]
	if w == nil {
		w = &watchers{table: t, path: path}
		t.by[path] = w
	}
	if c.watches == nil {
		c.watches = map[*watchers]mode{}
	}
	before, ok := c.watches[w]
	if !ok {
		w.conns = append(w.conns, c)
	}
	if before == recursive {
		t.recursive--
	}
	if m == recursive {
		t.recursive++
	}
	c.watches[w] = m
}

func (t *watchTable) has(path string, c *conn) bool {
	w := t.by[path]
	if w == nil {
		return false
	}
	_, ok := c.watches[w]
	return ok
}

func (t *watchTable) remove(path string, c *conn) bool {
	if !t.has(path, c) {
		return false
	}
	t.by[path].forget(c)
	return true
}

// forget drops the watch of c. The order of the list means nothing.
func (w *watchers) forget(c *conn) {
	if c.watches[w] == recursive {
		w.table.recursive--
	}
	delete(c.watches, w)
	for i, other := range w.conns {
		if other == c {
			last := len(w.conns) - 1
			w.conns[i], w.conns[last] = w.conns[last], nil
			w.conns = w.conns[:last]
			break
		}
	}
	if len(w.conns) == 0 {
		delete(w.table.by, w.path)
	}
}

// fire appends to told those who want to know about an event at path, and removes the watches that this used up.
// Recursive watches do not tell of changed children, because they tell of the children.
func (t *watchTable) fire(told []*conn, typ int32, path string) []*conn {
	if w := t.by[path]; w != nil {
		stay := w.conns[:0]
		for _, c := range w.conns {
			m := c.watches[w]
			if m != recursive || typ != eventChildren {
				told = append(told, c)
			}
			if m == oneShot {
				delete(c.watches, w)
			} else {
				stay = append(stay, c)
			}
		}
		clear(w.conns[len(stay):])
		if w.conns = stay; len(stay) == 0 {
			delete(t.by, path)
		}
	}
	if t.recursive == 0 || typ == eventChildren {
		return told
	}
	for path != "/" {
		path = parentOf(path)
		w := t.by[path]
		if w == nil {
			continue
		}
		for _, c := range w.conns {
			if c.watches[w] == recursive {
				told = append(told, c)
			}
		}
	}
	return told
}

func (t *watchTable) size() (n int) {
	for _, w := range t.by {
		n += len(w.conns)
	}
	return n
}

// unwatchLocked removes all watches of a connection that goes.
func (s *Server) unwatchLocked(c *conn) {
	for w := range c.watches {
		w.forget(c)
	}
}

// announceLocked sends the events of the finished transaction.
func (s *Server) announceLocked() {
	for _, ch := range s.changes {
		// A connection that watches data and children of a deleted node is told once.
		s.sweep++
		s.tellLocked(&s.data, ch.typ, ch.path, ch.acl)
		if ch.typ == eventData {
			continue
		}
		if ch.typ == eventDeleted {
			s.tellLocked(&s.child, eventDeleted, ch.path, ch.acl)
		}
		s.sweep++
		s.tellLocked(&s.child, eventChildren, parentOf(ch.path), ch.parent)
	}
	clear(s.changes)
	s.changes = s.changes[:0]
}

// tellLocked sends an event to those of a table whose turn it was not yet in this sweep.
func (s *Server) tellLocked(t *watchTable, typ int32, path string, a acl) {
	s.told = t.fire(s.told[:0], typ, path)
	if len(s.told) == 0 {
		return
	}
	frame := appendEvent(nil, typ, path)
	for _, c := range s.told {
		if c.mark == s.sweep {
			continue
		}
		c.mark = s.sweep
		if s.allow(a, permRead, c.ids) {
			c.send(frame)
		}
	}
	clear(s.told)
}

// rearmLocked takes over the watches of an earlier connection. What happened meanwhile is told at once.
func (s *Server) rearmLocked(c *conn, q *request) {
	event := func(typ int32, path string) { c.send(appendEvent(nil, typ, path)) }
	for _, path := range q.lists[0] {
		switch n := s.tree.find(path); {
		case n == nil:
			event(eventDeleted, path)
		case n.mzxid > q.zxid:
			event(eventData, path)
		default:
			s.data.add(path, c, oneShot)
		}
	}
	for _, path := range q.lists[1] {
		if s.tree.find(path) != nil {
			event(eventCreated, path)
		} else {
			s.data.add(path, c, oneShot)
		}
	}
	for _, path := range q.lists[2] {
		switch n := s.tree.find(path); {
		case n == nil:
			event(eventDeleted, path)
		case n.pzxid > q.zxid:
			event(eventChildren, path)
		default:
			s.child.add(path, c, oneShot)
		}
	}
	for i, m := range []mode{persistent, recursive} {
		for _, path := range q.lists[3+i] {
			s.data.add(path, c, m)
			s.child.add(path, c, m)
		}
	}
}

// watchedLocked answers check and remove requests.
func (s *Server) watchedLocked(c *conn, q *request) Code {
	if q.flags < kindChildren || q.flags > kindAny {
		return MarshallingError
	}
	ask := func(has, remove func(string, *conn) bool) bool {
		if q.op == OpRemoveWatches {
			return remove(q.path, c)
		}
		return has(q.path, c)
	}
	found := false
	if q.flags != kindData {
		found = ask(s.child.has, s.child.remove)
	}
	if q.flags != kindChildren {
		found = ask(s.data.has, s.data.remove) || found
	}
	if !found {
		return NoWatcher
	}
	return OK
}
