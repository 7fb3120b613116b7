package zkembed

import "fmt"

// A write is a transaction while it is applied: one request, or the parts of a multi.
type write struct {
	*Server
	session *session
	ids     []identity
	zxid    int64
	now     int64 // milliseconds since 1970
	undo    []func()
	multi   bool // collect undo
}

func (s *Server) writeLocked(c *conn) *write {
	s.zxid++ // failed ones too
	return &write{Server: s, session: c.session, ids: c.ids, zxid: s.zxid, now: s.clock.millis()}
}

// apply checks and performs one request and appends the body of its reply to b.
func (w *write) apply(q *request, b []byte) ([]byte, Code) {
	if q.bad {
		return b, MarshallingError
	}
	switch q.op {
	case OpCreate, OpCreate2, OpCreateContainer, OpCreateTTL:
		return w.create(q, b)
	case OpDelete:
		return b, w.delete(q)
	case OpSetData:
		return w.setData(q, b)
	case OpSetACL:
		return w.setACL(q, b)
	default: // OpCheck
		return b, w.check(q)
	}
}

func (w *write) revert(f func()) {
	if w.multi {
		w.undo = append(w.undo, f)
	}
}

// Flags of a create.
const (
	flagEphemeral  = 1
	flagSequential = 2 // with or without flagEphemeral
	flagContainer  = 4
	flagTTL        = 5
	flagTTLSeq     = 6
)

// owner derives the owner of a new node. The operation decides about containers and TTL nodes, the flags about ephemerals.
func (w *write) owner(q *request) (owner int64, ok bool) {
	isTTL := q.flags == flagTTL || q.flags == flagTTLSeq
	switch {
	case q.flags < 0 || q.flags > flagTTLSeq,
		isTTL && (q.ttl <= 0 || q.ttl > maxTTL),
		!isTTL && (q.ttl >= 0 || q.op == OpCreateTTL):
		return 0, false
	case q.op == OpCreateTTL:
		return ownerTTL | q.ttl, true
	case q.op == OpCreateContainer:
		return ownerContainer, true
	case q.flags < flagContainer && q.flags&flagEphemeral != 0:
		return w.session.id, true
	}
	return 0, true
}

func (w *write) create(q *request, b []byte) ([]byte, Code) {
	owner, ok := w.owner(q)
	prefix, name, slash := split(q.path)
	if !ok || !slash {
		return b, BadArguments
	}
	list, code := w.resolve(q.acl, w.ids)
	if code != OK {
		return b, code
	}
	parent := w.tree.find(prefix)
	if parent == nil {
		return b, NoNode
	}
	if !w.allow(parent.acl, permCreate, w.ids) {
		return b, NoAuth
	}
	path := q.path
	if q.flags == flagSequential || q.flags == flagSequential|flagEphemeral || q.flags == flagTTLSeq {
		number := fmt.Sprintf("%010d", parent.creates)
		path, name = path+number, name+number
	}
	switch {
	case !valid(path):
		return b, BadArguments
	case w.tree.find(path) != nil:
		return b, NodeExists
	case parent.ephemeral():
		return b, NoChildrenForEphemerals
	}
	n := &node{
		name: name, data: q.data, acl: list, owner: owner,
		czxid: w.zxid, mzxid: w.zxid, pzxid: w.zxid, ctime: w.now, mtime: w.now,
	}
	before := parent.pzxid
	w.tree.attach(parent, n)
	w.own(n)
	parent.creates++
	parent.pzxid = w.zxid
	w.revert(func() {
		w.disown(n)
		w.tree.detach(n)
		parent.creates--
		parent.pzxid = before
	})
	w.changes = append(w.changes, change{eventCreated, path, n.acl, parent.acl})
	b = appendText(b, path)
	if q.op != OpCreate {
		b = n.appendStat(b)
	}
	return b, OK
}

func (w *write) delete(q *request) Code {
	prefix, _, slash := split(q.path)
	switch q.path {
	case "/", "/zookeeper", "/zookeeper/config", "/zookeeper/quota":
		return BadArguments
	}
	if !slash {
		return BadArguments
	}
	parent := w.tree.find(prefix)
	if parent == nil {
		return NoNode
	}
	if !w.allow(parent.acl, permDelete, w.ids) {
		return NoAuth
	}
	n := w.tree.find(q.path)
	switch {
	case n == nil:
		return NoNode
	case q.version != -1 && q.version != n.version:
		return BadVersion
	case n.size() > 0:
		return NotEmpty
	}
	before := parent.pzxid
	w.removeLocked(n, q.path)
	w.revert(func() {
		w.tree.attach(parent, n)
		w.own(n)
		parent.pzxid = before
	})
	return OK
}

// removeLocked takes a node without children out of the tree, by the transaction s.zxid.
func (s *Server) removeLocked(n *node, path string) {
	s.disown(n)
	s.tree.detach(n)
	n.parent.pzxid = s.zxid
	s.changes = append(s.changes, change{eventDeleted, path, n.acl, n.parent.acl})
}

// own notes an ephemeral with its session.
func (s *Server) own(n *node) {
	if x := s.sessions.by[n.owner]; x != nil {
		if x.nodes == nil {
			x.nodes = map[*node]struct{}{}
		}
		x.nodes[n] = struct{}{}
	}
}

func (s *Server) disown(n *node) {
	if x := s.sessions.by[n.owner]; x != nil {
		delete(x.nodes, n)
	}
}

// target finds the node that a request means to change, and checks the permission for it.
func (w *write) target(q *request, perm int32) (*node, Code) {
	n := w.tree.find(q.path)
	if n == nil {
		return nil, NoNode
	}
	if !w.allow(n.acl, perm, w.ids) {
		return nil, NoAuth
	}
	return n, OK
}

func (w *write) setData(q *request, b []byte) ([]byte, Code) {
	if !valid(q.path) {
		return b, BadArguments
	}
	n, code := w.target(q, permWrite)
	switch {
	case code != OK:
		return b, code
	case q.version != -1 && q.version != n.version:
		return b, BadVersion
	}
	data, mzxid, mtime, version := n.data, n.mzxid, n.mtime, n.version
	w.tree.bytes += int64(len(q.data) - len(n.data))
	n.data, n.mzxid, n.mtime, n.version = q.data, w.zxid, w.now, n.version+1
	w.revert(func() {
		w.tree.bytes += int64(len(data) - len(n.data))
		n.data, n.mzxid, n.mtime, n.version = data, mzxid, mtime, version
	})
	w.changes = append(w.changes, change{typ: eventData, path: q.path, acl: n.acl})
	return n.appendStat(b), OK
}

func (w *write) setACL(q *request, b []byte) ([]byte, Code) {
	if !valid(q.path) {
		return b, BadArguments
	}
	list, code := w.resolve(q.acl, w.ids)
	if code != OK {
		return b, code
	}
	n, code := w.target(q, permAdmin)
	switch {
	case code != OK:
		return b, code
	case q.version != -1 && q.version != n.aversion:
		return b, BadVersion
	}
	n.acl = list
	n.aversion++
	return n.appendStat(b), OK
}

func (w *write) check(q *request) Code {
	if !valid(q.path) {
		return BadArguments
	}
	n, code := w.target(q, permRead)
	if code == OK && q.version != -1 && q.version != n.version {
		return BadVersion
	}
	return code
}
