package ferry_test

import (
	"bytes"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
)

// A lobby takes connections and counts them. It hangs up on each at once if it is rude, and otherwise says nothing.
type lobby struct {
	net.Listener
	seen atomic.Int64
	rude bool
}

func openLobby(t *testing.T, rude bool) *lobby {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	x := &lobby{Listener: l, rude: rude}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			x.seen.Add(1)
			if x.rude {
				c.Close()
			} else {
				defer c.Close()
			}
		}
	}()
	t.Cleanup(func() { l.Close(); <-ended })
	return x
}

func (x *lobby) entry(more string) string {
	return "dubbo://" + x.Addr().String() + "/" + service + "?interface=" + service + more
}

// dialled says whether anybody comes within 20 times the longest pause between two attempts.
func (x *lobby) dialled() bool {
	before := x.seen.Load()
	time.Sleep(20 * 20 * time.Millisecond)
	return x.seen.Load() > before
}

// TestNobodyDialsAProviderThatLeft: an address that cannot be used is dialled again and again as long as it is in the registry, by
// one for all the references of a client, and not once it has left.
func TestNobodyDialsAProviderThatLeft(t *testing.T) {
	x := ferry.Builtin()
	o := inMemory(t, x)
	gone, stays := openLobby(t, true), openLobby(t, false)
	o.add(t, stays.entry(""))
	o.add(t, gone.entry(""))
	c := &ferry.Client{Registry: "office://x", Extensions: x, Options: options("reconnect.max=20&scope=remote")}
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	first, err := fill(c)
	require.NoError(t, err)
	second, err := fill(c, ferry.Retries(1))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return gone.seen.Load() > 5 }, patience, time.Millisecond)
	require.True(t, gone.dialled())
	require.EqualValues(t, 1, stays.seen.Load(), "one connection for two references")

	o.remove(t, gone.entry(""))
	for _, r := range []*client{first, second} {
		require.Eventually(t, func() bool { return len(r.in.Directory().Snapshot().Targets) == 1 }, patience, time.Millisecond)
	}
	require.Eventually(t, func() bool { return !gone.dialled() }, patience, time.Millisecond)
}

// TestFirstCallFindsAConnection: a provider is connected before anything is called, unless the consumer is lazy.
func TestFirstCallFindsAConnection(t *testing.T) {
	eager, lazy := openLobby(t, false), openLobby(t, false)
	toLazy := &ferry.Client{Options: append(options("lazy=true"), ferry.Direct("dubbo://"+lazy.Addr().String()))}
	t.Cleanup(func() { require.NoError(t, toLazy.Close()) })
	calm, err := fill(toLazy, ferry.Timeout(50*time.Millisecond), ferry.Retries(0))
	require.NoError(t, err)
	toEager := &ferry.Client{Options: append(options("lazy=false"), ferry.Direct("dubbo://"+eager.Addr().String()))}
	t.Cleanup(func() { require.NoError(t, toEager.Close()) })
	_, err = fill(toEager)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return eager.seen.Load() == 1 }, patience, time.Millisecond)
	require.Zero(t, lazy.seen.Load())
	_, err = calm.Buy(t.Context(), "book", 1)
	require.ErrorContains(t, err, "timeout")
	require.EqualValues(t, 1, lazy.seen.Load())
}

// TestServerSaysWhereItIs: the address that consumers are told is in the log, once for each service, when it is published.
func TestServerSaysWhereItIs(t *testing.T) {
	var log bytes.Buffer
	s := &ferry.Server{Registry: "memory://" + t.Name(), Logger: slog.New(slog.NewTextHandler(&log, nil)), Options: options("host=127.0.0.7")}
	require.NoError(t, s.ExportValue(service, shop{"ann"}))
	require.NoError(t, s.Close(canceled()))
	require.Contains(t, log.String(), `msg="ferry: service published" service=`+service+" address="+s.URLs()[0].Address())
	require.Contains(t, log.String(), "127.0.0.7:")
}
