package peer

import (
	"testing"
	"time"

	"github.com/ferryrpc/ferry/benchmarks/peers/echo"
	"github.com/ferryrpc/ferry/zkembed"
	"github.com/stretchr/testify/require"
)

// The frameworks leave goroutines behind when they are stopped, so there is no leak check here.
func TestEveryFrameworkEchoes(t *testing.T) {
	z, err := zkembed.Start(zkembed.Options{})
	require.NoError(t, err)
	defer z.Close()
	for _, e := range All() {
		t.Run(e.Name(), func(t *testing.T) {
			if r, ok := e.Framework.(Registered); ok {
				e.Framework = r.In("zookeeper://" + z.Addr() + "?file-cache=false&group=" + e.Name())
			}
			addr, err := FreeAddr()
			require.NoError(t, err)
			var s Service
			stop, err := e.Serve(addr, &s)
			require.NoError(t, err)
			defer stop()
			c, err := e.Dial(addr)
			require.NoError(t, err)
			defer c.Close()

			for id, size := range []int{0, 128, 1 << 10, 16 << 10} {
				payload := echo.Payload(size)
				m := &echo.Message{ID: int64(id), Name: echo.Name, Payload: payload}
				require.NoError(t, c.Echo(m))
				require.NoError(t, echo.Check(m, int64(id), payload))
			}
			if l, ok := c.(Lister); ok {
				n, err := l.Records(echo.Sample(100))()
				require.NoError(t, err)
				require.Equal(t, 100, n)
			}
			if n, ok := c.(Notifier); ok {
				require.NoError(t, n.Notify(&echo.Message{ID: 1, Name: echo.Name}))
				require.Eventually(t, func() bool { return s.Notified() == 1 }, 5*time.Second, time.Millisecond)
			}
		})
	}
}

func TestSelectNamesWhatIsKnown(t *testing.T) {
	got, err := Select("grpc-go, raw-net")
	require.NoError(t, err)
	require.Len(t, got, 2)
	require.Equal(t, "raw-net", got[1].Name())

	_, err = Select("grpc")
	require.ErrorContains(t, err, `no framework named "grpc" (have `)
	require.ErrorContains(t, err, "netrpc-codec")
}
