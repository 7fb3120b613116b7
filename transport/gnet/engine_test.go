//go:build unix

package gnet_test

import (
	"context"
	"crypto/tls"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/transport"
	"github.com/ferryrpc/ferry/transport/gnet"
	"github.com/ferryrpc/ferry/url"
)

func TestNoTLS(t *testing.T) {
	_, err := gnet.New(extension.Env{TLS: &tls.Config{}}, url.MustParse("gnet://127.0.0.1:0"))
	require.EqualError(t, err, "transport: gnet has no TLS, use transport=net")
}

func TestBadLoops(t *testing.T) {
	_, err := gnet.New(extension.Env{}, url.MustParse("gnet://127.0.0.1:0?loops=-1"))
	require.ErrorContains(t, err, "loops")
}

// sink is a Receiver that reports its end.
type sink chan error

func (s sink) Received(b []byte) (int, error) { return len(b), nil }
func (s sink) Closed(err error)               { s <- err }

// TestEventLoopsRunWhileTheyAreNeeded uses one transport again and again; its loops must end each time, and a dialled
// connection must keep them when the listener has gone.
func TestEventLoopsRunWhileTheyAreNeeded(t *testing.T) {
	u := url.MustParse("gnet://127.0.0.1:0?loops=3")
	tr, err := gnet.New(extension.Env{}, u)
	require.NoError(t, err)
	other, err := gnet.New(extension.Env{}, u)
	require.NoError(t, err)
	far := make(sink, 10)
	l, err := other.Listen(u, func(transport.Conn) transport.Receiver { return far })
	require.NoError(t, err)
	defer l.Close()
	for range 5 {
		own, err := tr.Listen(u, func(transport.Conn) transport.Receiver { return make(sink, 1) })
		require.NoError(t, err)
		end := make(sink, 1)
		c, err := tr.Dial(context.Background(), u.WithAddress(l.Addr().String()), func(transport.Conn) transport.Receiver { return end })
		require.NoError(t, err)
		with := runtime.NumGoroutine()
		require.NoError(t, own.Close())
		require.GreaterOrEqual(t, runtime.NumGoroutine(), with-2, "the connection keeps the loops")
		f := transport.NewFrame(1)
		f.B = append(f.B, 1)
		require.NoError(t, c.Send(f, 1))
		c.Close(nil)
		c.Close(nil)
		require.ErrorIs(t, <-end, transport.ErrClosed)
		<-far
	}
}
