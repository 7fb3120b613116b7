package ferry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ferryrpc/ferry/cluster"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/proxy"
	"github.com/ferryrpc/ferry/url"
)

// A Reference is a service as a consumer has it: an Invoker for generated clients, proxy.Fill and proxy.Unary. It is
// safe from any number of goroutines.
type Reference struct {
	client  *Client
	chain   protocol.Invoker // filters around the registries' clusters
	sources []*source        // one per registry
	url     *url.URL
	once    sync.Once
}

// refer connects the layers: registries -> filters. See newSource for those of a registry.
func (c *Client) refer(r *running, i *protocol.Interface, u *url.URL) (*Reference, error) {
	places, err := c.places([]Option{{"url", u.Param("url")}, {"scope", u.Param("scope")}, {"injvm", u.Param("injvm")}})
	if err != nil {
		return nil, err
	}
	ref := &Reference{client: c, url: u}
	for _, place := range places {
		s, err := c.newSource(r, i, u, place)
		if err != nil {
			return nil, errors.Join(err, ref.Close())
		}
		ref.sources = append(ref.sources, s)
	}
	if err := ref.join(r, u); err != nil {
		return nil, errors.Join(err, ref.Close())
	}
	for _, s := range ref.sources {
		if err := s.begin(); err != nil {
			return nil, errors.Join(err, ref.Close())
		}
	}
	if err := ref.wait(); err != nil {
		return nil, errors.Join(err, ref.Close())
	}
	for _, s := range ref.sources {
		s.announce()
	}
	return ref, nil
}

// join puts the filters around the registries.
func (ref *Reference) join(r *running, u *url.URL) error {
	in, err := ref.zones(u)
	if err != nil {
		return err
	}
	filters, err := r.x.ClusterFilters.OpenAll(r.env, u)
	if err != nil {
		return err
	}
	ref.chain = protocol.Chain(in, filters...)
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
	if err := ref.ready(ctx); err != nil {
		return fmt.Errorf("%w (check=false starts without)", err)
	}
	return nil
}

// ready waits until a registry has a provider that can be called.
func (ref *Reference) ready(ctx context.Context) error {
	if len(ref.sources) == 1 {
		return ref.sources[0].ready(ctx)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	errs := make([]error, len(ref.sources))
	var waiting sync.WaitGroup
	for i, s := range ref.sources {
		waiting.Go(func() {
			if errs[i] = s.ready(ctx); errs[i] == nil {
				cancel() // one is enough
			}
		})
	}
	waiting.Wait()
	if slices.Contains(errs, nil) {
		return nil
	}
	return errors.Join(errs...)
}

// Invoke implements protocol.Invoker.
func (ref *Reference) Invoke(ctx context.Context, c *protocol.Invocation) error {
	return ref.chain.Invoke(ctx, c)
}

// Directory shows the providers, where their list comes from and how old it is. With several registries it is the first
// one's; see Directories.
func (ref *Reference) Directory() *cluster.Roster { return ref.sources[0].directory }

// Directories shows the providers of each registry.
func (ref *Reference) Directories() []*cluster.Roster {
	out := make([]*cluster.Roster, len(ref.sources))
	for i, s := range ref.sources {
		out[i] = s.directory
	}
	return out
}

// URL returns the consumer's own parameters.
func (ref *Reference) URL() *url.URL { return ref.url }

// Close ends the reference. Calls in flight may finish.
func (ref *Reference) Close() error {
	var err error
	ref.once.Do(func() {
		errs := make([]error, len(ref.sources))
		var closing sync.WaitGroup
		for i, s := range ref.sources {
			closing.Go(func() { errs[i] = s.close() })
		}
		closing.Wait()
		err = errors.Join(errs...)
		ref.client.forget(ref)
	})
	return err
}
