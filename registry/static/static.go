// Package static is a registry whose providers are written in its own URL and never change:
//
//	static://10.0.0.1:20880,10.0.0.2:20880?serialization=json
//
// Every service is at every address. Registering does nothing.
package static

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/registry"
	"github.com/ferryrpc/ferry/url"
)

var _ registry.Registry = (*Registry)(nil)

// ErrClosed means that the registry is closed.
var ErrClosed = errors.New("static: registry closed")

// Params are the parameters of a static URL; all others are handed on to the providers' URLs.
type Params struct {
	Protocol string `url:"protocol" default:"dubbo" doc:"scheme of the providers of a static registry"`
}

// A Registry is a fixed list of addresses.
type Registry struct {
	env extension.Env
	u   *url.URL

	ctx  context.Context // ends with Close
	stop context.CancelFunc

	mu     sync.Mutex // guards the following
	closed bool
	wg     sync.WaitGroup // one per call of notify; Add needs mu
}

// New opens the registry that u describes.
func New(e extension.Env, u *url.URL) (registry.Registry, error) {
	var p Params
	if err := u.Decode(&p); err != nil {
		return nil, fmt.Errorf("static: %w", err)
	}
	if len(u.Addresses()) == 0 {
		return nil, errors.New("static: no address, want static://host:port,host:port")
	}
	r := &Registry{env: e, u: u.WithoutUser().WithScheme(p.Protocol).Without("protocol", "registry")}
	r.ctx, r.stop = context.WithCancel(context.Background())
	return r, nil
}

// Register does nothing.
func (r *Registry) Register(context.Context, *url.URL) error { return r.check() }

// Unregister does nothing.
func (r *Registry) Unregister(context.Context, *url.URL) error { return r.check() }

func (r *Registry) check() error {
	if r.ctx.Err() != nil {
		return ErrClosed
	}
	return nil
}

// Subscribe delivers the list once.
func (r *Registry) Subscribe(ctx context.Context, service *url.URL, notify func(registry.State)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return ErrClosed
	}
	state := registry.State{URLs: r.providers(service), At: r.env.Time()}
	r.wg.Go(func() {
		if ctx.Err() == nil && r.ctx.Err() == nil {
			notify(state)
		}
	})
	return nil
}

// providers makes the URLs of a service: at each address, with the static URL's parameters.
func (r *Registry) providers(service *url.URL) []*url.URL {
	if !slices.Contains(registry.Categories(service), registry.Providers) {
		return nil
	}
	one := r.u.WithPath(service.Interface()).With("interface", service.Interface()).With("side", "provider")
	for _, key := range []string{"group", "version"} {
		// A pattern says what would do; the first of a list is as good as any.
		want := url.SplitList(service.Param(key))
		if _, set := one.Lookup(key); !set && len(want) > 0 && want[0] != "*" {
			one = one.With(key, want[0])
		}
	}
	var urls []*url.URL
	for _, address := range r.u.Addresses() {
		if u := one.WithAddress(address); registry.Match(service, u) {
			urls = append(urls, u)
		}
	}
	slices.SortFunc(urls, func(a, b *url.URL) int { return strings.Compare(a.String(), b.String()) })
	return urls
}

// Close waits for calls of notify that are under way, so that it must not be called from one.
func (r *Registry) Close() error {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.stop()
	r.wg.Wait()
	return nil
}
