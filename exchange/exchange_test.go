package exchange

import (
	"context"
	"errors"
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
