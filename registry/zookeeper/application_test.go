package zookeeper

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/internal/zk"
	"github.com/ferryrpc/ferry/internal/zktest"
	"github.com/ferryrpc/ferry/registry"
	"github.com/ferryrpc/ferry/registry/registrytest"
	"github.com/ferryrpc/ferry/url"
)

// named is a registry whose services belong to an application, of which its user does not know.
type named struct {
	*Registry
	app string
}

func (n named) Register(ctx context.Context, u *url.URL) error {
	return n.Registry.Register(ctx, n.owned(u))
}

func (n named) Unregister(ctx context.Context, u *url.URL) error {
	return n.Registry.Unregister(ctx, n.owned(u))
}

func (n named) owned(u *url.URL) *url.URL {
	if registry.Category(u) != registry.Providers || u.Param("dynamic") == "false" {
		return u
	}
	return u.With("application", n.app)
}

func (n named) Subscribe(ctx context.Context, u *url.URL, notify func(registry.State)) error {
	return n.Registry.Subscribe(ctx, u, func(s registry.State) {
		for i, u := range s.URLs {
			s.URLs[i] = u.Without("application")
		}
		notify(s)
	})
}

func (n named) Registered() map[string]bool {
	out := map[string]bool{}
	for text, ok := range n.Registry.Registered() {
		out[url.MustParse(text).Without("application").String()] = ok
	}
	return out
}

// The suite's services, published by application alone.
func TestConformanceByApplication(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		registrytest.Run(t, func(t testing.TB) registrytest.Pair {
			query := newRoot() + "&session=3000&retry.period=300&registry-type=service"
			return registrytest.Pair{
				A: named{open(t, extension.Env{}, z.Addr(), query), "shop"},
				B: named{open(t, extension.Env{}, z.Addr(), query), "store"},
				Outage: func() func() {
					z.Stop(t)
					return func() { z.Start(t, true) }
				},
				Forget: func() { z.Stop(t); z.Start(t, false) },
			}
		})
	})
}

// owned is a provider of an application.
func owned(app string, port int, name, query string) *url.URL {
	return registrytest.Provider(port, name, "application="+app+"&timestamp=17&pid=4").WithAll(url.MustParse("x://y?" + query))
}

// read returns what is at a path, which must be there.
func read(t testing.TB, c *zk.Client, path string) []byte {
	t.Helper()
	data, _, err := c.Get(registrytest.Within(t), path, nil)
	require.NoError(t, err, path)
	return data
}

// lookMember reads an instance of the tree.
func lookMember(t testing.TB, c *zk.Client, r *Registry, app, address string) *member {
	t.Helper()
	m, err := parseMember(read(t, c, r.services+"/"+app+"/"+address))
	require.NoError(t, err)
	return m
}

func TestInstancesAreDubbos(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		r, c := open(t, extension.Env{}, z.Addr(), "cache=false&registry-type=service"), look(t, z.Addr())
		one := owned("cart", 20880, "Tree", "group=g&version=1.0.0&weight=7&dubbo=2.0.2")
		require.NoError(t, r.Register(registrytest.Within(t), one))
		var got map[string]any
		require.NoError(t, json.Unmarshal(read(t, c, "/services/cart/10.0.0.1:20880"), &got))
		require.NotZero(t, got["registrationTimeUTC"])
		delete(got, "registrationTimeUTC")
		data := got["payload"].(map[string]any)["metadata"].(map[string]any)
		revision := data["dubbo.metadata.revision"].(string)
		require.Regexp(t, "^[0-9a-f]{32}$", revision)
		require.Equal(t, map[string]any{"name": "cart", "id": "10.0.0.1:20880", "address": "10.0.0.1", "port": 20880.0, "sslPort": nil,
			"serviceType": "DYNAMIC", "uriSpec": nil, "payload": map[string]any{"@class": "org.apache.dubbo.registry.zookeeper.ZookeeperInstance",
				"id": "10.0.0.1:20880", "name": "cart", "metadata": map[string]any{"dubbo.endpoints": `[{"port":20880,"protocol":"dubbo"}]`,
					"dubbo.metadata.revision": revision, "dubbo.metadata.storage-type": "remote", "timestamp": "17"}}}, got)
		require.JSONEq(t, `{"app":"cart","revision":"`+revision+`","services":{"g/com.example.Tree:1.0.0:dubbo":{"name":"com.example.Tree",
			"group":"g","version":"1.0.0","protocol":"dubbo","port":20880,"path":"com.example.Tree",
			"params":{"application":"cart","side":"provider","weight":"7","dubbo":"2.0.2"}}}}`, string(read(t, c, "/dubbo/metadata/cart/"+revision)))
		require.Equal(t, read(t, c, "/dubbo/metadata/cart/"+revision), read(t, c, "/dubbo/cart/"+revision), "where dubbo-go looks")
		require.Equal(t, "cart", string(read(t, c, "/dubbo/mapping/com.example.Tree")))
		_, found, err := c.Exists(registrytest.Within(t), "/dubbo/com.example.Tree/providers", nil)
		require.NoError(t, err)
		require.False(t, found, "nothing stands under the interface")
		require.NoError(t, r.Unregister(registrytest.Within(t), one))
		_, found, err = c.Exists(registrytest.Within(t), "/services/cart/10.0.0.1:20880", nil)
		require.NoError(t, err)
		require.False(t, found)
	})
}

