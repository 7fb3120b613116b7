package peer

import (
	"context"
	"net"

	"github.com/ferryrpc/ferry/benchmarks/peers/echo"
	"github.com/ferryrpc/ferry/benchmarks/peers/echo/pb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// grpcGo is grpc-go with its own generated code. It has no one-way calls.
type grpcGo struct{}

func (grpcGo) Name() string { return "grpc-go" }

type grpcEcho struct{ pb.UnimplementedEchoServer }

func (grpcEcho) Echo(_ context.Context, m *pb.Message) (*pb.Message, error) { return m, nil }

func (grpcEcho) EchoRecords(_ context.Context, r *pb.Records) (*pb.Records, error) { return r, nil }

func (grpcGo) Serve(addr string, _ *Service) (func(), error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	s := grpc.NewServer()
	pb.RegisterEchoServer(s, grpcEcho{})
	go s.Serve(l)
	return s.Stop, nil
}

func (grpcGo) Dial(addr string) (Caller, error) {
	c, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	return grpcCaller{c, pb.NewEchoClient(c)}, nil
}

type grpcCaller struct {
	conn *grpc.ClientConn
	c    pb.EchoClient
}

func (c grpcCaller) Echo(m *echo.Message) error {
	out, err := c.c.Echo(context.Background(), toPB(m))
	if err != nil {
		return err
	}
	fromPB(m, out)
	return nil
}

func (c grpcCaller) Records(list []echo.Record) func() (int, error) {
	in := recordsPB(list)
	return func() (int, error) {
		out, err := c.c.EchoRecords(context.Background(), in)
		return len(out.GetList()), err
	}
}

func (c grpcCaller) Close() error { return c.conn.Close() }
