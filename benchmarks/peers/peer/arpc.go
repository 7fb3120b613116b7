package peer

import (
	"errors"
	"net"
	"time"

	"github.com/ferryrpc/ferry/benchmarks/peers/echo"
	"github.com/ferryrpc/ferry/benchmarks/peers/echo/pb"
	"github.com/lesismal/arpc"
	"github.com/lesismal/arpc/log"
	"google.golang.org/protobuf/proto"
)

// callTimeout is the deadline where a framework wants one per call. No call of the benchmark comes near it.
const callTimeout = 30 * time.Second

var errNotProto = errors.New("peer: not a protobuf message")

// arpcPB is arpc with protobuf as its codec; by itself it has JSON.
type arpcPB struct{}

func (arpcPB) Name() string { return "arpc-pb" }

type protoCodec struct{}

func (protoCodec) Marshal(v any) ([]byte, error) {
	m, ok := v.(proto.Message)
	if !ok {
		return nil, errNotProto
	}
	return proto.Marshal(m)
}

func (protoCodec) Unmarshal(b []byte, v any) error {
	m, ok := v.(proto.Message)
	if !ok {
		return errNotProto
	}
	return proto.Unmarshal(b, m)
}

func (arpcPB) Serve(addr string, s *Service) (func(), error) {
	log.SetLevel(log.LevelNone)
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	srv := arpc.NewServer()
	srv.Codec = protoCodec{}
	srv.Handler.Handle("/echo", func(c *arpc.Context) {
		var m pb.Message
		if err := c.Bind(&m); err != nil {
			c.Error(err)
			return
		}
		c.Write(&m)
	})
	srv.Handler.Handle("/records", func(c *arpc.Context) {
		var m pb.Records
		if err := c.Bind(&m); err != nil {
			c.Error(err)
			return
		}
		c.Write(&m)
	})
	srv.Handler.Handle("/notify", func(c *arpc.Context) {
		var m pb.Message
		if c.Bind(&m) == nil {
			s.Notify()
		}
	})
	go srv.Serve(l)
	return func() { srv.Stop() }, nil
}

func (arpcPB) Dial(addr string) (Caller, error) {
	log.SetLevel(log.LevelNone)
	c, err := arpc.NewClient(func() (net.Conn, error) { return net.DialTimeout("tcp", addr, 3*time.Second) })
	if err != nil {
		return nil, err
	}
	c.Codec = protoCodec{}
	return arpcCaller{c}, nil
}

type arpcCaller struct{ c *arpc.Client }

func (c arpcCaller) Echo(m *echo.Message) error {
	var out pb.Message
	if err := c.c.Call("/echo", toPB(m), &out, callTimeout); err != nil {
		return err
	}
	fromPB(m, &out)
	return nil
}

func (c arpcCaller) Records(list []echo.Record) func() (int, error) {
	in := recordsPB(list)
	return func() (int, error) {
		var out pb.Records
		err := c.c.Call("/records", in, &out, callTimeout)
		return len(out.List), err
	}
}

func (c arpcCaller) Notify(m *echo.Message) error {
	return c.c.Notify("/notify", toPB(m), callTimeout)
}

func (c arpcCaller) Close() error {
	c.c.Stop()
	return nil
}
