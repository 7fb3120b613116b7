package ferry_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/internal/zk"
	"github.com/ferryrpc/ferry/internal/zktest"
	"github.com/ferryrpc/ferry/protocol"
)

// TestRegistryTellsNonsense has a registry whose list of two providers becomes empty, then partial, then wrong, then right
// again, while calls go on. No call may fail before every address of the list is wrong; then each says why, and ran nowhere.
func TestRegistryTellsNonsense(t *testing.T) {
	t.Run("memory", func(t *testing.T) {
		x := ferry.Builtin()
		tellNonsense(t, inMemory(t, x), "office://x", x)
	})
	real.Both(t, func(t *testing.T, z zktest.Target) {
		c, err := zk.Open(zk.Config{Addresses: []string{z.Addr()}})
		require.NoError(t, err)
		defer func() { require.NoError(t, c.Close()) }()
		tellNonsense(t, zkOffice{c}, "zookeeper://"+z.Addr()+"?cache=false", ferry.Builtin())
	})
}

func tellNonsense(t *testing.T, o office, registry string, x *ferry.Extensions) {
	group := fmt.Sprint("nonsense-", len(t.Name()))
	entry := func(scheme, address string) string {
		return scheme + "://" + address + "/" + service + "?interface=" + service + "&group=" + group
	}
	at := map[string]string{}
	for _, who := range []string{"ann", "bob"} {
		s := &ferry.Server{Registry: registry, Extensions: x, Options: []ferry.Option{ferry.Group(group), ferry.Host("127.0.0.1"), ferry.Param("register", "false")}}
		require.NoError(t, s.ExportValue(service, shop{who}))
		t.Cleanup(func() { require.NoError(t, s.Close(canceled())) })
		at[who] = entry("dubbo", s.URLs()[0].Address())
		o.add(t, at[who])
	}
	client := &ferry.Client{Registry: registry, Extensions: x, Options: []ferry.Option{ferry.Group(group), ferry.Param("scope", "remote"), ferry.Timeout(patience)}}
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	c, err := fill(client)
	require.NoError(t, err)
	served(t, c, "ann")
	served(t, c, "bob")
	size := func(n int) {
		t.Helper()
		require.Eventually(t, func() bool { return len(c.in.Directory().Snapshot().Targets) == n }, patience, time.Millisecond)
	}

	stop := busy(t, c)
	o.remove(t, at["ann"])
	size(1) // partial
	served(t, c, "bob")
	o.remove(t, at["bob"])
	served(t, c, "bob") // empty: the last list counts as long as it answers
	o.add(t, at["ann"])
	served(t, c, "ann") // partial again
	stop()

	wrong := []string{entry("dubbo", closedPort(t)), entry("carrier-pigeon", "127.0.0.1:1"), entry("dubbo", "127.0.0.1:0")}
	for _, w := range wrong {
		o.add(t, w)
	}
	o.remove(t, at["ann"])
	require.Eventually(t, func() bool {
		_, err = c.Buy(t.Context(), "apple", 1)
		return err != nil
	}, patience, time.Millisecond, "a list of wrong addresses is taken for what it is")
	requireLine(t, err, service, "outcome: not sent")
	require.Equal(t, protocol.NotSent, protocol.OutcomeOf(err))

	o.add(t, at["bob"])
	served(t, c, "bob")
	for _, w := range wrong {
		o.remove(t, w)
	}
	size(1)
	got, err := c.Buy(t.Context(), "apple", 1)
	require.NoError(t, err)
	require.Equal(t, "bob sold apple", got)
	o.remove(t, at["bob"])
}

// closedPort returns an address where nobody listens, nor will before the test has ended.
func closedPort(t *testing.T) string {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = syscall.Close(fd) })
	require.NoError(t, syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	at, err := syscall.Getsockname(fd)
	require.NoError(t, err)
	return fmt.Sprint("127.0.0.1:", at.(*syscall.SockaddrInet4).Port)
}

// blackHole returns an address that answers no connection: the backlog of its listener is full, and the kernel drops what
// comes after.
func blackHole(t *testing.T) string {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, syscall.Close(fd)) })
	require.NoError(t, syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	require.NoError(t, syscall.Listen(fd, 0))
	name, err := syscall.Getsockname(fd)
	require.NoError(t, err)
	address := fmt.Sprint("127.0.0.1:", name.(*syscall.SockaddrInet4).Port)
	for range 8 {
		conn, err := net.DialTimeout("tcp", address, 200*time.Millisecond)
		if err != nil {
			require.True(t, os.IsTimeout(err), err)
			return address
		}
		t.Cleanup(func() { _ = conn.Close() })
	}
	require.FailNow(t, "the backlog never fills")
	return ""
}

// TestBlackHole dials an address that never answers: a call ends within its own time and says that it was not sent, and with
// another provider beside it no call even notices.
func TestBlackHole(t *testing.T) {
	hole := blackHole(t)
	c := refer(t, "static://"+hole, ferry.Check(false), ferry.Timeout(300*time.Millisecond))
	start := time.Now()
	_, err := c.Buy(t.Context(), "apple", 1)
	requireLine(t, err, service, "outcome: not sent")
	require.Less(t, time.Since(start), patience, "dialling does not outlive the call's deadline by far")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start = time.Now()
	_, err = c.Buy(ctx, "apple", 1)
	requireLine(t, err, "outcome: not sent")
	require.Less(t, time.Since(start), 2*time.Second)

	s := export(t, "memory://"+t.Name(), "ann")
	both := refer(t, "static://"+hole+","+s.URLs()[0].Address(), ferry.Timeout(patience))
	for range 100 {
		got, err := both.Buy(t.Context(), "apple", 1)
		require.NoError(t, err)
		require.Equal(t, "ann sold apple", got)
	}
}
