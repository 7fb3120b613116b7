package zkembed_test

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/internal/zktest"
	"github.com/ferryrpc/ferry/zkembed"
)

type nolog struct{}

func (nolog) Printf(string, ...any) {}

// goClient connects with the Go client and waits for its session.
func goClient(t *testing.T, addrs ...string) *zk.Conn {
	t.Helper()
	c, events, err := zk.Connect(addrs, 5*time.Second, zk.WithLogger(nolog{}))
	require.NoError(t, err)
	t.Cleanup(c.Close)
	for e := range events {
		if e.State == zk.StateHasSession {
			return c
		}
	}
	t.Fatal("no session")
	return nil
}

func TestGoClient(t *testing.T) {
	s := start(t, zkembed.Options{})
	a, b := goClient(t, s.Addr()), goClient(t, s.Addr())
	open := zk.WorldACL(zk.PermAll)

	_, err := a.Create("/app", []byte("v1"), 0, open)
	require.NoError(t, err)
	data, stat, changed, err := b.GetW("/app")
	require.NoError(t, err)
	require.Equal(t, "v1", string(data))
	_, _, children, err := b.ChildrenW("/app")
	require.NoError(t, err)
	stat, err = a.Set("/app", []byte("v2"), stat.Version)
	require.NoError(t, err)
	require.EqualValues(t, 1, stat.Version)
	require.Equal(t, zk.EventNodeDataChanged, (<-changed).Type)
	_, err = a.Set("/app", nil, 0)
	require.ErrorIs(t, err, zk.ErrBadVersion)

	path, err := a.CreateProtectedEphemeralSequential("/app/n-", nil, open)
	require.NoError(t, err)
	require.True(t, strings.HasSuffix(path, "n-0000000000"), path)
	require.Equal(t, zk.EventNodeChildrenChanged, (<-children).Type)
	names, _, err := b.Children("/app")
	require.NoError(t, err)
	require.Equal(t, []string{strings.TrimPrefix(path, "/app/")}, names)
	_, stat, err = b.Exists(path)
	require.NoError(t, err)
	require.Equal(t, a.SessionID(), stat.EphemeralOwner)

	_, err = a.CreateContainer("/box", nil, zk.FlagContainer, open)
	require.NoError(t, err)
	results, err := b.Multi(
		&zk.CheckVersionRequest{Path: "/app", Version: 1},
		&zk.CreateRequest{Path: "/app/m", Acl: open},
		&zk.SetDataRequest{Path: "/app", Data: []byte("v3"), Version: -1},
		&zk.DeleteRequest{Path: "/box", Version: -1})
	require.NoError(t, err)
	require.Len(t, results, 4)
	_, err = b.Multi(&zk.DeleteRequest{Path: "/app/m", Version: -1}, &zk.DeleteRequest{Path: "/nope", Version: -1})
	require.ErrorIs(t, err, zk.ErrNoNode)
	ok, _, err := b.Exists("/app/m")
	require.NoError(t, err)
	require.True(t, ok)

	_, _, gone, err := b.ExistsW(path)
	require.NoError(t, err)
	a.Close()
	require.Equal(t, zk.EventNodeDeleted, (<-gone).Type)
	_, err = b.Sync("/app")
	require.NoError(t, err)
}

func TestGoClientWithACL(t *testing.T) {
	s := start(t, zkembed.Options{})
	a, b := goClient(t, s.Addr()), goClient(t, s.Addr())
	_, err := a.Create("/mine", []byte("secret"), 0, zk.DigestACL(zk.PermAll, "ann", "pw"))
	require.NoError(t, err)
	_, _, err = b.Get("/mine")
	require.ErrorIs(t, err, zk.ErrNoAuth)
	_, err = b.Create("/mine/x", nil, 0, zk.WorldACL(zk.PermAll))
	require.ErrorIs(t, err, zk.ErrNoAuth)
	require.NoError(t, b.AddAuth("digest", []byte("ann:wrong")))
	_, err = b.Set("/mine", nil, -1)
	require.ErrorIs(t, err, zk.ErrNoAuth)
	require.NoError(t, b.AddAuth("digest", []byte("ann:pw")))
	data, _, err := b.Get("/mine")
	require.NoError(t, err)
	require.Equal(t, "secret", string(data))
	_, err = a.SetACL("/mine", zk.AuthACL(zk.PermAll), -1)
	require.ErrorIs(t, err, zk.ErrInvalidACL)
}

