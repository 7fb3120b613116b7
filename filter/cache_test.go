package filter

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/url"
)

// texts is a Row of one string, and its Copier.
type texts struct{ v string }

func (*texts) Len() int     { return 1 }
func (t *texts) At(int) any { return &t.v }

type textCopier struct{}

func (textCopier) Key(args protocol.Row) ([]byte, error) {
	if k := args.(*texts).v; k != "cannot be encoded" {
		return []byte(k), nil
	}
	return nil, errors.New("no")
}

func (textCopier) Copy(to, from protocol.Row) (int, error) {
	to.(*texts).v = from.(*texts).v
	return len(from.(*texts).v), nil
}

func textMethod(name string) *protocol.Method {
	m := &protocol.Method{Service: "S", Name: name, Index: -1}
	m.New = func() *protocol.Invocation { return &protocol.Invocation{Method: m, Args: &texts{}, Reply: &texts{}} }
	return m
}

// counting answers "arg:n" where n counts the calls that reached it.
type counting struct {
	mu         sync.Mutex
	calls      map[string]int
	err        error
	unanswered bool
}

func (s *counting) Invoke(_ context.Context, c *protocol.Invocation) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	arg := c.Args.(*texts).v
	s.calls[arg]++
	if s.err == nil {
		c.Reply.(*texts).v = fmt.Sprintf("%s:%d", arg, s.calls[arg])
		c.Unanswered = s.unanswered
	}
	return s.err
}

func cached(t *testing.T, params string, now func() time.Time) (ask func(m *protocol.Method, arg string) string, s *counting) {
	s = &counting{calls: map[string]int{}}
	f, err := NewCache(textCopier{})(extension.Env{Now: now}, url.MustParse("x://h/S?"+params))
	require.NoError(t, err)
	in := f(s)
	return func(m *protocol.Method, arg string) string {
		c := m.New()
		c.Args.(*texts).v = arg
		if err := in.Invoke(t.Context(), c); err != nil {
			return err.Error()
		}
		return c.Reply.(*texts).v
	}, s
}

func TestCache(t *testing.T) {
	get, put := textMethod("get"), textMethod("put")
	ask, s := cached(t, "cache=lru&cache.size=2&put.cache=false", nil)
	require.Equal(t, "a:1", ask(get, "a"))
	require.Equal(t, "a:1", ask(get, "a"))
	require.Equal(t, "b:1", ask(get, "b"))
	require.Equal(t, "a:1", ask(get, "a"), "used again")
	require.Equal(t, "c:1", ask(get, "c"), "the longest unused goes")
	require.Equal(t, "a:1", ask(get, "a"))
	require.Equal(t, "b:2", ask(get, "b"))
	require.Equal(t, "a:2", ask(put, "a"), "another method, without a cache")
	require.Equal(t, "a:3", ask(put, "a"))

	s.err = errors.New("failed")
	require.Equal(t, "failed", ask(get, "d"))
	s.err = nil
	require.Equal(t, "d:2", ask(get, "d"), "failures are not kept")
	s.unanswered = true
	require.Equal(t, "e:1", ask(get, "e"))
	s.unanswered = false
	require.Equal(t, "e:2", ask(get, "e"), "what took the place of a failure is not kept")
	require.Equal(t, "cannot be encoded:1", ask(get, "cannot be encoded"))
	require.Equal(t, "cannot be encoded:2", ask(get, "cannot be encoded"))

	oneway := textMethod("tell")
	oneway.Kind = protocol.OneWay
	ask(oneway, "x")
	ask(oneway, "x")
	require.Equal(t, 2, s.calls["x"])
}

func TestCacheIsBoundedInBytes(t *testing.T) {
	m := textMethod("get")
	ask, _ := cached(t, "get.cache=lru&cache.bytes=20", nil)
	require.Equal(t, "aaaa:1", ask(m, "aaaa")) // 10 bytes
	require.Equal(t, "bbbb:1", ask(m, "bbbb"))
	require.Equal(t, "aaaa:1", ask(m, "aaaa"))
	require.Equal(t, "cccc:1", ask(m, "cccc"))
	require.Equal(t, "bbbb:2", ask(m, "bbbb"))
	large := "a reply that alone is over the limit"
	require.Equal(t, large+":1", ask(m, large))
	require.Equal(t, large+":2", ask(m, large))
	require.Equal(t, "bbbb:2", ask(m, "bbbb"), "it displaced nothing")
}

func TestCacheExpires(t *testing.T) {
	now := time.Unix(1000, 0)
	m := textMethod("get")
	ask, _ := cached(t, "cache=expiring&cache.seconds=60", func() time.Time { return now })
	require.Equal(t, "a:1", ask(m, "a"))
	now = now.Add(59 * time.Second)
	require.Equal(t, "a:1", ask(m, "a"))
	now = now.Add(time.Second)
	require.Equal(t, "a:2", ask(m, "a"))
}

func TestCacheFromManyGoroutines(t *testing.T) {
	m := textMethod("get")
	ask, _ := cached(t, "cache=lru&cache.size=8", nil)
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for i := range 500 {
				key := fmt.Sprint((i*7 + g) % 20)
				got := ask(m, key)
				require.Contains(t, got, key+":")
			}
		})
	}
	all.Wait()
}

func TestBadCacheParameters(t *testing.T) {
	for _, bad := range []string{"cache=lfu", "cache=lru&cache.size=0", "cache.bytes=-1", "get.cache=threadlocal", "cache=expiring&cache.seconds=0"} {
		_, err := NewCache(textCopier{})(extension.Env{}, url.MustParse("x://h/S?"+bad))
		require.Error(t, err, bad)
	}
	for _, off := range []string{"", "cache=false"} {
		f, err := NewCache(textCopier{})(extension.Env{}, url.MustParse("x://h/S?"+off))
		require.NoError(t, err)
		s := &counting{}
		require.Equal(t, protocol.Invoker(s), f(s), "no cost when it is off")
	}
}
