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
	"github.com/ferryrpc/ferry/proxy"
	"github.com/ferryrpc/ferry/registry"
	"github.com/ferryrpc/ferry/url"
)

// A Reference is a service as a consumer has it: an Invoker for generated clients, proxy.Fill and proxy.Unary. It is
// safe from any number of goroutines.
type Reference struct {
	client    *Client
	running   *running
	chain     protocol.Invoker // filters around the mock around the cluster
	mock      *cluster.Mock
	joined    atomic.Pointer[joined]
	retired   []*joined // guarded by rules.mu
	directory *cluster.Roster
	rules     *governance
	url       *url.URL
	cancel    context.CancelFunc // ends the subscription
	announced sync.WaitGroup     // the registration under consumers
	hide      func()             // takes it back; nil when there is none
	once      sync.Once
}

// refer connects the layers: registry -> directory -> balancer -> cluster -> filters.
func (c *Client) refer(r *running, i *protocol.Interface, u *url.URL) (*Reference, error) {
	regURL, err := c.registryURL([]Option{{"url", u.Param("url")}})
	if err != nil {
		return nil, err
	}
	reg, err := c.registry(r, regURL, u.Param("application"))
	if err != nil {
		return nil, err
	}
	ref := &Reference{client: c, running: r, url: u}
	ref.rules = newGovernance(ref, r, u)
	if ref.directory, err = cluster.NewDirectory(cluster.Config{Env: r.env, Consumer: u, Refer: r.providers(i)}); err != nil {
		return nil, err
	}
	if err := ref.join(r, u); err != nil {
		return nil, errors.Join(err, ref.directory.Close())
	}
	ctx, cancel := context.WithCancel(context.Background())
	ref.cancel = cancel
	texts := c.bulletin(reg)
	ref.rules.watch(texts)
	if err := reg.Subscribe(ctx, u.With("category", "providers,configurators,routers"), func(s registry.State) { ref.rules.state(texts, s) }); err != nil {
		return nil, errors.Join(err, ref.Close())
	}
	if err := ref.wait(); err != nil {
		return nil, errors.Join(fmt.Errorf("registry %s://%s: %w", regURL.Scheme(), strings.Join(regURL.Addresses(), ","), err), ref.Close())
	}
	ref.announce(ctx, r, reg, u)
	return ref, nil
}

// join puts balancer, cluster, mock and filters around the directory.
func (ref *Reference) join(r *running, u *url.URL) error {
	if err := ref.reconfigure(u); err != nil {
		return err
	}
	config, err := r.mockConfig(u)
	if err != nil {
		return err
	}
	in := protocol.InvokerFunc(func(ctx context.Context, c *protocol.Invocation) error { return ref.joined.Load().Invoke(ctx, c) })
	if ref.mock, err = cluster.NewMock(in, config, u); err != nil {
		return err
	}
	if err := ref.rules.route(); err != nil {
		return err
	}
	filters, err := r.x.ClusterFilters.OpenAll(r.env, u)
	if err != nil {
		return err
	}
	ref.chain = protocol.Chain(ref.mock, filters...)
	return ref.proxy(r, u)
}

// proxyParams choose what typed calls become.
type proxyParams struct {
	Proxy string `url:"proxy" default:"typed" doc:"typed calls methods as they are declared, generic by $invoke with generic values"`
}

// proxy puts the kind of proxy that the URL names in front.
func (ref *Reference) proxy(r *running, u *url.URL) error {
	var p proxyParams
	if err := u.Decode(&p); err != nil {
		return err
	}
	switch p.Proxy {
	case "typed":
		return nil
	case "generic":
		s, err := r.x.Serializers.OpenNamed(r.env, "hessian2", u)
		if err == nil {
			ref.chain = proxy.Generic(ref.chain, s)
		}
		return err
	}
	return unknown("value", p.Proxy, []string{"typed", "generic"}, "parameter proxy")
}

// providers opens one provider, with the filters that run once per attempt around it.
func (r *running) providers(i *protocol.Interface) func(context.Context, *url.URL) (protocol.Reference, error) {
	return func(ctx context.Context, u *url.URL) (protocol.Reference, error) {
		p, err := r.protocol(u)
		if err != nil {
			return nil, err
		}
		filters, err := r.x.ReferenceFilters.OpenAll(r.env, r.knownFilters(u))
		if err != nil {
			return nil, err
		}
		ref, err := p.Refer(ctx, i, u)
		if err != nil || len(filters) == 0 {
			return ref, err
		}
		return filtered{ref, protocol.Chain(ref, filters...)}, nil
	}
}

