package peer

import (
	"context"
	"io"
	"net"
	"time"

	"github.com/cloudwego/kitex/client"
	"github.com/cloudwego/kitex/pkg/klog"
	"github.com/cloudwego/kitex/pkg/limit"
	"github.com/cloudwego/kitex/server"
	"github.com/ferryrpc/ferry/benchmarks/peers/echo"
	kitexecho "github.com/ferryrpc/ferry/benchmarks/peers/echo/kitexpb"
	echothrift "github.com/ferryrpc/ferry/benchmarks/peers/echo/kitexthrift"
	thriftecho "github.com/ferryrpc/ferry/benchmarks/peers/echo/kitexthrift/echo"
	"github.com/ferryrpc/ferry/benchmarks/peers/echo/pb"
)

// kitexPB is kitex with protobuf (its fast generated codec) over multiplexed connections. Its Protobuf service
// definition has no one-way calls.
type kitexPB struct{}

func (kitexPB) Name() string { return "kitex-pb" }

type kitexPBEcho struct{}

func (kitexPBEcho) Echo(_ context.Context, m *pb.Message) (*pb.Message, error) { return m, nil }

func (kitexPBEcho) EchoRecords(_ context.Context, r *pb.Records) (*pb.Records, error) { return r, nil }

func (kitexPB) Serve(addr string, _ *Service) (func(), error) {
	opts, err := kitexServer(addr)
	if err != nil {
		return nil, err
	}
	return runKitex(addr, kitexecho.NewServer(&kitexPBEcho{}, opts...))
}

func (k kitexPB) Dial(addr string) (Caller, error) { return k.DialMany(addr, 1) }

// DialMany opens n connections of one client.
func (kitexPB) DialMany(addr string, n int) (Caller, error) {
	c, err := kitexecho.NewClient("Echo", kitexClient(addr, n)...)
	if err != nil {
		return nil, err
	}
	return kitexPBCaller{c}, nil
}

type kitexPBCaller struct{ c kitexecho.Client }

func (c kitexPBCaller) Echo(m *echo.Message) error {
	out, err := c.c.Echo(context.Background(), toPB(m))
	if err != nil {
		return err
	}
	fromPB(m, out)
	return nil
}

func (c kitexPBCaller) Records(list []echo.Record) func() (int, error) {
	in := recordsPB(list)
	return func() (int, error) {
		out, err := c.c.EchoRecords(context.Background(), in)
		return len(out.GetList()), err
	}
}

func (c kitexPBCaller) Close() error { return closeKitex(c.c) }

// kitexThrift is kitex with its generated Thrift codec over multiplexed connections.
type kitexThrift struct{}

func (kitexThrift) Name() string { return "kitex-thrift" }

type kitexThriftEcho struct{ s *Service }

func (kitexThriftEcho) Echo(_ context.Context, m *echothrift.Message) (*echothrift.Message, error) {
	return m, nil
}

func (kitexThriftEcho) EchoRecords(_ context.Context, r *echothrift.Records) (*echothrift.Records, error) {
	return r, nil
}

func (e kitexThriftEcho) Notify(context.Context, *echothrift.Message) error {
	e.s.Notify()
	return nil
}

func (kitexThrift) Serve(addr string, s *Service) (func(), error) {
	opts, err := kitexServer(addr)
	if err != nil {
		return nil, err
	}
	return runKitex(addr, thriftecho.NewServer(&kitexThriftEcho{s}, opts...))
}

func (k kitexThrift) Dial(addr string) (Caller, error) { return k.DialMany(addr, 1) }

// DialMany opens n connections of one client.
func (kitexThrift) DialMany(addr string, n int) (Caller, error) {
	c, err := thriftecho.NewClient("Echo", kitexClient(addr, n)...)
	if err != nil {
		return nil, err
	}
	return kitexThriftCaller{c}, nil
}

type kitexThriftCaller struct{ c thriftecho.Client }

func (c kitexThriftCaller) Echo(m *echo.Message) error {
	out, err := c.c.Echo(context.Background(), toThrift(m))
	if err != nil {
		return err
	}
	m.ID, m.Name, m.Payload = out.Id, out.Name, out.Payload
	return nil
}

func (c kitexThriftCaller) Records(list []echo.Record) func() (int, error) {
	in := recordsThrift(list)
	return func() (int, error) {
		out, err := c.c.EchoRecords(context.Background(), in)
		if err != nil {
			return 0, err
		}
		return len(out.List), nil
	}
}

func (c kitexThriftCaller) Notify(m *echo.Message) error {
	return c.c.Notify(context.Background(), toThrift(m))
}

func (c kitexThriftCaller) Close() error { return closeKitex(c.c) }

func kitexServer(addr string) ([]server.Option, error) {
	a, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return nil, err
	}
	klog.SetLevel(klog.LevelFatal)
	return []server.Option{
		server.WithServiceAddr(a), server.WithMuxTransport(),
		server.WithLimit(&limit.Option{}), server.WithExitWaitTime(time.Millisecond),
	}, nil
}

func kitexClient(addr string, connections int) []client.Option {
	klog.SetLevel(klog.LevelFatal)
	return []client.Option{client.WithHostPorts(addr), client.WithMuxConnection(connections), client.WithConnectTimeout(5 * time.Second)}
}

func runKitex(addr string, s server.Server) (func(), error) {
	failed := make(chan error, 1)
	go func() { failed <- s.Run() }()
	if err := waitListening(addr, failed); err != nil {
		return nil, err
	}
	return func() { s.Stop() }, nil
}

func closeKitex(c any) error {
	if c, ok := c.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// waitListening returns when addr accepts a connection, for frameworks that do not say when they listen.
func waitListening(addr string, failed <-chan error) error {
	deadline := time.Now().Add(20 * time.Second)
	for {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			return c.Close()
		}
		if time.Now().After(deadline) {
			return err
		}
		select {
		case err := <-failed:
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}
