package zkembed

import "errors"

// errRequest ends a connection: not even the header of a request could be read.
var errRequest = errors.New("zkembed: request without header")

// A request is one parsed body. Which fields are set depends on the operation.
type request struct {
	xid     int32
	op      Op
	path    string
	data    []byte
	acl     []entry
	flags   int32 // of a create; mode of an added watch; kind of removed watches
	version int32
	ttl     int64
	watch   bool
	zxid    int64       // last seen, of set watches
	lists   [5][]string // paths of set watches: data, exists, child, persistent, recursive
	parts   []request   // of a multi
	bad     bool        // it cannot be understood
}

// parse reads a body. The result shares no memory with it. Only a body without a whole header is an error; other damage is
// for the server to answer.
func parse(body []byte) (q request, err error) {
	d := decoder{b: body}
	q.xid, q.op = d.int32(), Op(d.int32())
	if d.bad {
		return q, errRequest
	}
	if q.op == OpMulti {
		q.parseMulti(&d)
	} else {
		q.parseBody(&d)
	}
	q.bad = d.bad
	return q, nil
}

func (q *request) parseBody(d *decoder) {
	switch q.op {
	case OpPing, OpClose, OpWhoAmI:
	case OpCreate, OpCreate2, OpCreateContainer, OpCreateTTL:
		q.path, q.data, q.acl, q.flags, q.ttl = d.text(), d.buffer(), d.entries(), d.int32(), -1
		if q.op == OpCreateTTL {
			q.ttl = d.int64()
		}
	case OpDelete, OpCheck:
		q.path, q.version = d.text(), d.int32()
	case OpSetData:
		q.path, q.data, q.version = d.text(), d.buffer(), d.int32()
	case OpSetACL:
		q.path, q.acl, q.version = d.text(), d.entries(), d.int32()
	case OpExists, OpGetData, OpGetChildren, OpGetChildren2:
		q.path, q.watch = d.text(), d.bool()
	case OpGetACL, OpSync, OpGetEphemerals, OpCountChildren:
		q.path = d.text()
	case OpCheckWatches, OpRemoveWatches, OpAddWatch:
		q.path, q.flags = d.text(), d.int32()
	case OpAuth:
		q.flags, q.path, q.data = d.int32(), d.text(), d.buffer()
	case OpSetWatches, OpSetWatches2:
		q.zxid = d.int64()
		lists := q.lists[:3]
		if q.op == OpSetWatches2 {
			lists = q.lists[:]
		}
		for i := range lists {
			lists[i] = d.texts()
		}
	}
}

// parseMulti reads parts, each behind a header | op int32 | done bool | error int32 |, until done is set.
func (q *request) parseMulti(d *decoder) {
	for !d.bad {
		op, done := Op(d.int32()), d.bool()
		d.int32()
		if done || d.bad {
			return
		}
		p := request{op: op}
		switch op {
		case OpCreate, OpCreate2, OpCreateContainer, OpCreateTTL:
			p.parseBody(d)
			p.kindByFlags()
		case OpDelete, OpSetData, OpCheck:
			p.parseBody(d)
		default:
			d.bad = true
		}
		q.parts = append(q.parts, p)
	}
}

// kindByFlags sets the operation of a create within a multi: there the flags decide, outside the operation does. A time
// to live in a request that has no place for it makes the multi fail when this part's turn comes.
func (q *request) kindByFlags() {
	isTTL := q.flags == flagTTL || q.flags == flagTTLSeq
	switch {
	case q.flags == flagContainer:
		q.op = OpCreateContainer
	case !isTTL:
		q.op, q.ttl = OpCreate, -1
	default:
		q.bad = q.op != OpCreateTTL
	}
}

// subject is the path that a request is about, for the hook: that of its first part if it is a multi.
func (q *request) subject() string {
	switch {
	case q.op == OpAuth:
		return ""
	case q.op == OpMulti && len(q.parts) > 0:
		return q.parts[0].path
	}
	return q.path
}

// A hello is a parsed connect request.
type hello struct {
	zxid     int64 // last one seen
	timeout  int32 // milliseconds
	session  int64
	password []byte
	asksRO   bool // has the newer field read-only, and so expects it in the response
}

func parseHello(body []byte) (h hello, ok bool) {
	d := decoder{b: body}
	d.int32()
	h.zxid, h.timeout, h.session, h.password = d.int64(), d.int32(), d.int64(), d.buffer()
	h.asksRO = !d.bad && len(d.b) > 0
	return h, !d.bad
}

func appendWelcome(b []byte, timeout int32, session int64, password []byte, withRO bool) []byte {
	b = appendInt32(append(b, 0, 0, 0, 0), 0)
	b = appendInt32(b, timeout)
	b = appendInt64(b, session)
	b = appendBuffer(b, password)
	if withRO {
		b = appendBool(b, false)
	}
	copy(b, appendInt32(nil, int32(len(b)-4)))
	return b
}
