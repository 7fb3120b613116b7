package exchange

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/internal/leak"
	"github.com/ferryrpc/ferry/transport"
	nettransport "github.com/ferryrpc/ferry/transport/net"
	"github.com/ferryrpc/ferry/url"
)

func TestMain(m *testing.M) { leak.Main(m) }

const patience = 10 * time.Second

// handlerFunc answers requests from a function of their body; nil means no answer.
type handlerFunc func(c *ServerConn, body string) (string, bool)

func (h handlerFunc) Handle(c *ServerConn, m Message) (*transport.Frame, byte) {
	text, ok := h(c, string(m.Body.B))
	m.Body.Free()
	if !ok {
		return nil, 0
	}
	return frame(text), OK
}

func (handlerFunc) Refuse(h Header, _ byte, reason string) (*transport.Frame, byte) {
	return frame(reason), h.Serialization()
}

func frame(text string) *transport.Frame {
	f := transport.NewFrame(HeaderLen + len(text))
	f.B = append(f.B[:HeaderLen], text...)
	return f
}

func echo(_ *ServerConn, body string) (string, bool) { return body, true }

func serve(t *testing.T, p Params, limits ServerParams, h handlerFunc) *Server {
	u := url.MustParse("dubbo://127.0.0.1:0")
	tr, err := nettransport.New(extension.Env{}, u)
	require.NoError(t, err)
	s, err := Serve(func(accept func(transport.Conn) transport.Receiver) (transport.Listener, error) {
		return tr.Listen(u, accept)
	}, p, limits, h, nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close(canceled()) })
	return s
}

func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func dial(t *testing.T, address string, p Params) *Client {
	u := url.MustParse("dubbo://" + address)
	tr, err := nettransport.New(extension.Env{}, u)
	require.NoError(t, err)
	c := NewClient(address, p, func(ctx context.Context, opened func(transport.Conn) transport.Receiver) (transport.Conn, error) {
		return tr.Dial(ctx, u, opened)
	}, nil)
	t.Cleanup(func() { _ = c.Close(canceled()) })
	return c
}

func call(c *Client, text string, timeout time.Duration) (string, error) {
	m, err := c.Do(context.Background(), frame(text), 2, time.Now(), timeout)
	if err != nil {
		return "", err
	}
	defer m.Body.Free()
	return string(m.Body.B), nil
}

func requireSent(t *testing.T, err error, sent bool) {
	t.Helper()
	var f *Failure
	require.ErrorAs(t, err, &f)
	require.Equal(t, sent, f.Sent, "%v", err)
}

func TestEachCallerGetsItsOwnAnswer(t *testing.T) {
	s := serve(t, Params{}, ServerParams{}, echo)
	c := dial(t, s.Addr().String(), Params{})
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			for n := range 200 {
				text := string(rune('a'+i)) + string(make([]byte, n*7))
				got, err := call(c, text, patience)
				if err != nil || got != text {
					t.Errorf("caller %d got %d bytes, sent %d: %v", i, len(got), len(text), err)
					return
				}
			}
		})
	}
	wg.Wait()
	require.Zero(t, c.InFlight())
	require.Zero(t, c.Late())
}

func TestTimeoutEndsOnTimeAndALateAnswerMeetsNobody(t *testing.T) {
	release := make(chan struct{})
	s := serve(t, Params{}, ServerParams{}, func(_ *ServerConn, body string) (string, bool) {
		if body == "slow" {
			<-release
		}
		return body, true
	})
	c := dial(t, s.Addr().String(), Params{})
	start := time.Now()
	_, err := call(c, "slow", 50*time.Millisecond)
	require.ErrorIs(t, err, ErrTimeout)
	requireSent(t, err, true)
	require.InDelta(t, 50, time.Since(start).Milliseconds(), 300)
	// The slot of the call that gave up is used again before its answer comes.
	got, err := call(c, "other", patience)
	require.NoError(t, err)
	require.Equal(t, "other", got)
	close(release)
	require.Eventually(t, func() bool { return c.Late() == 1 }, patience, time.Millisecond)
	got, err = call(c, "third", patience)
	require.NoError(t, err)
	require.Equal(t, "third", got)
}

