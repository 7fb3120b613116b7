package zookeeper

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	cacheFormat = 1
	maxCache    = 16 << 20               // bytes of a cache file
	cacheDelay  = 500 * time.Millisecond // changes within it make one write
)

// A cache keeps the last lists in a file, for a process that starts while the registry is down. Every process of an
// application writes the same file: a write keeps what others have written later, and replaces the file as a whole.
type cache struct {
	path  string
	log   *slog.Logger
	dirty chan struct{} // one place

	mu       sync.Mutex // guards the following
	services map[string]cached
	warned   bool // the log knows that the file cannot be read or written
}

type cacheContent struct {
	Format   int               `json:"format"`
	Services map[string]cached `json:"services"`
}

type cached struct {
	At   time.Time `json:"at"`
	URLs []string  `json:"urls"`
}

// openCache reads the cache file; nil means that there is to be none.
func openCache(p Params, registry string, log *slog.Logger) *cache {
	path := cmp.Or(p.Cache, p.File)
	if path == "false" || !p.FileCache {
		return nil
	}
	if path == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			log.Warn("zookeeper: no cache file", "error", err)
			return nil
		}
		path = filepath.Join(dir, "ferry", fileName(cmp.Or(p.Application, "ferry")+"-"+registry)+".json")
	}
	c := &cache{path: path, log: log, dirty: make(chan struct{}, 1)}
	var err error
	if c.services, err = readCache(path); err != nil {
		c.warn("zookeeper: cache file is damaged and will be replaced", err)
	}
	if c.services == nil {
		c.services = map[string]cached{}
	}
	return c
}

// fileName makes any text the name of a file.
func fileName(text string) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '_' {
			return r
		}
		return '-'
	}, text)
	return name[:min(len(name), 200)]
}

// readCache reads a file; a missing one is empty. A pipe in its place would keep us waiting for a writer.
func readCache(path string) (map[string]cached, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file but %s", path, info.Mode().Type())
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return parseCache(f, maxCache)
}

func parseCache(r io.Reader, limit int) (map[string]cached, error) {
	b, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if err != nil {
		return nil, err
	}
	if len(b) > limit {
		return nil, fmt.Errorf("over %d bytes long", limit)
	}
	var content cacheContent
	if err := json.Unmarshal(b, &content); err != nil {
		return nil, err
	}
	if content.Format != cacheFormat {
		return nil, fmt.Errorf("format %d, want %d", content.Format, cacheFormat)
	}
	return content.Services, nil
}

// get returns the list under key.
func (c *cache) get(key string) ([]string, time.Time, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, ok := c.services[key]
	return s.URLs, s.At, ok
}

// put keeps a list. An empty one does not displace a full one: addresses that may be dead are more use than none.
func (c *cache) put(key string, urls []string, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old, ok := c.services[key]; ok && (len(urls) == 0 || slices.Equal(old.URLs, urls)) {
		return
	}
	c.services[key] = cached{At: at.UTC().Truncate(time.Millisecond), URLs: urls}
	select {
	case c.dirty <- struct{}{}:
	default:
	}
}

// run writes the file after changes until ctx ends, and then once more if there is something to write.
func (c *cache) run(ctx context.Context) {
	for {
		select {
		case <-c.dirty:
			pause(ctx, cacheDelay)
			c.save()
		case <-ctx.Done():
			select {
			case <-c.dirty:
				c.save()
			default:
			}
			return
		}
	}
}

func (c *cache) save() {
	if err := c.write(); err != nil {
		c.warn("zookeeper: cache file cannot be written", err)
	}
}

// warn logs the first failure only.
func (c *cache) warn(what string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.warned {
		c.log.Warn(what, "file", c.path, "error", err)
	}
	c.warned = true
}

// write merges what is on disk with what we know and replaces the file.
func (c *cache) write() error {
	disk, _ := readCache(c.path) // what cannot be read is replaced
	c.mu.Lock()
	for key, s := range disk {
		if ours, ok := c.services[key]; !ok || s.At.After(ours.At) {
			c.services[key] = s
		}
	}
	b, err := encodeCache(c.services, maxCache)
	c.mu.Unlock()
	if err != nil {
		return err
	}
	return replaceFile(c.path, b)
}

// encodeCache leaves the oldest services out when the file would be too large. It changes services so.
func encodeCache(services map[string]cached, limit int) ([]byte, error) {
	for {
		b, err := json.MarshalIndent(cacheContent{Format: cacheFormat, Services: services}, "", " ")
		if err != nil || len(b) <= limit {
			return b, err
		}
		keys := make([]string, 0, len(services))
		for key := range services {
			keys = append(keys, key)
		}
		slices.SortFunc(keys, func(a, b string) int { return services[a].At.Compare(services[b].At) })
		for _, key := range keys[:(len(keys)+3)/4] {
			delete(services, key)
		}
	}
}

// replaceFile writes a file so that a reader, at any time and after any crash, sees the old content or the new.
func replaceFile(path string, content []byte) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp") // readable by us alone: URLs may hold tokens
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name()) // the error that led here matters more
		}
	}()
	_, err = f.Write(content)
	if e := f.Sync(); err == nil {
		err = e
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
