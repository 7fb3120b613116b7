package triple

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/url"
)

// A port is one listening address with the services on it.
type port struct {
	protocol *Protocol
	key      string // the address asked for
	host     string
	address  net.Addr
	params   connParams
	server   *http.Server
	served   chan struct{} // closed when nothing is accepted any more
	slots    chan struct{} // one for each running handler
	waiting  atomic.Int64  // requests that wait for a slot
	conns    atomic.Int64
	load     load
	users    int // guarded by protocol.mu
	origin   *http.CrossOriginProtection

	mu    sync.Mutex // guards changes of table
	table atomic.Pointer[table]
}

// A table is all that a port serves. It never changes; a new one takes its place.
type table struct {
	exporters []*exporter
	services  map[string][]*exporter // by path and by interface
}

// An exporter is one service on a port.
type exporter struct {
	port    *port
	service *protocol.Service
	params  Params
	formats []format
	url     *url.URL
	methods map[string][]*method // by each name that a path may have

	path, version, group string // what a call must name to come here

	closed atomic.Bool
	gone   atomic.Bool  // taken from a port that other services keep open
	runs   atomic.Int32 // calls
	load   load
}

// A method is one method of an exported service.
type method struct {
	*protocol.Method
	shape
}

func newExporter(pt *port, s *protocol.Service, u *url.URL, params Params, formats []format) *exporter {
	e := &exporter{port: pt, service: s, params: params, formats: formats, url: u.WithAddress(pt.published(u)), methods: map[string][]*method{},
		path: cmp.Or(u.Path(), s.Interface.Name), version: normal(u.Param("version")), group: u.Param("group")}
	for _, m := range s.Interface.Methods {
		t := &method{m, newShape(m)}
		names := []string{m.Name, t.rpc}
		if t.proto { // gRPC peers spell it as the .proto file does, Dubbo's with a lower first letter
			names = append(names, strings.ToUpper(m.Name[:1])+m.Name[1:], strings.ToLower(m.Name[:1])+m.Name[1:])
		}
		slices.Sort(names)
		for _, name := range slices.Compact(names) {
			e.methods[name] = append(e.methods[name], t)
		}
	}
	return e
}

// normal brings the ways to write "no version" together.
func normal(version string) string {
	if version == "0.0.0" {
		return ""
	}
	return named(version)
}

// named is a group or version that a call asks for. A consumer that takes any of them asks for * at a provider that has
// none: Dubbo 3.2 sends it, and Java finds the service that has none.
func named(name string) string {
	if name == "*" {
		return ""
	}
	return name
}

// Limits of what HTTP takes besides the messages.
const (
	maxHeaderBytes = 64 << 10
	maxStreams     = 4 << 10 // of one connection at a time
	requestWindow  = 1 << 20 // bytes that a caller may send of one request before they are read
	// requestsWindow is the same for all requests of a connection. The client of Dubbo 3.2 gives up its connection when
	// this window is used up to the last byte, which one large request must not do.
	requestsWindow = 8 << 20
	idlePeers      = 10 // an idle connection is closed after so many times heartbeat.timeout
)

// listen opens a port.
func (p *Protocol) listen(u *url.URL) (*port, error) {
	params, err := readConnParams(u)
	if err != nil {
		return nil, err
	}
	pt := &port{protocol: p, key: u.Address(), host: u.Host(), params: params, served: make(chan struct{}), origin: http.NewCrossOriginProtection()}
	const threads, queues = 10000, 50000
	pt.params.Threads, pt.params.ServerParams.Queue = cmp.Or(max(params.Threads, 0), threads), cmp.Or(max(params.ServerParams.Queue, 0), queues)
	pt.slots = make(chan struct{}, pt.params.Threads)
	pt.table.Store(newTable(nil))
	config := p.config.Env.TLS
	if config != nil {
		config = config.Clone()
		config.MinVersion = max(config.MinVersion, tls.VersionTLS12)
		if len(config.Certificates) == 0 && config.GetCertificate == nil && config.GetConfigForClient == nil {
			return nil, errors.New("the TLS configuration has no certificate")
		}
	}
	l, err := net.Listen("tcp", u.Address())
	if err != nil {
		return nil, err
	}
	pt.address = l.Addr()
	pt.server = pt.newServer(config)
	l = &counted{Listener: l, port: pt}
	go func() {
		defer close(pt.served)
		if config != nil {
			_ = pt.server.ServeTLS(l, "", "")
		} else {
			_ = pt.server.Serve(l)
		}
	}()
	return pt, nil
}

func (pt *port) newServer(config *tls.Config) *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(config == nil)
	streams := maxStreams
	if n := pt.params.Connection; n > 0 {
		streams = min(streams, n)
	}
	x := pt.params.exchange
	return &http.Server{Handler: pt, TLSConfig: config, Protocols: &protocols, MaxHeaderBytes: maxHeaderBytes,
		ReadHeaderTimeout: max(pt.params.Handshake, time.Millisecond), IdleTimeout: idlePeers * x.HeartbeatTimeout,
		ErrorLog: slog.NewLogLogger(pt.protocol.config.Env.Log().Handler(), slog.LevelDebug),
		HTTP2: &http.HTTP2Config{MaxConcurrentStreams: streams, SendPingTimeout: x.Heartbeat, PingTimeout: max(x.HeartbeatTimeout-x.Heartbeat, time.Second),
			WriteByteTimeout: pt.params.WriteStall, MaxReceiveBufferPerStream: requestWindow, MaxReceiveBufferPerConnection: requestsWindow}}
}