func TestGoClientFailsOver(t *testing.T) {
	s := start(t, zkembed.Options{})
	second, err := s.Listen("127.0.0.1:0")
	require.NoError(t, err)
	c := goClient(t, s.Addr(), second.Addr())
	id := c.SessionID()
	_, err = c.Create("/mine", nil, zk.FlagEphemeral, zk.WorldACL(zk.PermAll))
	require.NoError(t, err)
	alive := func() bool {
		ok, _, err := c.Exists("/mine")
		return err == nil && ok
	}
	for c.Server() != second.Addr() { // it takes the addresses in turn
		require.True(t, s.CutSession(id))
		require.Eventually(t, alive, 10*time.Second, 10*time.Millisecond)
	}
	second.Refuse()
	second.Cut()
	require.Eventually(t, alive, 10*time.Second, 10*time.Millisecond)
	require.Equal(t, s.Addr(), c.Server())
	require.Equal(t, id, c.SessionID())
}

// TestJavaClient runs the command line client of ZooKeeper's own distribution.
func TestJavaClient(t *testing.T) {
	const cli = "/usr/share/zookeeper/bin/zkCli.sh"
	s := start(t, zkembed.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, cli, "-server", s.Addr())
	cmd.Stdin = strings.NewReader(strings.Join([]string{
		"create /app first", "get /app", "set /app second", "get -s /app", "create -s -e /app/n- x", "ls /app", "create -c /app/box",
		"addauth digest ann:pw", "create /app/own data auth::cdrwa", "getAcl /app/own", "getEphemerals /app", "getAllChildrenNumber /app",
		"whoami", "addWatch -m PERSISTENT_RECURSIVE /app", "create /app/watched", "removewatches /app", "sync /app",
		"delete /app", "deleteall /app", "ls /", "stat /nope", "close", "quit"}, "\n") + "\n")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s (run `make deps` if it is missing)\n%s", cli, out)
	for _, want := range []string{
		"Created /app\n", "first\n", "second\ncZxid = 0x2\n", "dataVersion = 1\n", "Created /app/n-0000000000\n", "[n-0000000000]\n",
		"Created /app/box\n", "'digest,'ann:", ": cdrwa\n", "[/app/n-0000000000]\n", "\n3\n", "digest: ann\n",
		"type:NodeCreated path:/app/watched\n", "Sync is OK\n", "Node not empty: /app\n", "[zookeeper]\n", "Node does not exist: /nope\n",
	} {
		require.Contains(t, string(out), want)
	}
	require.Empty(t, s.Sessions(), "the client closed its session")
}

func TestFourLetterCommands(t *testing.T) {
	s := start(t, zkembed.Options{})
	r := dial(t, s.Addr(), 10*time.Second)
	r.must(1, createBody("/mine", "data", anyone, 1))
	r.must(4, body{}.text("/mine").flag(true))
	for word, want := range map[string][]string{
		"ruok": {"imok"},
		"isro": {"rw"},
		"srvr": {"Mode: standalone\n", "Zxid: 0x2\n", "Node count: 6\n"},
		"stat": {"Mode: standalone\n", fmt.Sprintf("/%s[1]", r.nc.LocalAddr())},
		"cons": {fmt.Sprintf("/%s[1](queued=0,recved=3,sent=3,sid=0x%x", r.nc.LocalAddr(), r.id)},
		"conf": {"clientPort=" + s.Addr()[len("127.0.0.1:"):] + "\n", "maxSessionTimeout=60000\n"},
		"dump": {fmt.Sprintf("Sessions with Ephemerals (1):\n0x%x:\n\t/mine\n", r.id)},
		"wchs": {"1 connections watching 1 paths\nTotal watches:1\n"},
		"mntr": {"zk_znode_count\t6\n", "zk_ephemerals_count\t1\n", "zk_watch_count\t1\n", "zk_server_state\tstandalone\n"},
	} {
		t.Run(word, func(t *testing.T) {
			answer, err := zktest.FourLetter(s.Addr(), word)
			require.NoError(t, err)
			for _, w := range want {
				require.Contains(t, answer, w)
			}
		})
	}
	stats, ok := zk.FLWSrvr([]string{s.Addr()}, time.Second)
	require.True(t, ok, "the Go client understands it: %v", stats[0].Error)
	require.EqualValues(t, 6, stats[0].NodeCount)
	require.Equal(t, []bool{true}, zk.FLWRuok([]string{s.Addr()}, time.Second))
}
