package transporttest

import (
	"errors"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/transport"
)

// settled is how long a queue stays full when the kernel's buffers do not grow any more.
const settled = 600 * time.Millisecond

// fill sends until the queue is full and stays so, and returns how many bytes were accepted. A kernel enlarges its buffers
// while nobody reads, so a full queue may find room again for a while.
func (p *probe) fill(t *testing.T) (total int) {
	t.Helper()
	for start := time.Now(); time.Since(start) < patience; {
		f := transport.NewFrame(10 << 10)
		f.B = append(f.B, pattern(10<<10, byte(total>>10))...)
		switch err := p.conn.Send(f, 1); {
		case err == nil:
			total += 10 << 10
		case errors.Is(err, transport.ErrFull):
			room := p.conn.Wait()
			if room == nil {
				continue
			}
			select {
			case <-room:
			case <-time.After(settled):
				return total
			}
		case errors.Is(err, transport.ErrStalled):
			return total // on a busy machine it may come to that before the queue is seen full
		default:
			require.NoError(t, err)
		}
	}
	require.FailNow(t, "the queue never fills")
	return 0
}

func testBoundedQueue(t *testing.T, p *pair) {
	l, accepted, open := p.gated()
	c := p.dial(l, keep, "queue", "200000")
	require.Nil(t, c.conn.Wait(), "there is room at first")
	total := c.fill(t)
	s := first(t, accepted)
	queued := uint64(total)
	if k, ok := c.conn.(counter); ok {
		sent, _ := k.Counts()
		queued -= sent
	}
	require.LessOrEqual(t, queued, uint64(200000), "bytes in the queue")

	room := c.conn.Wait()
	require.NotNil(t, room)
	select {
	case <-room:
		require.Fail(t, "there is no room yet")
	case <-time.After(20 * time.Millisecond):
	}
	open()
	wait(t, room, "room in the queue")
	big := pattern(1<<20, 5)
	require.NoError(t, c.send(big, 1), "a message above the limit is accepted when there is room")
	got := s.kept(t, total+len(big))
	require.Len(t, got, total+len(big))
	require.Equal(t, big, got[total:])
	for i := 0; i < total; i += 10 << 10 {
		require.Equal(t, pattern(10<<10, byte(i>>10)), got[i:i+10<<10])
	}
}

func testStall(t *testing.T, p *pair) {
	l, accepted, _ := p.gated()
	c := p.dial(l, keep, "queue", "200000", "write.stall", "400")
	first(t, accepted)
	c.fill(t) // longer than write.stall
	room := c.conn.Wait()
	require.ErrorIs(t, c.end(t), transport.ErrStalled)
	if room != nil {
		wait(t, room, "the end to wake those who wait for room")
	}
	require.ErrorIs(t, c.send([]byte("x"), 1), transport.ErrStalled)
}

// testSlow has a peer that reads a little at a time, for more than write.stall in all.
func testSlow(t *testing.T, p *pair) {
	l, accepted := p.listen(func(s *probe, b []byte) (int, error) {
		pause := time.NewTimer(5 * time.Millisecond)
		<-pause.C
		return keep(s, b)
	})
	c := p.dial(l, keep, "queue", "200000", "write.stall", "300")
	s := first(t, accepted)
	sent := 0
	for start := time.Now(); time.Since(start) < 700*time.Millisecond; sent += 30 << 10 {
		require.NoError(t, c.send(make([]byte, 30<<10), 1))
	}
	require.Len(t, s.kept(t, sent), sent)
}

func testCloseStuck(t *testing.T, p *pair) {
	l, accepted, open := p.gated()
	c := p.dial(l, keep, "queue", "200000")
	s := first(t, accepted)
	c.fill(t)
	room := c.conn.Wait()
	c.conn.Close(nil)
	wait(t, room, "the end to wake those who wait for room")
	require.ErrorIs(t, c.end(t), transport.ErrClosed)
	open()
	require.ErrorIs(t, s.end(t), io.EOF)
}
