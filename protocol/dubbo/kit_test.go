package dubbo_test

import (
	"context"
	"encoding/json"
	"os"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/internal/leak"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/protocol/dubbo"
	"github.com/ferryrpc/ferry/serialize"
	"github.com/ferryrpc/ferry/serialize/hessian2"
	jsonformat "github.com/ferryrpc/ferry/serialize/json"
	"github.com/ferryrpc/ferry/serialize/msgpack"
	"github.com/ferryrpc/ferry/serialize/protobuf"
	"github.com/ferryrpc/ferry/transport"
	"github.com/ferryrpc/ferry/transport/gnet"
	"github.com/ferryrpc/ferry/transport/memory"
	nettransport "github.com/ferryrpc/ferry/transport/net"
	"github.com/ferryrpc/ferry/url"
)

func TestMain(m *testing.M) { leak.Main(m) }

// patience is how long a test waits for what should happen at once.
const patience = 10 * time.Second

// A house is a protocol with every format and transport.
type house struct {
	*dubbo.Protocol
	t testing.TB
}

// open makes a house whose formats know the classes of samples, each named by its JavaClassName.
func open(t testing.TB, samples ...interface{ JavaClassName() string }) *house {
	types := &serialize.Types{}
	for _, s := range samples {
		require.NoError(t, types.Add(s.JavaClassName(), s))
	}
	transports := &extension.Point[transport.Transport]{Kind: "transport"}
	require.NoError(t, transports.Add("net", nil, nettransport.New))
	require.NoError(t, transports.Add("gnet", nil, gnet.New))
	require.NoError(t, transports.Add("memory", nil, memory.New))
	formats := &extension.Point[serialize.Serializer]{Kind: "serialization"}
	for name, s := range map[string]serialize.Serializer{"hessian2": hessian2.New(types), "msgpack": msgpack.New(types),
		"json": jsonformat.New(types), "protobuf": protobuf.New(types)} {
		require.NoError(t, formats.Add(name, nil, func(extension.Env, *url.URL) (serialize.Serializer, error) { return s, nil }))
	}
	p := dubbo.New(dubbo.Config{Transports: transports, Serializers: formats, ClientTransport: "net", ServerTransport: "net"})
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return &house{p, t}
}

// export puts a service on a free port, or with others at address.
func (h *house) export(i *protocol.Interface, params string) protocol.Exporter {
	return h.exportAt("127.0.0.1:0", i, params)
}

func (h *house) exportAt(address string, i *protocol.Interface, params string) protocol.Exporter {
	return h.exportInvoker(address, i, params, protocol.Implementation(nil))
}

func (h *house) exportInvoker(address string, i *protocol.Interface, params string, in protocol.Invoker) protocol.Exporter {
	e, err := h.Export(&protocol.Service{Interface: i, Invoker: in}, url.MustParse("dubbo://"+address+"/"+i.Name+"?"+params))
	require.NoError(h.t, err)
	return e
}

// refer makes a reference to the provider at an address.
func (h *house) refer(address string, i *protocol.Interface, params string) protocol.Reference {
	r, err := h.Refer(context.Background(), i, url.MustParse("dubbo://"+address+"/"+i.Name+"?"+params))
	require.NoError(h.t, err)
	return r
}

// pair exports i and refers to it with the same parameters.
func (h *house) pair(i *protocol.Interface, params string) protocol.Reference {
	return h.refer(h.export(i, params).URL().Address(), i, params)
}

// A handler serves one method; arguments are pointers.
type handler func(ctx context.Context, args serialize.Row) (reply any, err error)

// method describes a method whose arguments have the types of samples. Its reply may be anything.
func method(name, descriptor string, serve handler, samples ...any) *protocol.Method {
	m := &protocol.Method{Name: name, Descriptor: descriptor}
	m.New = func() *protocol.Invocation {
		args := make(serialize.Values, len(samples))
		for i, s := range samples {
			args[i] = reflect.New(reflect.TypeOf(s)).Interface()
		}
		return &protocol.Invocation{Method: m, Args: args, Reply: &protocol.AnyRow{}}
	}
	m.Serve = func(ctx context.Context, _ any, c *protocol.Invocation) error {
		reply, err := serve(ctx, c.Args)
		if err == nil && c.Reply != nil {
			c.Reply.(*protocol.AnyRow).Value = reply
		}
		return err
	}
	return m
}

// void makes m a method without a reply.
func void(m *protocol.Method) *protocol.Method {
	inner := m.New
	m.New = func() *protocol.Invocation {
		c := inner()
		c.Reply = nil
		return c
	}
	return m
}

func service(name string, methods ...*protocol.Method) *protocol.Interface {
	for n, m := range methods {
		m.Service, m.Index = name, n
	}
	return &protocol.Interface{Name: name, Methods: methods}
}

// named returns the method of i called name.
func named(i *protocol.Interface, name string) *protocol.Method {
	for _, m := range i.Methods {
		if m.Name == name {
			return m
		}
	}
	return nil
}

// call calls a method through an invoker.
func call(ctx context.Context, in protocol.Invoker, m *protocol.Method, args ...any) (any, error) {
	c := invocation(m, args...)
	err := in.Invoke(ctx, c)
	if c.Reply == nil {
		return nil, err
	}
	return c.Reply.(*protocol.AnyRow).Value, err
}

func invocation(m *protocol.Method, args ...any) *protocol.Invocation {
	c := m.New()
	row := make(serialize.Values, len(args))
	for i := range args {
		row[i] = &args[i]
	}
	c.Args = row
	return c
}

// generic calls $invoke.
func generic(in protocol.Invoker, service, form, name string, types []string, args ...any) (any, error) {
	m := protocol.NewGenericMethod(service)
	c := &protocol.Invocation{Method: m, Args: &protocol.GenericArgs{Method: name, Types: types, Args: args}, Reply: &protocol.AnyRow{}}
	if form != "" {
		c.Attachments = protocol.Attachments{"generic", form}
	}
	err := in.Invoke(context.Background(), c)
	return c.Reply.(*protocol.AnyRow).Value, err
}

// failure is err as a *protocol.Error.
func failure(t testing.TB, err error) *protocol.Error {
	t.Helper()
	var e *protocol.Error
	require.ErrorAs(t, err, &e)
	require.NotContains(t, err.Error(), "\n")
	return e
}

// receive takes what comes over a channel in time.
func receive[T any](t testing.TB, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		require.FailNow(t, "nothing came")
		panic("unreachable")
	}
}

// A vector is one golden frame.
type vector struct{ Name, Category, Hex, Description string }

func vectors(t testing.TB) map[string]vector {
	out := map[string]vector{}
	for _, name := range []string{"frames.json", "java.json"} {
		b, err := os.ReadFile("testdata/" + name)
		require.NoError(t, err)
		var file struct{ Vectors []vector }
		require.NoError(t, json.Unmarshal(b, &file))
		for _, v := range file.Vectors {
			if v.Category == "frame" {
				out[v.Name] = v
			}
		}
	}
	require.Len(t, out, 45)
	return out
}

// User is the class of the vectors.
type User struct {
	ID   int64
	Name string
	Age  int32
}

// JavaClassName is the class of User in Java.
func (*User) JavaClassName() string { return "com.example.User" }
