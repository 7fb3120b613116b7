// Package extension holds named implementations that a URL chooses among: Dubbo's SPI as a value.
//
// A Point lives in a set of extensions that belongs to one client or server, so two of them in one process cannot
// disturb each other. Points are filled before they are used; Open and OpenAll may then be called from any goroutine.
package extension

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ferryrpc/ferry/url"
)

// ErrUnknown means that a URL names an implementation that nobody added.
var ErrUnknown = errors.New("extension: unknown name")

// Env is what an implementation gets besides its URL: the things that are not text.
type Env struct {
	Logger *slog.Logger // for events that nobody can return; nil means none
	TLS    *tls.Config  // nil means plain connections
	Now    func() time.Time
	Shared *Shared // nil means nothing is shared
	// Registry is the first ZooKeeper in which a server publishes; nil for none, and for whatever is no part of a server.
	Registry *url.URL
	// Kept holds what outlives the implementation that opened it; nil: nothing does.
	Kept *Kept
	// Attach returns the part of the exported service that has a name, and makes it first if there is none, for filters that must
	// know when the service is on the air. Filters are made again when a rule changes their parameters; parts stay. nil means
	// that there is no exported service.
	Attach func(name string, open func() (Part, error)) (Part, error)
}

// A Part is something around a provider's service that lives as long as the service does. The server calls its methods, one
// after the other.
type Part interface {
	// Start is called when the service has its address, before the registry shows it. registry is Env.Registry.
	Start(published, registry *url.URL) error
	// Withdraw is called when the registry shows the service no more, and while calls still come. ctx bounds it.
	Withdraw(ctx context.Context)
	// Close is called when no call comes any more, and also after a failed Start or none.
	Close() error
}

// Log returns the logger, or one that drops everything.
func (e Env) Log() *slog.Logger {
	if e.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return e.Logger
}

// Time returns the current time by the environment's clock.
func (e Env) Time() time.Time {
	if e.Now == nil {
		return time.Now()
	}
	return e.Now()
}

// A Point is one place where implementations can be chosen by name. Kind is what an implementation is called in errors
// ("balancer"). Key is the URL parameter that names it; an empty Key means the URL's scheme. Default is the name when
// the URL has none.
type Point[T any] struct {
	Kind, Key, Default string

	mu      sync.RWMutex // guards the following
	entries []entry[T]
}

type entry[T any] struct {
	name   string
	params any
	open   func(Env, *url.URL) (T, error)
}

// Add adds an implementation. params is a zero value of the struct whose tags declare its URL parameters, or nil; open
// makes an instance and checks its parameters. A name that is taken is an error.
func (p *Point[T]) Add(name string, params any, open func(Env, *url.URL) (T, error)) error {
	if name == "" || strings.ContainsAny(name, ",:-& ") {
		return fmt.Errorf("extension: %q cannot be the name of a %s", name, p.Kind)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.entries {
		if e.name == name {
			return fmt.Errorf("extension: there is a %s called %q already", p.Kind, name)
		}
	}
	p.entries = append(p.entries, entry[T]{name, params, open})
	return nil
}

// Open makes an instance of the implementation that the URL names.
func (p *Point[T]) Open(e Env, u *url.URL) (T, error) {
	name := u.Scheme()
	if p.Key != "" {
		name = u.Param(p.Key)
	}
	if name == "" {
		name = p.Default
	}
	return p.OpenNamed(e, name, u)
}

// OpenNamed makes an instance of the named implementation.
func (p *Point[T]) OpenNamed(e Env, name string, u *url.URL) (T, error) {
	var zero T
	f, err := p.find(name)
	if err != nil {
		return zero, err
	}
	v, err := f.open(e, u)
	if err != nil {
		return zero, fmt.Errorf("%s %s: %w", p.Kind, name, err)
	}
	return v, nil
}

// OpenAll makes an instance of each implementation in the comma list that the URL's parameter Key holds, in that
// order, behind those of Default. A name with a leading minus takes that one out of the defaults; "-default" takes all.
func (p *Point[T]) OpenAll(e Env, u *url.URL) ([]T, error) {
	names := url.SplitList(p.Default)
	for _, n := range url.SplitList(u.Param(p.Key)) {
		switch off, minus := strings.CutPrefix(n, "-"); {
		case minus && off == "default":
			names = nil
		case minus:
			if _, err := p.find(off); err != nil {
				return nil, err
			}
			names = slices.DeleteFunc(names, func(s string) bool { return s == off })
		case n == "default":
		case !slices.Contains(names, n):
			names = append(names, n)
		}
	}
	out := make([]T, 0, len(names))
	for _, n := range names {
		v, err := p.OpenNamed(e, n, u)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

func (p *Point[T]) find(name string) (entry[T], error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	for _, e := range p.entries {
		if e.name == name {
			return e, nil
		}
	}
	names := p.namesLocked()
	hint := ""
	if n, ok := url.Nearest(name, names); ok {
		hint = fmt.Sprintf(", did you mean %q?", n)
	}
	where := p.Key
	if where == "" {
		where = "scheme"
	}
	return entry[T]{}, fmt.Errorf("%w: no %s is called %q (%s=)%s have %s", ErrUnknown, p.Kind, name, where, hint, strings.Join(names, ", "))
}

func (p *Point[T]) namesLocked() []string {
	names := make([]string, len(p.entries))
	for i, e := range p.entries {
		names[i] = e.name
	}
	slices.Sort(names)
	return names
}

// Has says whether there is an implementation of that name.
func (p *Point[T]) Has(name string) bool {
	_, err := p.find(name)
	return err == nil
}

// Names returns the names of all implementations in order.
func (p *Point[T]) Names() []string {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.namesLocked()
}

// Params calls yield for each implementation with the sample of its parameter struct.
func (p *Point[T]) Params(yield func(name string, params any) bool) {
	p.mu.RLock()
	entries := slices.Clone(p.entries)
	p.mu.RUnlock()
	for _, e := range entries {
		if !yield(e.name, e.params) {
			return
		}
	}
}
