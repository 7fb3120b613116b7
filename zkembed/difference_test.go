package zkembed_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/internal/zktest"
	"github.com/ferryrpc/ferry/zkembed"
)

var (
	seedFlag  = flag.Uint64("seed", 0, "run the difference test with this seed alone")
	seedsFlag = flag.Int("seeds", 6, "number of seeds of the difference test")
	tailFlag  = flag.Int("tail", 25, "lines of the steps before that a failure of the difference test shows")
	stepsFlag = flag.Int("steps", 400, "operations per seed of the difference test")
)

// TestDifference runs the same random operations against the embedded and the real server and compares every packet.
// Times and session ids are replaced by names; zxids are compared as they are, since both servers start empty.
func TestDifference(t *testing.T) {
	real := zktest.Start(t, zktest.Options{
		Properties: []string{"znode.container.checkIntervalMs=3600000"}, // reaping is a test of its own
	})
	ours := start(t, zkembed.Options{Reap: time.Hour, Tick: 200 * time.Millisecond})
	worlds := [2]*world{{addr: ours.Addr(), names: map[int64]string{}}, {addr: real.Addr(), names: map[int64]string{}}}
	seeds := []uint64{*seedFlag}
	if *seedFlag == 0 {
		seeds = seeds[:0]
		for i := range *seedsFlag {
			seeds = append(seeds, uint64(i+1))
		}
	}
	lines := 0
	for _, seed := range seeds {
		lines += compare(t, worlds, seed)
	}
	t.Logf("%d lines compared", lines)
	if *seedFlag == 0 && *seedsFlag >= 6 && *stepsFlag >= 400 {
		require.GreaterOrEqual(t, lines, 2500)
	}
}

// compare returns the number of lines that were equal.
func compare(t *testing.T, worlds [2]*world, seed uint64) (lines int) {
	const sessions = 3
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 0)), root: fmt.Sprintf("/s%d", seed), sessions: sessions}
	var tail []string
	for i := range 1 + *stepsFlag {
		st := g.step()
		if i == 0 {
			st = step{what: "root", op: 1, body: createBody(g.root, "", anyone, 0)}
		}
		var got [2][]string
		for k, w := range worlds {
			if i == 0 {
				w.open(t, sessions)
			}
			got[k] = w.run(st)
		}
		tail = append(tail[max(0, len(tail)-*tailFlag):], fmt.Sprintf("#%d s%d %s", i, st.session, st.what))
		require.Equal(t, strings.Join(got[1], "\n"), strings.Join(got[0], "\n"),
			"first the real server's answer, then ours; -seed %d, step %d; steps before:\n%s", seed, i, strings.Join(tail, "\n"))
		tail = append(tail, got[0]...)
		lines += len(got[0])
	}
	for _, w := range worlds {
		w.close()
	}
	return lines
}

// A world is one server with some sessions.
type world struct {
	addr  string
	conns []*raw
	names map[int64]string // of session ids
}

func (w *world) open(t *testing.T, n int) {
	w.conns = nil
	for range n {
		r, err := dialRaw(w.addr, 20*time.Second)
		require.NoError(t, err)
		w.names[r.id] = fmt.Sprintf("session%d", len(w.names))
		w.conns = append(w.conns, r)
	}
}

func (w *world) close() {
	for _, r := range w.conns {
		r.must(-11, nil)
		r.close()
	}
}

