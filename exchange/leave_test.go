package exchange

import (
	"context"
	"net"
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
