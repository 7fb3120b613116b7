package peer

import (
	"context"
	"fmt"
	"net"
	"strconv"

	"dubbo.apache.org/dubbo-go/v3/client"
	"dubbo.apache.org/dubbo-go/v3/common"
	"dubbo.apache.org/dubbo-go/v3/common/constant"
	"dubbo.apache.org/dubbo-go/v3/global"
	"dubbo.apache.org/dubbo-go/v3/protocol"
	"dubbo.apache.org/dubbo-go/v3/remoting/getty"
	"dubbo.apache.org/dubbo-go/v3/server"
	gettylog "github.com/apache/dubbo-getty"
	hessian "github.com/apache/dubbo-go-hessian2"
	"github.com/dubbogo/gost/log/logger"
	"github.com/ferryrpc/ferry/benchmarks/peers/echo"
	"github.com/ferryrpc/ferry/benchmarks/peers/echo/dubbo"
	"go.uber.org/zap"

	// dubbo-go finds its implementations in tables that these packages fill when they are imported.
	_ "dubbo.apache.org/dubbo-go/v3/cluster/cluster/failover"
	_ "dubbo.apache.org/dubbo-go/v3/cluster/loadbalance/random"
	_ "dubbo.apache.org/dubbo-go/v3/filter/accesslog"
	_ "dubbo.apache.org/dubbo-go/v3/filter/echo"
	_ "dubbo.apache.org/dubbo-go/v3/filter/exec_limit"
	_ "dubbo.apache.org/dubbo-go/v3/filter/generic"
	_ "dubbo.apache.org/dubbo-go/v3/filter/graceful_shutdown"
	_ "dubbo.apache.org/dubbo-go/v3/filter/token"
	_ "dubbo.apache.org/dubbo-go/v3/filter/tps"
	_ "dubbo.apache.org/dubbo-go/v3/protocol/dubbo"
	_ "dubbo.apache.org/dubbo-go/v3/proxy/proxy_factory"
)

// dubboGo is dubbo-go over dubbo:// with hessian2, one connection instead of its default of 16, and its logging off.
type dubboGo struct{}

func (dubboGo) Name() string { return "dubbo-go-hessian2" }

// DubboEcho is the service; dubbo-go takes exported types only.
type DubboEcho struct{}

// Echo is called by dubbo-go.
func (*DubboEcho) Echo(_ context.Context, m *dubbo.Message) (*dubbo.Message, error) { return m, nil }

// EchoRecords is called by dubbo-go.
func (*DubboEcho) EchoRecords(_ context.Context, r *dubbo.Records) (*dubbo.Records, error) {
	return r, nil
}

// Reference is the name that dubbo-go keeps the service under.
func (*DubboEcho) Reference() string { return "Echo" }

func quietDubbo() {
	silent := zap.NewNop().Sugar()
	logger.SetLogger(silent)
	gettylog.SetLogger(silent)
	hessian.RegisterPOJO(&dubbo.Message{})
	hessian.RegisterPOJO(&dubbo.Record{})
	hessian.RegisterPOJO(&dubbo.Records{})
}

func (dubboGo) Serve(addr string, _ *Service) (func(), error) {
	quietDubbo()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return nil, err
	}
	// With metadata kept elsewhere it exports no metadata service, which would open the port for all interfaces.
	app := &global.ApplicationConfig{MetadataType: constant.RemoteMetadataStorageType}
	s, err := server.NewServer(server.SetServerApplication(app), server.WithServerProtocol(protocol.WithDubbo(), protocol.WithIp(host), protocol.WithPort(n)))
	if err != nil {
		return nil, err
	}
	info := &common.ServiceInfo{InterfaceName: dubbo.Interface, Methods: []common.MethodInfo{
		{Name: "Echo", Type: constant.CallUnary}, {Name: "EchoRecords", Type: constant.CallUnary},
	}}
	if err := s.Register(&DubboEcho{}, info, server.WithInterface(dubbo.Interface), server.WithNotRegister()); err != nil {
		return nil, err
	}
	failed := make(chan error, 1)
	go func() { failed <- s.Serve() }()
	if err := waitListening(addr, failed); err != nil {
		return nil, err
	}
	return func() {}, nil // it has no way to stop but the end of the process
}

func (dubboGo) Dial(addr string) (Caller, error) {
	quietDubbo()
	conf := *getty.GetDefaultClientConfig()
	conf.ConnectionNum = 1
	getty.SetClientConf(conf)
	c, err := client.NewClient(client.WithClientRequestTimeout(callTimeout))
	if err != nil {
		return nil, err
	}
	conn, err := c.Dial(dubbo.Interface, client.WithURL("dubbo://"+addr+"/"+dubbo.Interface),
		client.WithProtocolDubbo(), client.WithSerialization(constant.Hessian2Serialization))
	if err != nil {
		return nil, err
	}
	return dubboCaller{conn}, nil
}

type dubboCaller struct{ c *client.Connection }

func (c dubboCaller) Echo(m *echo.Message) error {
	var out dubbo.Message
	in := &dubbo.Message{ID: m.ID, Name: m.Name, Payload: m.Payload}
	if err := c.c.CallUnary(context.Background(), []any{in}, &out, "Echo"); err != nil {
		return err
	}
	m.ID, m.Name, m.Payload = out.ID, out.Name, out.Payload
	return nil
}

func (c dubboCaller) Records(list []echo.Record) func() (int, error) {
	in := &dubbo.Records{}
	for i := range list {
		in.List = append(in.List, (*dubbo.Record)(&list[i]))
	}
	return func() (int, error) {
		var out dubbo.Records
		if err := c.c.CallUnary(context.Background(), []any{in}, &out, "EchoRecords"); err != nil {
			return 0, fmt.Errorf("peer: dubbo-go: %w", err)
		}
		return len(out.List), nil
	}
}

func (dubboCaller) Close() error { return nil }
