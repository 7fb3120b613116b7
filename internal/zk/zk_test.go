package zk

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/internal/zktest"
)

var real zktest.Shared

func TestMain(m *testing.M) { real.Main(m) }

// both runs a test on the embedded server and on the real one, both empty.
func both(t *testing.T, run func(t *testing.T, addr string)) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		wipe(t, open(t, Config{Addresses: []string{z.Addr()}}), "")
		run(t, z.Addr())
	})
}

func wipe(t *testing.T, c *Client, path string) {
	names, err := c.Children(within(t, 20*time.Second), cmp.Or(path, "/"), nil)
	require.NoError(t, err)
	for _, name := range names {
		if child := path + "/" + name; child != "/zookeeper" {
			wipe(t, c, child)
			if err := c.Delete(within(t, 5*time.Second), child, AnyVersion); !errors.Is(err, ErrNoNode) {
				require.NoError(t, err) // a container may go by itself
			}
		}
	}
}

// dialer is a Config.Dial whose connections can be cut, made deaf and mute.
type dialer struct {
	mu       sync.Mutex // guards the following
	conns    []*tapped
	greeting greeting // of the last session
	mute     bool     // requests vanish
	deaf     chan struct{}
}

type tapped struct {
	net.Conn
	d    *dialer
	read atomic.Int32
}

func (d *dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	t := &tapped{Conn: conn, d: d}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.conns = append(d.conns, t)
	return t, nil
}

func (t *tapped) Write(b []byte) (int, error) {
	t.d.mu.Lock()
	mute := t.d.mute
	t.d.mu.Unlock()
	if mute {
		return len(b), nil
	}
	return t.Conn.Write(b)
}

func (t *tapped) Read(b []byte) (int, error) {
	n, err := t.Conn.Read(b)
	if t.read.Add(1) == 2 && n >= 20 { // the length first, then the body of the greeting
		if g, err := parseGreeting(b[:n]); err == nil {
			t.d.mu.Lock()
			t.d.greeting = g
			t.d.mu.Unlock()
		}
	}
	t.d.mu.Lock()
	deaf := t.d.deaf
	t.d.mu.Unlock()
	if deaf != nil {
		<-deaf
	}
	return n, err
}

func (d *dialer) cut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.conns {
		c.Conn.Close()
	}
	d.conns = nil
}

func (d *dialer) setMute(on bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mute = on
}

// holdReplies keeps back what the servers send until release is called.
func (d *dialer) holdReplies() (release func()) {
	ch := make(chan struct{})
	d.mu.Lock()
	d.deaf = ch
	d.mu.Unlock()
	return func() {
		d.mu.Lock()
		d.deaf = nil
		d.mu.Unlock()
		close(ch)
	}
}

// expire ends the last session at the server, as an operator or a second client with its password could.
func (d *dialer) expire(t testing.TB, addr string) {
	d.mu.Lock()
	g := d.greeting
	d.mu.Unlock()
	g.timeout = 10 * time.Second
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	defer conn.Close()
	_, err = conn.Write(appendHello(nil, 0, g))
	require.NoError(t, err)
	got, err := readGreeting(conn)
	require.NoError(t, err)
	require.Equal(t, g.session, got.session)
	frame := binary.BigEndian.AppendUint32(nil, 8)
	frame = binary.BigEndian.AppendUint32(frame, 1)
	frame = binary.BigEndian.AppendUint32(frame, 0xfffffff5)
	_, err = conn.Write(frame)
	require.NoError(t, err)
	_, err = io.ReadFull(conn, make([]byte, 20))
	require.NoError(t, err)
}

