package zookeeper

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/internal/zk"
	"github.com/ferryrpc/ferry/internal/zktest"
	"github.com/ferryrpc/ferry/registry"
	"github.com/ferryrpc/ferry/registry/registrytest"
	"github.com/ferryrpc/ferry/url"
	"github.com/ferryrpc/ferry/zkembed"
)

// real is restarted and emptied by the tests, which therefore run one after the other.
var real zktest.Shared

func TestMain(m *testing.M) { real.Main(m) }

var roots atomic.Int64

// newRoot returns the query of a registry below a root of its own.
func newRoot() string { return fmt.Sprintf("group=root%d&cache=false", roots.Add(1)) }

func embedded(t testing.TB) *zkembed.Server {
	t.Helper()
	z, err := zkembed.Start(zkembed.Options{Tick: 100 * time.Millisecond})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, z.Close()) })
	return z
}

func open(t testing.TB, e extension.Env, addr, query string) *Registry {
	t.Helper()
	r, err := New(e, url.MustParse("zookeeper://"+addr+"?"+query))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	return r.(*Registry)
}

// look opens a client of its own to see and to change what is in the tree.
func look(t testing.TB, addr string) *zk.Client {
	c, err := zk.Open(zk.Config{Addresses: []string{addr}, SessionTimeout: 10 * time.Second})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

func TestConformance(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		registrytest.Run(t, func(t testing.TB) registrytest.Pair {
			query := newRoot() + "&session=3000&retry.period=300"
			return registrytest.Pair{
				A: open(t, extension.Env{}, z.Addr(), query),
				B: open(t, extension.Env{}, z.Addr(), query),
				Outage: func() func() {
					z.Stop(t)
					return func() { z.Start(t, true) }
				},
				Forget: func() { z.Stop(t); z.Start(t, false) },
			}
		})
	})
}

func TestConformanceOfOneSharedSession(t *testing.T) {
	z := embedded(t)
	registrytest.Run(t, func(t testing.TB) registrytest.Pair {
		query := newRoot() + "&session=3000&retry.period=300"
		e := extension.Env{Shared: &extension.Shared{}}
		p := registrytest.Pair{A: open(t, e, z.Addr(), query), B: open(t, e, z.Addr(), query)}
		require.Same(t, p.A.(*Registry).zk, p.B.(*Registry).zk)
		return p
	})
}

func TestNodeNamesAreDubbos(t *testing.T) {
	b, err := os.ReadFile("testdata/registry.json")
	require.NoError(t, err)
	var golden struct {
		Nodes []struct {
			Name, Category, URL, Node string
			Ephemeral                 bool
		}
	}
	require.NoError(t, json.Unmarshal(b, &golden))
	require.NotEmpty(t, golden.Nodes)
	real.Both(t, func(t *testing.T, z zktest.Target) {
		r, c := open(t, extension.Env{}, z.Addr(), "cache=false"), look(t, z.Addr())
		for _, node := range golden.Nodes {
			u := url.MustParse(node.URL)
			above := r.servicePath(u) + "/" + registry.Category(u) + "/"
			require.Equal(t, node.Node, above+url.Encode(node.URL), node.Name)
			require.Equal(t, r.entryPath(u), above+url.Encode(u.String()), node.Name) // u's keys are in order, not all golden ones
			require.NoError(t, r.Register(registrytest.Within(t), u))
			stat, found, err := c.Exists(registrytest.Within(t), r.entryPath(u), nil)
			require.NoError(t, err)
			require.True(t, found, node.Name)
			require.Equal(t, node.Ephemeral, stat.Owner != 0, node.Name)
			s, _ := registrytest.Subscribe(t, r, url.New("consumer", "10.0.0.9", u.Interface()).
				With("category", node.Category).With("group", "*").With("version", "*"))
			s.Wait(t, node.Name, func(state registry.State) bool {
				for _, got := range state.URLs {
					if got.Equal(u) {
						return true
					}
				}
				return false
			})
		}
	})
}

