package lock

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"
)

// A court hears what worker processes say of a lock, each on a connection, line by line, and keeps the number that the lock
// protects. All its times are its own: it gives out marks, and a worker that says what it did after it got a mark has said
// when, however long it was stopped before or after.
//
//	mark                    answers a mark
//	granted FENCE MARK      Lock has returned, and was called after that mark
//	held FENCE MARK         Held said yes after that mark
//	read FENCE              answers the number, or fenced
//	write FENCE NUMBER      answers ok, or fenced
//	released FENCE RESULT   what Unlock returned
type court struct {
	ungated bool        // takes every fence, for negative controls
	reader  chan caught // takes the process of a reading that was just made, if somebody waits for one

	mu       sync.Mutex // guards the following
	now      int64
	over     bool
	gate     Gate
	number   int
	reads    map[int64]reading // by token
	grants   []grant           // in the order in which they were told
	history  []porcupine.Operation
	sections int
	lost     int
	fenced   int
	overlaps []string
	disorder []string
	strange  []string
}

type grant struct{ token, at int64 }

type reading struct {
	number int
	at     int64
}

// A caught process gets the answer to its reading when still is closed.
type caught struct {
	pid   int
	still chan struct{}
}

func newCourt() *court { return &court{reads: map[int64]reading{}, reader: make(chan caught)} }

// hear answers one line of a process.
func (c *court) hear(pid int, line string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now++
	verb, rest, _ := strings.Cut(line, " ")
	if verb == "mark" {
		if c.over {
			return "stop"
		}
		return fmt.Sprint(c.now)
	}
	text, rest, _ := strings.Cut(rest, " ")
	fence, err := ParseFence(text)
	if err != nil {
		c.strange = append(c.strange, line)
		return "what?"
	}
	switch verb {
	case "granted":
		c.granted(fence.Token, number(rest))
	case "held":
		c.held(fence.Token, number(rest))
	case "read":
		if !c.passes(fence) {
			return "fenced"
		}
		c.reads[fence.Token] = reading{c.number, c.now}
		k := caught{pid, make(chan struct{})}
		select {
		case c.reader <- k:
			<-k.still // it has not seen the answer yet
		default:
		}
		return fmt.Sprint(c.number)
	case "write":
		if !c.passes(fence) {
			return "fenced"
		}
		c.write(pid, fence.Token, int(number(rest)))
	case "released":
		if rest != "<nil>" {
			c.lost++
		}
	}
	return "ok"
}

func number(text string) (n int64) {
	_, _ = fmt.Sscan(text, &n) // a worker writes what it read
	return n
}

func (c *court) passes(f Fence) bool {
	if c.ungated {
		return true
	}
	if err := c.gate.Present(f); err != nil {
		c.fenced++
		return false
	}
	return true
}

// granted sees whether a lock that was asked for after another was granted has a smaller token.
func (c *court) granted(token, mark int64) {
	for _, g := range c.grants {
		if g.at < mark && g.token >= token {
			c.disorder = append(c.disorder, fmt.Sprintf("%d was asked for after %d was granted", token, g.token))
		}
	}
	c.grants = append(c.grants, grant{token, c.now})
	c.sections++
}

// held sees whether somebody believed to hold what another one had been granted before.
func (c *court) held(token, mark int64) {
	for _, g := range c.grants {
		if g.at < mark && g.token > token {
			c.overlaps = append(c.overlaps, fmt.Sprintf("%d was believed in after %d was granted", token, g.token))
			return
		}
	}
}

func (c *court) write(pid int, token int64, to int) {
	r := c.reads[token]
	c.number = to
	c.history = append(c.history, porcupine.Operation{ClientId: pid, Input: update{r.number, to}, Call: r.at, Return: c.now})
}

// An update is a section: it has read one number and written another.
type update struct{ from, to int }

// updates models a number that is read and written in sections that exclude each other.
var updates = porcupine.Model{
	Init: func() any { return 0 },
	Step: func(state, input, _ any) (bool, any) { return state == input.(update).from, input.(update).to },
}

func (c *court) consistent() bool {
	return porcupine.CheckOperationsTimeout(updates, c.history, 30*time.Second) == porcupine.Ok
}

// serve hears everybody who connects until the listener is closed.
func (c *court) serve(l net.Listener) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		wg.Go(func() {
			defer conn.Close()
			var pid int
			for s := bufio.NewScanner(conn); s.Scan(); {
				if who, ok := strings.CutPrefix(s.Text(), "pid "); ok {
					pid = int(number(who))
					continue
				}
				if _, err := fmt.Fprintln(conn, c.hear(pid, s.Text())); err != nil {
					return
				}
			}
		})
	}
}

// The court sees what it is there to see.
func TestCourt(t *testing.T) {
	a, b := Fence{Token: 5}, Fence{Token: 7}
	say := func(c *court, lines ...string) (last string) {
		for _, line := range lines {
			last = c.hear(1, line)
		}
		return last
	}
	c := newCourt()
	say(c, "mark", "granted "+a.String()+" 1", "mark", "held "+a.String()+" 3", "granted "+b.String()+" 3", "mark", "held "+b.String()+" 6", "held "+a.String()+" 3")
	require.Empty(t, c.overlaps)
	require.Empty(t, c.disorder)
	say(c, "held "+a.String()+" 6")
	require.Len(t, c.overlaps, 1)
	say(c, "granted "+a.String()+" 6")
	require.NotEmpty(t, c.disorder)

	// The number: without a gate an update is lost; a gate for writes alone loses it, too; one for reads and writes does not.
	for name, gate := range map[string]func(f Fence, write bool, g *Gate) bool{
		"none":             func(Fence, bool, *Gate) bool { return true },
		"writes":           func(f Fence, write bool, g *Gate) bool { return !write || g.Present(f) == nil },
		"reads and writes": func(f Fence, _ bool, g *Gate) bool { return g.Present(f) == nil },
	} {
		c, g := newCourt(), &Gate{}
		c.ungated = true
		for _, step := range []struct {
			f     Fence
			write bool
		}{{a, false}, {b, false}, {a, true}, {b, true}} { // b got the lock while a was stopped inside
			switch {
			case !gate(step.f, step.write, g):
			case step.write:
				c.hear(1, fmt.Sprintf("write %s %d", step.f, c.reads[step.f.Token].number+1))
			default:
				c.hear(1, "read "+step.f.String())
			}
		}
		require.Equal(t, name == "reads and writes", c.consistent(), name)
		require.Equal(t, 1, c.number, name)
		require.Len(t, c.history, map[bool]int{true: 1, false: 2}[name == "reads and writes"], name)
	}
}