func open(t testing.TB, cfg Config) *Client {
	c, err := Open(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

func openDialer(t testing.TB, addr string, timeout time.Duration) (*Client, *dialer) {
	d := &dialer{}
	return open(t, Config{Addresses: []string{addr}, SessionTimeout: timeout, Dial: d.dial}), d
}

func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

func session(t testing.TB, c *Client) *Generation {
	g, err := c.Session(within(t, 10*time.Second))
	require.NoError(t, err)
	return g
}

func waitDone(t testing.TB, ctx context.Context, d time.Duration) {
	t.Helper()
	select {
	case <-ctx.Done():
	case <-time.After(d):
		require.Fail(t, "did not end")
	}
}

func waitEvent(t testing.TB, events <-chan Event) Event {
	t.Helper()
	select {
	case e := <-events:
		return e
	case <-time.After(10 * time.Second):
		require.Fail(t, "no event")
		return Event{}
	}
}

func TestOperations(t *testing.T) {
	both(t, func(t *testing.T, addr string) {
		c := open(t, Config{Addresses: []string{addr}})
		ctx := within(t, 20*time.Second)

		_, err := c.Create(ctx, Node{Path: "/ops/a/b"})
		require.ErrorIs(t, err, ErrNoNode)
		path, err := c.Create(ctx, Node{Path: "/ops/a/b", Data: []byte("one"), Parents: true})
		require.NoError(t, err)
		require.Equal(t, "/ops/a/b", path)
		_, err = c.Create(ctx, Node{Path: "/ops/a/b", Parents: true})
		require.ErrorIs(t, err, ErrNodeExists)

		stat, err := c.Set(ctx, "/ops/a/b", []byte("two"), 0)
		require.NoError(t, err)
		require.EqualValues(t, 1, stat.Version)
		_, err = c.Set(ctx, "/ops/a/b", nil, 0)
		require.ErrorIs(t, err, ErrBadVersion)
		data, stat, err := c.Get(ctx, "/ops/a/b", nil)
		require.NoError(t, err)
		require.Equal(t, "two", string(data))
		require.Greater(t, stat.Modified, stat.Created)
		_, _, err = c.Get(ctx, "/ops/none", nil)
		require.ErrorIs(t, err, ErrNoNode)
		require.Equal(t, "zk: get /ops/none: no such node", err.Error())

		first, err := c.Create(ctx, Node{Path: "/ops/seq/n-", Parents: true, Sequence: true, Session: session(t, c)})
		require.NoError(t, err)
		second, err := c.Create(ctx, Node{Path: "/ops/seq/n-", Sequence: true, Session: session(t, c)})
		require.NoError(t, err)
		require.Less(t, first, second)
		stat, found, err := c.Exists(ctx, first, nil)
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, session(t, c).ID(), stat.Owner)
		names, err := c.Children(ctx, "/ops/seq", nil)
		require.NoError(t, err)
		require.Len(t, names, 2)

		require.ErrorIs(t, c.Delete(ctx, "/ops/seq", AnyVersion), ErrNotEmpty)
		require.ErrorIs(t, c.Delete(ctx, "/ops/a/b", 7), ErrBadVersion)
		require.NoError(t, c.Delete(ctx, "/ops/a/b", 1))
		_, found, err = c.Exists(ctx, "/ops/a/b", nil)
		require.NoError(t, err)
		require.False(t, found)
		require.NoError(t, c.Sync(ctx, "/ops"))
		_, err = c.Create(ctx, Node{Path: "/ops/box", Container: true})
		require.NoError(t, err)
		_, err = c.Create(ctx, Node{Path: "no/slash"})
		require.ErrorIs(t, err, ErrBadPath)
	})
}

func TestMultiIsAllOrNothing(t *testing.T) {
	both(t, func(t *testing.T, addr string) {
		c := open(t, Config{Addresses: []string{addr}})
		ctx := within(t, 20*time.Second)
		_, err := c.Create(ctx, Node{Path: "/multi"})
		require.NoError(t, err)
		paths, err := c.Multi(ctx, CheckOp("/multi", 0), CreateOp(Node{Path: "/multi/a", Session: session(t, c)}), SetOp("/multi", []byte("x"), 0))
		require.NoError(t, err)
		require.Equal(t, "/multi/a", paths[1])
		_, err = c.Multi(ctx, DeleteOp("/multi/a", AnyVersion), CreateOp(Node{Path: "/multi/a"}), CheckOp("/multi", 0))
		require.ErrorIs(t, err, ErrBadVersion)
		require.ErrorContains(t, err, "part 2, /multi: ")
		stat, found, err := c.Exists(ctx, "/multi/a", nil)
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, session(t, c).ID(), stat.Owner)
	})
}

