package ferry

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/ferryrpc/ferry/monitor"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/proxy"
	"github.com/ferryrpc/ferry/registry"
	"github.com/ferryrpc/ferry/serialize"
	"github.com/ferryrpc/ferry/url"
)

// A Server exports services. Set its fields before the first Export; its methods are then safe from any number of
// goroutines. Services of one Server share a port unless they name another.
type Server struct {
	// Registry is the URL where services are published; empty publishes nowhere.
	Registry string
	// Options hold for all services.
	Options []Option
	// Extensions are the implementations that URLs choose among; nil means Builtin().
	Extensions *Extensions
	// Logger gets events that nobody can return. nil means none.
	Logger *slog.Logger
	// TLS makes connections encrypted.
	TLS *tls.Config
	// Reports gets what the server counts every monitor.interval, in a goroutine of its own. nil means nobody.
	Reports monitor.Monitor

	mu        sync.Mutex // guards the following
	closed    bool
	running   *running
	registry  registry.Registry
	exporters []*exported
}

type exported struct {
	protocol.Exporter
	published *url.URL
}

// NewServer makes a Server that publishes in a registry.
func NewServer(registry string, options ...Option) *Server {
	return &Server{Registry: registry, Options: options}
}

// serverParams are the parameters that a Server itself reads.
type serverParams struct {
	Protocol string        `url:"protocol" default:"dubbo" doc:"protocol of a provider"`
	Host     string        `url:"host" doc:"address that a provider publishes; FERRY_HOST when unset, else the one that reaches the registry"`
	Port     int           `url:"port" doc:"port of a provider; 0 takes a free one"`
	Bind     string        `url:"bind.ip" doc:"address that a provider listens on; all of them when unset, loopback when it publishes that"`
	Register bool          `url:"register" default:"true" doc:"publish the service in the registry"`
	Wait     time.Duration `url:"register.timeout" default:"10000" doc:"how long Export waits for the registry to take the service"`
	Check    bool          `url:"check" default:"true" doc:"it is an error that the registry does not take a service; false goes on trying in the background"`
	Token    string        `url:"token" doc:"secret that callers must present; true makes a random one"`
	Shutdown time.Duration `url:"shutdown" default:"10000" doc:"longest time for calls in flight to finish when something is closed"`
}

func (s *Server) start() (*running, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errors.New("ferry: server is closed")
	}
	if s.running == nil {
		r, err := newRunning(s.Extensions, s.Logger, s.TLS, s.Reports, s.Options)
		if err != nil {
			return nil, err
		}
		s.running, s.Extensions = r, r.x
	}
	return s.running, nil
}

// Types is where Java class names and Go types are registered; see Client.Types.
func (s *Server) Types() *serialize.Types {
	if _, err := s.start(); err != nil {
		return &serialize.Types{}
	}
	return s.Extensions.Types
}

// Monitor shows what the server counts; its Page is an http.Handler.
func (s *Server) Monitor() *monitor.Counters {
	if _, err := s.start(); err != nil {
		return nil
	}
	return s.Extensions.Monitor
}

// Export puts a service on the air and publishes it. It returns when the registry has the entry. impl is what the
// interface's methods call; it must be safe from any number of goroutines.
func (s *Server) Export(i *protocol.Interface, impl any, options ...Option) error {
	r, err := s.start()
	if err == nil {
		err = s.export(r, i, impl, options)
	}
	if err != nil {
		return fmt.Errorf("ferry: export %s: %w", i.Name, err)
	}
	return nil
}

// ExportValue exports the methods of a value by reflection, without generated code; see proxy.Reflect.
func (s *Server) ExportValue(service string, impl any, options ...Option) error {
	i, err := proxy.Reflect(service, impl)
	if err != nil {
		return fmt.Errorf("ferry: export %s: %w", service, err)
	}
	return s.Export(i, impl, options...)
}

func (s *Server) export(r *running, i *protocol.Interface, impl any, options []Option) error {
	regURL, err := s.registryURL()
	if err != nil {
		return err
	}
	u := apply(url.New("dubbo", "", i.Name).With("interface", i.Name), s.Options, options)
	if err := r.x.check(u, i); err != nil {
		return err
	}
	var p serverParams
	if err := u.Decode(&p); err != nil {
		return err
	}
	if p.Host == "" {
		p.Host = publishedHost(regURL)
	}
	u = s.providerURL(u, i, p)
	filters, err := r.x.ServiceFilters.OpenAll(r.env, u)
	if err != nil {
		return err
	}
	pr, err := r.protocol(u)
	if err != nil {
		return err
	}
	e, err := pr.Export(&protocol.Service{Interface: i, Invoker: protocol.Chain(protocol.Implementation(impl), filters...)}, u)
	if err != nil {
		return err
	}
	return s.publish(r, regURL, &exported{e, published(r.x, e.URL(), p)}, p)
}

