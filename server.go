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

	"github.com/ferryrpc/ferry/coordination/ordered"
	"github.com/ferryrpc/ferry/extension"
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
	// Registry is the URL where services are published; empty publishes nowhere. Several are separated by semicolons: each
	// gets all services.
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

	mu         sync.Mutex // guards the following
	closed     bool
	running    *running
	registries map[string]registry.Registry // by URL
	bulletins  map[registry.Registry]*bulletin
	exporters  []*exported
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
	Register bool          `url:"register" default:"true" doc:"publish the service in the registry; of a consumer: show it there"`
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
		r.unobserve = r.x.Monitor.Observe(s.Standings)
		s.registries, s.bulletins = map[string]registry.Registry{}, map[registry.Registry]*bulletin{}
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
	places, err := s.places()
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
	var scope scopeParams
	if err := scope.read(u); err != nil {
		return err
	}
	switch scope.Scope {
	case "none":
		return nil
	case "local":
		places = nil
	}
	e, err := s.open(r.envOf(places), r, i, impl, s.providerURL(u, i, p, places), p, scope)
	if err != nil {
		return err
	}
	return s.publish(r, places, e, p)
}

// open puts a service on its port, behind its filters, and makes it known inside the process.
func (s *Server) open(env extension.Env, r *running, i *protocol.Interface, impl any, u *url.URL, p serverParams, scope scopeParams) (*exported, error) {
	e := &exported{running: r, env: env, params: p, impl: protocol.Implementation(impl)}
	if err := e.filter(u); err != nil {
		return nil, errors.Join(err, e.closeParts())
	}
	service := &protocol.Service{Interface: i, Invoker: e}
	if scope.Scope == "local" {
		u = u.WithScheme("inproc")
	}
	pr, err := r.protocol(u)
	if err == nil {
		e.Exporter, err = pr.Export(service, u)
	}
	if err != nil {
		return nil, errors.Join(err, e.closeParts())
	}
	if u.Scheme() != "inproc" && scope.shares() && r.x.local != nil && !ordered.Asked(u) { // ordered calls need the list of all providers
		e.local = r.x.local.Share(service, e.URL())
	}
	return e, nil
}

// providerURL completes a provider's parameters as Java Dubbo publishes them.
func (s *Server) providerURL(u *url.URL, i *protocol.Interface, p serverParams, places []*url.URL) *url.URL {
	bind := p.Bind
	if bind == "" {
		bind = p.loopback(places)
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

// loopback is the address to listen on when all registries are given the same loopback address; empty otherwise.
func (p serverParams) loopback(places []*url.URL) string {
	host := ""
	for _, place := range places {
		if h := p.host(place); host == "" {
			host = h
		} else if h != host {
			return ""
		}
	}
	if len(places) == 0 {
		host = p.host(nil)
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return ""
	}
	return host
}

// private are the parameters of a provider that are nobody else's business.
func private() []string {
	return []string{"host", "port", "bind.ip", "register", "register.timeout", "check", "protocol", "threads", "queues", "accepts",
		"connection.executes", "generic.invoke", "cancel.on.disconnect", "service.filter", "filter", "accesslog", "queue", "write.stall",
		"frame.timeout", "handshake.timeout", "loops", "shutdown", "telnet", "telnet.foreign", "scope", "injvm", "validation", "cache", "cache.size", "cache.bytes",
		"cache.seconds",
		"idempotent.zookeeper", "idempotent.bytes", "idempotent.result", "idempotent.records",
		"ordered.zookeeper", "ordered.store", "ordered.policy", "ordered.move", "ordered.drain", "ordered.replay", "ordered.gap", "ordered.result"}
}

// publish registers what was exported.
func (s *Server) publish(r *running, places []*url.URL, e *exported, p serverParams) error {
	s.mu.Lock()
	s.exporters = append(s.exporters, e)
	s.mu.Unlock()
	if err := e.startParts(); err != nil {
		return errors.Join(err, s.withdraw(e))
	}
	if p.Register {
		for _, place := range places {
			reg, err := s.registry(r, place, e.URL().Param("application"))
			if err != nil {
				return errors.Join(err, s.withdraw(e))
			}
			e.entries = append(e.entries, &entry{registry: reg, place: place})
		}
	}
	if len(e.entries) > 0 {
		e.rules = newSelfRules(e, s.bulletin)
		e.rules.wait()
	}
	ctx, cancel := context.WithTimeout(context.Background(), p.Wait)
	defer cancel()
	if err := e.publish(ctx); err != nil {
		return errors.Join(err, s.withdraw(e))
	}
	if e.rules != nil {
		e.rules.start()
	}
	return nil
}

// withdraw takes an exported service back that could not be published.
func (s *Server) withdraw(e *exported) error {
	s.mu.Lock()
	s.exporters = slices.DeleteFunc(s.exporters, func(o *exported) bool { return o == e })
	s.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	e.unpublish(ctx)
	return e.Close(ctx)
}

// bulletin returns the texts of a registry, which all services share; nil for one without.
func (s *Server) bulletin(reg registry.Registry) *bulletin {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bulletinOf(s.bulletins, reg)
}

func (s *Server) places() ([]*url.URL, error) {
	if s.Registry == "" {
		return nil, nil
	}
	return registries(s.Registry)
}

// registry opens a registry at its first use.
func (s *Server) registry(r *running, u *url.URL, application string) (registry.Registry, error) {
	if u.Param("application") == "" {
		u = u.With("application", application)
	}
	key := u.String() + u.Password()
	s.mu.Lock()
	defer s.mu.Unlock()
	if reg, ok := s.registries[key]; ok {
		return reg, nil
	}
	if err := r.x.checkRegistry(u); err != nil {
		return nil, err
	}
	reg, err := r.x.Registries.Open(r.env, u)
	if err == nil {
		s.registries[key] = reg
	}
	return reg, err
}

// URLs returns the services as they are published.
func (s *Server) URLs() []*url.URL {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*url.URL
	for _, e := range s.exporters {
		out = append(out, e.urls()...)
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
	exporters, registries, r := s.exporters, s.registries, s.running
	s.mu.Unlock()
	unregister(ctx, r, exporters)
	var wg sync.WaitGroup
	errs := make([]error, len(exporters))
	for i, e := range exporters {
		wg.Go(func() { errs[i] = e.Close(ctx) })
	}
	wg.Wait()
	for _, reg := range registries {
		errs = append(errs, reg.Close())
	}
	if r != nil {
		errs = append(errs, r.close())
	}
	return errors.Join(errs...)
}

// unregister takes all services out of the registries, before consumers are told. A registry that does not answer must
// not hold the shutdown up: closing it takes them back, and its session ends with this process at the latest.
func unregister(ctx context.Context, r *running, exporters []*exported) {
	const most = 2 * time.Second
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	for _, e := range exporters {
		for _, err := range e.unpublish(ctx) {
			r.env.Log().Info("ferry: service not withdrawn yet", "service", e.URL().Service(), "cause", err)
		}
	}
}
