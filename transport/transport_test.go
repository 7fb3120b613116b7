package transport

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/url"
)

func TestFrames(t *testing.T) {
	for _, n := range []int{0, 1, 1023, 1024, 1025, 4096, 4097, 65536, 65537, 1 << 20, 1<<20 + 1, 9 << 20} {
		f := NewFrame(n)
		require.Empty(t, f.B)
		require.GreaterOrEqual(t, cap(f.B), n)
		require.LessOrEqual(t, cap(f.B), max(1024, 4*n))
		f.B = append(f.B, make([]byte, n)...)
		f.Free()
		again := NewFrame(n)
		require.Empty(t, again.B)
		require.GreaterOrEqual(t, cap(again.B), n)
	}
}

func TestGrownFramesServeTheirClass(t *testing.T) {
	for _, n := range []int{10, 1024, 1500, 4095, 4096, 40000, 300000, 1 << 20, 2<<20 - 1, 2 << 20} {
		for range 50 {
			(&Frame{B: make([]byte, 0, n)}).Free()
		}
		for want := 1024; want <= 1<<20; want *= 2 {
			for range 50 {
				require.GreaterOrEqual(t, cap(NewFrame(want).B), want)
			}
		}
	}
}

// TestIdleGiantsAreBounded: however many giant buffers were in use, few bytes stay, and those that stay are used again.
func TestIdleGiantsAreBounded(t *testing.T) {
	var s shelf
	for i := range 100 {
		s.keep(&Frame{B: make([]byte, 5, (1+i%8)<<20+1)})
		total := 0
		for _, f := range s.free {
			total += cap(f.B)
		}
		require.Equal(t, total, s.bytes)
		require.LessOrEqual(t, total, idleGiants)
	}
	require.Greater(t, s.bytes, idleGiants/2)
	s.keep(&Frame{B: make([]byte, 0, idleGiants)})
	require.Nil(t, s.take(idleGiants), "one that would take the place of all others")
	f := s.take(3 << 20)
	require.NotNil(t, f)
	require.Empty(t, f.B)
	require.GreaterOrEqual(t, cap(f.B), 3<<20)
	for range 100 {
		f := s.take(2 << 20)
		if f == nil {
			break
		}
		require.LessOrEqual(t, cap(f.B), 8<<20+3)
	}
	require.Nil(t, s.take(2<<20))
	require.GreaterOrEqual(t, s.bytes, 0)
}

func TestSpareNeedsNoMemoryForGiants(t *testing.T) {
	for giants.take(7<<20) != nil {
	}
	require.Equal(t, maxPooled, cap(Spare(7<<20).B))
	(&Frame{B: make([]byte, 0, 8<<20)}).Free()
	require.Equal(t, 8<<20, cap(Spare(7<<20).B))
	require.Equal(t, maxPooled, cap(Spare(7<<20).B))
	require.Equal(t, 2048, cap(Spare(1500).B))
}

func TestParams(t *testing.T) {
	p, err := ReadParams(url.MustParse("x://h?queue=0&write.stall=0&connect.timeout=0"))
	require.NoError(t, err)
	require.Equal(t, Params{ConnectTimeout: 3 * time.Second, Queue: 16 << 20, WriteStall: 30 * time.Second}, p)
	for _, q := range []string{"queue=-1", "write.stall=-1ms", "connect.timeout=-1", "accepts=-1", "queue=a"} {
		_, err := ReadParams(url.MustParse("x://h?" + q))
		require.Error(t, err, q)
	}
}

func TestDialError(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	err := DialError(ctx, "h:1", time.Second, context.DeadlineExceeded)
	require.EqualError(t, err, "transport: dial h:1: no connection within 1s: context deadline exceeded")
	require.EqualError(t, DialError(ctx, "h:1", time.Second, io.EOF), "transport: dial h:1: EOF")
	cancel()
	require.ErrorIs(t, DialError(ctx, "h:1", time.Second, io.EOF), context.Canceled)
}

// failing is a net.Listener whose Accept gives what is in the channel.
type failing struct{ results chan any }

func (l failing) Close() error   { return nil }
func (l failing) Addr() net.Addr { return &net.TCPAddr{} }
func (l failing) Accept() (net.Conn, error) {
	switch r := (<-l.results).(type) {
	case error:
		return nil, r
	case net.Conn:
		return r, nil
	}
	return nil, net.ErrClosed
}

