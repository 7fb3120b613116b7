package ferry

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ferryrpc/ferry/cluster"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/registry"
	"github.com/ferryrpc/ferry/url"
)

// A source is one registry as a reference uses it: the providers that it lists, its rules, and the cluster over both.
type source struct {
	client    *Client
	running   *running
	own       *url.URL // the consumer's parameters
	place     *url.URL // the registry's
	registry  registry.Registry
	texts     *bulletin // nil when the registry has none
	mock      *cluster.Mock
	joined    atomic.Pointer[joined]
	local     *local    // nil when calls never stay inside the process
	retired   []*joined // guarded by rules.mu
	directory *cluster.Roster
	ordered   atomic.Bool // a provider asks for ordered calls
	rules     *governance
	cancel    context.CancelFunc // ends the subscription
	announced sync.WaitGroup     // the registration under consumers
	hide      func()             // takes it back; nil when there is none
}

// newSource connects the layers: registry -> directory -> balancer -> cluster -> mock. It asks the registry nothing yet.
func (c *Client) newSource(r *running, i *protocol.Interface, u, place *url.URL) (*source, error) {
	reg, err := c.registry(r, place, u.Param("application"))
	if err != nil {
		return nil, err
	}
	s := &source{client: c, running: r, own: u, place: place, registry: reg, texts: c.bulletin(reg)}
	if s.local, err = r.newLocal(i, u, s); err != nil {
		return nil, err
	}
	s.rules = newGovernance(s, r, u)
	if s.directory, err = cluster.NewDirectory(cluster.Config{Env: r.env, Consumer: u, Refer: r.providers(i)}); err != nil {
		return nil, err
	}
	if err := s.join(); err != nil {
		return nil, errors.Join(err, s.directory.Close())
	}
	return s, nil
}

// join puts balancer, cluster and mock around the directory.
func (s *source) join() error {
	if err := s.reconfigure(s.own); err != nil {
		return err
	}
	config, err := s.running.mockConfig(s.own)
	if err != nil {
		return err
	}
	if s.mock, err = cluster.NewMock(s.within(protocol.InvokerFunc(func(ctx context.Context, c *protocol.Invocation) error {
		return s.joined.Load().Invoke(ctx, c)
	})), config, s.own); err != nil {
		return err
	}
	return s.rules.route()
}

// begin follows the registry.
func (s *source) begin() error {
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.rules.watch(s.texts)
	return s.registry.Subscribe(ctx, s.own.With("category", "providers,configurators,routers"), func(st registry.State) { s.rules.state(s.texts, st) })
}

// ready waits until a provider can be called and the rules are known.
func (s *source) ready(ctx context.Context) error {
	if inside := s.local != nil && s.local.find() != nil; inside {
		// called without the registry
	} else if err := s.directory.Ready(ctx); err != nil {
		return fmt.Errorf("registry %s://%s: %w", s.place.Scheme(), strings.Join(s.place.Addresses(), ","), err)
	}
	ctx, cancel := context.WithTimeout(ctx, longestRules)
	defer cancel()
	s.rules.wait(ctx)
	return nil
}

// announce shows the consumer in the registry, for people and tools. Nothing depends on it.
func (s *source) announce() {
	if s.own.Param("url") != "" || s.own.Param("register") == "false" {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	end := s.cancel
	s.cancel = func() { end(); cancel() }
	shown := s.own.Published(s.running.x.durations()).Without("token").With("category", registry.Consumers).With("check", "false").
		With("pid", strconv.Itoa(os.Getpid())).With("timestamp", strconv.FormatInt(time.Now().UnixMilli(), 10))
	s.hide = func() {
		const most = 500 * time.Millisecond // a registry that is away keeps nobody from closing
		ctx, cancel := context.WithTimeout(context.Background(), most)
		defer cancel()
		_ = s.registry.Unregister(ctx, shown) // it goes on trying, and the entry ends with the session at the latest
	}
	s.announced.Go(func() {
		if err := s.registry.Register(ctx, shown); err != nil && ctx.Err() == nil {
			s.running.env.Log().Info("ferry: consumer not shown in the registry", "service", s.own.Service(), "cause", err)
		}
	})
}

// available says whether a provider of this registry can be called now.
func (s *source) available(c *protocol.Invocation) bool {
	if s.local != nil && s.local.serves(c) {
		return true
	}
	for _, t := range s.directory.List(c).Targets {
		if t.Ref.Available() {
			return true
		}
	}
	return false
}

func (s *source) close() error {
	if s.cancel != nil {
		s.cancel()
	}
	s.rules.close()
	s.announced.Wait()
	if s.hide != nil && !s.client.closing() {
		s.hide() // a client that closes closes its registries, which takes everything back
	}
	var inside error
	if s.local != nil {
		inside = s.local.close()
	}
	return errors.Join(s.closeJoined(), inside, s.directory.Close())
}
