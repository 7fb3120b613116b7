package post

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/serialize"
	"github.com/ferryrpc/ferry/url"
)

// A port is one listening address with the services on it.
type port struct {
	protocol *Protocol
	key      string
	address  net.Addr
	server   *http.Server
	serving  sync.WaitGroup

	mu       sync.RWMutex // guards the following
	services map[service]*exporter
}

// A service is what a request asks for.
type service struct{ path, group, version string }

func serviceOf(u *url.URL, i *protocol.Interface) service {
	path := u.Path()
	if path == "" {
		path = i.Name
	}
	return service{path, u.Param("group"), u.Param("version")}
}

// An exporter is one service on a port.
type exporter struct {
	port    *port
	key     service
	service *protocol.Service
	url     *url.URL
	params  Params
	format  serialize.Serializer
	calls   calls
}

// Export implements protocol.Protocol. Services with one address share its port.
func (p *Protocol) Export(s *protocol.Service, u *url.URL) (protocol.Exporter, error) {
	e := &exporter{key: serviceOf(u, s.Interface), service: s}
	if err := u.Decode(&e.params); err != nil {
		return nil, fmt.Errorf("post: %w", err)
	}
	var err error
	if e.format, err = p.serializers.OpenNamed(p.env, e.params.Serialization, u); err != nil {
		return nil, fmt.Errorf("post: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errors.New("post: protocol is closed")
	}
	pt := p.ports[u.Address()]
	if pt == nil {
		if pt, err = p.listen(u.Address()); err != nil {
			return nil, fmt.Errorf("post: cannot listen on %s: %w", u.Address(), err)
		}
		p.ports[u.Address()] = pt
	}
	pt.mu.Lock()
	defer pt.mu.Unlock()
	if pt.services[e.key] != nil {
		return nil, fmt.Errorf("post: %s is exported at %s already", u.Service(), pt.address)
	}
	_, number, _ := net.SplitHostPort(pt.address.String())
	e.port, e.url = pt, u.WithAddress(net.JoinHostPort(u.Host(), number))
	pt.services[e.key] = e
	return e, nil
}

func (p *Protocol) listen(address string) (*port, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	pt := &port{protocol: p, key: address, address: l.Addr(), services: map[service]*exporter{}}
	if p.env.TLS != nil {
		l = tls.NewListener(l, p.env.TLS)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /{service}/{method}", pt.call)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	const slowest = 30 * time.Second
	pt.server = &http.Server{Handler: mux, ReadHeaderTimeout: slowest, ReadTimeout: slowest,
		ErrorLog: slog.NewLogLogger(p.env.Log().Handler(), slog.LevelWarn)}
	pt.serving.Go(func() {
		if err := pt.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			p.env.Log().Error("post: port closed", "address", pt.address, "cause", err)
		}
	})
	return pt, nil
}

// find returns a service with one call begun on it.
func (pt *port) find(s service) *exporter {
	pt.mu.RLock()
	defer pt.mu.RUnlock()
	if e := pt.services[s]; e != nil && e.calls.begin() {
		return e
	}
	return nil
}

// URL implements protocol.Exporter.
func (e *exporter) URL() *url.URL { return e.url }

// Close implements protocol.Exporter. The last service of a port closes it.
func (e *exporter) Close(ctx context.Context) error {
	p, pt := e.port.protocol, e.port
	p.mu.Lock()
	pt.mu.Lock()
	if pt.services[e.key] == e {
		delete(pt.services, e.key)
	}
	last := len(pt.services) == 0 && p.ports[pt.key] == pt
	if last {
		delete(p.ports, pt.key)
	}
	pt.mu.Unlock()
	p.mu.Unlock()
	var err error
	if !e.calls.close(ctx) {
		err = fmt.Errorf("post: calls of %s still run: %w", e.url.Service(), context.Cause(ctx))
	}
	if last {
		err = errors.Join(err, pt.close(ctx))
	}
	return err
}

// close ends the port; connections that are in use when ctx ends are cut.
func (pt *port) close(ctx context.Context) error {
	err := pt.server.Shutdown(ctx)
	if err != nil {
		err = pt.server.Close()
	}
	pt.serving.Wait()
	return err
}
