package peer

import (
	"context"
	"net"

	"github.com/ferryrpc/ferry/benchmarks/peers/echo"
	"github.com/ferryrpc/ferry/benchmarks/peers/echo/pb"
	"github.com/smallnest/rpcx/client"
	rpcxlog "github.com/smallnest/rpcx/log"
	"github.com/smallnest/rpcx/protocol"
	"github.com/smallnest/rpcx/server"
)

// rpcxPB is rpcx with protobuf. Its plain client is used, which is faster than its discovering XClient.
type rpcxPB struct{}

func (rpcxPB) Name() string { return "rpcx-pb" }

type rpcxEcho struct{ s *Service }

func (rpcxEcho) Echo(_ context.Context, in, out *pb.Message) error {
	out.Id, out.Name, out.Payload = in.Id, in.Name, in.Payload
	return nil
}

func (rpcxEcho) EchoRecords(_ context.Context, in, out *pb.Records) error {
	out.List = in.List
	return nil
}

func (e rpcxEcho) Notify(_ context.Context, _, _ *pb.Message) error {
	e.s.Notify()
	return nil
}

func (rpcxPB) Serve(addr string, s *Service) (func(), error) {
	rpcxlog.SetDummyLogger()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	srv := server.NewServer()
	if err := srv.RegisterName("Echo", rpcxEcho{s}, ""); err != nil {
		return nil, err
	}
	go srv.ServeListener("tcp", l)
	return func() { srv.Close() }, nil
}

func (rpcxPB) Dial(addr string) (Caller, error) {
	rpcxlog.SetDummyLogger()
	o := client.DefaultOption
	o.SerializeType = protocol.ProtoBuffer
	c := client.NewClient(o)
	if err := c.Connect("tcp", addr); err != nil {
		return nil, err
	}
	return rpcxCaller{c}, nil
}

type rpcxCaller struct{ c *client.Client }

func (c rpcxCaller) Echo(m *echo.Message) error {
	var out pb.Message
	if err := c.c.Call(context.Background(), "Echo", "Echo", toPB(m), &out); err != nil {
		return err
	}
	fromPB(m, &out)
	return nil
}

func (c rpcxCaller) Records(list []echo.Record) func() (int, error) {
	in := recordsPB(list)
	return func() (int, error) {
		var out pb.Records
		err := c.c.Call(context.Background(), "Echo", "EchoRecords", in, &out)
		return len(out.List), err
	}
}

// Notify passes no reply, which is how rpcx knows a one-way call.
func (c rpcxCaller) Notify(m *echo.Message) error {
	return c.c.Call(context.Background(), "Echo", "Notify", toPB(m), nil)
}

func (c rpcxCaller) Close() error { return c.c.Close() }
