package dubbo

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ferryrpc/ferry/exchange"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/serialize"
	"github.com/ferryrpc/ferry/url"
)

// A port is one listening address with the services on it.
type port struct {
	protocol *Protocol
	key      string // the address asked for
	host     string
	server   *exchange.Server
	users    int // guarded by protocol.mu

	mu    sync.Mutex // guards changes of table
	table atomic.Pointer[table]
}

// A table is all that a port serves. It never changes; a new one takes its place.
type table struct {
	exporters []*exporter
	// byPrefix finds methods by the encoded prefix of a request, the serialization id before it; byName by its parts.
	byPrefix map[string][]*target
	byName   map[methodKey][]*target
	services map[serviceKey][]*exporter
	formats  [exchange.MaskID + 1]serialize.Serializer
}

// A serviceKey's service is a path or an interface; mostly they are the same.
type serviceKey struct{ service, version string }

type methodKey struct {
	serviceKey
	name, descriptor string
}

// A target is one method of one exported service.
type target struct {
	exporter *exporter
	method   *protocol.Method
	accepts  uint32 // bit n: serialization id n is accepted
	seen     [exchange.MaskID + 1]atomic.Pointer[attachments]
	guess    guess // size of an answer
}

// attachments are decoded attachments with the bytes they came from. Most calls of a method carry the same.
type attachments struct {
	raw   []byte
	pairs protocol.Attachments
}

// An exporter is one service on a port.
type exporter struct {
	port    *port
	service *protocol.Service
	params  Params
	formats []serialize.Serializer
	url     *url.URL

	path, version, group string // what a call must name to come here

	closed atomic.Bool
	gone   atomic.Bool   // taken from a port that other services keep open
	calls  atomic.Uint64 // how many have begun, and in the low 32 bits how many run
}

// What the beginning and the end of a call add to exporter.calls.
const (
	callBegins = 1<<32 + 1
	callEnds   = ^uint64(0)
)

func newExporter(pt *port, s *protocol.Service, u *url.URL, params Params, formats []serialize.Serializer) *exporter {
	e := &exporter{port: pt, service: s, params: params, formats: formats, url: u.WithAddress(pt.published(u)),
		path: u.Path(), version: normal(u.Param("version")), group: u.Param("group")}
	if e.path == "" {
		e.path = s.Interface.Name
	}
	return e
}

func newPort(p *Protocol, u *url.URL) *port {
	pt := &port{protocol: p, key: u.Address(), host: u.Host()}
	pt.table.Store(newTable(nil))
	return pt
}

// published is u's address with the port that is really open.
func (pt *port) published(u *url.URL) string {
	_, p, err := net.SplitHostPort(pt.server.Addr().String())
	if err != nil {
		return u.Address()
	}
	return net.JoinHostPort(u.Host(), p)
}

// names are what a call's second value may be: Dubbo writes the interface there, which is not the path of a provider
// with a context path, or the path when it knows no interface.
func (e *exporter) names() []string {
	if e.path == e.service.Interface.Name {
		return []string{e.path}
	}
	return []string{e.path, e.service.Interface.Name}
}

// normal brings the two ways to write "no version" together.
func normal(version string) string {
	if version == "" {
		return noVersion
	}
	return version
}

// add puts a service on the port.
func (pt *port) add(e *exporter) error {
	pt.mu.Lock()
	defer pt.mu.Unlock()
	old := pt.table.Load()
	for _, other := range old.services[serviceKey{e.path, e.version}] {
		if other.group == e.group && other.path == e.path {
			return fmt.Errorf("dubbo: %s is exported at %s already", e.url.Service(), e.url.Address())
		}
	}
	pt.table.Store(newTable(append(old.exporters[:len(old.exporters):len(old.exporters)], e)))
	return nil
}

func (pt *port) remove(e *exporter) {
	pt.mu.Lock()
	defer pt.mu.Unlock()
	var rest []*exporter
	for _, other := range pt.table.Load().exporters {
		if other != e {
			rest = append(rest, other)
		}
	}
	pt.table.Store(newTable(rest))
}

func newTable(exporters []*exporter) *table {
	t := &table{exporters: exporters, byPrefix: map[string][]*target{}, byName: map[methodKey][]*target{}, services: map[serviceKey][]*exporter{}}
	for _, e := range exporters {
		t.addService(e)
	}
	return t
}

