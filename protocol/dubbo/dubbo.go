// Package dubbo is Apache Dubbo's own protocol, byte for byte: the 16-byte header belongs to exchange, the body is made here.
//
// A request's body is a row of values: protocol version, path, service version, method, parameter descriptor, the
// arguments, and a map of attachments. All but the arguments, and mostly the attachments too, is constant for a method, so a
// reference encodes it once and copies it, and a server finds the method by those very bytes:
//
//	| version | path | service version | method | descriptor | argument … | attachments |
//	 `------------------------ prefix ---------------------'
//
// An answer with status 20 is a flag, which says whether a value or an exception follows, the value, and attachments.
// With any other status it is one string, the reason (Dubbo, DubboCodec.java, DecodeableRpcInvocation.java).
package dubbo

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

// Params are the URL parameters that are this protocol's own; those of exchange and transport count too.
type Params struct {
	Serialization   string        `url:"serialization" default:"hessian2" doc:"format of arguments and replies; a provider accepts it and those of prefer.serialization, no others"`
	Prefer          []string      `url:"prefer.serialization" doc:"formats in order of preference; a consumer takes the first that it has"`
	Timeout         time.Duration `url:"timeout" default:"1000" doc:"longest time for one attempt of a call"`
	Connections     int           `url:"connections" doc:"connections to a provider for this service alone; 0 shares one among all services"`
	Lazy            bool          `url:"lazy" doc:"connect at the first call"`
	Check           bool          `url:"check" default:"true" doc:"look for providers when the client starts"`
	Shutdown        time.Duration `url:"shutdown" default:"10000" doc:"longest time for calls in flight to finish when something is closed"`
	CancelOnLoss    bool          `url:"cancel.on.disconnect" doc:"end a handler's context when its consumer's connection is lost"`
	Generic         bool          `url:"generic.invoke" default:"true" doc:"accept $invoke for the service's methods"`
	Return          bool          `url:"return" default:"true" doc:"false: send calls one way, nothing comes back"`
	Telnet          []string      `url:"telnet" doc:"commands that people may type on the port, of ls, cd, pwd, invoke, exit; none when unset. The first service of a port opens it to text, and each says what may be done with it; calls pass its filters"`
	TelnetForeign   bool          `url:"telnet.foreign" default:"false" doc:"text is taken from other machines too, and not from loopback alone; it carries no identity"`
	ClientTransport string        `url:"client" doc:"transport of consumers; transport when unset"`
}

// Config is what the protocol chooses its parts from.
type Config struct {
	Env         extension.Env
	Transports  *extension.Point[transport.Transport]
	Serializers *extension.Point[serialize.Serializer]
	// ClientTransport and ServerTransport are used when a URL names none.
	ClientTransport, ServerTransport string
	// Limits bound what decoding one message may cost.
	Limits serialize.Limits
}

var errClosed = errors.New("dubbo: protocol is closed")

// Protocol exports and refers to services. It implements protocol.Protocol.
type Protocol struct {
	config Config
	lines  extension.Shared                   // connections that services share
	known  func() *[exchange.MaskID + 1]known // all formats of this process by their id

	mu         sync.Mutex // guards the following
	closed     bool
	ports      map[string]*port // by the address asked for
	references map[*reference]struct{}
}

var _ protocol.Protocol = (*Protocol)(nil)

// New makes the protocol. Close it when nothing made by it is used any more.
func New(c Config) *Protocol {
	p := &Protocol{config: c, ports: map[string]*port{}, references: map[*reference]struct{}{}}
	p.known = sync.OnceValue(p.openAll)
	return p
}

// known is a format of this process; plain is the same without registered classes.
type known struct{ format, plain serialize.Serializer }

// openAll opens the formats of this process. One that wants parameters of its own is left out.
func (p *Protocol) openAll() *[exchange.MaskID + 1]known {
	var all [exchange.MaskID + 1]known
	for _, name := range p.config.Serializers.Names() {
		s, err := p.config.Serializers.OpenNamed(p.config.Env, name, &url.URL{})
		if err != nil {
			continue
		}
		all[s.ID()&exchange.MaskID] = known{s, serialize.Plain(s)}
	}
	return &all
}

// byID returns a format of this process, or nil: for texts between peers that disagree about the format.
func (p *Protocol) byID(id byte) serialize.Serializer { return p.known()[id&exchange.MaskID].format }

// Export implements protocol.Protocol. Services with one address share its port; two services may not have the same
// name, group and version there.
func (p *Protocol) Export(s *protocol.Service, u *url.URL) (protocol.Exporter, error) {
	var params Params
	if err := u.Decode(&params); err != nil {
		return nil, fmt.Errorf("dubbo: %w", err)
	}
	if err := params.checkTelnet(); err != nil {
		return nil, fmt.Errorf("dubbo: %w", err)
	}
	formats, err := p.formats(u, params)
	if err != nil {
		return nil, err
	}
	pt, err := p.port(u)
	if err != nil {
		return nil, err
	}
	e := newExporter(pt, s, u, params, formats)
	if err := pt.table.add(e); err != nil {
		p.release(pt)
		return nil, err
	}
	return e, nil
}

// formats opens the serializers that a provider accepts.
func (p *Protocol) formats(u *url.URL, params Params) ([]serialize.Serializer, error) {
	var out []serialize.Serializer
	for _, name := range append([]string{params.Serialization}, params.Prefer...) {
		s, err := p.config.Serializers.OpenNamed(p.config.Env, name, u)
		if err != nil {
			return nil, fmt.Errorf("dubbo: %w", err)
		}
		out = append(out, s)
	}
	return out, nil
}

// choose picks a consumer's serializer by Dubbo's rule: the first of prefer.serialization that there is here, else
// serialization, else hessian2, which Java providers always take.
func (p *Protocol) choose(u *url.URL, params Params) (serialize.Serializer, error) {
	name := "hessian2"
	for _, n := range append(params.Prefer[:len(params.Prefer):len(params.Prefer)], params.Serialization) {
		if p.config.Serializers.Has(n) {
			name = n
			break
		}
	}
	s, err := p.config.Serializers.OpenNamed(p.config.Env, name, u)
	if err != nil {
		return nil, fmt.Errorf("dubbo: %w", err)
	}
	return s, nil
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
	pt, err := p.open(u)
	if err != nil {
		return nil, fmt.Errorf("dubbo: cannot listen on %s: %w", u.Address(), err)
	}
	pt.users = 1
	p.ports[u.Address()] = pt
	return pt, nil
}

func (p *Protocol) open(u *url.URL) (*port, error) {
	params, err := exchange.ReadParams(u)
	if err != nil {
		return nil, err
	}
	var limits exchange.ServerParams
	if err := u.Decode(&limits); err != nil {
		return nil, err
	}
	name := p.config.ServerTransport
	if n := u.Param("transport"); n != "" {
		name = n
	}
	t, err := p.config.Transports.OpenNamed(p.config.Env, name, u)
	if err != nil {
		return nil, err
	}
	pt := newPort(p, u)
	handler, err := pt.handler(u)
	if err != nil {
		return nil, err
	}
	pt.server, err = exchange.Serve(func(accept func(transport.Conn) transport.Receiver) (transport.Listener, error) {
		return t.Listen(u, accept)
	}, params, limits, handler, p.config.Env.Log())
	if err != nil {
		return nil, err
	}
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

// ending says whether all services of a port are closed or being closed.
func (p *Protocol) ending(pt *port) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return pt.users == 0
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
