package zkembed

import (
	"cmp"
	"crypto/rand"
	"slices"
	"time"
)

// A clock is the server's own time since its start. It may stand still.
type clock struct {
	wall   int64 // milliseconds since 1970 when the clock was at 0
	base   time.Duration
	since  time.Time // of the machine, when the clock was at base
	frozen bool
}

func newClock() clock {
	now := time.Now()
	return clock{wall: now.UnixMilli(), since: now}
}

func (c *clock) now() time.Duration {
	if c.frozen {
		return c.base
	}
	return c.base + time.Since(c.since)
}

func (c *clock) millis() int64 { return c.wall + c.now().Milliseconds() }

func (c *clock) freeze() { c.base, c.frozen = c.now(), true }

func (c *clock) resume() {
	if c.frozen {
		c.since, c.frozen = time.Now(), false
	}
}

// A session outlives its connections, until it is closed or no packet came for its timeout.
type session struct {
	id       int64
	password [16]byte
	timeout  time.Duration
	conn     *conn // nil while nobody is connected
	nodes    map[*node]struct{}
	due      int64 // tick at which it ends
}

// sessions is all of them, by id and by the tick at which they end. A packet moves its session to a later tick, which
// costs nothing as long as that is the same one.
type sessions struct {
	by   map[int64]*session
	tick time.Duration
	due  map[int64]map[*session]struct{}
	done int64 // last tick that was handled
	next int64 // id for the next session
}

func newSessions(tick time.Duration) sessions {
	return sessions{
		by: map[int64]*session{}, tick: tick, due: map[int64]map[*session]struct{}{},
		// Ids must differ from those that a server had before its data was lost: they start with the time, like ZooKeeper's.
		next: time.Now().UnixMilli() << 24 & (1<<56 - 1),
	}
}

func (t *sessions) add(timeout, now time.Duration) *session {
	t.next++
	x := &session{id: t.next, timeout: timeout}
	rand.Read(x.password[:])
	t.by[x.id] = x
	t.touch(x, now)
	return x
}

// touch begins the timeout of x anew. It ends at the next whole tick after it.
func (t *sessions) touch(x *session, now time.Duration) {
	due := max(int64((now+x.timeout)/t.tick), t.done) + 1
	if due == x.due {
		return
	}
	t.untick(x)
	x.due = due
	if t.due[due] == nil {
		t.due[due] = map[*session]struct{}{}
	}
	t.due[due][x] = struct{}{}
}

func (t *sessions) remove(x *session) {
	t.untick(x)
	delete(t.by, x.id)
}

func (t *sessions) untick(x *session) {
	if delete(t.due[x.due], x); len(t.due[x.due]) == 0 {
		delete(t.due, x.due)
	}
}

// overdue moves on to the tick of now and returns the sessions that ended on the way, in the order of their ends.
func (t *sessions) overdue(now time.Duration) (ended []*session) {
	for last := int64(now / t.tick); t.done < last; {
		t.done++
		if len(t.due[t.done]) == 0 {
			continue
		}
		from := len(ended)
		for x := range t.due[t.done] {
			ended = append(ended, x)
		}
		slices.SortFunc(ended[from:], func(a, b *session) int { return cmp.Compare(a.id, b.id) })
	}
	return ended
}

// expireLocked ends the sessions whose time is over and removes outdated nodes.
func (s *Server) expireLocked() {
	now := s.clock.now()
	for _, x := range s.sessions.overdue(now) {
		s.o.Logger.Info("zkembed: session expired", "session", x.id, "timeout", x.timeout)
		s.endLocked(x)
	}
	if now-s.reaped >= s.o.Reap {
		s.reaped = now
		s.reapLocked()
	}
}

// endLocked ends a session in one transaction that deletes its ephemerals, and its connection.
func (s *Server) endLocked(x *session) {
	c := x.conn
	s.closeSessionLocked(x)
	if c != nil {
		s.finishLocked(c)
	}
}

func (s *Server) closeSessionLocked(x *session) {
	s.sessions.remove(x)
	s.zxid++
	nodes := make(map[string]*node, len(x.nodes))
	paths := make([]string, 0, len(x.nodes))
	for n := range x.nodes {
		p := n.path()
		nodes[p], paths = n, append(paths, p)
	}
	slices.Sort(paths) // for the same events every time
	for _, p := range paths {
		s.removeLocked(nodes[p], p)
	}
	s.announceLocked()
}

// reapLocked removes containers that had children and have none, and TTL nodes that were left alone for too long.
func (s *Server) reapLocked() {
	var paths []string
	for n := range s.tree.mortals {
		if n.size() > 0 {
			continue
		}
		if n.owner == ownerContainer && n.creates > 0 || n.ttl() && s.clock.millis()-n.mtime > n.owner&maxTTL {
			paths = append(paths, n.path())
		}
	}
	slices.Sort(paths)
	for _, p := range paths {
		s.zxid++
		s.removeLocked(s.tree.find(p), p)
		s.announceLocked()
	}
}

// welcomeLocked answers a connect request. It returns false if the connection has to end.
func (s *Server) welcomeLocked(c *conn, h hello) bool {
	if h.zxid > s.zxid {
		// The client has seen a later state than ours. ZooKeeper says nothing in this case, so that it tries another server.
		s.o.Logger.Info("zkembed: client has seen a later zxid", "client", c.remote, "zxid", h.zxid, "ours", s.zxid)
		s.cutLocked(c)
		return false
	}
	timeout := min(max(time.Duration(h.timeout)*time.Millisecond, s.o.MinSession), s.o.MaxSession)
	x := s.sessions.by[h.session]
	if x != nil && x.conn != nil {
		s.cutLocked(x.conn)
	}
	switch {
	case h.session == 0:
		s.zxid++
		x = s.sessions.add(timeout, s.clock.now())
	case x == nil || string(x.password[:]) != string(h.password):
		c.send(appendWelcome(nil, 0, 0, make([]byte, 16), h.asksRO))
		s.finishLocked(c)
		return false
	}
	x.conn, c.session, x.timeout = c, x, timeout
	s.sessions.touch(x, s.clock.now())
	c.send(appendWelcome(nil, int32(timeout.Milliseconds()), x.id, x.password[:], h.asksRO))
	return true
}
