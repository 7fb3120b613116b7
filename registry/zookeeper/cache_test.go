package zookeeper

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/registry"
	"github.com/ferryrpc/ferry/registry/registrytest"
)

func openTestCache(path string, log *slog.Logger) *cache {
	return openCache(Params{Cache: path, FileCache: true}, "127.0.0.1:2181/dubbo", log)
}

func TestCacheIsOffByParameter(t *testing.T) {
	quiet := slog.New(slog.DiscardHandler)
	require.Nil(t, openCache(Params{Cache: "false", FileCache: true}, "r", quiet))
	require.Nil(t, openCache(Params{Cache: "x"}, "r", quiet))
	t.Setenv("XDG_CACHE_HOME", "/nowhere")
	c := openCache(Params{FileCache: true, Application: "shop/eu"}, "10.0.0.1:2181/dubbo", quiet)
	require.Equal(t, "/nowhere/ferry/shop-eu-10.0.0.1-2181-dubbo.json", c.path)
	require.Equal(t, "y", openCache(Params{FileCache: true, File: "y"}, "r", quiet).path)
}

func TestDamagedCacheFileIsLoggedOnceAndReplaced(t *testing.T) {
	for _, content := range []string{"", "{", "[]", `{"format":9}`, `{"format":1,"services":{"k":{"at":"x"}}}`} {
		path := filepath.Join(t.TempDir(), "cache.json")
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		var log bytes.Buffer
		c := openTestCache(path, slog.New(slog.NewTextHandler(&log, nil)))
		require.Equal(t, 1, strings.Count(log.String(), "damaged"))
		c.put("k", []string{"dubbo://a:1/s"}, time.Now())
		require.NoError(t, c.write())
		services, err := readCache(path)
		require.NoError(t, err)
		require.Equal(t, []string{"dubbo://a:1/s"}, services["k"].URLs)
	}
}

func TestProcessesShareACacheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cache.json")
	quiet := slog.New(slog.DiscardHandler)
	a, b := openTestCache(path, quiet), openTestCache(path, quiet)
	now := time.Now()
	a.put("both", []string{"old"}, now)
	a.put("a", []string{"x"}, now)
	b.put("both", []string{"new"}, now.Add(time.Second))
	b.put("b", []string{"y"}, now)
	require.NoError(t, b.write())
	require.NoError(t, a.write())
	services, err := readCache(path)
	require.NoError(t, err)
	require.Len(t, services, 3)
	require.Equal(t, []string{"new"}, services["both"].URLs)

	var wg sync.WaitGroup
	for i := range 8 { // whoever wins, the file is whole
		wg.Go(func() {
			c := openTestCache(path, quiet)
			for n := range 8 {
				c.put(fmt.Sprint(i), []string{strings.Repeat("x", 1000*n)}, time.Now())
				require.NoError(t, c.write())
				_, err := readCache(path)
				require.NoError(t, err)
			}
		})
	}
	wg.Wait()
	left, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, left, 1, "no temporary file stays")
}

func TestEmptyListDoesNotDisplaceAFullOne(t *testing.T) {
	c := openTestCache(filepath.Join(t.TempDir(), "c"), slog.New(slog.DiscardHandler))
	c.put("k", []string{"u"}, time.Now())
	c.put("k", nil, time.Now())
	urls, _, ok := c.get("k")
	require.True(t, ok)
	require.Equal(t, []string{"u"}, urls)
}

func TestCacheIsBounded(t *testing.T) {
	services := map[string]cached{}
	for i := range 40 {
		services[fmt.Sprint(i)] = cached{At: time.Unix(int64(i), 0), URLs: []string{strings.Repeat("x", 1000)}}
	}
	b, err := encodeCache(services, 20_000)
	require.NoError(t, err)
	require.LessOrEqual(t, len(b), 20_000)
	_, err = parseCache(bytes.NewReader(b), len(b))
	require.NoError(t, err)
	_, err = parseCache(bytes.NewReader(b), len(b)-1)
	require.Error(t, err)
	require.Contains(t, services, "39", "the newest stay")
	require.NotContains(t, services, "0")
}

func TestUnwritableCacheIsLoggedOnce(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))
	var log bytes.Buffer
	c := openTestCache(filepath.Join(dir, "file", "cache.json"), slog.New(slog.NewTextHandler(&log, nil)))
	c.put("k", []string{"u"}, time.Now())
	c.save()
	c.save()
	require.Equal(t, 1, strings.Count(log.String(), "\n"))
}

func FuzzCache(f *testing.F) {
	f.Add([]byte(`{"format":1,"services":{"k":{"at":"2026-01-02T03:04:05Z","urls":["dubbo://a:1/s?x=y"]}}}`))
	f.Add([]byte(`{"format":1,"services":null}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		services, err := parseCache(bytes.NewReader(b), maxCache)
		if err != nil || len(services) == 0 {
			return
		}
		again, err := encodeCache(services, maxCache)
		if err != nil {
			return // a time that JSON cannot hold
		}
		if _, err := parseCache(bytes.NewReader(again), maxCache); err != nil {
			t.Fatal(err)
		}
	})
}

// What is wrong with an entry of the cache file is said once, with the file and the place in it, and costs nobody else.
func TestHostileEntriesOfTheCacheFileAreReportedOnceAndSkipped(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cache.json")
	good := registrytest.Provider(1, "Hostile", "")
	content, err := encodeCache(map[string]cached{"com.example.Hostile|providers,configurators,routers": {At: time.Now(), URLs: []string{
		"%zz", "no url", "dubbo://a:99999/com.example.Hostile", good.String(), registrytest.Provider(2, "Other", "").String(),
		"dubbo://" + strings.Repeat("x", 1<<20) + "/com.example.Other?interface=com.example.Other"}}}, maxCache)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, content, 0o600))
	var log lockedLog
	r := open(t, extension.Env{Logger: slog.New(slog.NewTextHandler(&log, nil))}, unusedAddress(t), "registry-type=interface&session=2000&cache="+path)
	for range 2 {
		s, _ := registrytest.Subscribe(t, r, registrytest.Consumer("Hostile", ""))
		state := s.Wait(t, "a list", func(registry.State) bool { return true })
		require.Equal(t, registry.File, state.Source)
		require.Len(t, state.URLs, 1)
		require.True(t, good.Equal(state.URLs[0]))
	}
	require.Equal(t, 1, strings.Count(log.String(), "\n"), log.String())
	require.Contains(t, log.String(), path)
	require.Contains(t, log.String(), "com.example.Hostile|providers,configurators,routers")
}

// lockedLog is a log that several goroutines write.
type lockedLog struct {
	mu sync.Mutex // guards the following
	b  bytes.Buffer
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
