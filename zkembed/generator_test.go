package zkembed_test

import (
	"fmt"
	"math/rand/v2"
)

// A step is one operation of one session. what is for people, except for the reconnects, which are no requests.
type step struct {
	session int
	what    string
	op      int32
	body    body
	xid     int32
	closes  bool // the server closes the connection after its reply
}

type generator struct {
	*rand.Rand
	root     string
	sessions int
}

func pick[T any](g *generator, v ...T) T { return v[g.IntN(len(v))] }

func (g *generator) path() string {
	if g.IntN(25) == 0 {
		return pick(g, "/", "", "x", "/zookeeper", "/zookeeper/quota", "/zookeeper/config", g.root+"/", g.root+"//a", g.root+"/./a",
			g.root+"/a/..", g.root+"/\x01", g.root+"/a\x00b", g.root+"/ä€", g.root+"/\x7f\u0085")
	}
	p := g.root
	for p == g.root || g.IntN(3) == 0 {
		p += "/" + pick(g, "a", "b", "c")
	}
	return p
}

func (g *generator) version() int32 { return pick[int32](g, -1, -1, -1, 0, 0, 1, 2) }

func (g *generator) data() string { return pick(g, absent, "", "x", "yy", "zzz") }

func (g *generator) acl() []grant {
	if g.IntN(4) > 0 {
		return anyone
	}
	return pick(g,
		nil,
		[]grant{{1, "world", "anyone"}},
		[]grant{{31, "auth", ""}},
		[]grant{{31, "auth", ""}, {1, "world", "anyone"}},
		[]grant{{31, "digest", "ann:" + annHash}},
		[]grant{{17, "digest", "ann:" + annHash}, {15, "world", "anyone"}, {15, "world", "anyone"}},
		[]grant{{31, "digest", "ann"}},
		[]grant{{31, "ip", "127.0.0.1"}},
		[]grant{{31, "ip", "127.0.0.0/8"}},
		[]grant{{31, "ip", "10.1.0.0/16"}, {9, "world", "anyone"}},
		[]grant{{31, "ip", "somewhere"}},
		[]grant{{31, "klingon", "worf"}},
		[]grant{{31, "world", "nobody"}},
	)
}

const annHash = "mA8nYyyHNEKBwzlZ2uGd5ivqcy8=" // any base64 will do

func (g *generator) step() step {
	s := step{session: g.IntN(g.sessions)}
	switch n := g.IntN(200); {
	case n < 125:
		s.op, s.body, s.what = g.common()
	case n < 145:
		s.op = 14
		s.body, s.what = g.multi()
	case n < 183:
		g.rare(&s)
	case n < 188:
		s.op, s.xid, s.what = 100, -4, "auth"
		scheme := pick(g, "digest", "digest", "ip", "klingon")
		s.body = body{}.int(0).text(scheme).text(pick(g, "ann:secret", "bob:secret"))
		s.closes = scheme == "klingon"
	case n < 192:
		s.what = "reconnect"
	case n < 194:
		s.what = "reconnect with a wrong password"
	case n < 195:
		s.what = "reconnect from the future"
	default:
		s.op, s.what = -11, "close"
	}
	return s
}

// create makes the body of any of the creates.
func (g *generator) create(op int32) (body, string) {
	flags := pick[int32](g, 0, 0, 0, 1, 1, 2, 3)
	switch {
	case op == 19:
		flags = pick[int32](g, 4, 4, 4, 0, 1)
	case op == 21:
		flags = pick[int32](g, 5, 5, 6, 0)
	case g.IntN(20) == 0:
		flags = pick[int32](g, 4, 5, 6, 7, -1, 100)
	}
	path, acl := g.path(), g.acl()
	b := createBody(path, g.data(), acl, flags)
	if op == 21 {
		ttl := pick[int64](g, 1_000_000, 2_000_000, 3_000_000, 0, -1, 1<<40, 1<<40-1)
		if flags == 0 {
			ttl = max(ttl, 0) // ZooKeeper accepts a negative one here, and then fails for good
		}
		b = b.long(ttl)
	}
	return b, fmt.Sprintf("create (op %d) %q flags %d acl %v", op, path, flags, acl)
}

