// Package zookeeper keeps services in ZooKeeper, in Apache Dubbo's layout, so that Java providers, consumers and tools see
// ours and we see theirs:
//
//	/{group}/{interface}/{category}/{encoded URL}    group is dubbo; the node's name is the whole entry, it has no data
//	/{group}/config/dubbo/{key}                      texts of governance rules
//	/services/{application}/{host:port}              instances, for discovery by application (Dubbo 3); /{group} if there is one
//	/{group}/metadata/{application}/{revision}       what they offer; again, without metadata/, for dubbo-go
//	/{group}/mapping/{interface}                     which applications offer it
//
// Each registered URL and each instance has one goroutine that compares the tree with what is wanted and mends it (entry),
// each subscription one that reads whole lists (subscription), each application that is looked at one (application), each
// watched text one (follow); one more writes the cache file.
// They all share one session of the ensemble, with everything else in the process that uses the same one.
//
// Life of an entry. It counts as registered only while it is proved: the node is there and belongs to our session.
//
//	missing -> create -> check owner -> proved -> (deleted, session gone, connection lost) -> check again
//	                        |-> of another session: replaced in one transaction, once per such session
//
// Life of a subscription. Watches only say that something changed; what is delivered is always read anew. While the
// servers do not answer, the last list stays (State.Source memory), and a process that has none yet uses what its
// predecessor wrote into the cache file (file).
package zookeeper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/internal/zk"
	"github.com/ferryrpc/ferry/registry"
	"github.com/ferryrpc/ferry/url"
)

var (
	_ registry.Registry = (*Registry)(nil)
	_ registry.Rules    = (*Registry)(nil)
	_ registry.Observer = (*Registry)(nil)
)

var (
	// ErrClosed means that the registry is closed.
	ErrClosed = errors.New("zookeeper: registry closed")
	// ErrForeign means that another live session keeps an entry that is to be ours.
	ErrForeign = errors.New("the entry belongs to another session")

	errUnregistered = errors.New("unregistered meanwhile")
)

const (
	maxRequests = 8                      // requests of one registry in flight
	batch       = 50 * time.Millisecond  // changes within it make one notification
	calm        = 500 * time.Millisecond // the same for a list that changes all the time
	share       = 20                     // of the time, one part at most is spent reading such a list: servers that are busy are slow
	longestCalm = 5 * time.Second        // however slow they are
	grace       = time.Second            // a silence that subscribers are not told of
	closing     = 2 * time.Second        // for unregistering at Close
	mend        = 50 * time.Millisecond  // before the first attempt to mend an entry
	paced       = 20 * time.Millisecond  // for each of the things that come back after a lost connection
	longestBack = 10 * time.Second       // the mean delay of a very large number of them
)

// Params are the parameters of a registry URL zookeeper://[user:password@]host:port[,host:port…].
type Params struct {
	zk.Params
	Group       string        `url:"group" default:"dubbo" doc:"root node of the registry in ZooKeeper"`
	Application string        `url:"application" doc:"name of the application; names the cache file"`
	Type        string        `url:"registry-type" default:"all" doc:"how services are published and found: interface (any Dubbo), service (by application, Dubbo 3) or all"`
	Cache       string        `url:"cache" doc:"path of the cache file with the last known providers; false switches it off"`
	File        string        `url:"file" doc:"Dubbo's name for cache"`
	FileCache   bool          `url:"file-cache" default:"true" doc:"false switches the cache file off"`
	Retry       time.Duration `url:"retry.period" default:"5000" doc:"pause before an entry is tried again that the registry refused"`
	Check       bool          `url:"check" default:"false" doc:"on a registry's URL: registering fails for good when the registry does not answer in time"`
}

// The values of registry-type.
const (
	byInterface   = "interface"
	byApplication = "service"
	byBoth        = "all"
)

func (r *Registry) byInterface() bool { return r.p.Type != byApplication }

func (r *Registry) byApplication() bool { return r.p.Type != byInterface }

// A Registry is one user's view of an ensemble.
type Registry struct {
	env      extension.Env
	p        Params
	root     string // of entries by interface, rules and descriptions
	services string // of instances
	zk       *zk.Client
	release  func() error
	cache    *cache // nil when it is off
	slots    chan struct{}

	ctx  context.Context // ends with Close
	stop context.CancelCauseFunc

	mu           sync.Mutex // guards the following
	closed       bool
	published    map[string]*published                                // by URL text
	entries      map[string]*entry                                    // by URL text, and of instances by path
	applications map[string]*application                              // that subscriptions follow, by name
	ask          func(context.Context, *url.URL, string) (any, error) // a provider for its description; may be nil
	following    int                                                  // subscriptions and rules
	wg           sync.WaitGroup                                       // entries, subscriptions, rules, cache; Add needs mu
}

