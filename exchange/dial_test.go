package exchange

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/transport"
	nettransport "github.com/ferryrpc/ferry/transport/net"
	"github.com/ferryrpc/ferry/url"
)

// TestOneConnection: who finds no connection, and is overtaken by the one who dials, does not dial again.
func TestOneConnection(t *testing.T) {
	s := serve(t, Params{}, ServerParams{}, echo)
	c := dial(t, s.Addr().String(), Params{})
	require.NoError(t, c.Connect(context.Background()))
	done, err := c.dialler(0, nil)
	require.NoError(t, err)
	<-done
	_, err = call(c, "x", patience)
	require.NoError(t, err)
	require.Equal(t, 1, s.Connections())
}

func TestClientReconnectsByItself(t *testing.T) {
	s := serve(t, Params{}, ServerParams{}, echo)
	address := s.Addr().String()
	c := dial(t, address, Params{Reconnect: true, ReconnectMax: 50 * time.Millisecond})
	_, err := call(c, "x", patience)
	require.NoError(t, err)
	require.NoError(t, s.Close(canceled()))
	require.Eventually(t, func() bool { return !c.Connected() }, patience, time.Millisecond)
	_, err = call(c, "x", patience)
	requireSent(t, err, false)
	require.ErrorContains(t, err, address)

	u := url.MustParse("dubbo://" + address)
	tr, err := nettransport.New(extension.Env{}, u)
	require.NoError(t, err)
	again, err := Serve(func(accept func(transport.Conn) transport.Receiver) (transport.Listener, error) {
		return tr.Listen(u, accept)
	},
		Params{}, ServerParams{}, handlerFunc(echo), nil)
	require.NoError(t, err)
	defer again.Close(canceled())
	require.Eventually(t, c.Available, patience, time.Millisecond)
	got, err := call(c, "back", patience)
	require.NoError(t, err)
	require.Equal(t, "back", got)
}

// TestWhoHangsUpIsNotDialledAtOnce: what takes a connection and ends it without a word is as good as nobody, and is dialled with
// growing pauses, in which calls say so at once. A connection that was of use once is replaced without a pause.
func TestWhoHangsUpIsNotDialledAtOnce(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	came := make(chan time.Time)
	useful := make(chan struct{})
	go func() {
		defer close(came)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			came <- time.Now()
			select {
			case <-useful:
				_, _ = conn.Write(event(FlagRequest, 0, 0, bodyNull).B)
				buf := make([]byte, 1)
				_, _ = conn.Read(buf) // its heartbeat
			default:
			}
			conn.Close()
		}
	}()
	next := func() time.Time {
		select {
		case at := <-came:
			return at
		case <-time.After(patience):
			require.FailNow(t, "nobody dials")
			return time.Time{}
		}
	}
	c := dial(t, l.Addr().String(), Params{Reconnect: true, Heartbeat: 10 * time.Millisecond, HeartbeatTimeout: patience})
	_ = c.Connect(t.Context())
	first := next()
	require.Eventually(t, func() bool { return !c.Available() }, patience, time.Millisecond)
	_, err = call(c, "x", patience)
	requireSent(t, err, false)
	require.ErrorContains(t, err, l.Addr().String())
	require.ErrorContains(t, err, "without a word")
	next()
	require.Greater(t, next().Sub(first), 3*firstPause, "one pause and another twice as long")

	close(useful)
	next() // that one is of use
	next()
	c.mu.Lock()
	pause := c.pause
	c.mu.Unlock()
	require.Equal(t, firstPause, pause)
}