func TestAcceptGoesOnAfterErrors(t *testing.T) {
	l := failing{make(chan any, 5)}
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	for _, r := range []any{errors.New("no descriptors"), a, errors.New("again"), b, nil} {
		l.results <- r
	}
	var got []net.Conn
	var log bytes.Buffer
	Accept(l, slog.New(slog.NewTextHandler(&log, nil)), func(c net.Conn) { got = append(got, c) })
	require.Equal(t, []net.Conn{a, b}, got)
	require.Contains(t, log.String(), "no descriptors")
}

type member struct {
	g      *Group
	reason error
}

func (m *member) Close(cause error) {
	m.reason = cause
	go m.g.Remove(m)
}

func TestGroup(t *testing.T) {
	var g Group
	a, b := &member{g: &g}, &member{g: &g}
	require.True(t, g.Add(a, 2))
	require.True(t, g.Add(b, 2))
	require.False(t, g.Add(&member{}, 2))
	g.Remove(a)
	g.Remove(a)
	require.True(t, g.Add(a, 2))
	g.Close()
	require.ErrorIs(t, a.reason, ErrClosed)
	require.ErrorIs(t, b.reason, ErrClosed)
	require.False(t, g.Add(&member{}, 0), "the group is closed")
	g.Close()
}

// reader is a Receiver that takes as many bytes as it is told to.
type reader struct {
	got  []byte
	take func(n int) int
	err  error
}

func (r *reader) Received(b []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	n := r.take(len(b))
	r.got = append(r.got, b[:n]...)
	return n, nil
}

func (r *reader) Closed(error) {}

func TestInboundLimitsWhatIsLeft(t *testing.T) {
	in := Inbound{Receiver: &reader{take: func(int) int { return 0 }}}
	defer in.Drop()
	for range leftover / (64 << 10) {
		require.NoError(t, in.Feed(make([]byte, 64<<10)))
	}
	require.ErrorContains(t, in.Feed([]byte("x")), "used none")
}

func TestInboundPassesErrors(t *testing.T) {
	in := Inbound{Receiver: &reader{err: io.ErrNoProgress}}
	require.ErrorIs(t, in.Feed([]byte("x")), io.ErrNoProgress)
	in.Space(0)
	require.ErrorIs(t, in.Take(1), io.ErrNoProgress)
	in.Drop()
}

func TestInboundHasNoBufferAtRest(t *testing.T) {
	r := &reader{take: func(n int) int { return n - 3 }}
	in := Inbound{Receiver: r}
	defer in.Drop()
	b := in.Space(0)
	require.GreaterOrEqual(t, len(b), 64<<10)
	copy(b, "0123456789")
	require.NoError(t, in.Take(10))
	in.Rest()
	require.Equal(t, "789", string(in.buf.B))
	require.LessOrEqual(t, cap(in.buf.B), 1024)
	require.GreaterOrEqual(t, len(in.Space(0)), 32<<10, "reads are large again")
	r.take = func(n int) int { return n }
	require.NoError(t, in.Take(0))
	in.Rest()
	require.Nil(t, in.buf)
}

// FuzzInbound cuts bytes into pieces and has the receiver use parts of them; all must arrive, once and in order.
func FuzzInbound(f *testing.F) {
	f.Add([]byte("hello, world"), []byte{3, 0, 200, 7, 1})
	f.Add(bytes.Repeat([]byte("0123456789abcdef"), 1000), []byte{255, 255, 0, 128, 9, 17, 33})
	f.Fuzz(func(t *testing.T, data, script []byte) {
		if len(script) == 0 || len(data) > 64<<10 {
			return
		}
		step, i := 0, 0
		next := func() int {
			i++
			return int(script[i%len(script)]) * (1 + i%3*200)
		}
		r := &reader{take: func(n int) int { return min(n, next()) }}
		in := Inbound{Receiver: r}
		for rest := data; len(rest) > 0; {
			n := min(len(rest), 1+len(data)/1000+next())
			if step++; step%3 == 0 {
				require.NoError(t, in.Feed(rest[:n]))
			} else {
				n = copy(in.Space(n%2*4096), rest[:n])
				require.NoError(t, in.Take(n))
			}
			if step%2 == 0 {
				in.Rest()
			}
			rest = rest[n:]
		}
		r.take = func(n int) int { return n }
		require.NoError(t, in.Feed([]byte("end")))
		require.True(t, bytes.Equal(append(bytes.Clone(data), "end"...), r.got))
		in.Rest()
		require.Nil(t, in.buf)
	})
}
