// Package memory is a registry inside the process, for tests and for services that call each other in one program.
//
// A place holds the entries of all registries that were opened with the same name (memory://name) from the same
// extension.Shared. Each Registry owns what was registered through it. Each subscription has one goroutine, which is
// woken by every change of the place and reads the whole list, so that changes in between are skipped and never queued.
package memory

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/registry"
	"github.com/ferryrpc/ferry/url"
)

var (
	_ registry.Registry = (*Registry)(nil)
	_ registry.Rules    = (*Registry)(nil)
	_ registry.Observer = (*Registry)(nil)
)

// ErrClosed means that the registry is closed.
var ErrClosed = errors.New("memory: registry closed")

// place is what registries of one name share.
type place struct {
	mu      sync.Mutex // guards the following
	entries map[string]*entry
	rules   map[string][]byte
	changed chan struct{} // closed and replaced at every change
}

type entry struct {
	url    *url.URL
	owners map[*Registry]struct{}
}

func newPlace() *place {
	return &place{entries: map[string]*entry{}, rules: map[string][]byte{}, changed: make(chan struct{})}
}

// Close drops a place that nobody uses any more.
func (p *place) Close() error { return nil }

func (p *place) touchLocked() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// A Registry is one user's view of a place.
type Registry struct {
	env     extension.Env
	p       *place
	release func() error

	ctx  context.Context // ends with Close
	stop context.CancelFunc

	mu     sync.Mutex // guards the following
	closed bool
	wg     sync.WaitGroup // one per subscription; Add needs mu
}

// New opens the registry that u names, for instance memory://orders. Without e.Shared it is one of its own.
func New(e extension.Env, u *url.URL) (registry.Registry, error) {
	r := &Registry{env: e, release: func() error { return nil }}
	r.ctx, r.stop = context.WithCancel(context.Background())
	if e.Shared == nil {
		r.p = newPlace()
		return r, nil
	}
	shared, release, err := e.Shared.Acquire("registry|memory|"+u.Address(), func() (io.Closer, error) { return newPlace(), nil })
	if err != nil {
		return nil, fmt.Errorf("memory: %w", err)
	}
	r.p, r.release = shared.(*place), release
	return r, nil
}

// Register publishes service; it never waits.
func (r *Registry) Register(_ context.Context, service *url.URL) error {
	service = service.WithoutUser()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return ErrClosed
	}
	r.p.mu.Lock()
	defer r.p.mu.Unlock()
	text := service.String()
	e := r.p.entries[text]
	if e == nil {
		e = &entry{url: service, owners: map[*Registry]struct{}{}}
		r.p.entries[text] = e
		r.p.touchLocked()
	}
	e.owners[r] = struct{}{}
	return nil
}

// Unregister takes service away, unless another registry has registered the same.
func (r *Registry) Unregister(_ context.Context, service *url.URL) error {
	r.p.mu.Lock()
	defer r.p.mu.Unlock()
	r.dropLocked(service.WithoutUser().String())
	return nil
}

// dropLocked takes one entry of ours away. r.p.mu must be held.
func (r *Registry) dropLocked(text string) {
	e := r.p.entries[text]
	if e == nil {
		return
	}
	delete(e.owners, r)
	if len(e.owners) == 0 {
		delete(r.p.entries, text)
		r.p.touchLocked()
	}
}

// Subscribe delivers the lists that match service until ctx ends or the registry is closed.
func (r *Registry) Subscribe(ctx context.Context, service *url.URL, notify func(registry.State)) error {
	var last []*url.URL
	known := false
	return r.follow(ctx, func() func() {
		urls := r.matching(service)
		if known && slices.Equal(urls, last) {
			return nil
		}
		known, last = true, urls
		return func() { notify(registry.State{URLs: slices.Clone(urls), At: r.env.Time()}) }
	})
}

// Watch delivers the text at key until ctx ends or the registry is closed.
func (r *Registry) Watch(ctx context.Context, key string, notify func(text []byte)) error {
	var last []byte
	known := false
	return r.follow(ctx, func() func() {
		text, ok := r.p.rules[key]
		if known && (text != nil) == (last != nil) && string(text) == string(last) {
			return nil
		}
		known, last = true, text
		if !ok {
			return func() { notify(nil) }
		}
		return func() { notify(slices.Clone(text)) }
	})
}

// SetRule stores the text at key for Watch; nil deletes it.
func (r *Registry) SetRule(key string, text []byte) {
	r.p.mu.Lock()
	defer r.p.mu.Unlock()
	if text == nil {
		delete(r.p.rules, key)
	} else {
		r.p.rules[key] = append([]byte{}, text...)
	}
	r.p.touchLocked()
}

// follow calls read under the place's lock, now and after each change, and then what it returns without the lock.
func (r *Registry) follow(ctx context.Context, read func() func()) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return ErrClosed
	}
	r.wg.Go(func() {
		for ctx.Err() == nil && r.ctx.Err() == nil {
			r.p.mu.Lock()
			tell, changed := read(), r.p.changed
			r.p.mu.Unlock()
			if tell != nil {
				tell()
			}
			select {
			case <-changed:
			case <-ctx.Done():
			case <-r.ctx.Done():
			}
		}
	})
	return nil
}

// matching returns the entries of a subscription in order. r.p.mu must be held.
func (r *Registry) matching(service *url.URL) []*url.URL {
	var urls []*url.URL
	for _, e := range r.p.entries {
		if registry.Wants(service, e.url) {
			urls = append(urls, e.url)
		}
	}
	slices.SortFunc(urls, func(a, b *url.URL) int { return strings.Compare(a.String(), b.String()) })
	return urls
}

// Registered returns the URLs registered here; all of them are in the registry.
func (r *Registry) Registered() map[string]bool {
	r.p.mu.Lock()
	defer r.p.mu.Unlock()
	out := map[string]bool{}
	for text, e := range r.p.entries {
		if _, ours := e.owners[r]; ours {
			out[text] = true
		}
	}
	return out
}

// Close unregisters everything but entries with dynamic=false, and ends the subscriptions. It waits for calls of notify
// that are under way, so that it must not be called from one.
func (r *Registry) Close() error {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return nil
	}
	r.closed = true
	r.mu.Unlock()
	r.stop()
	r.wg.Wait()
	r.p.mu.Lock()
	for text, e := range r.p.entries {
		if e.url.Param("dynamic") != "false" {
			r.dropLocked(text)
		}
	}
	r.p.mu.Unlock()
	return r.release()
}
