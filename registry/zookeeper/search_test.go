package zookeeper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/internal/zk"
	"github.com/ferryrpc/ferry/registry"
	"github.com/ferryrpc/ferry/registry/registrytest"
	"github.com/ferryrpc/ferry/url"
)

// put writes a persistent node.
func put(t testing.TB, c *zk.Client, path, data string) {
	t.Helper()
	_, err := c.Create(registrytest.Within(t), zk.Node{Path: path, Data: []byte(data), Parents: true})
	if errors.Is(err, zk.ErrNodeExists) {
		_, err = c.Set(registrytest.Within(t), path, []byte(data), zk.AnyVersion)
	}
	require.NoError(t, err)
}

// javaMember is an instance as a Java provider writes it.
func javaMember(app string, port int, revision, storage string) string {
	return fmt.Sprintf(`{"name":%q,"id":"10.0.0.7:%d","address":"10.0.0.7","port":%d,"sslPort":null,"payload":{"@class":
		"org.apache.dubbo.registry.zookeeper.ZookeeperInstance","id":"10.0.0.7:%d","name":%q,"metadata":{"dubbo.endpoints":
		"[{\"port\":%d,\"protocol\":\"dubbo\"}]","dubbo.metadata-service.url-params":
		"{\"version\":\"1.0.0\",\"dubbo\":\"2.0.2\",\"side\":\"provider\",\"port\":\"%d\",\"protocol\":\"dubbo\"}",
		"dubbo.metadata.revision":%q,"dubbo.metadata.storage-type":%q,"meta-v":"1.0.0","timestamp":"1700000000000"}},
		"registrationTimeUTC":1700000000000,"serviceType":"DYNAMIC","uriSpec":null}`, app, port, port, port, app, port, port, revision, storage)
}

func javaDescription(app, revision, name string, port int) string {
	return fmt.Sprintf(`{"app":%q,"revision":%q,"services":{"com.example.%s:dubbo":{"name":"com.example.%s","params":{"side":"provider",
		"release":"3.3.6","methods":"x","deprecated":"false","dubbo":"2.0.2","interface":"com.example.%s","service-name-mapping":"true",
		"generic":"false","timeout":"700"},"path":"com.example.%s","port":%d,"protocol":"dubbo","serviceKey":"x"}}}`, app, revision, name, name, name, name, port)
}

func javaURL(app, name string, port int) *url.URL {
	return url.MustParse(fmt.Sprintf("dubbo://10.0.0.7:%d/com.example.%s?application=%s&deprecated=false&dubbo=2.0.2&generic=false&interface=com.example.%s&"+
		"methods=x&release=3.3.6&service-name-mapping=true&side=provider&timeout=700&timestamp=1700000000000", port, name, app, name))
}

// TestInstancesShareARevision: dubbo-go's revisions do not tell ports apart, so that two processes at different ports of a
// machine have one description, with the port of whoever wrote it.
func TestInstancesShareARevision(t *testing.T) {
	d, err := parseDescription([]byte(javaDescription("go-app", "r", "Shared", 1)))
	require.NoError(t, err)
	for _, port := range []int{1, 2} {
		m, err := parseMember([]byte(javaMember("go-app", port, "r", "remote")))
		require.NoError(t, err)
		require.Equal(t, javaURL("go-app", "Shared", port).Address(), d.Services["com.example.Shared:dubbo"].at(m).Address())
	}
	// An application with two ports names one of them as its endpoint.
	two := *d.Services["com.example.Shared:dubbo"]
	two.Port = 7
	d.Services["com.example.Other:dubbo"] = &two
	require.NoError(t, d.check())
	m, err := parseMember([]byte(javaMember("go-app", 1, "r", "remote")))
	require.NoError(t, err)
	require.Equal(t, "10.0.0.7:7", d.Services["com.example.Other:dubbo"].at(m).Address())
	require.Equal(t, "10.0.0.7:1", d.Services["com.example.Shared:dubbo"].at(m).Address())
}

