package transporttest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/transport"
	"github.com/ferryrpc/ferry/url"
)

var errUnwanted = errors.New("unwanted byte")

func testLeftTooMuch(t *testing.T, p *pair) {
	l, accepted := p.listen(func(*probe, []byte) (int, error) { return 0, nil })
	c := p.dial(l, keep)
	_ = c.send(make([]byte, 3<<20), 1)
	require.ErrorContains(t, first(t, accepted).end(t), "receiver used none")
	require.ErrorIs(t, c.end(t), io.EOF)
}

func testReceiverError(t *testing.T, p *pair) {
	l, accepted := p.listen(func(_ *probe, b []byte) (int, error) {
		if bytes.IndexByte(b, '!') >= 0 {
			return 0, errUnwanted
		}
		return len(b), nil
	})
	c := p.dial(l, keep)
	require.NoError(t, c.send([]byte("fine"), 1))
	require.NoError(t, c.send([]byte("bad!"), 1))
	require.ErrorIs(t, first(t, accepted).end(t), errUnwanted)
	require.ErrorIs(t, c.end(t), io.EOF)
}

func testPeerCloses(t *testing.T, p *pair) {
	l, accepted := p.listen(keep)
	c := p.dial(l, keep)
	s := first(t, accepted)
	s.conn.Close(nil)
	require.ErrorIs(t, s.end(t), transport.ErrClosed)
	require.ErrorIs(t, c.end(t), io.EOF)

	c = p.dial(l, keep)
	s = first(t, accepted)
	c.conn.Close(errUnwanted)
	require.ErrorIs(t, c.end(t), errUnwanted)
	require.Equal(t, io.EOF, s.end(t), "an orderly end is io.EOF itself")
}

func testBothClose(t *testing.T, p *pair) {
	l, accepted := p.listen(echo)
	for range 50 {
		c := p.dial(l, keep)
		s := first(t, accepted)
		require.NoError(t, c.send([]byte("x"), 2))
		var all sync.WaitGroup
		for _, end := range []*probe{c, s, c, s} {
			all.Go(func() { end.conn.Close(nil) })
			all.Go(func() { _ = end.conn.Send(transport.NewFrame(1), 2) })
		}
		all.Wait()
		for _, end := range []*probe{c, s} {
			err := end.end(t)
			require.True(t, errors.Is(err, transport.ErrClosed) || errors.Is(err, io.EOF), "%v", err)
		}
	}
}

func testSendAfterClose(t *testing.T, p *pair) {
	l, accepted := p.listen(keep)
	c := p.dial(l, keep)
	first(t, accepted)
	c.conn.Close(errUnwanted)
	f := transport.NewFrame(1)
	f.B = append(f.B, 'x')
	require.ErrorIs(t, c.conn.Send(f, 1), errUnwanted)
	require.Nil(t, c.conn.Wait(), "nobody waits for room on a closed connection")
	c.end(t)
	require.ErrorIs(t, c.send([]byte("x"), 2), errUnwanted)
	c.conn.Close(nil)
	require.ErrorIs(t, c.end(t), errUnwanted, "the first reason counts")
}

func testCloseWhenOpened(t *testing.T, p *pair) {
	l, accepted := p.listen(keep)
	var c *probe
	_, err := p.client.Dial(context.Background(), p.base.WithAddress(l.Addr().String()), func(conn transport.Conn) transport.Receiver {
		c = newProbe(t, conn, keep)
		conn.Close(errUnwanted)
		return c
	})
	require.NoError(t, err)
	require.ErrorIs(t, c.end(t), errUnwanted)
	require.ErrorIs(t, first(t, accepted).end(t), io.EOF)
}

func testCloseInReceiver(t *testing.T, p *pair) {
	l, accepted := p.listen(func(s *probe, b []byte) (int, error) {
		s.conn.Close(errUnwanted)
		return len(b), nil
	})
	c := p.dial(l, keep)
	require.NoError(t, c.send([]byte("x"), 1))
	require.ErrorIs(t, first(t, accepted).end(t), errUnwanted)
	require.ErrorIs(t, c.end(t), io.EOF)
}

// testLastWords has the server say something, close, and only then the client try to write: what the server said must
// arrive, although the client's write fails.
func testLastWords(t *testing.T, p *pair) {
	words := pattern(100<<10, 9)
	l, accepted := p.listen(keep)
	c := p.dial(l, keep)
	s := first(t, accepted)
	require.NoError(t, s.send(words, 1))
	require.NoError(t, s.conn.Flush(context.Background()))
	s.conn.Close(nil)
	require.Equal(t, words, c.kept(t, len(words)))
	for c.send([]byte("too late"), 1) == nil {
		continue
	}
	require.ErrorIs(t, c.end(t), io.EOF)
}

