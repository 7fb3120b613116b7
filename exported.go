package ferry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/registry"
	"github.com/ferryrpc/ferry/url"
)

// exported is a service on the air: its exporter, its filters, which overrides may replace between two calls, and its
// entries in the registries. It is the Invoker that the protocol calls.
type exported struct {
	protocol.Exporter
	running *running
	env     extension.Env
	params  serverParams
	impl    protocol.Invoker
	chain   atomic.Pointer[chain]
	rules   *selfRules        // nil without a registry
	local   protocol.Exporter // inside the process; nil when it is not there

	mu      sync.Mutex // guards what the entries hold
	entries []*entry
	parts   []part
}

// A part is what a filter attached.
type part struct {
	extension.Part
	name string
}

// A chain is the filters around the service.
type chain struct {
	protocol.Invoker
	params string // the parameters that they were made from
}

// An entry is the service in one registry.
type entry struct {
	registry   registry.Registry
	place      *url.URL
	published  *url.URL
	registered []*url.URL // what it was told and not told to forget: published, and those before it for a moment
}

// envOf returns what a service's filters get, with the first ZooKeeper among its registries.
func (r *running) envOf(places []*url.URL) extension.Env {
	env := r.env
	if i := slices.IndexFunc(places, func(u *url.URL) bool { return u.Scheme() == "zookeeper" }); i >= 0 {
		env.Registry = places[i]
	}
	return env
}

// Invoke implements protocol.Invoker.
func (e *exported) Invoke(ctx context.Context, c *protocol.Invocation) error {
	return e.chain.Load().Invoke(ctx, c)
}

// Close takes the service off the air everywhere.
func (e *exported) Close(ctx context.Context) error {
	for _, p := range e.parts {
		p.Withdraw(ctx)
	}
	var inside error
	var closing sync.WaitGroup
	if e.local != nil {
		closing.Go(func() { inside = e.local.Close(ctx) })
	}
	err := e.Exporter.Close(ctx)
	closing.Wait()
	return errors.Join(err, inside, e.closeParts())
}

// filter puts the filters that u asks for around the service. Calls that are in the old ones finish there. When nothing
// changed that a filter reads, the old ones stay with what they counted.
func (e *exported) filter(u *url.URL) error {
	x := e.running.x
	params := x.filterParams(u)
	if old := e.chain.Load(); old != nil && old.params == params {
		return nil
	}
	env := e.env
	env.Attach = e.attach
	filters, err := x.ServiceFilters.OpenAll(env, u)
	if err == nil {
		e.chain.Store(&chain{protocol.Chain(e.impl, filters...), params})
	}
	return err
}

// attach implements extension.Env.Attach. Parts are attached when the service is exported; rules cannot add any.
func (e *exported) attach(name string, open func() (extension.Part, error)) (extension.Part, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range e.parts {
		if p.name == name {
			return p.Part, nil
		}
	}
	p, err := open()
	if err == nil {
		e.parts = append(e.parts, part{p, name})
	}
	return p, err
}