func (g *generator) common() (op int32, b body, what string) {
	switch path := g.path(); g.IntN(8) {
	case 0, 1, 2:
		op = pick[int32](g, 1, 1, 15, 19, 21)
		b, what = g.create(op)
	case 3:
		v := g.version()
		op, b, what = 2, body{}.text(path).int(v), fmt.Sprintf("delete %q version %d", path, v)
	case 4:
		v := g.version()
		op, b, what = 5, body{}.text(path).data(g.data()).int(v), fmt.Sprintf("setData %q version %d", path, v)
	default:
		op = pick[int32](g, 3, 3, 4, 8, 12)
		watch := g.IntN(2) == 0
		b, what = body{}.text(path).flag(watch), fmt.Sprintf("read (op %d) %q watch %v", op, path, watch)
	}
	return op, b, what
}

func (g *generator) multi() (b body, what string) {
	what = "multi"
	for range 1 + g.IntN(4) {
		op := pick[int32](g, 1, 1, 2, 5, 13, 15, 19, 21)
		b = b.int(op).flag(false).int(-1)
		path, version := g.path(), g.version()
		var part string
		switch op {
		case 2, 13:
			b, part = b.text(path).int(version), fmt.Sprintf("op %d %q version %d", op, path, version)
		case 5:
			b, part = b.text(path).data(g.data()).int(version), fmt.Sprintf("setData %q version %d", path, version)
		default:
			var c body
			c, part = g.create(op)
			b = append(b, c...)
		}
		what += " [" + part + "]"
	}
	return b.int(-1).flag(true).int(-1), what
}

// rare fills in requests that need no great numbers.
func (g *generator) rare(s *step) {
	path := g.path()
	switch g.IntN(14) {
	case 0:
		s.op, s.body, s.what = 6, body{}.text(path), fmt.Sprintf("getACL %q", path)
	case 1, 2:
		v, acl := g.version(), g.acl()
		s.op, s.body, s.what = 7, body{}.text(path).acl(acl).int(v), fmt.Sprintf("setACL %q %v version %d", path, acl, v)
	case 3:
		s.op, s.body, s.what = 9, body{}.text(path), fmt.Sprintf("sync %q", path)
	case 4, 5:
		s.op, s.xid, s.what = pick[int32](g, 101, 105), -8, "setWatches"
		lists := 3
		if s.op == 105 {
			lists = 5
		}
		s.body = body{}.long(g.Int64N(400))
		for range lists {
			s.body = s.body.texts([]string{g.path(), g.path()}[:g.IntN(3)])
		}
	case 6, 7:
		mode := pick[int32](g, 0, 1, 1, 2)
		s.op, s.body, s.what = 106, body{}.text(path).int(mode), fmt.Sprintf("addWatch %q mode %d", path, mode)
	case 8, 9: // checkWatches is left out: ZooKeeper 3.8 looks at the watches of all clients
		kind := pick[int32](g, 1, 2, 3, 4)
		s.op, s.body, s.what = 18, body{}.text(path).int(kind), fmt.Sprintf("removeWatches %q kind %d", path, kind)
	case 10:
		s.op, s.body, s.what = 103, body{}.text(path), fmt.Sprintf("getEphemerals %q", path)
	case 11:
		s.op, s.body, s.what = 104, body{}.text(path), fmt.Sprintf("countChildren %q", path)
	case 12:
		s.op, s.what = 107, "whoAmI"
	case 13:
		s.op, s.what = pick[int32](g, 999, -7), "unknown operation"
		if g.IntN(2) == 0 {
			s.op, s.body, s.what = pick[int32](g, 1, 2, 4, 5, 7, 8, 14, 15), body{}.int(100).int(7), "damaged body"
			break
		}
		s.closes = true
	}
}