// run performs a step and returns what all sessions saw of it.
func (w *world) run(s step) (lines []string) {
	r := w.conns[s.session]
	say := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	switch s.what {
	case "reconnect":
		say("%v", r.connect())
	case "reconnect with a wrong password":
		password := r.password
		r.password = strings.Repeat("x", 16)
		say("%v", r.connect())
		r.password = password
		say("%v", r.connect())
	case "reconnect from the future":
		zxid := r.zxid
		r.zxid = 1 << 40
		say("refused: %v", r.connect() != nil)
		r.zxid = zxid
		say("%v", r.connect())
	default:
		reply, events, err := r.call(s.op, s.body, s.xid)
		for _, e := range w.tidy(s, events) {
			say("s%d %s", s.session, e)
		}
		if err != nil {
			say("closed")
			say("%v", r.connect())
		} else {
			say("s%d %s: zxid %d err %d %s", s.session, s.what, reply.zxid, reply.err, w.explain(s.op, reply))
		}
		if s.op == -11 {
			r.id, r.password = 0, strings.Repeat("\x00", 16)
			say("%v", r.connect())
			w.names[r.id] = fmt.Sprintf("session%d", len(w.names))
		} else if s.closes && err == nil {
			_, err := r.next()
			say("then closed: %v", err != nil)
			say("%v", r.connect())
		}
	}
	for i, other := range w.conns {
		p, events, err := other.call(11, nil, -2)
		for _, e := range w.tidy(s, events) {
			say("s%d %s", i, e)
		}
		if err != nil || len(events) > 0 {
			say("s%d ping: zxid %d err %d %v", i, p.zxid, p.err, err)
		}
	}
	return lines
}

// tidy sorts events where the real server's order is that of a hash table.
func (w *world) tidy(s step, events []string) []string {
	if s.op == -11 {
		return sorted(events)
	}
	return events
}

func (w *world) explain(op int32, p packet) string {
	f := p.body
	if p.err != 0 {
		return fmt.Sprintf("rest %d", len(f))
	}
	var out string
	switch op {
	case 1, 9:
		out = f.text()
	case 15, 19, 21:
		out = f.text() + " " + w.stat(&f)
	case 3, 5, 7:
		out = w.stat(&f)
	case 4:
		out = f.text() + " " + w.stat(&f)
	case 6:
		for n := f.int(); n > 0; n-- {
			out += fmt.Sprintf("%d:%s:%s ", f.int(), f.text(), f.text())
		}
		out += w.stat(&f)
	case 8:
		out = fmt.Sprint(sorted(f.texts()))
	case 12:
		out = fmt.Sprint(sorted(f.texts())) + " " + w.stat(&f)
	case 14:
		out = w.explainMulti(&f)
	case 103:
		out = fmt.Sprint(sorted(f.texts()))
	case 104, 106:
		out = fmt.Sprint(f.int())
	case 107:
		var who []string
		for n := f.int(); n > 0; n-- {
			who = append(who, f.text()+"="+f.text())
		}
		out = fmt.Sprint(sorted(who))
	}
	return fmt.Sprintf("%s rest %d", out, len(f))
}

func (w *world) explainMulti(f *fields) (out string) {
	for {
		op, done, code := f.int(), f.flag(), f.int()
		out += fmt.Sprintf("[%d %v %d ", op, done, code)
		switch {
		case done:
			return out + "]"
		case op == -1:
			out += fmt.Sprint(f.int())
		case op == 1:
			out += f.text()
		case op == 15:
			out += f.text() + " " + w.stat(f)
		case op == 5:
			out += w.stat(f)
		}
		out += "]"
	}
}

func (w *world) stat(f *fields) string {
	czxid, mzxid := f.long(), f.long()
	created, modified := age(f.long()), age(f.long())
	version, cversion, aversion := f.int(), f.int(), f.int()
	owner := f.long()
	name := w.names[owner]
	if name == "" {
		name = fmt.Sprintf("%x", owner)
	}
	return fmt.Sprintf("{c%d m%d %s %s v%d cv%d av%d %s len%d kids%d p%d}",
		czxid, mzxid, created, modified, version, cversion, aversion, name, f.int(), f.int(), f.long())
}

// age says about a time what must be equal.
func age(ms int64) string {
	switch d := time.Since(time.UnixMilli(ms)); {
	case ms == 0:
		return "never"
	case d > -time.Second && d < 10*time.Minute:
		return "now"
	}
	return fmt.Sprint(ms)
}

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

// start runs an embedded server until the test ends.
func start(t testing.TB, o zkembed.Options) *zkembed.Server {
	t.Helper()
	s, err := zkembed.Start(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}
