package exchange

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/transport"
	nettransport "github.com/ferryrpc/ferry/transport/net"
	"github.com/ferryrpc/ferry/url"
)

// crowded is a connection whose queue others fill again, some times, between the wake-up of one who waited for room and
// its Send.
type crowded struct {
	transport.Conn
	left  atomic.Int32
	waits atomic.Int32
}

func (c *crowded) Send(f *transport.Frame, calls int) error {
	if c.left.Add(-1) >= 0 {
		return transport.ErrFull
	}
	return c.Conn.Send(f, calls)
}

func (c *crowded) Wait() <-chan struct{} {
	c.waits.Add(1)
	room := make(chan struct{})
	close(room)
	return room
}

// crowd puts a crowded connection between Ferry and a receiver.
func crowd(into *atomic.Pointer[crowded], opened func(transport.Conn) transport.Receiver) func(transport.Conn) transport.Receiver {
	return func(conn transport.Conn) transport.Receiver {
		c := &crowded{Conn: conn}
		into.Store(c)
		return opened(c)
	}
}

// TestQueueThatFillsUpAgain: a request or an answer that finds the queue full again after it waited for room waits once more.
func TestQueueThatFillsUpAgain(t *testing.T) {
	u := url.MustParse("dubbo://127.0.0.1:0")
	tr, err := nettransport.New(extension.Env{}, u)
	require.NoError(t, err)
	var server, client atomic.Pointer[crowded]
	arrived := make(chan string, 1)
	s, err := Serve(func(accept func(transport.Conn) transport.Receiver) (transport.Listener, error) {
		return tr.Listen(u, crowd(&server, accept))
	}, Params{}, ServerParams{}, handlerFunc(func(_ *ServerConn, body string) (string, bool) {
		if body == "one way" {
			arrived <- body
			return "", false
		}
		return body, true
	}), nil)
	require.NoError(t, err)
	defer s.Close(canceled())
	at := url.MustParse("dubbo://" + s.Addr().String())
	c := NewClient(at.Address(), Params{}, func(ctx context.Context, opened func(transport.Conn) transport.Receiver) (transport.Conn, error) {
		return tr.Dial(ctx, at, crowd(&client, opened))
	}, nil)
	defer c.Close(canceled())
	_, err = call(c, "connects", patience)
	require.NoError(t, err)

	const times = 3
	client.Load().left.Store(times)
	server.Load().left.Store(times)
	got, err := call(c, "two ways", patience)
	require.NoError(t, err)
	require.Equal(t, "two ways", got)
	require.EqualValues(t, times, client.Load().waits.Load())
	require.EqualValues(t, times, server.Load().waits.Load())

	client.Load().left.Store(times)
	require.NoError(t, c.OneWay(context.Background(), frame("one way"), 2, time.Now(), patience))
	select {
	case body := <-arrived:
		require.Equal(t, "one way", body)
	case <-time.After(patience):
		require.Fail(t, "the one-way request has not arrived")
	}

	const always = 1 << 30
	client.Load().left.Store(always)
	_, err = call(c, "in vain", 20*time.Millisecond)
	require.ErrorIs(t, err, transport.ErrFull)
	require.ErrorIs(t, err, ErrTimeout)
	requireSent(t, err, false)
	require.Zero(t, c.InFlight())
}
