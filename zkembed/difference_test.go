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
	require.Equal(t, worlds[1].counts(t), worlds[0].counts(t))
	for _, w := range worlds {
		w.close()
	}
	return lines + 1
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

// counts is what the server says of itself.
func (w *world) counts(t *testing.T) (lines []string) {
	for _, word := range []string{"srvr", "mntr"} {
		answer, err := zktest.FourLetter(w.addr, word)
		require.NoError(t, err)
		for line := range strings.Lines(answer) {
			for _, name := range []string{"Zxid:", "Node count:", "zk_znode_count", "zk_ephemerals_count", "zk_watch_count", "zk_global_sessions"} {
				if strings.HasPrefix(line, name) {
					lines = append(lines, line)
				}
			}
		}
	}
	return sorted(lines)
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

// start runs an embedded server until the test ends.
func start(t testing.TB, o zkembed.Options) *zkembed.Server {
	t.Helper()
	s, err := zkembed.Start(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}
