package peer

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/benchmarks/peers/echo"
)

// ferryRPC is Ferry as a user has it: a generated stub over a reference that a ZooKeeper registry made, with all its
// filters, cluster, balancer, deadlines and limits, over dubbo:// frames. No parameter is set but those below.
type ferryRPC struct {
	format    string // serialization
	transport string // of both sides, "" for what Ferry takes by itself: gnet for servers and net for clients
	registry  string
}

func (f ferryRPC) Name() string {
	if f.transport != "" {
		return "ferry-" + f.format + "-" + f.transport
	}
	return "ferry-" + f.format
}

// In sets the registry.
func (f ferryRPC) In(registry string) Framework {
	f.registry = registry
	return f
}

func (f ferryRPC) options() []ferry.Option {
	o := []ferry.Option{ferry.Serialization(f.format), ferry.Timeout(callTimeout)}
	if f.transport != "" {
		o = append(o, ferry.Param("transport", f.transport))
	}
	return o
}

type ferryEcho struct{ s *Service }

func (ferryEcho) Echo(_ context.Context, m *echo.Message) (*echo.Message, error) { return m, nil }

func (ferryEcho) EchoRecords(_ context.Context, r *echo.Records) (*echo.Records, error) {
	return r, nil
}

func (e ferryEcho) Notify(context.Context, *echo.Message) error {
	e.s.Notify()
	return nil
}

func (f ferryRPC) Serve(addr string, s *Service) (func(), error) {
	srv, err := f.server(addr)
	if err != nil {
		return nil, err
	}
	if err := echo.ExportEcho(srv, ferryEcho{s}); err != nil {
		return nil, err
	}
	return func() { closeFerry(srv) }, nil
}

// server makes a Server that listens on addr.
func (f ferryRPC) server(addr string) (*ferry.Server, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return nil, err
	}
	return ferry.NewServer(f.registry, append(f.options(), ferry.Host(host), ferry.Port(n))...), nil
}

func closeFerry(s *ferry.Server) {
	ctx, cancel := contextFor(time.Second)
	defer cancel()
	s.Close(ctx)
}

// Dial makes a client of its own, since the references of one client to a provider share a connection. The registry, not
// addr, leads to the provider.
func (f ferryRPC) Dial(addr string) (Caller, error) { return f.dial(addr) }

func (f ferryRPC) dial(addr string, more ...ferry.Option) (Caller, error) {
	c := ferry.NewClient(f.registry, append(f.options(), more...)...)
	e, err := echo.ReferEcho(c)
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("peer: ferry at %s: %w", addr, err)
	}
	return ferryCaller{c, e}, nil
}

// DialMany opens n connections of one reference.
func (f ferryRPC) DialMany(addr string, n int) (Caller, error) {
	return f.dial(addr, ferry.Param("connections", strconv.Itoa(n)))
}

type ferryCaller struct {
	client *ferry.Client
	echo   echo.Echo
}

func (c ferryCaller) Echo(m *echo.Message) error {
	out, err := c.echo.Echo(context.Background(), &echo.Message{ID: m.ID, Name: m.Name, Payload: m.Payload})
	if err != nil {
		return err
	}
	*m = *out
	return nil
}

func (c ferryCaller) Records(list []echo.Record) func() (int, error) {
	in := &echo.Records{List: list}
	return func() (int, error) {
		out, err := c.echo.EchoRecords(context.Background(), in)
		if err != nil {
			return 0, err
		}
		return len(out.List), nil
	}
}

func (c ferryCaller) Notify(m *echo.Message) error {
	return c.echo.Notify(context.Background(), m)
}

func (c ferryCaller) Close() error { return c.client.Close() }
