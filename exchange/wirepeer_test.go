package exchange

import (
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// peer reads n bytes as a bare connection that speaks to the side under test byte by byte.
func peer(t *testing.T, c net.Conn, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	require.NoError(t, c.SetReadDeadline(time.Now().Add(patience)))
	_, err := io.ReadFull(c, b)
	require.NoError(t, err)
	return b
}

func requireClosed(t *testing.T, c net.Conn) {
	t.Helper()
	require.NoError(t, c.SetReadDeadline(time.Now().Add(patience)))
	n, err := io.Copy(io.Discard, c)
	var timeout net.Error
	require.False(t, errors.As(err, &timeout) && timeout.Timeout(), "the connection is still open, %d bytes came", n)
}

func connect(t *testing.T, s *Server) net.Conn {
	c, err := net.Dial("tcp", s.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestServerAnswersHeartbeatsWithTheirSerialization(t *testing.T) {
	s := serve(t, Params{}, ServerParams{}, echo)
	c := connect(t, s)
	_, err := c.Write([]byte("\xda\xbb\xe2\x00\x00\x00\x00\x00\x00\x00\x00\x07\x00\x00\x00\x01N"))
	require.NoError(t, err)
	require.Equal(t, "\xda\xbb\x22\x14\x00\x00\x00\x00\x00\x00\x00\x07\x00\x00\x00\x01N", string(peer(t, c, 17)))
}

func TestBadBytesEndOnlyTheirConnection(t *testing.T) {
	s := serve(t, Params{}, ServerParams{}, echo)
	good := dial(t, s.Addr().String(), Params{})
	for name, bytes := range map[string]string{
		"bad magic":   "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"huge length": "\xda\xbb\xc2\x00\x00\x00\x00\x00\x00\x00\x00\x07\xff\xff\xff\xff",
	} {
		c := connect(t, s)
		_, err := c.Write([]byte(bytes))
		require.NoError(t, err, name)
		requireClosed(t, c)
		_, err = call(good, "x", patience)
		require.NoError(t, err, name)
	}
}

func TestSlowFrameAndSilenceEndAConnection(t *testing.T) {
	s := serve(t, Params{FrameTimeout: 80 * time.Millisecond}, ServerParams{}, echo)
	c := connect(t, s)
	_, err := c.Write([]byte("\xda\xbb\xc2\x00\x00\x00"))
	require.NoError(t, err)
	requireClosed(t, c)
	body := connect(t, s)
	_, err = body.Write([]byte("\xda\xbb\xc2\x00\x00\x00\x00\x00\x00\x00\x00\x07\x00\x00\x01\x00abc"))
	require.NoError(t, err)
	requireClosed(t, body)

	silent := serve(t, Params{Heartbeat: 20 * time.Millisecond, HeartbeatTimeout: 60 * time.Millisecond}, ServerParams{}, echo)
	requireClosed(t, connect(t, silent))
}

// A busy peer may leave off in the middle of a message each time; it is slow only when it finishes none.
func TestBusyPeerIsNotSlow(t *testing.T) {
	var got atomic.Int32
	s := serve(t, Params{FrameTimeout: 80 * time.Millisecond}, ServerParams{}, func(*ServerConn, string) (string, bool) {
		got.Add(1)
		return "", false
	})
	c := connect(t, s)
	b := frame("a body").B
	Header{Flags: FlagRequest | 2, Length: uint32(len(b) - HeaderLen)}.Put(b)
	half := len(b) - 3
	_, err := c.Write(b[:half])
	require.NoError(t, err)
	pace := time.NewTicker(10 * time.Millisecond)
	defer pace.Stop()
	const messages = 50 // six times the limit
	for range messages {
		<-pace.C
		_, err = c.Write(append(append([]byte(nil), b[half:]...), b[:half]...))
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool { return got.Load() == messages }, patience, time.Millisecond)
}

func TestClientHeartbeatsKeepAConnectionAndNoticeADeadPeer(t *testing.T) {
	p := Params{Heartbeat: 100 * time.Millisecond, HeartbeatTimeout: time.Second}
	s := serve(t, p, ServerParams{}, echo)
	c := dial(t, s.Addr().String(), p)
	require.NoError(t, c.Connect(context.Background()))
	first := c.current.Load()
	silence := time.NewTimer(2 * p.HeartbeatTimeout)
	<-silence.C
	require.Same(t, first, c.current.Load(), "a connection with heartbeats stays")

	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	accepted := make(chan net.Conn, 1)
	go func() { conn, _ := l.Accept(); accepted <- conn }()
	mute := dial(t, l.Addr().String(), p)
	require.NoError(t, mute.Connect(context.Background()))
	conn := <-accepted
	defer conn.Close()
	require.Equal(t, byte(0xe2), peer(t, conn, 17)[2], "it asks before it gives up")
	require.Eventually(t, func() bool { return !mute.Connected() }, patience, time.Millisecond)
}

func TestLostConnectionEndsItsCallsAsSent(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	go func() {
		conn, err := l.Accept()
		if err == nil {
			_, _ = io.ReadFull(conn, make([]byte, HeaderLen))
			_ = conn.Close()
		}
	}()
	c := dial(t, l.Addr().String(), Params{})
	_, err = call(c, "x", patience)
	requireSent(t, err, true)
	require.ErrorContains(t, err, "connection lost")
}

func TestAnswersTwiceAndUnknownOnesAreDropped(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		for {
			b := make([]byte, HeaderLen+1)
			if _, err := io.ReadFull(conn, b); err != nil {
				return
			}
			b[2], b[3] = 2, OK
			_, _ = conn.Write(append(append([]byte(nil), b...), b...))
		}
	}()
	c := dial(t, l.Addr().String(), Params{})
	for i := range 50 {
		got, err := call(c, string(rune('0'+i)), patience)
		require.NoError(t, err)
		require.Equal(t, string(rune('0'+i)), got)
	}
	require.Eventually(t, func() bool { return c.Late() == 50 }, patience, time.Millisecond)
}

func TestServerConnContextEndsWithTheConnection(t *testing.T) {
	ended := make(chan error, 1)
	got := make(chan struct{})
	s := serve(t, Params{}, ServerParams{}, func(c *ServerConn, _ string) (string, bool) {
		ctx := c.Context()
		close(got)
		<-ctx.Done()
		ended <- context.Cause(ctx)
		return "", false
	})
	c := connect(t, s)
	f := frame("x")
	Header{Flags: FlagRequest | FlagTwoWay | 2, ID: 1, Length: 1}.Put(f.B)
	_, err := c.Write(f.B)
	require.NoError(t, err)
	<-got
	require.NoError(t, c.Close())
	require.ErrorContains(t, <-ended, "connection lost")
}
