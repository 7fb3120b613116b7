package dubbo

import (
	"context"
	"fmt"
	"maps"
	"net"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/ferryrpc/ferry/exchange"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/serialize"
	"github.com/ferryrpc/ferry/url"
)

// A port is one listening address with the services on it.
type port struct {
	protocol *Protocol
	key      string // the address asked for
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

type serviceKey struct{ path, version string }

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
	closed  atomic.Bool
}

func newPort(p *Protocol, key string) *port {
	pt := &port{protocol: p, key: key}
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

func (e *exporter) key() serviceKey {
	path := e.url.Path()
	if path == "" {
		path = e.service.Interface.Name
	}
	return serviceKey{path, normal(e.url.Param("version"))}
}

func (e *exporter) group() string { return e.url.Param("group") }

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
	for _, other := range old.services[e.key()] {
		if other.group() == e.group() {
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
	key := e.key()
	t.services[key] = append(t.services[key], e)
	var accepts uint32
	for _, s := range e.formats {
		accepts |= 1 << s.ID()
		t.formats[s.ID()] = s
	}
	for _, m := range e.service.Interface.Methods {
		tg := &target{exporter: e, method: m, accepts: accepts}
		name := methodKey{key, m.Name, m.Descriptor}
		t.byName[name] = append(t.byName[name], tg)
		for _, s := range e.formats {
			prefix := prefixKey(s, key.path, key.version, m)
			t.byPrefix[prefix] = append(t.byPrefix[prefix], tg)
		}
	}
}

// prefixKey is a request's prefix behind its serialization id.
func prefixKey(s serialize.Serializer, path, version string, m *protocol.Method) string {
	return string(s.ID()) + string(appendPrefix(s, protocolVersion, path, version, m.Name, m.Descriptor))
}

// describe lists what is served, for the error of a caller who asks for something else.
func (t *table) describe(k methodKey) string {
	exporters := t.services[k.serviceKey]
	if len(exporters) == 0 {
		for other := range maps.Keys(t.services) {
			if other.path == k.path {
				return fmt.Sprintf("service %s version %s is not here; version %s is", k.path, k.version, other.version)
			}
		}
		return fmt.Sprintf("service %s is not here", strconv.Quote(firstLine(k.path)))
	}
	for _, m := range exporters[0].service.Interface.Methods {
		if m.Name == k.name {
			return fmt.Sprintf("%s.%s has parameters %q, the call has %q", k.path, m.Name, m.Descriptor, firstLine(k.descriptor))
		}
	}
	return fmt.Sprintf("service %s has no method %s", k.path, strconv.Quote(firstLine(k.name)))
}

// URL implements protocol.Exporter.
func (e *exporter) URL() *url.URL { return e.url }

// Close implements protocol.Exporter. The last service of a port closes it gracefully; another one is only taken out
// of the table, after which its calls are refused.
func (e *exporter) Close(ctx context.Context) error {
	if e.closed.Swap(true) {
		return nil
	}
	if e.port.protocol.release(e.port) {
		return e.port.close(ctx)
	}
	e.port.remove(e)
	return nil
}

func (pt *port) close(ctx context.Context) error { return pt.server.Close(ctx) }