// What an instance offers changes while it is up, and consumers of each service hear of it.
func TestRevisionFollowsTheServices(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		query := newRoot() + "&registry-type=service"
		r, other, c := open(t, extension.Env{}, z.Addr(), query), open(t, extension.Env{}, z.Addr(), query), look(t, z.Addr())
		one, two := owned("rev", 1, "One", ""), owned("rev", 1, "Two", "")
		ones, _ := registrytest.Subscribe(t, other, registrytest.Consumer("One", ""))
		twos, _ := registrytest.Subscribe(t, other, registrytest.Consumer("Two", ""))
		seen := map[string]bool{}
		note := func() {
			revision := lookMember(t, c, r, "rev", "10.0.0.1:1").revision()
			require.False(t, seen[revision], "a new revision for each change")
			seen[revision] = true
			d, err := parseDescription(read(t, c, r.descriptionPaths("rev", revision)[0]))
			require.NoError(t, err)
			require.Equal(t, revision, d.Revision)
		}
		require.NoError(t, r.Register(registrytest.Within(t), one))
		note()
		ones.Live(t, one.Without("pid"))
		twos.Live(t)
		require.NoError(t, r.Register(registrytest.Within(t), two))
		note()
		twos.Live(t, two.Without("pid"))
		heavy := two.With("weight", "3")
		require.NoError(t, r.Unregister(registrytest.Within(t), two))
		require.NoError(t, r.Register(registrytest.Within(t), heavy))
		note()
		twos.Live(t, heavy.Without("pid"))
		require.NoError(t, r.Unregister(registrytest.Within(t), one))
		note()
		ones.Live(t)
		twos.Live(t, heavy.Without("pid"))
		require.NoError(t, r.Unregister(registrytest.Within(t), heavy))
		twos.Live(t)
	})
}

func TestRevisionIsOfWhatIsOffered(t *testing.T) {
	of := func(services ...*url.URL) string { return describe("a", services).Revision }
	u := owned("a", 1, "S", "")
	require.Equal(t, of(u), of(u.With("pid", "9").With("timestamp", "8")), "instances of one program share a description")
	require.Equal(t, of(u, owned("a", 1, "T", "")), of(owned("a", 1, "T", ""), u), "the order is none")
	for _, other := range []string{of(u.With("weight", "2")), of(u.With("group", "g")), of(owned("a", 2, "S", "")), of(u.WithPath("x/com.example.S")),
		of(u, owned("a", 1, "T", "")), describe("b", []*url.URL{u}).Revision} {
		require.NotEqual(t, of(u), other)
	}
}

// An instance is proved and healed as entries by interface are: after its session's end, when the servers lose all they
// knew, and when somebody takes a part of it away.
func TestInstanceComesBack(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		r, c := open(t, extension.Env{}, z.Addr(), newRoot()+"&session=3000&retry.period=300"), look(t, z.Addr())
		one := owned("back", 1, "Back", "")
		require.NoError(t, r.Register(registrytest.Within(t), one))
		path := r.services + "/back/10.0.0.1:1"
		whole := func() {
			t.Helper()
			require.Eventually(t, func() bool {
				if !r.Registered()[one.String()] {
					return false
				}
				gen, err := r.zk.Session(registrytest.Within(t))
				data, stat, e := c.Get(registrytest.Within(t), path, nil)
				if err != nil || e != nil || stat.Owner != gen.ID() {
					return false
				}
				m, err := parseMember(data)
				text, _, e := c.Get(registrytest.Within(t), r.mappingPath("com.example.Back"), nil)
				if err != nil || e != nil || !strings.Contains(string(text), "back") {
					return false
				}
				_, found, err := c.Exists(registrytest.Within(t), r.descriptionPaths("back", m.revision())[0], nil)
				return err == nil && found
			}, registrytest.Limit, 5*time.Millisecond)
		}
		whole()
		require.NoError(t, c.Delete(registrytest.Within(t), path, zk.AnyVersion))
		whole()
		revision := lookMember(t, c, r, "back", "10.0.0.1:1").revision()
		require.NoError(t, c.Delete(registrytest.Within(t), r.descriptionPaths("back", revision)[0], zk.AnyVersion))
		whole()
		_, err := c.Set(registrytest.Within(t), r.mappingPath("com.example.Back"), []byte("other"), zk.AnyVersion)
		require.NoError(t, err)
		whole()
		require.Equal(t, "other,back", string(read(t, c, r.mappingPath("com.example.Back"))), "the others stay")
		_, err = c.Set(registrytest.Within(t), path, []byte("{}"), zk.AnyVersion)
		require.NoError(t, err)
		whole()
		z.Stop(t)
		z.Start(t, false)
		whole()
	})
}