func TestFindsInstancesThatOthersWrite(t *testing.T) {
	t.Parallel()
	z := embedded(t)
	r, c := open(t, extension.Env{}, z.Addr(), newRoot()+"&retry.period=200"), look(t, z.Addr())
	s, _ := registrytest.Subscribe(t, r, registrytest.Consumer("Found", ""))
	s.Live(t) // nothing is there, not even the list of applications
	put(t, c, r.mappingPath("com.example.Found"), "java-app, other")
	put(t, c, r.services+"/java-app/10.0.0.7:1", javaMember("java-app", 1, "r1", "remote"))
	state := s.Wait(t, "a report of what is missing", func(s registry.State) bool { return s.Err != nil })
	require.ErrorContains(t, state.Err, "java-app: revision r1 is not described")
	require.Equal(t, registry.Live, state.Source)
	put(t, c, r.descriptionPaths("java-app", "r1")[0], javaDescription("java-app", "r1", "Found", 1))
	one, two := javaURL("java-app", "Found", 1), javaURL("java-app", "Found", 2)
	state = s.Live(t, one)
	require.NoError(t, state.Err)

	// Another instance, of another revision; a third that nobody can read; a fourth that offers nothing yet.
	put(t, c, r.services+"/java-app/10.0.0.7:2", javaMember("java-app", 2, "r2", "remote"))
	put(t, c, r.services+"/java-app/10.0.0.7:3", "{")
	put(t, c, r.services+"/java-app/10.0.0.7:4", javaMember("java-app", 4, "0", "remote"))
	put(t, c, r.descriptionPaths("java-app", "r2")[0], javaDescription("java-app", "r2", "Found", 2))
	state = s.Live(t, one, two)
	require.ErrorContains(t, state.Err, "10.0.0.7:3")

	// It offers something else from now on.
	put(t, c, r.descriptionPaths("java-app", "r3")[0], javaDescription("java-app", "r3", "Elsewhere", 2))
	put(t, c, r.services+"/java-app/10.0.0.7:2", javaMember("java-app", 2, "r3", "remote"))
	s.Live(t, one)
	require.NoError(t, c.Delete(registrytest.Within(t), r.services+"/java-app/10.0.0.7:1", zk.AnyVersion))
	s.Live(t)
	named, _ := registrytest.Subscribe(t, r, registrytest.Consumer("Elsewhere", "provided-by=java-app"))
	named.Live(t, javaURL("java-app", "Elsewhere", 2))
}

func TestFindsDescriptionsOfDubboGo(t *testing.T) {
	t.Parallel()
	z := embedded(t)
	r, c := open(t, extension.Env{}, z.Addr(), "cache=false&retry.period=200"), look(t, z.Addr())
	put(t, c, "/dubbo/mapping/com.example.Gopher", "go-app")
	put(t, c, "/services/go-app/10.0.0.7:1", javaMember("go-app", 1, "75528625343", "remote"))
	put(t, c, "/dubbo/go-app/75528625343", javaDescription("go-app", "75528625343", "Gopher", 1))
	s, _ := registrytest.Subscribe(t, r, registrytest.Consumer("Gopher", ""))
	s.Live(t, javaURL("go-app", "Gopher", 1))
}

// What providers keep to themselves is asked of them.
func TestAsksProviders(t *testing.T) {
	t.Parallel()
	z := embedded(t)
	r, c := open(t, extension.Env{}, z.Addr(), newRoot()+"&retry.period=100"), look(t, z.Addr())
	var asked atomic.Int32
	r.AskWith(func(ctx context.Context, u *url.URL, revision string) (any, error) {
		if revision != "local1" || u.Param("group") != "java-app" || u.Param("version") != "1.0.0" || u.Interface() != metadataAPI {
			return nil, fmt.Errorf("asked for %s at %s", revision, u)
		}
		if asked.Add(1) == 1 {
			return nil, errors.New("not yet")
		}
		return map[any]any{"app": "java-app", "revision": revision, "services": map[any]any{"com.example.Asked:dubbo": map[any]any{
			"name": "com.example.Asked", "protocol": "dubbo", "port": int32(-1), "path": "com.example.Asked", "group": nil,
			"params": map[any]any{"side": "provider", "generic": "false"}}}}, nil
	})
	put(t, c, r.mappingPath("com.example.Asked"), "java-app")
	put(t, c, r.services+"/java-app/10.0.0.7:1", javaMember("java-app", 1, "local1", "local"))
	s, _ := registrytest.Subscribe(t, r, registrytest.Consumer("Asked", ""))
	s.Live(t, url.MustParse("dubbo://10.0.0.7:1/com.example.Asked?application=java-app&generic=false&interface=com.example.Asked&side=provider&timestamp=1700000000000"))
	require.EqualValues(t, 2, asked.Load())
}

