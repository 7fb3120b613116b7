package peer

import (
	"context"
	"fmt"
	"strconv"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/benchmarks/peers/echo"
	"github.com/ferryrpc/ferry/benchmarks/peers/echo/ferrypb"
)

// ferryProto is Ferry with protobuf: the service comes from a .proto file, which has no one-way calls. All else is as in
// ferryRPC.
type ferryProto struct{ ferryRPC }

// In sets the registry.
func (f ferryProto) In(registry string) Framework {
	f.registry = registry
	return f
}

type ferryProtoEcho struct{}

func (ferryProtoEcho) Echo(_ context.Context, m *ferrypb.Message) (*ferrypb.Message, error) {
	return m, nil
}

func (ferryProtoEcho) EchoRecords(_ context.Context, r *ferrypb.Records) (*ferrypb.Records, error) {
	return r, nil
}

func (f ferryProto) Serve(addr string, _ *Service) (func(), error) {
	srv, err := f.server(addr)
	if err != nil {
		return nil, err
	}
	if err := ferrypb.ExportEcho(srv, ferryProtoEcho{}); err != nil {
		return nil, err
	}
	return func() { closeFerry(srv) }, nil
}

func (f ferryProto) Dial(addr string) (Caller, error) { return f.dial(addr) }

// DialMany opens n connections of one reference.
func (f ferryProto) DialMany(addr string, n int) (Caller, error) {
	return f.dial(addr, ferry.Param("connections", strconv.Itoa(n)))
}

func (f ferryProto) dial(addr string, more ...ferry.Option) (Caller, error) {
	c := ferry.NewClient(f.registry, append(f.options(), more...)...)
	e, err := ferrypb.ReferEcho(c)
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("peer: ferry at %s: %w", addr, err)
	}
	return ferryProtoCaller{c, e}, nil
}

type ferryProtoCaller struct {
	client *ferry.Client
	echo   ferrypb.Echo
}

func (c ferryProtoCaller) Echo(m *echo.Message) error {
	out, err := c.echo.Echo(context.Background(), &ferrypb.Message{Id: m.ID, Name: m.Name, Payload: m.Payload})
	if err != nil {
		return err
	}
	m.ID, m.Name, m.Payload = out.Id, out.Name, out.Payload
	return nil
}

func (c ferryProtoCaller) Records(list []echo.Record) func() (int, error) {
	in := recordsFerry(list)
	return func() (int, error) {
		out, err := c.echo.EchoRecords(context.Background(), in)
		return len(out.GetList()), err
	}
}

func (c ferryProtoCaller) Close() error { return c.client.Close() }