// counted is a listener that keeps the parameter accepts, and knows how many connections there are.
type counted struct {
	net.Listener
	port *port
}

// Accept implements net.Listener.
func (l *counted) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		pt := l.port
		if n := pt.conns.Add(1); pt.params.Accepts > 0 && n > int64(pt.params.Accepts) {
			pt.conns.Add(-1)
			pt.protocol.config.Env.Log().Warn("triple: connection refused", "peer", c.RemoteAddr().String(), "accepts", pt.params.Accepts)
			_ = c.Close()
			continue
		}
		return &countedConn{Conn: c, port: pt}, nil
	}
}

type countedConn struct {
	net.Conn
	port *port
	once sync.Once
}

// Close implements net.Conn.
func (c *countedConn) Close() error {
	c.once.Do(func() { c.port.conns.Add(-1) })
	return c.Conn.Close()
}

// published is u's address with the port that is really open.
func (pt *port) published(u *url.URL) string {
	_, p, err := net.SplitHostPort(pt.address.String())
	if err != nil {
		return u.Address()
	}
	return net.JoinHostPort(u.Host(), p)
}

// add puts a service on the port.
func (pt *port) add(e *exporter) error {
	pt.mu.Lock()
	defer pt.mu.Unlock()
	old := pt.table.Load()
	for _, other := range old.exporters {
		if other.group == e.group && other.path == e.path && other.version == e.version {
			return fmt.Errorf("triple: %s is exported at %s already", e.url.Service(), e.url.Address())
		}
	}
	pt.table.Store(newTable(append(old.exporters[:len(old.exporters):len(old.exporters)], e)))
	return nil
}

func (pt *port) remove(e *exporter) {
	pt.mu.Lock()
	defer pt.mu.Unlock()
	pt.table.Store(newTable(slices.DeleteFunc(slices.Clone(pt.table.Load().exporters), func(o *exporter) bool { return o == e })))
}

func newTable(exporters []*exporter) *table {
	t := &table{exporters: exporters, services: map[string][]*exporter{}}
	for _, e := range exporters {
		t.services[e.path] = append(t.services[e.path], e)
		if name := e.service.Interface.Name; name != e.path {
			t.services[name] = append(t.services[name], e)
		}
	}
	return t
}

// find returns the service that a request names. One that says neither version nor group, as a plain gRPC peer does, gets
// the service of that name if there is only one.
func (t *table) find(service, version, group string) (*exporter, *failure) {
	version, group = normal(version), named(group)
	list := t.services[service]
	for _, e := range list {
		if e.version == version && e.group == group {
			return e, nil
		}
	}
	switch {
	case len(list) == 0:
		return nil, refusal(Unimplemented, fmt.Sprintf("service %q is not here", shorten(service, 128)))
	case len(list) == 1 && version == "" && group == "":
		return list[0], nil
	}
	var have []string
	for _, e := range list {
		have = append(have, fmt.Sprintf("version %q group %q", e.version, e.group))
	}
	slices.Sort(have)
	return nil, refusal(Unimplemented, fmt.Sprintf("service %s version %q group %q is not here, have %s", service, shorten(version, 128), shorten(group, 128), strings.Join(have, ", ")))
}

// URL implements protocol.Exporter.
func (e *exporter) URL() *url.URL { return e.url }

// Close implements protocol.Exporter. The service goes on serving until no call has come for a while, because consumers
// hear of its end at different times. Then the last service of a port ends it with GOAWAY: calls that come later are
// refused in a way that proves that they did not run. Another one is taken out of the table.
func (e *exporter) Close(ctx context.Context) error {
	if e.closed.Swap(true) {
		return nil
	}
	last := e.port.protocol.release(e.port)
	if last { // consumers may call any service until they have heard of the end
		e.port.settle(ctx, &e.port.load)
		return e.port.close(ctx)
	}
	e.port.settle(ctx, &e.load)
	e.port.remove(e)
	e.gone.Store(true)
	return e.drain(ctx)
}

// drain waits until no call runs.
func (e *exporter) drain(ctx context.Context) error {
	t := time.NewTicker(step)
	defer t.Stop()
	for e.runs.Load() > 0 {
		select {
		case <-t.C:
		case <-ctx.Done():
			return fmt.Errorf("triple: calls of %s still run: %w", e.url.Service(), context.Cause(ctx))
		}
	}
	return nil
}

// close says GOAWAY to all consumers and waits for running calls until ctx ends.
func (pt *port) close(ctx context.Context) error {
	err := pt.server.Shutdown(ctx)
	if err != nil {
		err = fmt.Errorf("triple: calls at %s still run: %w", pt.key, context.Cause(ctx))
	}
	pt.kill()
	return err
}

// kill closes the port and its connections.
func (pt *port) kill() {
	_ = pt.server.Close()
	<-pt.served
}