func TestWatchesFireOncePerRead(t *testing.T) {
	both(t, func(t *testing.T, addr string) {
		c, d := openDialer(t, addr, 5*time.Second)
		other := open(t, Config{Addresses: []string{addr}})
		ctx := within(t, 20*time.Second)

		w, events := WatchChan()
		_, found, err := c.Exists(ctx, "/watch", w)
		require.NoError(t, err)
		require.False(t, found)
		_, err = other.Create(ctx, Node{Path: "/watch"})
		require.NoError(t, err)
		require.Equal(t, Event{Created, "/watch"}, waitEvent(t, events))

		_, _, err = c.Get(ctx, "/watch", w)
		require.NoError(t, err)
		w2, events2 := WatchChan()
		_, _, err = c.Get(ctx, "/watch", w2) // shares the watch that is at the server
		require.NoError(t, err)
		w3, events3 := WatchChan()
		_, _, err = c.Get(ctx, "/watch", w3)
		require.NoError(t, err)
		w3.Stop()
		_, err = other.Set(ctx, "/watch", []byte("1"), AnyVersion)
		require.NoError(t, err)
		require.Equal(t, Event{DataChanged, "/watch"}, waitEvent(t, events))
		require.Equal(t, Event{DataChanged, "/watch"}, waitEvent(t, events2))
		_, err = other.Set(ctx, "/watch", []byte("2"), AnyVersion)
		require.NoError(t, err)
		require.NoError(t, c.Sync(ctx, "/watch")) // an event of the second write would be here before this answer
		require.Empty(t, events)
		require.Empty(t, events3)

		_, err = c.Children(ctx, "/watch", w)
		require.NoError(t, err)
		_, err = other.Create(ctx, Node{Path: "/watch/child"})
		require.NoError(t, err)
		require.Equal(t, Event{ChildrenChanged, "/watch"}, waitEvent(t, events))

		_, err = c.Children(ctx, "/watch", w)
		require.NoError(t, err)
		d.cut()
		require.Equal(t, Event{Lost, "/watch"}, waitEvent(t, events))
		names, err := c.Children(ctx, "/watch", w) // waits for the next connection
		require.NoError(t, err)
		require.Equal(t, []string{"child"}, names)
	})
}

func TestUnreachableServerIsNamedWhenTheCallerLeaves(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	require.NoError(t, l.Close())
	c := open(t, Config{Addresses: []string{addr}, SessionTimeout: 3 * time.Second})
	began := time.Now()
	_, err = c.Create(within(t, 300*time.Millisecond), Node{Path: "/x"})
	require.ErrorIs(t, err, ErrDisconnected)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, addr)
	require.ErrorContains(t, err, "connection refused")
	require.Less(t, time.Since(began), 2*time.Second)
	require.Error(t, c.Status().Err)
	require.False(t, c.Status().Connected)
}

func TestBadConfig(t *testing.T) {
	for _, addresses := range [][]string{nil, {"127.0.0.1:0"}, {"127.0.0.1:http"}, {"a:b:c:1"}} {
		_, err := Open(Config{Addresses: addresses})
		require.Error(t, err, "%v", addresses)
	}
}

func TestDigestAuthentication(t *testing.T) {
	both(t, func(t *testing.T, addr string) {
		mine := open(t, Config{Addresses: []string{addr}, User: "ferry", Password: "secret"})
		other := open(t, Config{Addresses: []string{addr}})
		ctx := within(t, 20*time.Second)
		_, err := mine.Create(ctx, Node{Path: "/private", Data: []byte("x"), Session: session(t, mine)})
		require.NoError(t, err)
		_, _, err = other.Get(ctx, "/private", nil)
		require.ErrorIs(t, err, ErrNoAuth)
		data, _, err := mine.Get(ctx, "/private", nil)
		require.NoError(t, err)
		require.Equal(t, "x", string(data))
	})
}

func TestAtMostSoManyCallsAreInFlight(t *testing.T) {
	both(t, func(t *testing.T, addr string) {
		c, d := openDialer(t, addr, 20*time.Second)
		session(t, c)
		release := d.holdReplies()
		defer release()
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		for range maxCalls {
			wg.Go(func() { _, _, _ = c.Exists(ctx, "/", nil) })
		}
		require.Eventually(t, func() bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			return len(c.link.slots) == maxCalls
		}, 5*time.Second, time.Millisecond)
		_, _, err := c.Exists(within(t, 50*time.Millisecond), "/", nil)
		require.ErrorContains(t, err, fmt.Sprintf("%d calls are in flight", maxCalls))
		cancel()
		wg.Wait()
	})
}