func (t *table) addService(e *exporter) {
	for _, s := range e.formats {
		t.formats[s.ID()] = s
	}
	for _, name := range e.names() {
		key := serviceKey{name, e.version}
		t.services[key] = append(t.services[key], e)
		for _, m := range e.service.Interface.Methods {
			tg := &target{exporter: e, method: m, accepts: e.accepts()}
			mk := methodKey{key, m.Name, m.Descriptor}
			t.byName[mk] = append(t.byName[mk], tg)
			for _, s := range e.formats {
				prefix := prefixKey(s, key, m)
				t.byPrefix[prefix] = append(t.byPrefix[prefix], tg)
			}
		}
	}
}

// accepts has a bit for each serialization id that the service takes.
func (e *exporter) accepts() (bits uint32) {
	for _, s := range e.formats {
		bits |= 1 << s.ID()
	}
	return bits
}

// prefixKey is a request's prefix behind its serialization id.
func prefixKey(s serialize.Serializer, k serviceKey, m *protocol.Method) string {
	return string([]byte{s.ID()}) + string(appendPrefix(s, protocolVersion, k.service, k.version, m.Name, m.Descriptor))
}

// describe lists what is served, for the error of a caller who asks for something else.
func (t *table) describe(k methodKey) string {
	exporters := t.services[k.serviceKey]
	if len(exporters) == 0 {
		var versions []string
		for other := range t.services {
			if other.service == k.service {
				versions = append(versions, other.version)
			}
		}
		if len(versions) > 0 {
			slices.Sort(versions)
			return fmt.Sprintf("service %s version %q is not here, have %s", k.service, name(k.version), strings.Join(versions, ", "))
		}
		return fmt.Sprintf("service %q is not here", name(k.service))
	}
	for _, m := range exporters[0].service.Interface.Methods {
		if m.Name == k.name {
			return fmt.Sprintf("%s.%s has parameters %q, the call has %q", k.service, m.Name, m.Descriptor, name(k.descriptor))
		}
	}
	return fmt.Sprintf("service %s has no method %q", k.service, name(k.name))
}

// URL implements protocol.Exporter.
func (e *exporter) URL() *url.URL { return e.url }

// Close implements protocol.Exporter. The last service of a port closes it gracefully. Another one goes on serving until no
// call has come for a while, because consumers hear of its end at different times: a server that closes has several
// services, and none of them may be gone before the last one has said READONLY. Then it is taken out of the table, and its
// calls are refused.
func (e *exporter) Close(ctx context.Context) error {
	if e.closed.Swap(true) {
		return nil
	}
	if e.port.protocol.release(e.port) {
		return e.port.close(ctx)
	}
	e.settle(ctx)
	if e.port.protocol.ending(e.port) { // and serves everything until it is quiet itself
		return e.drain(ctx)
	}
	e.port.remove(e)
	e.gone.Store(true)
	return e.drain(ctx)
}

const (
	quiet = time.Second          // without a new call: everybody has heard of the end
	step  = 2 * time.Millisecond // between two looks; a call then costs two additions and tells nobody
)

// settle waits until calls have stopped coming, nobody is connected, or ctx ends.
func (e *exporter) settle(ctx context.Context) {
	t := time.NewTicker(step)
	defer t.Stop()
	seen, still := e.calls.Load(), time.Now()
	for ctx.Err() == nil && e.port.server.Connections() > 0 {
		if n := e.calls.Load(); n != seen || uint32(n) > 0 {
			seen, still = n, time.Now()
		}
		if time.Since(still) >= quiet {
			return
		}
		select {
		case <-t.C:
		case <-ctx.Done():
		}
	}
}

// drain waits until no call runs.
func (e *exporter) drain(ctx context.Context) error {
	t := time.NewTicker(step)
	defer t.Stop()
	for uint32(e.calls.Load()) > 0 {
		select {
		case <-t.C:
		case <-ctx.Done():
			return fmt.Errorf("dubbo: calls of %s still run: %w", e.url.Service(), context.Cause(ctx))
		}
	}
	return nil
}

func (pt *port) close(ctx context.Context) error { return pt.server.Close(ctx) }