func testListenerClose(t *testing.T, p *pair) {
	l, accepted := p.listen(echo)
	var clients, servers []*probe
	for range 5 {
		clients = append(clients, p.dial(l, keep))
		servers = append(servers, first(t, accepted))
	}
	var all sync.WaitGroup
	for _, c := range clients {
		all.Go(func() {
			for c.send(pattern(100, 1), 2) == nil {
				c.mu.Lock()
				c.got = nil
				c.mu.Unlock()
			}
		})
	}
	for _, s := range servers {
		wait(t, s.started, "the first byte")
	}
	require.NoError(t, l.Close())
	for _, s := range servers {
		select {
		case <-s.closed:
		default:
			require.Fail(t, "Close returns before the last call of Closed")
		}
		require.ErrorIs(t, s.end(t), transport.ErrClosed)
	}
	all.Wait()
	for _, c := range clients {
		require.ErrorIs(t, c.end(t), io.EOF)
	}
	require.NoError(t, l.Close(), "closing twice is no error")
	_, err := p.client.Dial(context.Background(), p.base.WithAddress(l.Addr().String()), nobody(t))
	require.ErrorContains(t, err, l.Addr().String())
}

func testAccepts(t *testing.T, p *pair) {
	p.base = p.base.With("accepts", "2")
	l, accepted := p.listen(echo)
	p.dial(l, keep)
	b := p.dial(l, keep)
	first(t, accepted)
	first(t, accepted)
	var refused *probe
	_, err := p.client.Dial(context.Background(), p.base.WithAddress(l.Addr().String()), func(c transport.Conn) transport.Receiver {
		refused = newProbe(t, c, keep)
		return refused
	})
	if err == nil {
		require.ErrorIs(t, refused.end(t), io.EOF)
	}
	b.conn.Close(nil)
	b.end(t)
	for {
		// The place is free when the server has seen the end.
		var c *probe
		conn, err := p.client.Dial(context.Background(), p.base.WithAddress(l.Addr().String()), func(c1 transport.Conn) transport.Receiver {
			c = newProbe(t, c1, keep)
			return c
		})
		if err != nil {
			continue
		}
		_ = c.send([]byte("x"), 1)
		select {
		case s := <-accepted:
			conn.Close(nil)
			s.end(t)
			c.end(t)
			return
		case <-c.closed:
		}
	}
}

func testInUse(t *testing.T, p *pair) {
	l, _ := p.listen(keep)
	_, err := p.server.Listen(p.base.WithAddress(l.Addr().String()), nobody(t))
	require.ErrorContains(t, err, l.Addr().String())
	require.ErrorContains(t, err, "in use")
}

func testDialRefused(t *testing.T, p *pair) {
	l, _ := p.listen(keep)
	require.NoError(t, l.Close())
	_, err := p.client.Dial(context.Background(), p.base.WithAddress(l.Addr().String()), nobody(t))
	require.ErrorContains(t, err, l.Addr().String())
}

func testDialContext(t *testing.T, p *pair) {
	l, _ := p.listen(keep)
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errUnwanted)
	_, err := p.client.Dial(ctx, p.base.WithAddress(l.Addr().String()), nobody(t))
	require.ErrorIs(t, err, errUnwanted)
	require.ErrorContains(t, err, l.Addr().String())
}

func testBadParameters(t *testing.T, p *pair) {
	for _, q := range []string{"queue=-1", "queue=much", "write.stall=-1", "connect.timeout=-5", "accepts=-1", "accepts=x"} {
		u := url.MustParse(p.base.String() + "?" + q)
		_, err := p.server.Listen(u, nobody(t))
		require.ErrorContains(t, err, u.Keys()[0], q)
		_, err = p.client.Dial(context.Background(), u, nobody(t))
		require.ErrorContains(t, err, u.Keys()[0], q)
	}
}

func testMany(t *testing.T, p *pair, connections int) {
	l, _ := p.listen(echo)
	const each = 2
	clients := make([]*probe, connections)
	for i := range clients {
		clients[i] = p.dial(l, keep)
	}
	for round := range each {
		for i, c := range clients {
			require.NoError(t, c.send(pattern(64, byte(i)), 1))
		}
		for i, c := range clients {
			got := c.kept(t, 64*(round+1))
			require.True(t, bytes.Equal(pattern(64, byte(i)), got[64*round:]))
		}
	}
}

// nobody is for connections that must not come about.
func nobody(t *testing.T) func(transport.Conn) transport.Receiver {
	return func(c transport.Conn) transport.Receiver {
		t.Error("a connection came about")
		return newProbe(t, c, keep)
	}
}