// New opens the registry that u describes. It returns at once and connects in the background.
func New(e extension.Env, u *url.URL) (registry.Registry, error) {
	r := &Registry{env: e, slots: make(chan struct{}, maxRequests), published: map[string]*published{}, entries: map[string]*entry{},
		applications: map[string]*application{}}
	if err := u.Decode(&r.p); err != nil {
		return nil, fmt.Errorf("zookeeper: %w", err)
	}
	if r.p.Retry <= 0 {
		return nil, fmt.Errorf("zookeeper: retry.period=%v must be positive", r.p.Retry)
	}
	if !slices.Contains([]string{byInterface, byApplication, byBoth}, r.p.Type) {
		return nil, fmt.Errorf("zookeeper: registry-type=%s: want %s, %s or %s", r.p.Type, byInterface, byApplication, byBoth)
	}
	r.root = "/" + strings.Trim(r.p.Group, "/")
	if r.services = "/services"; u.Param("group") != "" { // as Java has it: a group of one's own holds everything
		r.services = r.root
	}
	cfg, err := zk.FromURL(u, e.TLS)
	if err != nil {
		return nil, fmt.Errorf("zookeeper: %w", err)
	}
	if err := r.open(cfg); err != nil {
		return nil, fmt.Errorf("zookeeper: %w", err)
	}
	r.ctx, r.stop = context.WithCancelCause(context.Background())
	if r.cache = openCache(r.p, r.zk.Addresses()+r.root, e.Log()); r.cache != nil {
		r.wg.Go(func() { r.cache.run(r.ctx) })
	}
	return r, nil
}

// open takes a share of the process's session, or makes one of its own.
func (r *Registry) open(cfg zk.Config) (err error) {
	if r.env.Shared == nil {
		if r.zk, err = zk.Open(cfg); err == nil {
			r.release = r.zk.Close
		}
		return err
	}
	c, release, err := r.env.Shared.Acquire(cfg.Key(), func() (io.Closer, error) { return zk.Open(cfg) })
	if err != nil {
		return err
	}
	r.zk, r.release = c.(*zk.Client), release
	return nil
}

// begin runs a goroutine that Close waits for, unless the registry is closed.
func (r *Registry) begin(run func()) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return ErrClosed
	}
	r.following++
	r.wg.Go(func() {
		run()
		r.mu.Lock()
		defer r.mu.Unlock()
		r.following--
	})
	return nil
}

// Close takes our entries out of the registry, but those with dynamic=false, which are meant to outlive us, and ends all
// subscriptions. It waits at most two seconds for servers that do not answer; what is left is deleted when they do, or with
// the session. It must not be called from a notify.
func (r *Registry) Close() error {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return nil
	}
	r.closed = true
	var leaving []*entry
	for _, e := range r.entries {
		if e.ephemeral {
			e.wantLocked(false)
			leaving = append(leaving, e)
		}
	}
	r.mu.Unlock()
	if r.zk.Status().Connected {
		limit := time.NewTimer(closing)
		defer limit.Stop()
		for _, e := range leaving {
			select {
			case <-e.done:
			case <-limit.C:
				limit.Reset(0)
			}
		}
	}
	r.stop(ErrClosed)
	r.wg.Wait()
	if session := r.zk.Status().Session; session != 0 {
		for _, e := range leaving {
			if !e.removed { // others in the process may keep the session alive, and with it the node
				r.zk.Sweep(e.path, session)
			}
		}
	}
	return r.release()
}

// turn waits for one of the registry's places for requests.
func (r *Registry) turn(ctx context.Context) (leave func(), err error) {
	select {
	case r.slots <- struct{}{}:
		return func() { <-r.slots }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// online waits for a connection until ctx ends, and says whether it had to.
func (r *Registry) online(ctx context.Context) (waited bool) {
	for {
		changed := r.zk.Changed()
		if r.zk.Status().Connected {
			return waited
		}
		waited = true
		select {
		case <-changed:
		case <-ctx.Done():
			return waited
		}
	}
}

// lostSince says whether the connection was lost since it was that one.
func (r *Registry) lostSince(connection int64) bool {
	s := r.zk.Status()
	return !s.Connected || s.Connection != connection
}

// comeback is the mean delay of everything that is read or made again after a lost connection: thousands of processes lost
// theirs too, and the servers that come back are slow. What we know is good until then: entries last as long as their
// session, and the last lists stay in force. So there is time, the more the longer sessions are.
func (r *Registry) comeback() time.Duration {
	r.mu.Lock()
	n := len(r.entries) + r.following
	r.mu.Unlock()
	session := r.zk.SessionTimeout()
	return min(max(session/10, time.Duration(n)*paced), session/4, longestBack)
}

// back waits for the connection until ctx ends, and then as long as comeback says.
func (r *Registry) back(ctx context.Context) {
	r.online(ctx)
	pause(ctx, r.comeback())
}

// pause sleeps for d on the average, between a half and one and a half of it, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := timer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// timer fires after d on the average, between a half and one and a half of it.
func timer(d time.Duration) *time.Timer { return time.NewTimer(d/2 + rand.N(d+1)) }

func (r *Registry) log() *slog.Logger { return r.env.Log() }

// servicePath is the node above a service's categories.
func (r *Registry) servicePath(service *url.URL) string {
	return r.root + "/" + url.Encode(service.Interface())
}

// entryPath is the node of an entry.
func (r *Registry) entryPath(u *url.URL) string {
	return r.servicePath(u) + "/" + registry.Category(u) + "/" + url.Encode(u.String())
}

// brief is a URL without its parameters, for messages.
func brief(u *url.URL) string {
	return u.Scheme() + "://" + u.Address() + "/" + u.Service()
}
