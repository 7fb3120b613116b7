package dubbo

import (
	"context"
	"fmt"
	"net"
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

	table *table
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
	return &port{protocol: p, key: u.Address(), host: u.Host(), table: newTable()}
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

// accepts has a bit for each serialization id that the service takes.
func (e *exporter) accepts() (bits uint32) {
	for _, s := range e.formats {
		bits |= 1 << s.ID()
	}
	return bits
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
	e.port.table.remove(e)
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
