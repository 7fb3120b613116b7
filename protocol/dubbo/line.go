package dubbo

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/ferryrpc/ferry/exchange"
	"github.com/ferryrpc/ferry/serialize"
	"github.com/ferryrpc/ferry/transport"
	"github.com/ferryrpc/ferry/url"
)

// A line is a connection to a provider, shared among services or one service's own.
type line struct {
	*exchange.Client
	release func() error
}

// closing is how extension.Shared closes a client: in time for calls in flight.
type closing struct {
	*exchange.Client
	shutdown time.Duration
}

// Close implements io.Closer.
func (c closing) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), c.shutdown)
	defer cancel()
	return c.Client.Close(ctx)
}

// connect makes the lines of a reference: one that all services of the address share, or some of its own.
func (p *Protocol) connect(u *url.URL, params Params) ([]*line, error) {
	xp, err := exchange.ReadParams(u)
	if err != nil {
		return nil, err
	}
	name := p.config.ClientTransport
	for _, n := range []string{u.Param("transport"), params.ClientTransport} {
		if n != "" {
			name = n
		}
	}
	open := func() (closing, error) {
		t, err := p.config.Transports.OpenNamed(p.config.Env, name, u)
		if err != nil {
			return closing{}, err
		}
		c := exchange.NewClient(u.Address(), xp, func(ctx context.Context, opened func(transport.Conn) transport.Receiver) (transport.Conn, error) {
			return t.Dial(ctx, u, opened)
		}, p.noCallbacks)
		return closing{c, params.Shutdown}, nil
	}
	if params.Connections <= 0 {
		// Services share a connection when they ask for the same of it.
		key := fmt.Sprintf("%s %s %+v", name, u.Address(), xp)
		v, release, err := p.lines.Acquire(key, func() (io.Closer, error) { return open() })
		if err != nil {
			return nil, err
		}
		return []*line{{v.(closing).Client, release}}, nil
	}
	lines := make([]*line, params.Connections)
	for i := range lines {
		c, err := open()
		if err != nil {
			return nil, err
		}
		lines[i] = &line{c.Client, c.Close}
	}
	return lines, nil
}

// noCallbacks answers a request that a provider sends to its consumer.
func (p *Protocol) noCallbacks(h exchange.Header) *transport.Frame {
	s := p.byID(h.Serialization())
	if s == nil {
		return nil
	}
	f := textFrame(s, "this consumer serves no callbacks")
	exchange.Header{Flags: h.Serialization(), Status: exchange.ServiceError, ID: h.ID, Length: uint32(len(f.B) - exchange.HeaderLen)}.Put(f.B)
	return f
}

// textFrame is an answer whose body is one string.
func textFrame(s serialize.Serializer, text string) *transport.Frame {
	f := transport.NewFrame(exchange.HeaderLen + len(text) + 8)
	w := s.Writer(f.B[:exchange.HeaderLen])
	w.WriteString(text)
	f.B = w.Bytes()
	w.Free()
	return f
}
