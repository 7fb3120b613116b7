package ferry_test

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/internal/zk"
	"github.com/ferryrpc/ferry/internal/zktest"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/registry"
	"github.com/ferryrpc/ferry/registry/memory"
	"github.com/ferryrpc/ferry/url"
)

// An office is where an administrator writes rules.
type office interface {
	text(t *testing.T, key, content string) // an empty content deletes
	add(t *testing.T, rule string)          // a URL in the lists
	remove(t *testing.T, rule string)
}

// memoryOffice writes to a memory registry.
type memoryOffice struct{ *memory.Registry }

func (m memoryOffice) text(_ *testing.T, key, content string) {
	if content == "" {
		m.SetRule(key, nil)
		return
	}
	m.SetRule(key, []byte(content))
}

func (m memoryOffice) add(t *testing.T, rule string) {
	require.NoError(t, m.Register(t.Context(), url.MustParse(rule)))
}

func (m memoryOffice) remove(t *testing.T, rule string) {
	require.NoError(t, m.Unregister(t.Context(), url.MustParse(rule)))
}

// inMemory returns a memory registry for clients that have x, and its office.
func inMemory(t *testing.T, x *ferry.Extensions) memoryOffice {
	var in registry.Registry
	name := strings.ToLower(path.Base(t.Name()))
	require.NoError(t, x.Registries.Add("office", nil, func(e extension.Env, u *url.URL) (registry.Registry, error) {
		var err error
		if in == nil {
			in, err = memory.New(e, url.MustParse("memory://"+t.Name()))
			require.NoError(t, err)
		}
		return memory.New(e, url.MustParse("memory://"+t.Name()))
	}))
	probe := &ferry.Client{Registry: "office://" + name, Extensions: x} // opens the registry, and with it ours
	_, err := probe.Refer(&protocol.Interface{Name: "com.example.Nobody"}, ferry.Check(false))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, in.Close()) })
	require.NoError(t, probe.Close())
	return memoryOffice{in.(*memory.Registry)}
}

// zkOffice writes to ZooKeeper as dubbo-admin does.
type zkOffice struct{ *zk.Client }

func (z zkOffice) put(t *testing.T, path, content string) {
	ctx := t.Context()
	if _, found, err := z.Exists(ctx, path, nil); found || err != nil {
		require.NoError(t, err)
		_, err = z.Set(ctx, path, []byte(content), zk.AnyVersion)
		require.NoError(t, err)
		return
	}
	_, err := z.Create(ctx, zk.Node{Path: path, Data: []byte(content), Parents: true})
	require.NoError(t, err)
}

func (z zkOffice) text(t *testing.T, key, content string) {
	path := "/dubbo/config/dubbo/" + key
	if content == "" {
		require.NoError(t, z.Delete(t.Context(), path, zk.AnyVersion))
		return
	}
	z.put(t, path, content)
}

func node(rule string) string {
	u := url.MustParse(rule)
	return "/dubbo/" + u.Interface() + "/" + registry.Category(u) + "/" + url.Encode(rule)
}

func (z zkOffice) add(t *testing.T, rule string) { z.put(t, node(rule), "") }

func (z zkOffice) remove(t *testing.T, rule string) {
	require.NoError(t, z.Delete(t.Context(), node(rule), zk.AnyVersion))
}

// A town is three providers and a consumer that calls them all the time.
type town struct {
	office
	*client
	group, app string
	at         map[string]string // provider's name to its address
	servers    map[string]*ferry.Server
	registry   string
	x          *ferry.Extensions
}

func (w *town) key(kind string) string { return service + "::" + w.group + "." + kind }

// rule completes a URL of the lists.
func (w *town) rule(address, scheme, params string) string {
	return fmt.Sprintf("%s://%s/%s?group=%s&dynamic=false&category=%s&%s", scheme, address, service, w.group,
		map[bool]string{true: "configurators", false: "routers"}[scheme == "override" || scheme == "absent"], params)
}

