package idempotent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/serialize"
	"github.com/ferryrpc/ferry/url"
)

// A Setup is what a server's records are made of. Fill it before the first Export.
type Setup struct {
	// Stores are the stores by the name that the parameter idempotent gives. memory and zookeeper are there; Use adds those
	// that need a client of yours.
	Stores extension.Point[Store]
	// Caller says who makes a call: callers do not see each other's records. nil means the name of the application that the call
	// says it is from, which proves nothing.
	Caller func(ctx context.Context, c *protocol.Invocation) string
	// Formats are those in which answers may be kept.
	Formats *extension.Point[serialize.Serializer]

	mu        sync.Mutex // guards the following
	resolvers map[string]Resolver
}

// A Resolver finds out whether a call ran whose executor died before it could record it, by asking the business data. For
// DidRun it fills in c.Reply, or returns the service's own error with DidRun. Any other error leaves the outcome unknown.
type Resolver func(ctx context.Context, c *protocol.Invocation, key string) (Resolved, error)

// Use makes a store known under a name, for instance Use("sql", NewSQL(db, PostgreSQL)). All services with that name share it,
// and it stays open when a server closes.
func (s *Setup) Use(name string, store Store) error {
	if _, ok := store.(io.Closer); ok {
		store = lent{store}
	}
	return s.Stores.Add(name, nil, func(extension.Env, *url.URL) (Store, error) { return store, nil })
}

// lent hides the Close of a store that others own.
type lent struct{ Store }

// Resolve sets what finds out whether a call of a method ran. It concerns the policy atmostonce.
func (s *Setup) Resolve(service, method string, r Resolver) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.resolvers == nil {
		s.resolvers = map[string]Resolver{}
	}
	s.resolvers[service+"."+method] = r
}

func (s *Setup) resolver(service, method string) Resolver {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.resolvers[service+"."+method]
}

// caller returns who makes the call.
func (s *Setup) caller(ctx context.Context, c *protocol.Invocation) string {
	if s.Caller != nil {
		return s.Caller(ctx, c)
	}
	return c.Attachments.Value("remote.application")
}

// open opens a store by its name.
func (s *Setup) open(e extension.Env, name string, u *url.URL) (Store, error) {
	store, err := s.Stores.OpenNamed(e, name, u)
	if errors.Is(err, extension.ErrUnknown) && (name == "sql" || name == "redis") {
		return nil, fmt.Errorf("%w: hand one over with Extensions.Idempotent.Use(%q, …)", err, name)
	}
	return store, err
}
