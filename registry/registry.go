// Package registry is the contract with the place where providers make themselves known and consumers find them.
//
// A registry is told URLs to publish and services to watch. What it delivers are whole lists, one at a time, never
// deltas. A registry that cannot be reached is not an error of a call: registrations and subscriptions are kept and
// made good when it comes back, and State says how old and how trustworthy a list is.
package registry

import (
	"context"
	"time"

	"github.com/ferryrpc/ferry/url"
)

// A Registry publishes and finds services. All methods are safe from any number of goroutines.
type Registry interface {
	// Register publishes a service (or a consumer) and keeps it published, over lost connections and sessions, until
	// Unregister or Close. It returns nil once the entry is proved to be ours. When ctx ends first it returns the cause and
	// goes on trying in the background, unless service has check=true, in which case it gives the entry up. A refusal that
	// waiting cannot mend, such as missing rights, is returned at once. A service with dynamic=false stays in the registry
	// when the process ends.
	Register(ctx context.Context, service *url.URL) error
	// Unregister takes the entry away; nil when it is gone.
	Unregister(ctx context.Context, service *url.URL) error
	// Subscribe delivers the lists that match service until ctx ends. It returns at once; notify is called from one
	// goroutine at a time per subscription, the first time as soon as anything is known, and must not block for long.
	Subscribe(ctx context.Context, service *url.URL, notify func(State)) error
	// Close unregisters everything but what has dynamic=false, and ends all subscriptions; no notify runs after it returns.
	// It waits for those that run, so that it must not be called from one.
	Close() error
}

// Source says where a list comes from.
type Source uint8

// The sources.
const (
	Live   Source = iota // read from the registry just now
	Memory               // the last live list; the registry does not answer
	File                 // read from the cache file at start; the registry has not answered yet
)

// String returns the source's name.
func (s Source) String() string { return [...]string{"live", "memory", "file"}[s] }

// A State is all that is known of a service at one time.
type State struct {
	// URLs are the whole list, all categories, sorted. The receiver must not change it.
	URLs   []*url.URL
	Source Source
	// At is when the list was read from the registry.
	At time.Time
	// Err is why Source is not Live, or which entries could not be read.
	Err error
}

// Rules is an optional power of a Registry: texts kept under a key, such as Dubbo's governance rules.
type Rules interface {
	// Watch delivers the text at key, nil when there is none, until ctx ends. It returns at once.
	Watch(ctx context.Context, key string, notify func(text []byte)) error
}

// An Observer is an optional power of a Registry: it tells what is registered and how old the lists are.
type Observer interface {
	// Registered returns each URL that Register was given, with whether its entry is proved to be in the registry now.
	Registered() map[string]bool
}

// An Asker is an optional power of a Registry: where the registry does not hold what a provider offers, the provider itself
// is asked for it.
type Asker interface {
	// AskWith says how: ask calls getMetadataInfo(revision) of the service, Dubbo's MetadataService, and returns the answer as
	// generic values. It is set before the first Subscribe, and called from any goroutine.
	AskWith(ask func(ctx context.Context, service *url.URL, revision string) (any, error))
}

// The categories of a service's entries. A URL without the parameter category is a provider.
const (
	Providers     = "providers"
	Consumers     = "consumers"
	Configurators = "configurators"
	Routers       = "routers"
)

// Category returns the category of an entry.
func Category(u *url.URL) string {
	if c := u.Param("category"); c != "" {
		return c
	}
	switch u.Scheme() {
	case "consumer":
		return Consumers
	case "override", "absent":
		return Configurators
	case "route", "condition", "script", "tag":
		return Routers
	}
	return Providers
}
