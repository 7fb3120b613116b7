package exchange

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestServerThatLeftIsNotDialledAtOnce: a Java provider says READONLY, closes its connections ten seconds later, and
// listens for a moment longer. A connection made in that moment would lose its calls.
func TestServerThatLeftIsNotDialledAtOnce(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	accept := func(within time.Duration) (net.Conn, error) {
		require.NoError(t, l.(*net.TCPListener).SetDeadline(time.Now().Add(within)))
		return l.Accept()
	}
	c := dial(t, l.Addr().String(), Params{Reconnect: true})
	connected := make(chan error, 1)
	go func() { connected <- c.Connect(context.Background()) }()
	first, err := accept(patience)
	require.NoError(t, err)
	require.NoError(t, <-connected)
	_, err = first.Write(append([]byte{0xda, 0xbb, 0xa2, 20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2}, bodyRead...))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return !c.Available() }, patience, time.Millisecond)
	require.NoError(t, first.Close())
	require.Eventually(t, func() bool { return !c.Connected() }, patience, time.Millisecond)
	require.False(t, c.Available())
	_, err = call(c, "x", patience)
	requireSent(t, err, false)

	_, err = accept(leavePause / 2)
	require.ErrorContains(t, err, "timeout", "nobody dials in the first moments")
	second, err := accept(patience)
	require.NoError(t, err)
	defer second.Close()
	require.Eventually(t, c.Available, patience, time.Millisecond)
}

// TestConsumersThatComeWhileTheServerGoes: a server that nobody is connected to closes at once, while consumers that have
// not heard of it yet dial it. None may be left without an answer, which it would have to report as a call that may have run.
func TestConsumersThatComeWhileTheServerGoes(t *testing.T) {
	const rounds, consumers = 40, 4
	for range rounds {
		s := serve(t, Params{}, ServerParams{}, echo)
		var all sync.WaitGroup
		errs := make([]error, consumers)
		for i := range consumers {
			c := dial(t, s.Addr().String(), Params{})
			all.Go(func() {
				time.Sleep(time.Duration(i) * 500 * time.Microsecond) // spreads them over what Close does
				_, errs[i] = call(c, "x", patience)
			})
		}
		require.NoError(t, s.Close(context.Background()))
		all.Wait()
		for _, err := range errs {
			if err != nil {
				requireSent(t, err, false)
			}
		}
	}
}

// TestCallsThatCrossWithTheEndDidNotRun: the last word of a server that closes in good order says that what it has not answered
// did not run. A connection that ends without it says nothing.
func TestCallsThatCrossWithTheEndDidNotRun(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	for _, last := range []struct {
		frames [][]byte
		runs   bool
	}{
		{[][]byte{event(FlagRequest, 0, 0, bodyRead).B}, true},
		{[][]byte{event(FlagRequest, 0, 0, bodyRead).B, event(FlagRequest, Exhausted, 0, bodyRead).B}, false},
		{[][]byte{event(FlagRequest, Exhausted, 0, bodyWrite).B}, true},
		{[][]byte{event(FlagRequest, Exhausted, 0, bodyNull).B}, true},
	} {
		c := dial(t, l.Addr().String(), Params{})
		called := make(chan error, 1)
		go func() {
			_, err := call(c, "x", patience)
			called <- err
		}()
		server, err := l.Accept()
		require.NoError(t, err)
		_, err = io.ReadFull(server, make([]byte, HeaderLen+1))
		require.NoError(t, err)
		for _, f := range last.frames {
			_, err = server.Write(f)
			require.NoError(t, err)
		}
		require.NoError(t, server.Close())
		err = <-called
		require.ErrorContains(t, err, "connection lost")
		require.Equal(t, !last.runs, errors.Is(err, ErrParted), "%v", err)
	}
}

// TestLastWord: a closing server says it on a connection on which nothing runs any more, and on no other.
func TestLastWord(t *testing.T) {
	begun, goOn := make(chan struct{}), make(chan struct{})
	slow := func(_ *ServerConn, text string) (string, bool) {
		close(begun)
		<-goOn
		return text, true
	}
	for _, c := range []struct {
		handler handlerFunc
		ctx     context.Context
		want    []byte // the statuses that it ends with
	}{{echo, context.Background(), []byte{0, Exhausted}}, {slow, canceled(), []byte{0}}} {
		s := serve(t, Params{}, ServerParams{}, c.handler)
		conn, err := net.Dial("tcp", s.Addr().String())
		require.NoError(t, err)
		defer conn.Close()
		f := frame("x")
		Header{Flags: FlagRequest | FlagTwoWay | 2, ID: 1, Length: uint32(len(f.B) - HeaderLen)}.Put(f.B)
		_, err = conn.Write(f.B)
		require.NoError(t, err)
		if len(c.want) == 1 {
			<-begun
		} else {
			_, err = io.ReadFull(conn, make([]byte, len(f.B)))
			require.NoError(t, err)
		}
		closed := make(chan error, 1)
		go func() { closed <- s.Close(c.ctx) }()
		require.Equal(t, c.want, statuses(t, conn))
		if len(c.want) == 1 {
			close(goOn)
		}
		require.NoError(t, <-closed)
	}
}

// statuses are those of all messages that come until the connection ends.
func statuses(t *testing.T, conn net.Conn) (all []byte) {
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(patience)))
	head := make([]byte, HeaderLen)
	for {
		if _, err := io.ReadFull(conn, head); err != nil {
			require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
			return all
		}
		h, ok := ParseHeader(head)
		require.True(t, ok)
		_, err := io.CopyN(io.Discard, conn, int64(h.Length))
		require.NoError(t, err)
		all = append(all, h.Status)
	}
}
