package zookeeper

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
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

// TestHostileCacheFiles: whatever stands where the cache file is to be costs a line in the log that names it, and no more. What
// can be replaced is.
func TestHostileCacheFiles(t *testing.T) {
	valid := `{"format":1,"services":{"k":{"at":"2026-01-02T03:04:05Z","urls":["dubbo://a:1/s"]}}}`
	for name, c := range map[string]struct {
		make func(t *testing.T, path string) error
		stay bool // it cannot be replaced
	}{
		"huge": {make: func(_ *testing.T, path string) error {
			return os.WriteFile(path, append([]byte(valid), bytes.Repeat([]byte(" "), maxCache)...), 0o600)
		}},
		"endless": {make: func(_ *testing.T, path string) error {
			err := os.WriteFile(path, nil, 0o600)
			return errors.Join(err, os.Truncate(path, 1<<40)) // a terabyte, of which nothing is on the disk
		}},
		"truncated": {make: func(_ *testing.T, path string) error { return os.WriteFile(path, []byte(valid[:len(valid)-20]), 0o600) }},
		"deep": {make: func(_ *testing.T, path string) error {
			return os.WriteFile(path, []byte(`{"format":1,"services":`+strings.Repeat(`{"k":`, 1<<20)), 0o600)
		}},
		"of another kind": {make: func(_ *testing.T, path string) error { return os.WriteFile(path, []byte(`[{"format":1}]`), 0o600) }},
		"binary":          {make: func(_ *testing.T, path string) error { return os.WriteFile(path, []byte("\x7fELF\x00\xff"), 0o600) }},
		"a folder":        {make: func(_ *testing.T, path string) error { return os.MkdirAll(path+"/below", 0o700) }, stay: true},
		"a pipe":          {make: func(_ *testing.T, path string) error { return syscall.Mkfifo(path, 0o600) }},
		"a circle":        {make: func(_ *testing.T, path string) error { return os.Symlink(path, path) }},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "cache.json")
			require.NoError(t, c.make(t, path))
			var log bytes.Buffer
			cache := openTestCache(path, slog.New(slog.NewTextHandler(&log, nil)))
			require.Empty(t, cache.services)
			cache.put("k", []string{"dubbo://b:1/s"}, time.Now())
			cache.save()
			cache.save()
			require.Equal(t, 1, strings.Count(log.String(), "\n"), log.String())
			require.Contains(t, log.String(), path)
			require.Less(t, log.Len(), 1000)
			if c.stay {
				return
			}
			again, err := readCache(path)
			require.NoError(t, err)
			require.Equal(t, []string{"dubbo://b:1/s"}, again["k"].URLs)
			info, err := os.Lstat(path)
			require.NoError(t, err)
			require.EqualValues(t, 0o600, info.Mode(), "ours alone, since URLs may hold tokens")
		})
	}
}

// TestCacheFileOfOthers: a file that everybody may write is used, as it says no more than a registry may say, and what we write
// in its place is ours alone.
func TestCacheFileOfOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cache.json")
	require.NoError(t, os.WriteFile(path, []byte(`{"format":1,"services":{"k":{"at":"2026-01-02T03:04:05Z","urls":["dubbo://a:1/s"]}}}`), 0o600))
	require.NoError(t, os.Chmod(path, 0o666))
	c := openTestCache(path, slog.New(slog.DiscardHandler))
	urls, _, ok := c.get("k")
	require.True(t, ok)
	require.Equal(t, []string{"dubbo://a:1/s"}, urls)
	c.put("l", []string{"dubbo://b:1/s"}, time.Now())
	c.save()
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.EqualValues(t, 0o600, info.Mode().Perm())
}

// TestListThatIsTooLarge: a list of 20 MB, as somebody with a script can make one, costs its own service new lists and nobody
// else anything: the session and all others on it go on, and it is whole again when the rubbish is gone.
func TestListThatIsTooLarge(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		r, c := open(t, extension.Env{}, z.Addr(), newRoot()+"&retry.period=100&registry-type=interface"), look(t, z.Addr())
		ctx := registrytest.Within(t)
		one, other := registrytest.Provider(1, "Large", ""), registrytest.Provider(1, "Small", "")
		require.NoError(t, r.Register(ctx, one))
		s, _ := registrytest.Subscribe(t, r, registrytest.Consumer("Large", ""))
		small, _ := registrytest.Subscribe(t, r, registrytest.Consumer("Small", ""))
		s.Live(t, one)
		small.Live(t)
		connection := r.zk.Status().Connection
		const each = 60 << 10
		names := make([]string, 20<<20/each)
		for i := range names {
			names[i] = fmt.Sprintf("%s/providers/%0*d", r.servicePath(one), each, i)
			_, err := c.Create(ctx, zk.Node{Path: names[i]})
			require.NoError(t, err)
		}
		state := s.Wait(t, "a report", func(state registry.State) bool {
			return errors.Is(state.Err, zk.ErrTooLarge) && state.Source == registry.Memory
		})
		require.ErrorContains(t, state.Err, "com.example.Large")
		require.Less(t, len(state.Err.Error()), 500)
		require.Equal(t, []*url.URL{one}, state.URLs, "the last list stays")
		require.NoError(t, r.Register(ctx, other))
		small.Live(t, other)
		require.True(t, r.Registered()[one.String()])
		require.Equal(t, connection, r.zk.Status().Connection, "nobody lost the connection")
		for _, name := range names {
			require.NoError(t, c.Delete(ctx, name, zk.AnyVersion))
		}
		s.Live(t, one)
		require.Equal(t, connection, r.zk.Status().Connection)
	})
}

// TestListOfRubbish: twenty thousand entries that nobody can read neither hide a good one nor become twenty thousand lines.
func TestListOfRubbish(t *testing.T) {
	t.Parallel()
	z := embedded(t)
	r, c := open(t, extension.Env{}, z.Addr(), newRoot()), look(t, z.Addr())
	ctx := registrytest.Within(t)
	one := registrytest.Provider(1, "Rubbish", "")
	require.NoError(t, r.Register(ctx, one))
	const n, atOnce = 20_000, 100
	var wg sync.WaitGroup
	for g := range atOnce {
		wg.Go(func() {
			for i := g; i < n; i += atOnce {
				_, err := c.Create(ctx, zk.Node{Path: fmt.Sprintf("%s/providers/%%zz%d", r.servicePath(one), i)})
				require.NoError(t, err)
			}
		})
	}
	wg.Wait()
	s, _ := registrytest.Subscribe(t, r, registrytest.Consumer("Rubbish", ""))
	state := s.Live(t, one)
	require.ErrorContains(t, state.Err, "20000 of 20001 entries of com.example.Rubbish cannot be read")
	require.Less(t, len(state.Err.Error()), 500)
}
