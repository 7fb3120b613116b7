package transporttest

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/transport"
)

func testEcho(t *testing.T, p *pair) {
	l, _ := p.listen(echo)
	c := p.dial(l, keep)
	var sent []byte
	for i, n := range []int{1, 2, 15, 16, 17, 1000, 1024, 4096, 4097, 65535, 65536, 65537, 1 << 20, 4 << 20} {
		b := pattern(n, byte(i))
		sent = append(sent, b...)
		require.NoError(t, c.send(b, 1+i%2))
		got := c.kept(t, len(sent))
		require.True(t, bytes.Equal(sent, got), "echo of %d bytes differs", n)
	}
}

func testAddresses(t *testing.T, p *pair) {
	l, accepted := p.listen(echo)
	c := p.dial(l, keep)
	s := first(t, accepted)
	require.Equal(t, l.Addr().String(), c.conn.RemoteAddr().String())
	require.Equal(t, l.Addr().String(), s.conn.LocalAddr().String())
	require.Equal(t, c.conn.LocalAddr().String(), s.conn.RemoteAddr().String())
	require.NotEqual(t, c.conn.LocalAddr().String(), c.conn.RemoteAddr().String())
	c.conn.Close(nil)
	s.end(t)
	require.NotEmpty(t, s.conn.RemoteAddr().String(), "the address is known after the end")
}

// A numbered message is its length, its sender, its number, and bytes that follow from these.
const numberedHead = 12

func numbered(sender, number, size int) []byte {
	b := pattern(numberedHead+size, byte(sender*31+number))
	binary.BigEndian.PutUint32(b, uint32(len(b)))
	binary.BigEndian.PutUint32(b[4:], uint32(sender))
	binary.BigEndian.PutUint32(b[8:], uint32(number))
	return b
}

func testOrder(t *testing.T, p *pair) {
	const senders, messages = 16, 400
	next := make([]int, senders)
	done := make(chan struct{})
	left := senders * messages
	l, _ := p.listen(func(_ *probe, b []byte) (used int, err error) {
		for len(b)-used >= numberedHead {
			m := b[used:]
			n := int(binary.BigEndian.Uint32(m))
			if len(m) < n {
				break
			}
			sender := int(binary.BigEndian.Uint32(m[4:]))
			if sender >= senders || !bytes.Equal(m[:n], numbered(sender, next[sender], n-numberedHead)) {
				return 0, fmt.Errorf("message %d of sender %d is not what was sent", next[sender%senders], sender)
			}
			next[sender]++
			used += n
			if left--; left == 0 {
				close(done)
			}
		}
		return used, nil
	})
	c := p.dial(l, keep, "queue", "262144")
	var all sync.WaitGroup
	for s := range senders {
		all.Go(func() {
			r := rand.New(rand.NewPCG(uint64(s), 1))
			for i := range messages {
				size := r.IntN(300)
				if i%29 == 0 {
					size = r.IntN(40 << 10)
				}
				if err := c.send(numbered(s, i, size), 1+s%3); err != nil {
					t.Errorf("sender %d: message %d: %v", s, i, err)
					return
				}
			}
		})
	}
	all.Wait()
	select {
	case <-done:
	case <-c.closed:
		require.NoError(t, c.end(t))
	case <-time.After(patience):
		require.FailNow(t, "messages are missing")
	}
}

func testPartial(t *testing.T, p *pair) {
	const unit, total = 1000, 300 * 1000
	var got []byte
	done := make(chan struct{})
	l, _ := p.listen(func(_ *probe, b []byte) (used int, err error) {
		switch {
		case len(got) >= total:
			return len(b), nil
		case len(b) >= unit:
			used = unit * ((len(b)/unit + 1) / 2) // at least one unit, seldom all
		}
		if got = append(got, b[:used]...); len(got) >= total {
			close(done)
		}
		return used, nil
	})
	c := p.dial(l, keep)
	sent := pattern(total, 3)
	for rest := sent; len(rest) > 0; {
		n := min(len(rest), 777)
		require.NoError(t, c.send(rest[:n], 1))
		rest = rest[n:]
	}
	// What the receiver leaves comes again with what follows, so the last units need a push.
	for pushed := 0; ; pushed++ {
		select {
		case <-done:
			require.True(t, bytes.Equal(sent, got[:total]))
			return
		case <-time.After(5 * time.Millisecond):
			require.Less(t, pushed, 2000)
			require.NoError(t, c.send(make([]byte, unit), 1))
		}
	}
}

func testFlush(t *testing.T, p *pair) {
	l, accepted, open := p.gated()
	c := p.dial(l, keep)
	require.NoError(t, c.conn.Flush(context.Background()), "nothing is queued")
	require.NoError(t, c.send([]byte("x"), 1))
	require.NoError(t, c.conn.Flush(context.Background()))
	s := first(t, accepted)

	n := c.fill(t)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, c.conn.Flush(ctx), context.DeadlineExceeded)
	open()
	require.NoError(t, c.conn.Flush(context.Background()))
	c.conn.Close(nil)
	require.Len(t, s.kept(t, n+1), n+1, "what was flushed arrives, although the connection is closed at once")
	require.ErrorIs(t, c.conn.Flush(context.Background()), transport.ErrClosed)
}
