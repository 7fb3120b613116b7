package ferry

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/monitor"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/proxy"
	"github.com/ferryrpc/ferry/registry"
	"github.com/ferryrpc/ferry/serialize"
	"github.com/ferryrpc/ferry/url"
)

// A Client refers to services. Set its fields before the first Refer; its methods are then safe from any number of
// goroutines. References to one provider share a connection.
type Client struct {
	// Registry is the URL where providers are found, for instance zookeeper://127.0.0.1:2181. Several are separated by
	// semicolons; see RegistryParams for how one of them is chosen.
	Registry string
	// Options hold for all references.
	Options []Option
	// Extensions are the implementations that URLs choose among; nil means Builtin().
	Extensions *Extensions
	// Logger gets events that nobody can return. nil means none.
	Logger *slog.Logger
	// TLS makes connections encrypted.
	TLS *tls.Config
	// Reports gets what the client counts every monitor.interval, in a goroutine of its own. nil means nobody.
	Reports monitor.Monitor

	mu         sync.Mutex // guards the following
	closed     bool
	running    *running
	registries map[string]registry.Registry
	bulletins  map[registry.Registry]*bulletin
	references []*Reference
}

// NewClient makes a Client of a registry.
func NewClient(registry string, options ...Option) *Client {
	return &Client{Registry: registry, Options: options}
}

// running is what a Client or Server has opened.
type running struct {
	x         *Extensions
	env       extension.Env
	protocols map[string]protocol.Protocol // by scheme; guarded by mu
	mu        sync.Mutex
	reporter  *monitor.Reporter

	kept extension.Kept

	unobserve func() // takes its services off the monitor's pages
}

func newRunning(x *Extensions, log *slog.Logger, t *tls.Config, reports monitor.Monitor, options []Option) (r *running, err error) {
	if x == nil {
		x = Builtin()
	}
	r = &running{x: x, env: extension.Env{Logger: log, TLS: t, Shared: &process}, protocols: map[string]protocol.Protocol{}}
	r.env.Kept = &r.kept
	if reports != nil {
		r.reporter, err = monitor.NewReporter(r.env, apply(&url.URL{}, options), x.Monitor, reports)
	}
	return r, err
}

// protocol returns the one Protocol of a scheme.
func (r *running) protocol(u *url.URL) (protocol.Protocol, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p, ok := r.protocols[u.Scheme()]; ok {
		return p, nil
	}
	p, err := r.x.Protocols.Open(r.env, u)
	if err == nil {
		r.protocols[u.Scheme()] = p
	}
	return p, err
}

func (r *running) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var errs []error
	for _, p := range r.protocols {
		errs = append(errs, p.Close())
	}
	errs = append(errs, r.kept.Close())
	r.unobserve()
	if r.reporter != nil {
		errs = append(errs, r.reporter.Close())
	}
	return errors.Join(errs...)
}

func (c *Client) start() (*running, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, errors.New("ferry: client is closed")
	}
	if c.running == nil {
		r, err := newRunning(c.Extensions, c.Logger, c.TLS, c.Reports, c.Options)
		if err != nil {
			return nil, err
		}
		c.running, c.Extensions = r, r.x
		r.unobserve = r.x.Monitor.Observe(c.Standings)
		c.registries = map[string]registry.Registry{}
		c.bulletins = map[registry.Registry]*bulletin{}
	}
	return c.running, nil
}

// Types is where Java class names and Go types are registered for values whose type the wire alone says, and for errors.
func (c *Client) Types() *serialize.Types {
	if _, err := c.start(); err != nil {
		return &serialize.Types{}
	}
	return c.Extensions.Types
}

// Monitor shows what the client counts; its Page is an http.Handler.
func (c *Client) Monitor() *monitor.Counters {
	if _, err := c.start(); err != nil {
		return nil
	}
	return c.Extensions.Monitor
}

// Refer makes a Reference to a service. Unless check=false it waits until a provider is known and fails if there is
// none. Misspelt parameters and names are errors here, not in a call.
func (c *Client) Refer(i *protocol.Interface, options ...Option) (*Reference, error) {
	r, err := c.start()
	if err != nil {
		return nil, err
	}
	u, err := c.consumerURL(r, i, options)
	if err != nil {
		return nil, fmt.Errorf("ferry: refer to %s: %w", i.Name, err)
	}
	ref, err := c.refer(r, i, u)
	if err != nil {
		return nil, fmt.Errorf("ferry: refer to %s: %w", i.Name, err)
	}
	c.mu.Lock()
	if !c.closed {
		c.references = append(c.references, ref)
		c.mu.Unlock()
		return ref, nil
	}
	c.mu.Unlock()
	_ = ref.Close()
	return nil, errors.New("ferry: client is closed")
}