func TestInstanceOfAnExpiredSessionComesBack(t *testing.T) {
	t.Parallel()
	z := embedded(t)
	query := newRoot() + "&session=2000&registry-type=service"
	r, other := open(t, extension.Env{}, z.Addr(), query), open(t, extension.Env{}, z.Addr(), query)
	one := owned("late", 1, "Expired", "")
	require.NoError(t, r.Register(registrytest.Within(t), one))
	s, _ := registrytest.Subscribe(t, other, registrytest.Consumer("Expired", ""))
	for range 3 {
		s.Live(t, one.Without("pid"))
		gen, err := r.zk.Session(registrytest.Within(t))
		require.NoError(t, err)
		require.True(t, z.Expire(gen.ID()))
		<-gen.Context().Done()
		require.Eventually(t, func() bool { return !r.Registered()[one.String()] }, registrytest.Limit, 100*time.Microsecond)
		require.Eventually(t, func() bool { return r.Registered()[one.String()] }, registrytest.Limit, time.Millisecond)
	}
}

// Applications that come up at the same moment all get into the list of an interface.
func TestMappingsOfManyApplications(t *testing.T) {
	t.Parallel()
	z := embedded(t)
	query := newRoot()
	const n = 20
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			r := open(t, extension.Env{}, z.Addr(), query)
			require.NoError(t, r.Register(registrytest.Within(t), owned(fmt.Sprint("app", i), i+1, "Many", "")))
		})
	}
	wg.Wait()
	r := open(t, extension.Env{}, z.Addr(), query)
	require.Len(t, parseMapping(read(t, look(t, z.Addr()), r.mappingPath("com.example.Many"))), n)
	s, _ := registrytest.Subscribe(t, r, registrytest.Consumer("Many", ""))
	s.Wait(t, "all", func(state registry.State) bool { return len(state.URLs) == n })
}

// In both ways at once, a service is one provider, and its URL is that of its interface's entry.
func TestBothWaysAreOneProvider(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		root := newRoot()
		r, c := open(t, extension.Env{}, z.Addr(), root), look(t, z.Addr())
		one, two := owned("both", 1, "Both", ""), owned("both", 2, "Both", "")
		s, _ := registrytest.Subscribe(t, r, registrytest.Consumer("Both", ""))
		require.NoError(t, r.Register(registrytest.Within(t), one))
		s.Live(t, one)
		require.NoError(t, r.Register(registrytest.Within(t), two))
		s.Live(t, one, two)

		// The other two kinds of registries see it as well, and are seen.
		byInterface := open(t, extension.Env{}, z.Addr(), root+"&registry-type=interface")
		byApplication := open(t, extension.Env{}, z.Addr(), root+"&registry-type=service")
		si, _ := registrytest.Subscribe(t, byInterface, registrytest.Consumer("Both", ""))
		sa, _ := registrytest.Subscribe(t, byApplication, registrytest.Consumer("Both", ""))
		si.Live(t, one, two)
		sa.Live(t, one.Without("pid"), two.Without("pid"))
		three, four := owned("both", 3, "Both", ""), owned("both", 4, "Both", "")
		require.NoError(t, byInterface.Register(registrytest.Within(t), three))
		require.NoError(t, byApplication.Register(registrytest.Within(t), four))
		s.Live(t, one, two, three, four.Without("pid"))
		si.Live(t, one, two, three)
		sa.Live(t, one.Without("pid"), two.Without("pid"), four.Without("pid"))

		// Whichever of its entries goes first, a provider keeps its URL until it is gone.
		p := r.entryPath(one)
		require.NoError(t, byApplication.Unregister(registrytest.Within(t), four))
		require.NoError(t, byInterface.Unregister(registrytest.Within(t), three))
		s.Live(t, one, two)
		require.NoError(t, r.Unregister(registrytest.Within(t), one))
		s.Live(t, two)
		for _, state := range s.States() {
			for _, u := range state.URLs {
				require.False(t, u.Port() == 1 && !u.Equal(one), "%s", u)
			}
		}
		_, found, err := c.Exists(registrytest.Within(t), p, nil)
		require.NoError(t, err)
		require.False(t, found)
	})
}