func TestDescriptionsAreChecked(t *testing.T) {
	for text, cause := range map[string]string{
		"":                                  "unexpected end",
		"{":                                 "unexpected end",
		`{"app":"","services":{}}`:          "without an application",
		`{"app":"a","services":{"s":null}}`: "not complete",
		`{"app":"a","services":{"s":{"name":"s"}}}`:                                           "not complete",
		`{"app":"a","services":{"s":{"name":"s","protocol":"dubbo","port":70000}}}`:           "not complete",
		`{"app":"a","services":{"s":{"name":"s","protocol":"du bbo"}}}`:                       "service s of a",
		`{"app":"a","services":{"s":{"name":"s","protocol":"dubbo","params":{"a":"b&c=d"}}}}`: "cannot be written",
	} {
		_, err := parseDescription([]byte(text))
		require.ErrorContains(t, err, cause, text)
	}
	_, err := parseDescription(make([]byte, maxDescription+1))
	require.ErrorContains(t, err, "over")
	for _, text := range []string{"", "{}", `{"address":"a b","port":1}`, `{"address":"h","port":0}`,
		`{"address":"h","port":1,"payload":{"metadata":{"dubbo.endpoints":"{"}}}`, strings.Repeat(" ", maxInstance+1)} {
		_, err := parseMember([]byte(text))
		require.Error(t, err, "%.40s", text)
	}
	for _, answer := range []any{nil, 1, map[any]any{}, map[any]any{"services": map[any]any{"x": 1}}, map[any]any{"app": "a", "services": map[any]any{"x": 1}}} {
		_, err := descriptionOf(answer)
		require.Error(t, err, "%v", answer)
	}
	require.Equal(t, []string{"a", "b"}, parseMapping([]byte("b, a,,b,../x,.")))
}

func FuzzDescription(f *testing.F) {
	f.Add([]byte(javaDescription("a", "r", "S", 1)), []byte(javaMember("a", 1, "r", "remote")))
	f.Fuzz(func(t *testing.T, description, instance []byte) {
		d, err := parseDescription(description)
		m, other := parseMember(instance)
		if err != nil || other != nil {
			return
		}
		_, _ = m.metadataService("a") // it must not panic
		for _, o := range d.Services {
			u := o.at(m)
			again, err := url.Parse(u.String())
			require.NoError(t, err)
			require.True(t, again.Equal(u), "%s", u)
		}
	})
}

// TestCapturedInstances reads what Java providers wrote of themselves; interop keeps it. A description belongs to the
// instance with its revision, and offers Calls there, plainly and in two groups.
func TestCapturedInstances(t *testing.T) {
	files, err := filepath.Glob("testdata/captured/java*.json")
	require.NoError(t, err)
	require.Len(t, files, 4, "Dubbo 3.2 and 3.3, with metadata local and remote")
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		var nodes map[string]string
		require.NoError(t, json.Unmarshal(text, &nodes))
		members := map[string]*member{}
		descriptions := 0
		for path, data := range nodes {
			if strings.HasPrefix(path, "/services/") {
				m, err := parseMember([]byte(data))
				require.NoError(t, err, file)
				require.Equal(t, "/services/"+m.Name+"/"+m.ID, path)
				require.Contains(t, m.endpoints, "dubbo")
				members[m.revision()] = m
				u, err := m.metadataService(m.Name)
				require.NoError(t, err)
				require.Equal(t, "dubbo", u.Scheme())
			}
		}
		require.Len(t, members, 1)
		for path, data := range nodes {
			revision := path[strings.LastIndex(path, "/")+1:]
			if !strings.HasPrefix(path, "/dubbo/metadata/") || members[revision] == nil {
				continue
			}
			descriptions++
			d, err := parseDescription([]byte(data))
			require.NoError(t, err, file)
			require.Equal(t, revision, d.Revision)
			groups := map[string]bool{}
			for _, o := range d.Services {
				u := o.at(members[revision])
				require.Equal(t, "127.0.0.1", u.Host())
				require.Equal(t, d.App, u.Param("application"))
				if u.Interface() == "com.ferry.interop.Calls" {
					groups[u.Param("group")+"/"+u.Param("version")] = true
				}
			}
			require.Equal(t, map[string]bool{"/": true, "g1/1.0.0": true, "g2/2.0.0": true}, groups)
		}
		require.Equal(t, strings.HasSuffix(file, "java-b.json"), descriptions == 1, file)
	}
}