// consumerURL puts a consumer's parameters together and checks their names.
func (c *Client) consumerURL(r *running, i *protocol.Interface, options []Option) (*url.URL, error) {
	places, err := c.places(options)
	if err != nil {
		return nil, err
	}
	u := apply(url.New("consumer", publishedHost(places[0]), i.Name).With("interface", i.Name), c.Options, options)
	if err := r.x.check(u, i); err != nil {
		return nil, err
	}
	u = u.With("side", "consumer").With("dubbo", dubboVersion).With("release", release)
	if u.Param("application") == "" {
		u = u.With("application", programName())
	}
	return u, nil
}

// places are where a reference looks: the option url stands in for the client's registries.
func (c *Client) places(options []Option) ([]*url.URL, error) {
	own := apply(&url.URL{}, c.Options, options)
	direct := own.Param("url")
	switch {
	case own.Param("scope") == "local" || own.Param("injvm") == "true":
		return []*url.URL{url.MustParse("static://127.0.0.1?protocol=inproc")}, nil
	case direct != "":
		u, err := url.Parse(direct)
		if err != nil {
			return nil, err
		}
		return []*url.URL{u.WithScheme("static").With("protocol", u.Scheme()).WithPath("")}, nil
	case c.Registry == "":
		return nil, errors.New("no registry: set Client.Registry or the option Direct")
	}
	return registries(c.Registry)
}

// registry opens a registry at its first use.
func (c *Client) registry(r *running, u *url.URL, application string) (registry.Registry, error) {
	if u.Param("application") == "" {
		u = u.With("application", application)
	}
	key := u.String() + u.Password()
	c.mu.Lock()
	defer c.mu.Unlock()
	if reg, ok := c.registries[key]; ok {
		return reg, nil
	}
	if err := r.x.checkRegistry(u); err != nil {
		return nil, err
	}
	reg, err := r.x.Registries.Open(r.env, u)
	if err == nil {
		c.registries[key] = reg
		if a, ok := reg.(registry.Asker); ok {
			a.AskWith(r.describe)
		}
	}
	return reg, err
}

// bulletin returns the texts of a registry, which all references share; nil for one without.
func (c *Client) bulletin(reg registry.Registry) *bulletin {
	c.mu.Lock()
	defer c.mu.Unlock()
	return bulletinOf(c.bulletins, reg)
}

// Close ends all references, registries and connections. Calls in flight may finish for as long as shutdown says.
func (c *Client) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	refs, regs, r := c.references, c.registries, c.running
	c.mu.Unlock()
	var errs []error
	for _, ref := range refs {
		errs = append(errs, ref.Close())
	}
	for _, reg := range regs {
		errs = append(errs, reg.Close())
	}
	if r != nil {
		errs = append(errs, r.close())
	}
	return errors.Join(errs...)
}

func (c *Client) closing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// forget drops a closed reference.
func (c *Client) forget(ref *Reference) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, other := range c.references {
		if other == ref {
			c.references = append(c.references[:i], c.references[i+1:]...)
			return
		}
	}
}

// waitForProviders is how long Refer waits for the first provider: the parameter check.timeout.
const waitForProviders = 5 * time.Second

// Generic calls any method of a service by name, as Dubbo's $invoke does: types are Java names (int, java.lang.String),
// nil when the name alone is enough; objects are maps with their class under "class", in arguments and in the reply.
type Generic struct {
	*Reference
	service string
	methods *protocol.Slots[protocol.Method] // of $invoke, by the method that it calls
}

// Generic refers to a service of which only the name is known.
func (c *Client) Generic(service string, options ...Option) (*Generic, error) {
	// As in Dubbo generic calls do not stay in the process, unless the user says so: the conversions are the wire's.
	ref, err := c.Refer(&protocol.Interface{Name: service}, append([]Option{{"scope", "remote"}}, options...)...)
	if err != nil {
		return nil, err
	}
	return &Generic{ref, service, protocol.NewSlots(proxy.GenericMethod)}, nil
}

// Call calls a method. The parameters of that method (sayHello.timeout) are in force for it.
func (g *Generic) Call(ctx context.Context, method string, types []string, args ...any) (any, error) {
	if args == nil {
		args = []any{}
	}
	var reply protocol.AnyRow
	m := g.methods.Get(&protocol.Method{Service: g.service, Name: method, Index: -1})
	err := g.Invoke(ctx, &protocol.Invocation{Method: m,
		Args: &protocol.GenericArgs{Method: method, Types: types, Args: args}, Reply: &reply,
		Attachments: protocol.Attachments{"generic", "true"}})
	return reply.Value, err
}
