package zktest

import (
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/stretchr/testify/require"
)

var real Shared

func TestMain(m *testing.M) { real.Main(m) }

// connect opens a session with the server at addr and closes it with the test.
func connect(t *testing.T, addrs ...string) *zk.Conn {
	t.Helper()
	c, _, err := zk.Connect(addrs, 3*time.Second, zk.WithLogInfo(false), zk.WithLogger(nolog{}))
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

type nolog struct{}

func (nolog) Printf(string, ...any) {}

func create(t *testing.T, c *zk.Conn, path string) {
	t.Helper()
	_, err := c.Create(path, nil, 0, zk.WorldACL(zk.PermAll))
	require.NoError(t, err)
}

func exists(t *testing.T, c *zk.Conn, path string) bool {
	t.Helper()
	ok, _, err := c.Exists(path)
	require.NoError(t, err)
	return ok
}

func TestSharedIsOneServer(t *testing.T) {
	a, b := real.Server(t), real.Server(t)
	require.Same(t, a, b)
	answer, err := FourLetter(a.Addr(), "ruok")
	require.NoError(t, err)
	require.Equal(t, "imok", answer)
	create(t, connect(t, a.Addr()), "/shared")
}

func TestDataOutliveStopUnlessWiped(t *testing.T) {
	Both(t, Options{}, func(t *testing.T, z Target) {
		addr := z.Addr()
		create(t, connect(t, addr), "/kept")

		z.Stop(t)
		_, err := FourLetter(addr, "ruok")
		require.ErrorContains(t, err, "refused")
		z.Start(t, true)
		require.Equal(t, addr, z.Addr())
		require.True(t, exists(t, connect(t, addr), "/kept"))

		z.Stop(t)
		z.Start(t, false)
		require.False(t, exists(t, connect(t, addr), "/kept"))
	})
}

func TestDataOutliveKill(t *testing.T) {
	s := Start(t, Options{})
	create(t, connect(t, s.Addr()), "/kept")
	s.Kill(t)
	s.Start(t, true)
	require.True(t, exists(t, connect(t, s.Addr()), "/kept"))
}

func TestFrozenServerIsSilent(t *testing.T) {
	Both(t, Options{}, func(t *testing.T, z Target) {
		c := connect(t, z.Addr())
		require.False(t, exists(t, c, "/x"))
		thaw := z.Freeze(t)
		answered := make(chan error, 1)
		go func() {
			_, _, err := c.Exists("/x")
			answered <- err
		}()
		select {
		case err := <-answered:
			t.Fatal("answered while frozen:", err)
		case <-time.After(300 * time.Millisecond):
		}
		thaw()
		require.NoError(t, <-answered)
		z.Freeze(t) // and must end all the same
	})
}

func TestSharedRunsBoth(t *testing.T) {
	var addrs []string
	real.Both(t, func(t *testing.T, z Target) {
		create(t, connect(t, z.Addr()), "/both")
		addrs = append(addrs, z.Addr())
	})
	require.Len(t, addrs, 2)
	require.Equal(t, real.Server(t).Addr(), addrs[1])
}

func TestEnsembleElectsAnotherLeader(t *testing.T) {
	e := StartEnsemble(t, Options{})
	first := e.Leader(t)
	first.Kill(t)
	second := e.Leader(t)
	require.NotSame(t, first, second)
	create(t, connect(t, second.Addr()), "/after")
	first.Start(t, true)
	require.True(t, exists(t, connect(t, first.Addr()), "/after"))
}

func TestAServerThatCannotStartSaysWhy(t *testing.T) {
	_, err := launch(t.TempDir(), Options{Config: []string{"clientPort=nonsense"}})
	require.ErrorContains(t, err, "ended at once")
	require.ErrorContains(t, err, "nonsense")
}

func TestMissingInstallationIsOneLine(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	err := installed()
	require.ErrorContains(t, err, "make deps")
	require.NotContains(t, err.Error(), "\n")
}
