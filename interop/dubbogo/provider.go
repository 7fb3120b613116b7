package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"dubbo.apache.org/dubbo-go/v3/common"
	"dubbo.apache.org/dubbo-go/v3/common/constant"
	"dubbo.apache.org/dubbo-go/v3/global"
	"dubbo.apache.org/dubbo-go/v3/protocol"
	"dubbo.apache.org/dubbo-go/v3/registry"
	"dubbo.apache.org/dubbo-go/v3/server"
)

// Gopher is the service; dubbo-go calls its methods.
type Gopher struct {
	who  string
	last atomic.Value // the last note
}

// EchoBool returns what it gets, as all of these do.
func (*Gopher) EchoBool(_ context.Context, v bool) (bool, error) { return v, nil }

// EchoInt echoes.
func (*Gopher) EchoInt(_ context.Context, v int32) (int32, error) { return v, nil }

// EchoLong echoes.
func (*Gopher) EchoLong(_ context.Context, v int64) (int64, error) { return v, nil }

// EchoDouble echoes.
func (*Gopher) EchoDouble(_ context.Context, v float64) (float64, error) { return v, nil }

// EchoString echoes.
func (*Gopher) EchoString(_ context.Context, v string) (string, error) { return v, nil }

// EchoBytes echoes.
func (*Gopher) EchoBytes(_ context.Context, v []byte) ([]byte, error) { return v, nil }

// EchoStrings echoes.
func (*Gopher) EchoStrings(_ context.Context, v []string) ([]string, error) { return v, nil }

// EchoMap echoes.
func (*Gopher) EchoMap(_ context.Context, v map[interface{}]interface{}) (map[interface{}]interface{}, error) {
	return v, nil
}

// EchoCitizen echoes.
func (*Gopher) EchoCitizen(_ context.Context, v *Citizen) (*Citizen, error) { return v, nil }

// EchoCitizens echoes. A list that says no element type, as Java's lists do, is a []interface{} for dubbo-go. The number is
// there because dubbo-go takes a lone parameter of that type for all the arguments.
func (*Gopher) EchoCitizens(_ context.Context, v []interface{}, _ int32) ([]interface{}, error) {
	return v, nil
}

// EchoList echoes.
func (*Gopher) EchoList(_ context.Context, v []interface{}, _ int32) ([]interface{}, error) {
	return v, nil
}

// EchoDate echoes.
func (*Gopher) EchoDate(_ context.Context, v time.Time) (time.Time, error) { return v, nil }

// EchoAny echoes. The number is there for the reason that EchoCitizens says.
func (*Gopher) EchoAny(_ context.Context, v interface{}, _ int32) (interface{}, error) { return v, nil }

// Fail fails.
func (*Gopher) Fail(_ context.Context, message string) (string, error) {
	return "", errors.New(message)
}

// Sleep takes its time.
func (*Gopher) Sleep(_ context.Context, millis int32) (string, error) {
	time.Sleep(time.Duration(millis) * time.Millisecond)
	return fmt.Sprint("slept ", millis), nil
}

// Attachment returns one that came with the call.
func (*Gopher) Attachment(ctx context.Context, key string) (string, error) {
	all, _ := ctx.Value(constant.AttachmentKey).(map[string]interface{})
	switch v := all[key].(type) {
	case string:
		return v, nil
	case []string:
		return v[0], nil
	}
	return "", fmt.Errorf("no attachment %q in %v", key, all)
}

// Who says which provider this is.
func (g *Gopher) Who(context.Context) (string, error) { return g.who, nil }

// WhoFor says the same, whatever the key.
func (g *Gopher) WhoFor(context.Context, string) (string, error) { return g.who, nil }

// Make returns so many bytes.
func (*Gopher) Make(_ context.Context, n int32) ([]byte, error) { return make([]byte, n), nil }

// Note keeps a text, for calls that nobody waits for.
func (g *Gopher) Note(_ context.Context, text string) (string, error) {
	g.last.Store(text)
	return text, nil
}

