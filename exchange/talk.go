package exchange

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"github.com/ferryrpc/ferry/transport"
)

// A Talker is a Handler that also answers people who type lines of text on the server's port, as with telnet.
type Talker interface {
	Handler
	// Talk is asked once for each connection whose first byte begins no message. What it returns answers the lines of that
	// connection, one after the other, on a goroutine that may block; more is false to hang up. nil means that this peer
	// gets no text, and is closed as one that sent nonsense.
	Talk(c *ServerConn) func(line string) (answer string, more bool)
}

// ErrTalk is the cause of a connection's end when its text is more than a person types.
var ErrTalk = errors.New("exchange: text refused")

// The limits of text. It is for people.
const (
	maxLine  = 8 << 10 // bytes of one line
	maxLines = 16      // lines that wait for their answers
	maxTalks = 8       // connections of a server
)

// A greeting is a connection of which nothing is known yet. Only a server with a Talker has them.
type greeting struct {
	c      *ServerConn
	talker Talker
	to     transport.Receiver
}

// Received implements transport.Receiver.
func (g *greeting) Received(b []byte) (int, error) {
	if g.to == nil && len(b) > 0 {
		g.to = g.c
		if b[0] != magic>>8 {
			if err := g.begin(); err != nil {
				return 0, err
			}
		}
	}
	if g.to == nil {
		return 0, nil
	}
	return g.to.Received(b)
}

func (g *greeting) begin() error {
	s := g.c.server
	answer := g.talker.Talk(g.c)
	if answer == nil {
		return nil // and the decoder says what it thinks of it
	}
	if s.talks.Add(1) > maxTalks {
		s.talks.Add(-1)
		return fmt.Errorf("%w: %d connections talk already", ErrTalk, maxTalks)
	}
	t := &talk{c: g.c, lines: make(chan string, maxLines)}
	g.c.text.Store(true)
	g.to = t
	s.talkers.Go(func() { t.run(answer) })
	return nil
}

// Closed implements transport.Receiver.
func (g *greeting) Closed(err error) {
	if g.to == nil {
		g.to = g.c
	}
	g.to.Closed(err)
}

// A talk is a connection that carries text.
type talk struct {
	c     *ServerConn
	lines chan string
	over  atomic.Bool
}

// Received implements transport.Receiver.
func (t *talk) Received(b []byte) (used int, err error) {
	t.c.heard.Store(true)
	for {
		line, _, whole := bytes.Cut(b[used:], []byte{'\n'})
		if hangsUp(line) {
			return used, errors.New("exchange: the peer hung up")
		}
		if len(line) > maxLine {
			return used, fmt.Errorf("%w: a line of more than %d bytes", ErrTalk, maxLine)
		}
		if !whole {
			return used, nil
		}
		used += len(line) + 1
		select {
		case t.lines <- typed(line):
		default:
			return used, fmt.Errorf("%w: more than %d lines wait", ErrTalk, maxLines)
		}
	}
}

// hangsUp finds what a terminal sends for Ctrl-C: the character, or telnet's commands for it.
func hangsUp(line []byte) bool {
	return bytes.IndexByte(line, 3) >= 0 || bytes.Contains(line, []byte{0xff, 0xf4}) || bytes.Contains(line, []byte{0xff, 0xed})
}

// typed is a line without telnet's negotiations, in valid UTF-8, with backspaces obeyed.
func typed(line []byte) string {
	out := make([]byte, 0, len(line))
	for i := 0; i < len(line); i++ {
		switch b := line[i]; {
		case b == 0xff:
			i += 2 // a command and its option
		case b == '\b' || b == 0x7f:
			_, n := utf8.DecodeLastRune(out)
			out = out[:len(out)-n]
		case b >= ' ' || b == '\t':
			out = append(out, b)
		}
	}
	return strings.TrimSpace(strings.ToValidUTF8(string(out), "\uFFFD"))
}

// Closed implements transport.Receiver.
func (t *talk) Closed(err error) {
	t.over.Store(true)
	close(t.lines)
	t.c.Closed(err)
}

// run answers lines until the connection ends.
func (t *talk) run(answer func(string) (string, bool)) {
	s := t.c.server
	defer s.talks.Add(-1)
	for line := range t.lines {
		if t.over.Load() {
			continue // nobody waits for answers
		}
		t.c.running.Add(1) // an answer that takes its time is no silence
		s.talking.Add(1)
		s.requests.Add(1)
		text, more := answer(line)
		s.talking.Add(-1)
		t.c.running.Add(-1)
		f := transport.NewFrame(len(text))
		f.B = append(f.B, text...)
		if err := t.c.conn.Send(f, 1); err != nil {
			if err == transport.ErrFull {
				f.Free()
				t.c.conn.Close(fmt.Errorf("%w: answers pile up", ErrTalk))
			}
			continue
		}
		if !more {
			_ = t.c.conn.Flush(t.c.Context())
			t.c.conn.Close(nil)
		}
	}
}