func TestManyTimeoutsAtDifferentTimes(t *testing.T) {
	s := serve(t, Params{}, ServerParams{}, func(*ServerConn, string) (string, bool) { return "", false })
	c := dial(t, s.Addr().String(), Params{})
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			timeout := time.Duration(20+i) * time.Millisecond
			start := time.Now()
			_, err := call(c, "x", timeout)
			if !errors.Is(err, ErrTimeout) || time.Since(start) < timeout || time.Since(start) > timeout+2*time.Second {
				t.Errorf("timeout %v ended after %v: %v", timeout, time.Since(start), err)
			}
		})
	}
	wg.Wait()
	require.Zero(t, c.InFlight())
}

func TestCancelIsHonouredAtOnce(t *testing.T) {
	got := make(chan struct{})
	release := make(chan struct{})
	s := serve(t, Params{}, ServerParams{}, func(*ServerConn, string) (string, bool) { close(got); <-release; return "", true })
	defer close(release)
	c := dial(t, s.Addr().String(), Params{})
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-got; cancel() }()
	_, err := c.Do(ctx, frame("x"), 2, time.Now(), time.Hour)
	require.ErrorIs(t, err, context.Canceled)
	requireSent(t, err, true)
	_, err = c.Do(ctx, frame("x"), 2, time.Now(), -1)
	requireSent(t, err, false)
}

func TestContextDeadlineBoundsTheCall(t *testing.T) {
	s := serve(t, Params{}, ServerParams{}, func(*ServerConn, string) (string, bool) { return "", false })
	c := dial(t, s.Addr().String(), Params{})
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := c.Do(ctx, frame("x"), 2, time.Now(), time.Hour)
	require.Error(t, err)
	require.Less(t, time.Since(start), 5*time.Second)
}

func TestOneWayIsHandledAndNotAnswered(t *testing.T) {
	got := make(chan string, 1)
	s := serve(t, Params{}, ServerParams{}, func(_ *ServerConn, body string) (string, bool) { got <- body; return "", false })
	c := dial(t, s.Addr().String(), Params{})
	require.NoError(t, c.OneWay(context.Background(), frame("event"), 2, time.Now(), patience))
	require.Equal(t, "event", <-got)
	require.Zero(t, c.InFlight())
}

func TestReadonlyTakesTheClientOutOfService(t *testing.T) {
	s := serve(t, Params{}, ServerParams{}, echo)
	c := dial(t, s.Addr().String(), Params{})
	require.NoError(t, c.Connect(context.Background()))
	require.True(t, c.Available())
	_, err := call(c, "x", patience)
	require.NoError(t, err)
	s.Readonly()
	require.Eventually(t, func() bool { return !c.Available() }, patience, time.Millisecond)
	got, err := call(c, "still served", patience)
	require.NoError(t, err)
	require.Equal(t, "still served", got)
}

func TestGracefulCloseLosesNoCall(t *testing.T) {
	started := make(chan struct{}, 64)
	release := make(chan struct{})
	s := serve(t, Params{}, ServerParams{}, func(_ *ServerConn, body string) (string, bool) {
		started <- struct{}{}
		<-release
		return body, true
	})
	c := dial(t, s.Addr().String(), Params{})
	errs := make(chan error, 64)
	for range 64 {
		go func() { _, err := call(c, "x", patience); errs <- err }()
	}
	for range 64 {
		<-started
	}
	closed := make(chan error, 1)
	go func() { closed <- s.Close(context.Background()) }()
	require.Eventually(t, func() bool { return !c.Available() }, patience, time.Millisecond)
	close(release)
	for range 64 {
		require.NoError(t, <-errs)
	}
	require.NoError(t, <-closed)
}

func TestTooLargeRequestIsNotSentAndNamesBothSizes(t *testing.T) {
	s := serve(t, Params{}, ServerParams{}, echo)
	c := dial(t, s.Addr().String(), Params{Payload: 100})
	_, err := call(c, string(make([]byte, 101)), patience)
	require.ErrorIs(t, err, ErrTooLarge)
	require.ErrorContains(t, err, "101 bytes, the limit is 100")
	requireSent(t, err, false)
}

func TestTooLargeReplyEndsItsCallAtOnceAndNoOther(t *testing.T) {
	s := serve(t, Params{}, ServerParams{}, func(_ *ServerConn, body string) (string, bool) {
		if body == "big" {
			return string(make([]byte, 300<<10)), true
		}
		return body, true
	})
	c := dial(t, s.Addr().String(), Params{Payload: 1000})
	start := time.Now()
	_, err := call(c, "big", time.Minute)
	require.ErrorIs(t, err, ErrTooLarge)
	requireSent(t, err, true)
	require.Less(t, time.Since(start), patience)
	got, err := call(c, "small", patience)
	require.NoError(t, err)
	require.Equal(t, "small", got)
}