// Noted is the last text that was kept.
func (g *Gopher) Noted(context.Context) (string, error) {
	text, _ := g.last.Load().(string)
	return text, nil
}

// gopherMethods are the methods of Gopher.
var gopherMethods = []string{"EchoBool", "EchoInt", "EchoLong", "EchoDouble", "EchoString", "EchoBytes", "EchoStrings", "EchoMap",
	"EchoCitizen", "EchoCitizens", "EchoDate", "EchoAny", "EchoList", "Fail", "Sleep", "Attachment", "Who", "WhoFor", "Make", "Note", "Noted"}

// serviceInfo describes Gopher. dubbo-go serves each method under its Java name, too, which it adds itself.
func serviceInfo(words map[string]string) *common.ServiceInfo {
	if words["protocol"] == "tri" {
		return tripleInfo(&Gopher{}, gopherMethods)
	}
	info := &common.ServiceInfo{InterfaceName: service}
	for _, m := range gopherMethods {
		info.Methods = append(info.Methods, common.MethodInfo{Name: m, Type: constant.CallUnary})
	}
	return info
}

// most is what a message may have over tri; dubbo-go's own limit is 4 MiB.
const most = 64 << 20

// wire is the protocol that the words name.
func wire(words map[string]string) protocol.Option {
	if words["protocol"] == "tri" {
		return protocol.WithTriple()
	}
	return protocol.WithDubbo()
}

func provide(words map[string]string) error {
	port, err := strconv.Atoi(words["port"])
	if err != nil {
		return err
	}
	host := "127.0.0.1"
	if words["host"] != "" {
		host = words["host"]
	}
	who := words["who"]
	if who == "" {
		who = words["application"]
	}
	app := &global.ApplicationConfig{Name: words["application"], MetadataType: constant.RemoteMetadataStorageType}
	of := []server.ServerOption{server.SetServerApplication(app),
		server.WithServerProtocol(wire(words), protocol.WithIp(host), protocol.WithPort(port), protocol.WithMaxServerRecvMsgSize(most))}
	if words["registry"] != "" {
		of = append(of, server.WithServerRegistry(registries(words)...))
	}
	s, err := server.NewServer(of...)
	if err != nil {
		return err
	}
	if err := register(s, words, who); err != nil {
		return err
	}
	if err := serve(s, net.JoinHostPort(host, words["port"])); err != nil {
		return err
	}
	say("READY")
	for in := commands(); in.Scan(); {
		continue // only the end of the input means anything
	}
	if err := leave(); err != nil {
		return err
	}
	select {}
}

// register gives a server its services.
func register(s *server.Server, words map[string]string, who string) error {
	info, again := serviceInfo(words), serviceInfo(words)
	if err := s.Register(&Gopher{who: who}, info, server.WithInterface(service), server.WithSerialization(format(words)),
		server.WithTag(words["tag"])); err != nil {
		return err
	}
	if err := s.Register(&Gopher{who: who + "/g1"}, again, server.WithInterface(service), server.WithSerialization(format(words)),
		server.WithGroup("g1"), server.WithVersion("1.0.0")); err != nil {
		return err
	}
	if words["protocol"] == "tri" {
		if err := registerProto(s); err != nil {
			return err
		}
	}
	if words["calls"] != "" {
		if err := serveCalls(s); err != nil {
			return err
		}
	}
	return nil
}

// serve lets a server run, and returns when it accepts connections.
func serve(s *server.Server, address string) error {
	failed := make(chan error, 1)
	go func() { failed <- s.Serve() }()
	for {
		c, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			return c.Close()
		}
		select {
		case err := <-failed:
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// registries is the ZooKeeper that the words name: for addresses by interface alone, or, with by=application, for instances alone.
func registries(words map[string]string) []registry.Option {
	all := []registry.Option{registry.WithZookeeper(), registry.WithAddress(words["registry"]), registry.WithTimeout(10 * time.Second),
		registry.WithoutUseAsConfigCenter()}
	if words["by"] == "application" {
		return all
	}
	return append(all, registry.WithRegisterInterface(), registry.WithoutUseAsMetaReport())
}
