package zkembed

import (
	"cmp"
	"errors"
	"slices"
	"time"
)

// A Request describes a request to the hook.
type Request struct {
	Session int64
	Xid     int32
	Op      Op
	Path    string // of the first part, if it is a multi; empty for requests without one
	Number  int64  // counts all requests to the server, from 1; pings included
}

// A Fault says what to do with a request. The zero value is nothing special. Delay goes together with Code.
type Fault struct {
	DropBefore bool          // do not apply it, close the connection: the request was lost
	DropAfter  bool          // apply it, then close the connection instead of replying: the reply was lost
	Delay      time.Duration // send the reply, and all that follows on the connection, that much later
	Code       Code          // answer with this error and do not apply it
	Expire     bool          // apply it, then end the session instead of replying
}

// Intercept sets the hook that is asked about every request before it is applied; nil removes it. The hook runs on the
// connection's goroutine, on many at once: it may block, which holds up that connection alone, and may call the server.
func (s *Server) Intercept(hook func(Request) Fault) {
	if hook == nil {
		s.hook.Store(nil)
	} else {
		s.hook.Store(&hook)
	}
}

// consult asks the hook.
func (s *Server) consult(c *conn, q *request) Fault {
	number := s.requests.Add(1)
	hook := s.hook.Load()
	if hook == nil {
		return Fault{}
	}
	session := int64(0)
	if c.session != nil { // set by this goroutine, once
		session = c.session.id
	}
	return (*hook)(Request{Session: session, Xid: q.xid, Op: q.op, Path: q.subject(), Number: number})
}

// Cut closes all connections. Sessions live on.
func (s *Server) Cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		s.cutLocked(c)
	}
}

// CutSession closes the connection of a session, which lives on. It returns false if there is none.
func (s *Server) CutSession(id int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.sessions.by[id]
	if x == nil || x.conn == nil {
		return false
	}
	s.cutLocked(x.conn)
	return true
}

// Expire ends a session as if its time were over. It returns false if there is none.
func (s *Server) Expire(id int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.sessions.by[id]
	if x == nil {
		return false
	}
	s.endLocked(x)
	return true
}

// Session is what the server knows about a session.
type Session struct {
	ID         int64
	Timeout    time.Duration
	Client     string // host:port of the connected client, "" while nobody is
	Ephemerals []string
}

// Sessions lists the living sessions by id.
func (s *Server) Sessions() []Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Session, 0, len(s.sessions.by))
	for _, x := range s.sessions.by {
		v := Session{ID: x.id, Timeout: x.timeout, Ephemerals: x.paths("")}
		if x.conn != nil {
			v.Client = x.conn.remote
		}
		list = append(list, v)
	}
	slices.SortFunc(list, func(a, b Session) int { return cmp.Compare(a.ID, b.ID) })
	return list
}

// Hold does what Listener.Hold does, at all listeners.
func (s *Server) Hold(d Direction) { s.each(func(l *Listener) { l.Hold(d) }) }

// Release does what Listener.Release does, at all listeners.
func (s *Server) Release() { s.each((*Listener).Release) }

// Deaf does what Listener.Deaf does, at all listeners.
func (s *Server) Deaf(on bool) { s.each(func(l *Listener) { l.Deaf(on) }) }

func (s *Server) each(f func(*Listener)) {
	s.mu.Lock()
	list := slices.Clone(s.listeners)
	s.mu.Unlock()
	for _, l := range list {
		f(l)
	}
}

// Stop closes listeners and connections, as the end of a server process does. Nodes and sessions wait for Restart; the
// time of sessions stands still.
func (s *Server) Stop() {
	s.lifecycle.Lock()
	defer s.lifecycle.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.haltLocked()
}

// Restart serves again after Stop, at the same addresses. With keep, nodes and sessions are as before, and the timeouts of
// sessions begin anew. Otherwise the server is empty, and clients that have seen it before are refused, as ZooKeeper does
// it, because they know a later state.
func (s *Server) Restart(keep bool) error {
	s.lifecycle.Lock()
	defer s.lifecycle.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return errors.New("zkembed: restart: server is closed")
	case s.running:
		return errors.New("zkembed: restart: server runs")
	}
	if !keep {
		s.resetLocked()
	}
	now := s.clock.now()
	for _, x := range s.sessions.by {
		s.sessions.touch(x, now)
	}
	s.sessions.overdue(now) // nobody: all have just been touched
	s.running = true
	for _, l := range s.listeners {
		if err := l.openLocked(); err != nil {
			s.haltLocked()
			return err
		}
	}
	return nil
}

// FreezeClock stops the server's time at the next tick: no session ends, no container or TTL node is removed, until Step
// or ResumeClock. A client that goes on sending pings keeps its session over any number of steps smaller than its timeout.
func (s *Server) FreezeClock() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.clock.frozen {
		s.clock.freeze()
		s.stepLocked(s.o.Tick - s.clock.base%s.o.Tick)
	}
}

// Step moves the frozen clock on by d and ends the sessions whose time is over on the way, tick by tick. All of that has
// happened when it returns. It does nothing if the clock is not frozen.
func (s *Server) Step(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.clock.frozen {
		s.stepLocked(d)
	}
}

func (s *Server) stepLocked(d time.Duration) {
	for end := s.clock.base + d; s.clock.base < end; {
		s.clock.base = min(end, (s.clock.base/s.o.Tick+1)*s.o.Tick)
		if s.running {
			s.expireLocked()
		}
	}
}

// ResumeClock lets the server's time go on from where it stands.
func (s *Server) ResumeClock() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock.resume()
}

// SetMaxPacket changes Options.MaxPacket, in bytes, for packets that come from now on.
func (s *Server) SetMaxPacket(n int) { s.maxPacket.Store(int64(n)) }

// Zxid is the id of the last transaction.
func (s *Server) Zxid() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.zxid
}