func TestTooLargeRequestIsRefusedByTheServer(t *testing.T) {
	s := serve(t, Params{Payload: 1000}, ServerParams{}, echo)
	c := dial(t, s.Addr().String(), Params{})
	m, err := c.Do(context.Background(), frame(string(make([]byte, 1<<20))), 2, time.Now(), patience)
	require.NoError(t, err)
	require.Equal(t, BadRequest, m.Status)
	require.Contains(t, string(m.Body.B), "1048576 bytes, the limit is 1000")
	m.Body.Free()
	got, err := call(c, "small", patience)
	require.NoError(t, err)
	require.Equal(t, "small", got)
}

func TestFullTableMakesCallersWaitTheirTurn(t *testing.T) {
	release := make(chan struct{})
	s := serve(t, Params{}, ServerParams{}, func(_ *ServerConn, body string) (string, bool) { <-release; return body, true })
	c := dial(t, s.Addr().String(), Params{Calls: 2})
	done := make(chan error, 3)
	for range 2 {
		go func() { _, err := call(c, "x", patience); done <- err }()
	}
	require.Eventually(t, func() bool { return c.InFlight() == 2 }, patience, time.Millisecond)
	_, err := call(c, "x", 30*time.Millisecond)
	require.ErrorIs(t, err, ErrBusy)
	requireSent(t, err, false)
	go func() { _, err := call(c, "x", patience); done <- err }()
	close(release)
	for range 3 {
		require.NoError(t, <-done)
	}
}

func TestServerRefusesWhatItHasNoWorkerFor(t *testing.T) {
	release := make(chan struct{})
	var running atomic.Int32
	s := serve(t, Params{}, ServerParams{Threads: 2, Queue: 3}, func(_ *ServerConn, body string) (string, bool) {
		running.Add(1)
		<-release
		return body, true
	})
	c := dial(t, s.Addr().String(), Params{})
	status := make(chan byte, 16)
	send := func() {
		m, err := c.Do(context.Background(), frame("x"), 2, time.Now(), patience)
		if err != nil {
			t.Error(err)
			status <- 0
			return
		}
		m.Body.Free()
		status <- m.Status
	}
	for range 2 {
		go send()
	}
	require.Eventually(t, func() bool { return running.Load() == 2 }, patience, time.Millisecond)
	for range 8 {
		go send()
	}
	for range 5 { // three wait, five are refused while both workers are held
		require.Equal(t, Exhausted, <-status)
	}
	close(release)
	for range 5 {
		require.Equal(t, OK, <-status)
	}
}

func TestBlockedHandlersHoldNobodyUp(t *testing.T) {
	release := make(chan struct{})
	s := serve(t, Params{}, ServerParams{}, func(_ *ServerConn, body string) (string, bool) {
		if body == "block" {
			<-release
		}
		return body, true
	})
	c := dial(t, s.Addr().String(), Params{})
	done := make(chan error, 100)
	for range 100 {
		go func() { _, err := call(c, "block", patience); done <- err }()
	}
	for range 100 {
		_, err := call(c, "quick", patience)
		require.NoError(t, err)
	}
	close(release)
	for range 100 {
		require.NoError(t, <-done)
	}
}

func TestRefusedDialIsNotSentAndNamesTheAddress(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().String()
	require.NoError(t, l.Close())
	c := dial(t, address, Params{})
	_, err = call(c, "x", patience)
	require.ErrorIs(t, err, ErrNotReached)
	requireSent(t, err, false)
	require.ErrorContains(t, err, address)
	require.False(t, c.Available())
}

func TestClosedClientFails(t *testing.T) {
	s := serve(t, Params{}, ServerParams{}, echo)
	c := dial(t, s.Addr().String(), Params{Reconnect: true})
	_, err := call(c, "x", patience)
	require.NoError(t, err)
	require.NoError(t, c.Close(context.Background()))
	_, err = call(c, "x", patience)
	require.ErrorIs(t, err, ErrClosed)
	requireSent(t, err, false)
	require.False(t, c.Available())
}

// peer is a bare connection that speaks to the side under test byte by byte.
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