// knownFilters leaves out filters that a provider asks for and that this process does not have; the consumer's own names
// were checked when it referred to the service.
func (r *running) knownFilters(u *url.URL) *url.URL {
	var known []string
	for _, name := range url.SplitList(u.Param("reference.filter")) {
		if bare := strings.TrimPrefix(name, "-"); bare == "default" || r.x.ReferenceFilters.Has(bare) {
			known = append(known, name)
			continue
		}
		r.env.Log().Warn("ferry: a provider asks for a filter that is not known here", "service", u.Service(), "address", u.Address(), "filter", name)
	}
	return u.With("reference.filter", strings.Join(known, ","))
}

// filtered is a provider's Reference behind its filters.
type filtered struct {
	protocol.Reference
	chain protocol.Invoker
}

// Invoke implements protocol.Invoker.
func (f filtered) Invoke(ctx context.Context, c *protocol.Invocation) error {
	return f.chain.Invoke(ctx, c)
}

// checkParams decide about waiting for providers.
type checkParams struct {
	Check bool          `url:"check" default:"true" doc:"it is an error that a service has no provider when it is referred to"`
	Wait  time.Duration `url:"check.timeout" default:"5000" doc:"how long to wait for the first provider"`
}

// wait returns when a provider is known, or fails when there is none.
func (ref *Reference) wait() error {
	var p checkParams
	if err := ref.url.Decode(&p); err != nil {
		return err
	}
	if !p.Check {
		return nil
	}
	if p.Wait <= 0 {
		p.Wait = waitForProviders
	}
	ctx, cancel := context.WithTimeout(context.Background(), p.Wait)
	defer cancel()
	if err := ref.directory.Ready(ctx); err != nil {
		return fmt.Errorf("%w (check=false starts without)", err)
	}
	ctx, cancel = context.WithTimeout(ctx, longestRules)
	defer cancel()
	ref.rules.wait(ctx)
	return nil
}

// announce shows the consumer in the registry, for people and tools. Nothing depends on it.
func (ref *Reference) announce(ctx context.Context, r *running, reg registry.Registry, u *url.URL) {
	if ref.url.Param("url") != "" {
		return
	}
	shown := u.Published(r.x.durations()).Without("token").With("category", registry.Consumers).With("check", "false").
		With("pid", strconv.Itoa(os.Getpid())).With("timestamp", strconv.FormatInt(time.Now().UnixMilli(), 10))
	ref.hide = func() {
		const most = 500 * time.Millisecond // a registry that is away keeps nobody from closing
		ctx, cancel := context.WithTimeout(context.Background(), most)
		defer cancel()
		_ = reg.Unregister(ctx, shown) // it goes on trying, and the entry ends with the session at the latest
	}
	ref.announced.Go(func() {
		if err := reg.Register(ctx, shown); err != nil && ctx.Err() == nil {
			r.env.Log().Info("ferry: consumer not shown in the registry", "service", u.Service(), "cause", err)
		}
	})
}

// Invoke implements protocol.Invoker.
func (ref *Reference) Invoke(ctx context.Context, c *protocol.Invocation) error {
	return ref.chain.Invoke(ctx, c)
}

// Directory shows the providers, where their list comes from and how old it is.
func (ref *Reference) Directory() *cluster.Roster { return ref.directory }

// URL returns the consumer's own parameters.
func (ref *Reference) URL() *url.URL { return ref.url }

// Close ends the reference. Calls in flight may finish.
func (ref *Reference) Close() error {
	var err error
	ref.once.Do(func() {
		if ref.cancel != nil {
			ref.cancel()
		}
		ref.rules.close()
		ref.announced.Wait()
		if ref.hide != nil && !ref.client.closing() {
			ref.hide() // a client that closes closes its registries, which takes everything back
		}
		err = errors.Join(ref.closeJoined(), ref.directory.Close())
		ref.client.forget(ref)
	})
	return err
}
