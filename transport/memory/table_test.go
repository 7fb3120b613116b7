package memory_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/transport"
	"github.com/ferryrpc/ferry/transport/memory"
	"github.com/ferryrpc/ferry/url"
)

type silent struct{}

func (silent) Received(b []byte) (int, error) { return len(b), nil }
func (silent) Closed(error)                   {}

func receiver(transport.Conn) transport.Receiver { return silent{} }

func TestNames(t *testing.T) {
	var shared extension.Shared
	make := func(e extension.Env) transport.Transport {
		tr, err := memory.New(e, url.MustParse("memory://x"))
		require.NoError(t, err)
		return tr
	}
	a, b, stranger := make(extension.Env{Shared: &shared}), make(extension.Env{Shared: &shared}), make(extension.Env{})
	for _, test := range []struct{ listen, address string }{
		{"memory://cart", "cart"},
		{"memory:///cart", "cart"},
		{"memory://h:20880/com.example.Cart", "h:20880"},
	} {
		l, err := a.Listen(url.MustParse(test.listen), receiver)
		require.NoError(t, err)
		require.Equal(t, test.address, l.Addr().String())
		require.Equal(t, "memory", l.Addr().Network())
		at := url.New("memory", test.address, "")
		c, err := b.Dial(context.Background(), at, receiver)
		require.NoError(t, err, "transports with one Shared have one table")
		c.Close(nil)
		_, err = stranger.Dial(context.Background(), at, receiver)
		require.ErrorContains(t, err, "dial "+test.address+": nobody listens there")
		require.NoError(t, l.Close())
	}
	_, err := a.Listen(url.MustParse("memory://"), receiver)
	require.ErrorContains(t, err, "name is missing")
}

func TestPortZeroIsAFreeNumber(t *testing.T) {
	tr, err := memory.New(extension.Env{}, url.MustParse("memory://x"))
	require.NoError(t, err)
	taken, err := tr.Listen(url.MustParse("memory://h:1"), receiver)
	require.NoError(t, err)
	defer taken.Close()
	l, err := tr.Listen(url.MustParse("memory://h:0"), receiver)
	require.NoError(t, err)
	defer l.Close()
	require.Equal(t, "h:2", l.Addr().String())
}

func TestBadParameter(t *testing.T) {
	_, err := memory.New(extension.Env{}, url.MustParse("memory://x?queue=-1"))
	require.ErrorContains(t, err, "queue")
}
