package zk

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/zkembed"
)

// An idle client lives on pings alone; their answers must not cost it the connection.
func TestPingsKeepTheConnection(t *testing.T) {
	z := embedded(t)
	var pings atomic.Int64
	enough := make(chan struct{})
	z.Intercept(func(r zkembed.Request) zkembed.Fault {
		if r.Op == zkembed.OpPing && pings.Add(1) == 3 {
			close(enough)
		}
		return zkembed.Fault{}
	})
	c, _ := openDialer(t, z.Addr(), 3*time.Second)
	gen := session(t, c)
	client := z.Sessions()[0].Client
	select {
	case <-enough:
	case <-time.After(20 * time.Second):
		t.Fatal("no pings")
	}
	require.True(t, gen.Alive())
	sessions := z.Sessions()
	require.Len(t, sessions, 1)
	require.Equal(t, client, sessions[0].Client, "it is still the first connection")
}