// providerURL completes a provider's parameters as Java Dubbo publishes them.
func (s *Server) providerURL(u *url.URL, i *protocol.Interface, p serverParams) *url.URL {
	bind := p.Bind
	if ip := net.ParseIP(p.Host); bind == "" && ip != nil && ip.IsLoopback() {
		bind = p.Host
	}
	names := make([]string, 0, len(i.Methods))
	for _, m := range i.Methods {
		if !slices.Contains(names, m.Name) {
			names = append(names, m.Name)
		}
	}
	slices.Sort(names)
	if p.Token == "true" || p.Token == "default" {
		u = u.With("token", rand.Text())
	}
	if u.Param("application") == "" {
		u = u.With("application", programName())
	}
	for _, m := range i.Methods {
		if key := m.Name + ".idempotent"; m.Idempotent && u.Param(key) == "" && u.Param("idempotent") == "" {
			u = u.With(key, "true")
		}
	}
	return u.WithScheme(p.Protocol).WithAddress(net.JoinHostPort(bind, strconv.Itoa(p.Port))).
		With("side", "provider").With("dubbo", dubboVersion).With("release", release).With("generic", "false").
		With("deprecated", "false").With("dynamic", "true").With("methods", strings.Join(names, ",")).
		With("pid", strconv.Itoa(os.Getpid())).With("timestamp", strconv.FormatInt(time.Now().UnixMilli(), 10))
}

// published is a provider's URL as others see it: reachable, in Dubbo's units, without what concerns this process only.
func published(x *Extensions, u *url.URL, p serverParams) *url.URL {
	_, port, _ := net.SplitHostPort(u.Address())
	return u.WithAddress(net.JoinHostPort(p.Host, port)).Published(x.durations()).Without(private()...)
}

// private are the parameters of a provider that are nobody else's business.
func private() []string {
	return []string{"host", "port", "bind.ip", "register", "register.timeout", "check", "protocol", "threads", "queues", "accepts",
		"connection.executes", "generic.invoke", "cancel.on.disconnect", "service.filter", "filter", "accesslog", "queue", "write.stall",
		"frame.timeout", "handshake.timeout", "loops", "shutdown"}
}

// publish registers what was exported.
func (s *Server) publish(r *running, regURL *url.URL, e *exported, p serverParams) error {
	s.mu.Lock()
	s.exporters = append(s.exporters, e)
	s.mu.Unlock()
	if regURL == nil || !p.Register {
		return nil
	}
	reg, err := s.open(r, regURL, e.published.Param("application"))
	if err != nil {
		return errors.Join(err, s.withdraw(e))
	}
	ctx, cancel := context.WithTimeout(context.Background(), p.Wait)
	defer cancel()
	err = reg.Register(ctx, e.published)
	switch {
	case err == nil:
		r.env.Log().Info("ferry: service published", "service", e.published.Service(), "address", e.published.Address())
		return nil
	case !p.Check:
		r.env.Log().Warn("ferry: service not published yet", "service", e.published.Service(), "cause", err)
		return nil
	}
	// The registry would go on trying; the end of ctx gives the entry up at once.
	gone, end := context.WithCancel(context.Background())
	end()
	_ = reg.Unregister(gone, e.published)
	return errors.Join(err, s.withdraw(e))
}

// withdraw takes an exported service back that could not be published.
func (s *Server) withdraw(e *exported) error {
	s.mu.Lock()
	s.exporters = slices.DeleteFunc(s.exporters, func(o *exported) bool { return o == e })
	s.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return e.Close(ctx)
}

func (s *Server) registryURL() (*url.URL, error) {
	if s.Registry == "" {
		return nil, nil
	}
	return url.Parse(s.Registry)
}

func (s *Server) open(r *running, u *url.URL, application string) (registry.Registry, error) {
	if u.Param("application") == "" {
		u = u.With("application", application)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.registry == nil {
		if err := r.x.checkRegistry(u); err != nil {
			return nil, err
		}
		reg, err := r.x.Registries.Open(r.env, u)
		if err != nil {
			return nil, err
		}
		s.registry = reg
	}
	return s.registry, nil
}

// URLs returns the services as they are published.
func (s *Server) URLs() []*url.URL {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*url.URL, len(s.exporters))
	for i, e := range s.exporters {
		out[i] = e.published
	}
	return out
}

// Run serves until ctx ends or the process is told to stop (SIGINT, SIGTERM), then shuts down gracefully.
func (s *Server) Run(ctx context.Context) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	<-ctx.Done()
	var p serverParams
	if err := apply(&url.URL{}, s.Options).Decode(&p); err != nil {
		p.Shutdown = 10 * time.Second
	}
	ctx, cancel := context.WithTimeout(context.Background(), p.Shutdown)
	defer cancel()
	return s.Close(ctx)
}

// Close shuts down gracefully: it withdraws all services from the registry, tells consumers to turn to others, serves
// what still comes until it is quiet, and closes. ctx bounds that.
func (s *Server) Close(ctx context.Context) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	exporters, reg, r := s.exporters, s.registry, s.running
	s.mu.Unlock()
	var errs []error
	if reg != nil {
		unregister(ctx, r, reg, exporters)
	}
	var wg sync.WaitGroup
	closed := make([]error, len(exporters))
	for i, e := range exporters {
		wg.Go(func() { closed[i] = e.Close(ctx) })
	}
	wg.Wait()
	errs = append(errs, closed...)
	if reg != nil {
		errs = append(errs, reg.Close())
	}
	if r != nil {
		errs = append(errs, r.close())
	}
	return errors.Join(errs...)
}

// unregister takes all services out of the registry, before consumers are told. A registry that does not answer must
// not hold the shutdown up: closing it takes them back, and its session ends with this process at the latest.
func unregister(ctx context.Context, r *running, reg registry.Registry, exporters []*exported) {
	const most = 2 * time.Second
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	for _, e := range exporters {
		if err := reg.Unregister(ctx, e.published); err != nil {
			r.env.Log().Info("ferry: service not withdrawn yet", "service", e.published.Service(), "cause", err)
		}
	}
}