func TestForeignNodeIsReplaced(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		r, c := open(t, extension.Env{}, z.Addr(), newRoot()), look(t, z.Addr())
		ctx := registrytest.Within(t)
		one := registrytest.Provider(1, "Foreign", "")
		gen, err := c.Session(ctx)
		require.NoError(t, err)
		_, err = c.Create(ctx, zk.Node{Path: r.entryPath(one), Session: gen, Parents: true})
		require.NoError(t, err)
		s, _ := registrytest.Subscribe(t, r, registrytest.Consumer("Foreign", ""))
		s.Live(t, one)
		require.NoError(t, r.Register(ctx, one))
		stat, found, err := c.Exists(ctx, r.entryPath(one), nil)
		require.NoError(t, err)
		require.True(t, found)
		require.NotEqual(t, gen.ID(), stat.Owner)
		require.NoError(t, c.Close()) // the death of the old session takes nothing away
		require.NoError(t, r.zk.Sync(ctx, "/"))
		_, found, err = r.zk.Exists(ctx, r.entryPath(one), nil)
		require.NoError(t, err)
		require.True(t, found)
		for _, state := range s.States() {
			require.Len(t, state.URLs, 1, "there was no moment without the entry")
		}
	})
}

func TestTwoProcessesDoNotFightOverAnEntry(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		query := newRoot() + "&retry.period=100"
		a, b, c := open(t, extension.Env{}, z.Addr(), query), open(t, extension.Env{}, z.Addr(), query), look(t, z.Addr())
		ctx := registrytest.Within(t)
		one := registrytest.Provider(1, "Fight", "")
		require.NoError(t, a.Register(ctx, one))
		require.NoError(t, b.Register(ctx, one))
		// A takes it back once, and B finds that it has had its turn.
		require.Eventually(t, func() bool {
			return a.Registered()[one.String()] != b.Registered()[one.String()]
		}, registrytest.Limit, 10*time.Millisecond)
		w, events := zk.WatchChan()
		defer w.Stop()
		over := time.After(500 * time.Millisecond) // several retry periods
		for changes := 0; over != nil; {
			_, _, err := c.Exists(ctx, a.entryPath(one), w)
			require.NoError(t, err)
			select {
			case <-events:
				changes++
				require.LessOrEqual(t, changes, 2, "only a take-over that was under way")
			case <-over:
				over = nil
			}
		}
		winner, loser := a, b
		if !a.Registered()[one.String()] {
			winner, loser = b, a
		}
		require.NoError(t, winner.Unregister(ctx, one))
		require.Eventually(t, func() bool { return loser.Registered()[one.String()] }, registrytest.Limit, time.Millisecond)
	})
}

func TestDeletedNodeComesBack(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		r, c := open(t, extension.Env{}, z.Addr(), newRoot()), look(t, z.Addr())
		ctx := registrytest.Within(t)
		one := registrytest.Provider(1, "Deleted", "")
		require.NoError(t, r.Register(ctx, one))
		for range 3 {
			w, events := zk.WatchChan()
			require.NoError(t, c.Delete(ctx, r.entryPath(one), zk.AnyVersion))
			_, found, err := c.Exists(ctx, r.entryPath(one), w)
			require.NoError(t, err)
			if !found {
				require.Equal(t, zk.Created, (<-events).Type)
			}
			w.Stop()
			require.Eventually(t, func() bool { return r.Registered()[one.String()] }, registrytest.Limit, time.Millisecond)
		}
	})
}