// startParts tells the parts where the service is, as the first ZooKeeper among the registries shows it.
func (e *exported) startParts() error {
	for _, p := range e.parts {
		if err := p.Start(published(e.running.x, e.at(e.env.Registry)), e.env.Registry); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}

func (e *exported) closeParts() error {
	var errs []error
	for _, p := range e.parts {
		errs = append(errs, p.Close())
	}
	return errors.Join(errs...)
}

// filterParams are the parameters, one per line, that filters of providers read.
func (x *Extensions) filterParams(u *url.URL) string {
	known := map[string]bool{x.ServiceFilters.Key: true}
	x.ServiceFilters.Params(func(_ string, sample any) bool {
		for _, k := range url.Declared(sample) {
			known[k.Name] = true
		}
		return true
	})
	return paramLines(u, known)
}

// paramLines are the known parameters of a URL and of its methods, one per line.
func paramLines(u *url.URL, known map[string]bool) string {
	var b strings.Builder
	for key, value := range u.All {
		if _, rest, _ := strings.Cut(key, "."); known[key] || known[rest] {
			b.WriteString(key + "=" + value + "\n")
		}
	}
	return b.String()
}

// host is the address under which those who read a registry reach the provider.
func (p serverParams) host(place *url.URL) string { return cmp.Or(p.Host, publishedHost(place)) }

// at is a provider's URL with the address that is published in a registry.
func (e *exported) at(place *url.URL) *url.URL {
	u := e.URL()
	_, port, _ := net.SplitHostPort(u.Address())
	return u.WithAddress(net.JoinHostPort(e.params.host(place), port))
}

// published is a provider's URL as others see it: in Dubbo's units, without what concerns this process only.
func published(x *Extensions, u *url.URL) *url.URL {
	own := private()
	methods := url.SplitList(u.Param("methods"))
	for _, key := range u.Keys() {
		if method, rest, dotted := strings.Cut(key, "."); dotted && slices.Contains(methods, method) && slices.Contains(own, rest) {
			own = append(own, key)
		}
	}
	return u.Published(x.durations()).Without(own...)
}

// urls are the service's URLs as they are published, or would be without a registry.
func (e *exported) urls() []*url.URL {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []*url.URL
	for _, n := range e.entries {
		if n.published != nil && !slices.ContainsFunc(out, n.published.Equal) {
			out = append(out, n.published)
		}
	}
	if len(e.entries) == 0 {
		out = append(out, published(e.running.x, e.at(nil)))
	}
	return out
}

// publish registers the service everywhere at the same time.
func (e *exported) publish(ctx context.Context) error {
	errs := make([]error, len(e.entries))
	var publishing sync.WaitGroup
	for i, n := range e.entries {
		publishing.Go(func() { errs[i] = e.register(ctx, n, e.configured(n)) })
	}
	publishing.Wait()
	err := errors.Join(errs...)
	if err == nil || !e.params.Check {
		return nil
	}
	gone, end := context.WithCancel(context.Background())
	end()
	e.unpublish(gone) // the registries would go on trying; the end of the context gives the entries up at once
	return err
}

// configured is the URL to publish at n, with the overrides that are known.
func (e *exported) configured(n *entry) *url.URL {
	u := e.at(n.place)
	if e.rules != nil {
		u = e.rules.configure(u)
	}
	return published(e.running.x, u)
}

// register makes u the published URL of an entry.
func (e *exported) register(ctx context.Context, n *entry, u *url.URL) error {
	e.mu.Lock()
	n.published = u
	if !slices.ContainsFunc(n.registered, u.Equal) {
		n.registered = append(n.registered, u)
	}
	e.mu.Unlock()
	log := e.running.env.Log()
	err := n.registry.Register(ctx, u)
	switch {
	case err == nil:
		log.Info("ferry: service published", "service", u.Service(), "address", u.Address())
	case !e.params.Check:
		log.Warn("ferry: service not published yet", "service", u.Service(), "cause", err)
	}
	return err
}

// republish registers the service under its changed URL and takes the old one back once the new one is there: consumers
// see both for a moment, and never none. It goes on trying until ctx ends.
func (e *exported) republish(ctx context.Context, n *entry) {
	const most, pause = 10 * time.Second, time.Second
	u := e.configured(n)
	e.mu.Lock()
	same := n.published != nil && n.published.Equal(u) && len(n.registered) == 1
	e.mu.Unlock()
	if same {
		return
	}
	for {
		limited, cancel := context.WithTimeout(ctx, most)
		err := e.register(limited, n, u)
		cancel()
		if err == nil {
			break
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
	e.mu.Lock()
	old := slices.DeleteFunc(slices.Clone(n.registered), u.Equal)
	e.mu.Unlock()
	for _, o := range old {
		limited, cancel := context.WithTimeout(ctx, most)
		err := n.registry.Unregister(limited, o) // it goes on trying in the background
		cancel()
		if err != nil {
			e.running.env.Log().Info("ferry: old entry not withdrawn yet", "service", o.Service(), "cause", err)
		}
	}
	e.mu.Lock()
	n.registered = []*url.URL{u}
	e.mu.Unlock()
}

// unpublish takes the service out of all registries, and ends what would put it back.
func (e *exported) unpublish(ctx context.Context) []error {
	if e.rules != nil {
		e.rules.close()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	var errs []error
	for _, n := range e.entries {
		for _, u := range n.registered {
			if err := n.registry.Unregister(ctx, u); err != nil {
				errs = append(errs, err)
			}
		}
		n.registered = nil
	}
	return errs
}
