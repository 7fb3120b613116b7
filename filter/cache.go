package filter

import (
	"container/list"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/url"
)

// CacheParams are the parameters of the filter cache.
type CacheParams struct {
	Cache   string `url:"cache" doc:"lru: replies are kept and given to later calls with equal arguments; expiring: for cache.seconds only; on the side that sets it"`
	Size    int    `url:"cache.size" default:"1000" doc:"replies that are kept per method; the longest unused goes first"`
	Bytes   int    `url:"cache.bytes" default:"16777216" doc:"encoded size of all arguments and replies that are kept per method"`
	Seconds int    `url:"cache.seconds" default:"180" doc:"how long cache=expiring gives a reply to later calls"`
}

// longestKey is the encoded size of the arguments beyond which a call is not looked up.
const longestKey = 64 << 10

// A Copier knows arguments and replies well enough to keep them.
type Copier interface {
	// Key returns bytes that are the same for equal arguments, and for no others.
	Key(args protocol.Row) ([]byte, error)
	// Copy makes the values of one row copies of another's, which share nothing with them, and returns their encoded size.
	Copy(to, from protocol.Row) (size int, err error)
}

// NewCache returns the constructor of the filter that keeps replies (Dubbo, CacheFilter): at a consumer once per call above
// the cluster, at a provider right before the service. Only what the service answered is kept, never a failure, a mock's
// answer or an empty reply in place of one. The key is the method with its arguments, and nothing else: attachments, and
// who calls, make no difference, so it is for methods whose reply depends on their arguments alone.
func NewCache(copier Copier) func(extension.Env, *url.URL) (protocol.Filter, error) {
	return func(e extension.Env, u *url.URL) (protocol.Filter, error) {
		params, err := protocol.DecodePerMethod(u, checkCache)
		if err != nil {
			return nil, err
		}
		if !params.Any((*CacheParams).on) {
			return pass, nil
		}
		return func(next protocol.Invoker) protocol.Invoker {
			caches := protocol.NewSlots(func(m *protocol.Method) *cache {
				return &cache{CacheParams: *params.For(m), now: e.Time, copier: copier, found: map[string]*list.Element{}}
			})
			return protocol.InvokerFunc(func(ctx context.Context, c *protocol.Invocation) error {
				return caches.Get(c.Method).invoke(ctx, next, c)
			})
		}, nil
	}
}

func checkCache(p *CacheParams) error {
	switch p.Cache {
	case "", "false", "lru", "expiring":
	default:
		return fmt.Errorf("filter: cache=%s: want lru, expiring or false", p.Cache)
	}
	if p.Size <= 0 || p.Bytes <= 0 || p.Seconds <= 0 {
		return fmt.Errorf("filter: cache.size=%d, cache.bytes=%d, cache.seconds=%d: want numbers over 0", p.Size, p.Bytes, p.Seconds)
	}
	return nil
}

func (p *CacheParams) on() bool { return p.Cache == "lru" || p.Cache == "expiring" }

// A cache keeps the replies of one method.
type cache struct {
	CacheParams
	now    func() time.Time
	copier Copier

	mu    sync.Mutex // guards the following
	found map[string]*list.Element
	used  list.List // of *kept, the one used last in front
	bytes int
}

// kept is one reply. The row never changes.
type kept struct {
	key   string
	reply protocol.Row
	size  int
	until time.Time // zero: no end
}

func (k *cache) invoke(ctx context.Context, next protocol.Invoker, c *protocol.Invocation) error {
	if !k.on() || c.Method.Kind != protocol.Unary || c.Method.New == nil || c.Reply == nil || c.Reply.Len() == 0 {
		return next.Invoke(ctx, c)
	}
	key, err := k.copier.Key(c.Args)
	if err != nil || len(key) > longestKey { // the call itself will say what is wrong with them
		return next.Invoke(ctx, c)
	}
	if reply := k.get(key); reply != nil {
		if _, err := k.copier.Copy(c.Reply, reply); err == nil {
			c.ReplyAttachments, c.Started = nil, true
			return nil
		}
	}
	text := string(key) // the arguments may be the caller's again
	c.Unanswered = false
	if err := next.Invoke(ctx, c); err != nil || c.Unanswered {
		return err
	}
	reply := c.Method.New().Reply
	if size, err := k.copier.Copy(reply, c.Reply); err == nil {
		k.put(text, reply, size+len(text))
	}
	return nil
}

func (k *cache) get(key []byte) protocol.Row {
	k.mu.Lock()
	defer k.mu.Unlock()
	e := k.found[string(key)]
	if e == nil {
		return nil
	}
	v := e.Value.(*kept)
	if !v.until.IsZero() && !k.now().Before(v.until) {
		k.dropLocked(e)
		return nil
	}
	k.used.MoveToFront(e)
	return v.reply
}

func (k *cache) put(key string, reply protocol.Row, size int) {
	if size > k.Bytes {
		return
	}
	v := &kept{key: key, reply: reply, size: size}
	if k.Cache == "expiring" {
		v.until = k.now().Add(time.Duration(k.Seconds) * time.Second)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if old := k.found[key]; old != nil {
		k.dropLocked(old)
	}
	k.found[key] = k.used.PushFront(v)
	k.bytes += size
	for len(k.found) > k.Size || k.bytes > k.Bytes {
		k.dropLocked(k.used.Back())
	}
}

func (k *cache) dropLocked(e *list.Element) {
	v := k.used.Remove(e).(*kept)
	delete(k.found, v.key)
	k.bytes -= v.size
}