func TestFrozenPastTheSession(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		r := open(t, extension.Env{}, z.Addr(), newRoot()+"&session=1000")
		ctx := registrytest.Within(t)
		one := registrytest.Provider(1, "Frozen", "")
		require.NoError(t, r.Register(ctx, one))
		gen, err := r.zk.Session(ctx)
		require.NoError(t, err)
		s, _ := registrytest.Subscribe(t, r, registrytest.Consumer("Frozen", ""))
		s.Live(t, one)
		thaw := z.Freeze(t)
		s.Wait(t, "an old list", func(state registry.State) bool { return state.Source == registry.Memory })
		require.Eventually(t, func() bool { return !r.Registered()[one.String()] }, registrytest.Limit, time.Millisecond)
		<-gen.Context().Done()
		thaw()
		require.Eventually(t, func() bool { return r.Registered()[one.String()] }, registrytest.Limit, time.Millisecond)
		s.Live(t, one)
	})
}

func TestUnreadableEntriesAreReportedAndSkipped(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		r, c := open(t, extension.Env{}, z.Addr(), newRoot()), look(t, z.Addr())
		ctx := registrytest.Within(t)
		one := registrytest.Provider(1, "Garbage", "")
		require.NoError(t, r.Register(ctx, one))
		dir := r.servicePath(one) + "/providers/"
		for _, name := range []string{"%zz", "no-url", "dubbo%3A%2F%2Fa%3A1%2Fcom.example.Garbage%3Finterface%3Dcom.example.Garbage%00"} {
			_, err := c.Create(ctx, zk.Node{Path: dir + name})
			require.NoError(t, err)
		}
		s, _ := registrytest.Subscribe(t, r, registrytest.Consumer("Garbage", ""))
		state := s.Live(t, one)
		require.ErrorContains(t, state.Err, "3 of 4 entries of com.example.Garbage cannot be read")
	})
}

func TestChangesInABatchAreOneNotification(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		r := open(t, extension.Env{}, z.Addr(), newRoot())
		s, _ := registrytest.Subscribe(t, r, registrytest.Consumer("Batch", ""))
		s.Live(t)
		var all []*url.URL
		done := make(chan error)
		for port := range 100 {
			u := registrytest.Provider(port+1, "Batch", "")
			all = append(all, u)
			go func() { done <- r.Register(registrytest.Within(t), u) }()
		}
		for range all {
			require.NoError(t, <-done)
		}
		s.Live(t, all...)
		require.Less(t, len(s.States()), 30)
	})
}

func TestRules(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		r, c := open(t, extension.Env{}, z.Addr(), newRoot()+"&session=3000"), look(t, z.Addr())
		ctx := registrytest.Within(t)
		key := "com.example.Greeter::.configurators"
		path := r.root + "/config/dubbo/" + key
		texts := make(chan []byte, 10)
		require.NoError(t, r.Watch(ctx, key, func(text []byte) { texts <- text }))
		require.Nil(t, <-texts)
		_, err := c.Create(ctx, zk.Node{Path: path, Data: []byte("one"), Parents: true})
		require.NoError(t, err)
		require.Equal(t, "one", string(<-texts))
		_, err = c.Set(ctx, path, []byte("two"), zk.AnyVersion)
		require.NoError(t, err)
		require.Equal(t, "two", string(<-texts))
		z.Stop(t)
		z.Start(t, true)
		require.NoError(t, c.Sync(ctx, "/")) // a write might be lost with the old connection
		_, err = c.Set(ctx, path, nil, zk.AnyVersion)
		require.NoError(t, err)
		text := <-texts
		require.NotNil(t, text)
		require.Empty(t, text)
		require.NoError(t, c.Delete(ctx, path, zk.AnyVersion))
		require.Nil(t, <-texts)
		require.Error(t, r.Watch(ctx, "a/b", nil))
	})
}

