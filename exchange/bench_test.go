package exchange

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/transport"
	gnettransport "github.com/ferryrpc/ferry/transport/gnet"
	nettransport "github.com/ferryrpc/ferry/transport/net"
	"github.com/ferryrpc/ferry/url"
)

// BenchmarkEcho is a call of 128 bytes through exchange alone, over one connection, both sides in this process.
func BenchmarkEcho(b *testing.B) {
	for _, name := range []string{"net", "gnet"} {
		for _, callers := range []int{1, 64, 512} {
			b.Run(name+"/"+strconv.Itoa(callers), func(b *testing.B) { benchmarkEcho(b, name, callers) })
		}
	}
}

func benchmarkEcho(b *testing.B, name string, callers int) {
	u := url.MustParse("dubbo://127.0.0.1:0")
	nt, err := nettransport.New(extension.Env{}, u)
	require.NoError(b, err)
	var st transport.Transport = nt
	if name == "gnet" {
		st, err = gnettransport.New(extension.Env{}, u)
		require.NoError(b, err)
	}
	s, err := Serve(func(accept func(transport.Conn) transport.Receiver) (transport.Listener, error) {
		return st.Listen(u, accept)
	},
		Params{}, ServerParams{}, echoHandler{}, nil)
	require.NoError(b, err)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	defer s.Close(ctx)
	target := u.WithAddress(s.Addr().String())
	c := NewClient(target.Address(), Params{Reconnect: true}, func(ctx context.Context, opened func(transport.Conn) transport.Receiver) (transport.Conn, error) {
		return nt.Dial(ctx, target, opened)
	}, nil)
	defer c.Close(ctx)
	require.NoError(b, c.Connect(context.Background()))
	b.ReportAllocs()
	b.ResetTimer()
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				f := transport.NewFrame(256)
				f.B = f.B[:HeaderLen+150]
				m, err := c.Do(context.Background(), f, 2, time.Now(), 5*time.Second)
				if err != nil {
					b.Error(err)
					return
				}
				m.Body.Free()
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}

type echoHandler struct{}

func (echoHandler) Handle(_ *ServerConn, m Message) (*transport.Frame, byte) {
	f := transport.NewFrame(HeaderLen + len(m.Body.B))
	f.B = append(f.B[:HeaderLen], m.Body.B...)
	m.Body.Free()
	return f, OK
}

func (echoHandler) Refuse(h Header, _ byte, reason string) (*transport.Frame, byte) {
	f := transport.NewFrame(HeaderLen + len(reason))
	f.B = append(f.B[:HeaderLen], reason...)
	return f, h.Serialization()
}
