// Package triple is Apache Dubbo 3's protocol: gRPC on HTTP/2, and JSON over plain HTTP on the same port.
//
// HTTP/2, flow control, GOAWAY and TLS are net/http's, on both sides. A call is one stream:
//
//	HEADERS  :path /com.example.Greeter/sayHello  content-type application/grpc+proto  grpc-timeout 1000m  tri-service-group a  …
//	DATA     | 0 | length, 4 bytes | message |
//	HEADERS  :status 200  content-type application/grpc+proto
//	DATA     | 0 | length, 4 bytes | message |
//	HEADERS  grpc-status 0  grpc-message …
//
// A method with one protobuf message on either side sends the messages themselves, so that any gRPC peer reads them. Other
// methods put their arguments, in a serialization, into Dubbo's wrapper messages (Dubbo, TripleCustomerProtocolWrapper):
//
//	message TripleRequestWrapper  { string serializeType = 1; repeated bytes args = 2; repeated string argTypes = 3; }
//	message TripleResponseWrapper { string serializeType = 1; bytes data = 2; string type = 3; }
//
// Attachments travel as headers one way and as trailers the other; values of keys in -bin are any bytes. A request that
// is no gRPC is JSON: see json.go.
//
// A provider's handler runs in the goroutine that net/http makes for each stream, a consumer's call in the caller's.
package triple

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ferryrpc/ferry/exchange"
	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/serialize"
	"github.com/ferryrpc/ferry/transport"
	"github.com/ferryrpc/ferry/url"
)

// Params are the URL parameters of the protocol; it reads those of exchange and transport that have a meaning here too.
type Params struct {
	Serialization string        `url:"serialization" default:"hessian2" doc:"format of arguments and replies; a provider accepts it and those of prefer.serialization, no others"`
	Prefer        []string      `url:"prefer.serialization" doc:"formats in order of preference; a consumer takes the first that it has"`
	Timeout       time.Duration `url:"timeout" default:"1000" doc:"longest time for one attempt of a call"`
	Lazy          bool          `url:"lazy" doc:"connect at the first call"`
	Shutdown      time.Duration `url:"shutdown" default:"10000" doc:"longest time for calls in flight to finish when something is closed"`
	Generic       bool          `url:"generic.invoke" default:"true" doc:"accept $invoke for the service's methods"`
	Return        bool          `url:"return" default:"true" doc:"false: send calls one way, nothing comes back"`
	JSON          bool          `url:"json" default:"true" doc:"tri: answer calls in JSON over plain HTTP"`
}

// connParams concern connections, on either side.
type connParams struct {
	transport.Params
	exchange.ServerParams
	exchange        exchange.Params
	Handshake       time.Duration `url:"handshake.timeout" default:"5000" doc:"longest time for a TLS handshake"`
	MostConnections int           `url:"connections" doc:"connections to a provider for this service alone; 0 shares one among all services"`
}

func readConnParams(u *url.URL) (connParams, error) {
	var p connParams
	err := u.Decode(&p)
	if err == nil {
		err = p.Params.Check()
	}
	if err == nil {
		p.exchange, err = exchange.ReadParams(u)
	}
	if p.Handshake <= 0 {
		p.Handshake = 5 * time.Second
	}
	return p, err
}

// Config is what the protocol chooses its parts from.
type Config struct {
	Env         extension.Env
	Serializers *extension.Point[serialize.Serializer]
	// Limits bound what decoding one message may cost.
	Limits serialize.Limits
}

var errClosed = errors.New("triple: protocol is closed")

// Protocol exports and refers to services. It implements protocol.Protocol.
type Protocol struct {
	config Config
	lines  extension.Shared // connections that services share
	proto  serialize.Serializer
	json   serialize.Serializer

	mu         sync.Mutex // guards the following
	closed     bool
	ports      map[string]*port // by the address asked for
	references map[*reference]struct{}
}

var _ protocol.Protocol = (*Protocol)(nil)

// New makes the protocol. Close it when nothing made by it is used any more.
func New(c Config) (*Protocol, error) {
	p := &Protocol{config: c, ports: map[string]*port{}, references: map[*reference]struct{}{}}
	var err, err2 error
	p.proto, err = c.Serializers.OpenNamed(c.Env, "protobuf", &url.URL{})
	p.json, err2 = c.Serializers.OpenNamed(c.Env, "json", &url.URL{})
	return p, errors.Join(err, err2)
}

// A format is a serializer with its name.
type format struct {
	name string
	serialize.Serializer
}

// open opens a format by its name; Dubbo says hessian4 where it means hessian2 (ReflectionPackableMethod).
func (p *Protocol) open(u *url.URL, name string) (format, error) {
	s, err := p.config.Serializers.OpenNamed(p.config.Env, name, u)
	if err != nil {
		return format{}, fmt.Errorf("triple: %w", err)
	}
	return format{name, s}, nil
}

// Export implements protocol.Protocol. Services with one address share its port; two services may not have the same
// name, group and version there.
func (p *Protocol) Export(s *protocol.Service, u *url.URL) (protocol.Exporter, error) {
	var params Params
	if err := u.Decode(&params); err != nil {
		return nil, fmt.Errorf("triple: %w", err)
	}
	var formats []format
	for _, name := range append([]string{params.Serialization}, params.Prefer...) {
		f, err := p.open(u, name)
		if err != nil {
			return nil, err
		}
		formats = append(formats, f)
	}
	pt, err := p.port(u)
	if err != nil {
		return nil, err
	}
	e := newExporter(pt, s, u, params, formats)
	if err := pt.add(e); err != nil {
		if p.release(pt) {
			pt.kill()
		}
		return nil, err
	}
	return e, nil
}

// port returns the port of u's address and opens it if it is the first service there.
func (p *Protocol) port(u *url.URL) (*port, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errClosed
	}
	for key, pt := range p.ports {
		// A port that was chosen by the system is shared under either of its names.
		if key == u.Address() || pt.published(u) == u.Address() && u.Host() == pt.host {
			pt.users++
			return pt, nil
		}
	}
	pt, err := p.listen(u)
	if err != nil {
		return nil, fmt.Errorf("triple: cannot listen on %s: %w", u.Address(), err)
	}
	pt.users = 1
	p.ports[u.Address()] = pt
	return pt, nil
}

// release takes one service away from a port and says whether it was the last.
func (p *Protocol) release(pt *port) (last bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	pt.users--
	if pt.users > 0 {
		return false
	}
	if p.ports[pt.key] == pt {
		delete(p.ports, pt.key)
	}
	return true
}

// Close implements protocol.Protocol. It ends the references and ports that are still open, without waiting for
// consumers.
func (p *Protocol) Close() error {
	p.mu.Lock()
	p.closed = true
	ports, references := p.ports, p.references
	p.ports, p.references = map[string]*port{}, map[*reference]struct{}{}
	p.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var errs []error
	for r := range references {
		errs = append(errs, r.Close())
	}
	for _, pt := range ports {
		errs = append(errs, pt.close(ctx))
	}
	return errors.Join(errs...)
}