// served calls and returns who answered.
func (w *town) served(ctx context.Context, item string) []string {
	names := map[string]bool{}
	for range 40 {
		got, err := w.Buy(ctx, item, 1)
		if err != nil {
			got = "failure " + err.Error()
		}
		name, _, _ := strings.Cut(got, " ")
		names[name] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// becomes waits until who answers is as wanted, which must be within a second of a machine that runs: of one that stands still for a
// while, because others have it, only a moment counts.
func (w *town) becomes(t *testing.T, ctx context.Context, item string, want ...string) {
	t.Helper()
	const moment = 25 * time.Millisecond // forty calls take less than a tenth of it
	var got []string
	for spent := time.Duration(0); spent < time.Second; time.Sleep(time.Millisecond) {
		start := time.Now()
		if got = w.served(ctx, item); slices.Equal(got, want) {
			return
		}
		spent += min(time.Since(start)+time.Millisecond, moment)
	}
	require.Equal(t, want, got, "rules: %v", w.in.Rules())
}

func (w *town) ruleState(place string) (out ferry.RuleState) {
	if u, err := url.Parse(place); err == nil {
		place = u.String()
	}
	for _, s := range w.in.Rules() {
		if strings.HasPrefix(s.Place, place) {
			out = s
		}
	}
	return out
}

// everywhere runs a test with a memory registry and both kinds of ZooKeeper, under load. No call of the load may fail.
func everywhere(t *testing.T, options []ferry.Option, run func(t *testing.T, w *town)) {
	t.Run("memory", func(t *testing.T) {
		x := ferry.Builtin()
		o := inMemory(t, x)
		inTown(t, o, "office://x", x, options, run)
	})
	real.Both(t, func(t *testing.T, z zktest.Target) {
		c, err := zk.Open(zk.Config{Addresses: []string{z.Addr()}})
		require.NoError(t, err)
		defer func() { require.NoError(t, c.Close()) }()
		inTown(t, zkOffice{c}, "zookeeper://"+z.Addr()+"?cache=false", ferry.Builtin(), options, run)
	})
}

func inTown(t *testing.T, o office, registry string, x *ferry.Extensions, options []ferry.Option, run func(t *testing.T, w *town)) {
	name := strings.ReplaceAll(t.Name(), "/", "-")
	w := &town{office: o, group: name, app: "app-" + name, at: map[string]string{}, servers: map[string]*ferry.Server{}, registry: registry, x: x}
	for i, who := range []string{"ann", "bob", "eve"} {
		s := &ferry.Server{Registry: registry, Extensions: x, Options: []ferry.Option{ferry.Group(w.group), ferry.Host(fmt.Sprintf("127.0.0.%d", i+2)),
			ferry.Param("application", "shop-"+name)}}
		if who == "eve" {
			s.Options = append(s.Options, ferry.Param("dubbo.tag", "gray"))
		}
		require.NoError(t, s.ExportValue(service, shop{who}))
		t.Cleanup(func() { require.NoError(t, s.Close(canceled())) })
		w.at[who], w.servers[who] = s.URLs()[0].Address(), s
	}
	c := &ferry.Client{Registry: registry, Extensions: x, Options: []ferry.Option{ferry.Group(w.group), ferry.Param("application", w.app),
		ferry.Param("scope", "remote"), ferry.Cluster("failfast"), ferry.Timeout(patience)}}
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	var err error
	w.client, err = fill(c, options...)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(w.in.Directory().Snapshot().Targets) == 3 }, patience, time.Millisecond)
	defer busy(t, w.client)()
	run(t, w)
}

// busy calls all the time until the function that it returns is called, which fails the test if a call failed.
func busy(t *testing.T, c *client) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var callers sync.WaitGroup
	var calls, failed atomic.Int64
	for range 2 {
		callers.Go(func() {
			tick := time.NewTicker(time.Millisecond)
			defer tick.Stop()
			for ctx.Err() == nil {
				if _, err := c.Buy(context.Background(), "pear", 1); err != nil && failed.Add(1) < 4 {
					t.Errorf("a call failed: %v", err)
				}
				calls.Add(1)
				<-tick.C
			}
		})
	}
	return func() {
		cancel()
		callers.Wait()
		require.Zero(t, failed.Load(), "of %d calls", calls.Load())
		require.Positive(t, calls.Load())
	}
}