func FuzzNodeName(f *testing.F) {
	f.Add("dubbo%3A%2F%2Fa%3A1%2Fx.S%3Finterface%3Dx.S%26weight%3D1")
	f.Add("override%3A%2F%2F0.0.0.0%2Fx.S%3Fcategory%3Dconfigurators")
	f.Add("%zz")
	s := &subscription{service: url.MustParse("consumer://c/x.S?group=*&version=*&category=*")}
	f.Fuzz(func(t *testing.T, name string) {
		p := s.parseName(name)
		if p.url != nil && (p.err != nil || p.url.Interface() != "x.S") {
			t.Fatalf("%q: %v %v", name, p.url, p.err)
		}
	})
}

func unusedAddress(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

func TestStartWhileZooKeeperIsDown(t *testing.T) {
	addr := unusedAddress(t)
	r := open(t, extension.Env{}, addr, newRoot()+"&session=3000")
	began := time.Now()
	s, _ := registrytest.Subscribe(t, r, registrytest.Consumer("Down", ""))
	state := s.Wait(t, "a report", func(registry.State) bool { return true })
	require.Less(t, time.Since(began), 900*time.Millisecond)
	require.Equal(t, registry.Memory, state.Source)
	require.Empty(t, state.URLs)
	require.ErrorContains(t, state.Err, "zookeeper: list com.example.Down at "+addr)
	require.ErrorContains(t, state.Err, "connection refused")

	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	err := r.Register(ctx, registrytest.Provider(1, "Down", "check=true"))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "zookeeper: register dubbo://10.0.0.1:1/com.example.Down: "+addr)
	require.ErrorContains(t, err, "connection refused")
	require.NotContains(t, err.Error(), "\n")
	require.Empty(t, r.Registered(), "given up")
	kept := registrytest.Provider(2, "Down", "check=false")
	require.Error(t, r.Register(ctx, kept))
	require.Equal(t, map[string]bool{kept.String(): false}, r.Registered())
	began = time.Now()
	require.NoError(t, r.Close())
	require.Less(t, time.Since(began), time.Second)
}

func TestStartFromTheCacheFile(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		file := filepath.Join(t.TempDir(), "sub", "cache.json")
		query := fmt.Sprintf("group=root%d&session=3000&cache=%s", roots.Add(1), file)
		one := registrytest.Provider(1, "Cached", "token=secret")
		first := open(t, extension.Env{}, z.Addr(), query)
		other := open(t, extension.Env{}, z.Addr(), query)
		require.NoError(t, other.Register(registrytest.Within(t), one))
		s, _ := registrytest.Subscribe(t, first, registrytest.Consumer("Cached", ""))
		at := s.Live(t, one).At
		require.NoError(t, first.Close())
		info, err := os.Stat(file)
		require.NoError(t, err)
		require.EqualValues(t, 0o600, info.Mode().Perm())

		z.Stop(t)
		second := open(t, extension.Env{}, z.Addr(), query)
		s, _ = registrytest.Subscribe(t, second, registrytest.Consumer("Cached", ""))
		state := s.Wait(t, "a list", func(registry.State) bool { return true })
		require.Equal(t, registry.File, state.Source)
		require.ErrorContains(t, state.Err, z.Addr())
		require.Len(t, state.URLs, 1)
		require.True(t, one.Equal(state.URLs[0]))
		require.WithinDuration(t, at, state.At, time.Second)
		z.Start(t, true)
		s.Live(t, one)
	})
}

func TestBadParameters(t *testing.T) {
	for _, query := range []string{"session=x", "retry.period=-1", "file-cache=perhaps", "timeout=0s"} {
		_, err := New(extension.Env{}, url.MustParse("zookeeper://127.0.0.1:1?"+query))
		require.Error(t, err, query)
	}
	_, err := New(extension.Env{}, url.MustParse("zookeeper:///?cache=false"))
	require.ErrorContains(t, err, "no address")
	r := open(t, extension.Env{}, unusedAddress(t), "cache=false")
	require.Error(t, r.Register(context.Background(), url.MustParse("dubbo://a:1")))
	require.Error(t, r.Subscribe(context.Background(), url.MustParse("consumer://a/*?interface=*"), nil))
}
