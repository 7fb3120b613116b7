package main

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"
	"unicode"

	"dubbo.apache.org/dubbo-go/v3/client"
	"dubbo.apache.org/dubbo-go/v3/common"
	"dubbo.apache.org/dubbo-go/v3/common/constant"
	tri "dubbo.apache.org/dubbo-go/v3/protocol/triple/triple_protocol"
	"dubbo.apache.org/dubbo-go/v3/server"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// tripleInfo describes a service for tri as a generator of dubbo-go's would: how each method's arguments begin, and how it is called.
func tripleInfo(sample any, methods []string) *common.ServiceInfo {
	info := &common.ServiceInfo{InterfaceName: service}
	for _, name := range methods {
		m, ok := reflect.TypeOf(sample).MethodByName(name)
		if !ok {
			continue
		}
		const first = 2 // behind the receiver and the context
		info.Methods = append(info.Methods, common.MethodInfo{Name: name, Type: constant.CallUnary,
			ReqInitFunc: func() interface{} {
				args := []interface{}{}
				for i := first; i < m.Type.NumIn(); i++ {
					args = append(args, reflect.New(m.Type.In(i)).Interface())
				}
				return args
			},
			MethodFunc: func(ctx context.Context, args []interface{}, handler interface{}) (interface{}, error) {
				in := []reflect.Value{reflect.ValueOf(handler), reflect.ValueOf(ctx)}
				for i, a := range args {
					v := reflect.ValueOf(a)
					if !v.IsValid() {
						v = reflect.Zero(m.Type.In(first + i))
					}
					in = append(in, v)
				}
				out := m.Func.Call(in)
				err, _ := out[1].Interface().(error)
				return out[0].Interface(), err
			}})
	}
	return info
}

// tripleMethods are the methods that a consumer may call; dubbo-go's makes a client for each.
func tripleMethods() *client.ClientInfo {
	info := &client.ClientInfo{InterfaceName: service, MethodNames: []string{"nowhere", "$echo", "$invoke"}}
	for _, name := range gopherMethods {
		first := []rune(name)
		first[0] = unicode.ToLower(first[0])
		info.MethodNames = append(info.MethodNames, string(first))
	}
	return info
}

// limits are calls past the limit of the provider, 8 MiB.
func (x *caller) limits() {
	const size = 9 << 20
	var text []byte
	cell("calls/request past the limit", x.failing(5*time.Second, "the limit is", "echoBytes", &text, make([]byte, size)))
	cell("calls/reply past the limit", x.failing(5*time.Second, "too large", "make", &text, int32(size)))
}

const protoService = "com.ferry.interop.ProtoApi"

// protoAPI is the service of protobuf's messages.
type protoAPI struct{}

// greet fails for "fail", and for "colour" answers with the attachment of that name and sends it back.
func (protoAPI) greet(ctx context.Context, name *wrapperspb.StringValue) (*tri.Response, error) {
	reply := tri.NewResponse(wrapperspb.String("hello " + name.Value))
	switch name.Value {
	case "fail":
		return nil, tri.NewError(tri.CodeNotFound, errors.New("nobody is called fail"))
	case "colour":
		all, _ := ctx.Value(constant.AttachmentKey).(map[string]interface{})
		colour, _ := all["colour"].([]string)
		reply = tri.NewResponse(wrapperspb.String(strings.Join(colour, ",")))
		reply.Trailer().Set("reply-colour", "got "+strings.Join(colour, ","))
	}
	return reply, nil
}

func (protoAPI) count(n *wrapperspb.Int32Value, out *tri.ServerStream) error {
	for i := range n.Value {
		if err := out.Send(wrapperspb.String(fmt.Sprint("n", i))); err != nil {
			return err
		}
	}
	return nil
}

func (protoAPI) talk(both *tri.BidiStream) error {
	for {
		word := new(wrapperspb.StringValue)
		if err := both.Receive(word); err != nil {
			return nil // the end
		}
		if err := both.Send(word); err != nil {
			return err
		}
	}
}

// registerProto exports ProtoApi.
func registerProto(s *server.Server) error {
	stream := func(base interface{}) interface{} { return base }
	return s.Register(&ProtoHandler{}, &common.ServiceInfo{InterfaceName: protoService, Methods: []common.MethodInfo{
		{Name: "greet", Type: constant.CallUnary, ReqInitFunc: func() interface{} { return new(wrapperspb.StringValue) },
			MethodFunc: func(ctx context.Context, args []interface{}, _ interface{}) (interface{}, error) {
				reply, err := protoAPI{}.greet(ctx, args[0].(*wrapperspb.StringValue))
				if err != nil {
					return nil, err
				}
				return reply, nil
			}},
		{Name: "count", Type: constant.CallServerStream, ReqInitFunc: func() interface{} { return new(wrapperspb.Int32Value) }, StreamInitFunc: stream,
			MethodFunc: func(_ context.Context, args []interface{}, _ interface{}) (interface{}, error) {
				return nil, protoAPI{}.count(args[0].(*wrapperspb.Int32Value), args[1].(*tri.ServerStream))
			}},
		{Name: "talk", Type: constant.CallBidiStream, StreamInitFunc: stream,
			MethodFunc: func(_ context.Context, args []interface{}, _ interface{}) (interface{}, error) {
				return nil, protoAPI{}.talk(args[0].(*tri.BidiStream))
			}},
	}}, server.WithInterface(protoService), server.WithSerialization(constant.ProtobufSerialization))
}

// ProtoHandler has the methods that dubbo-go looks for at a handler; their info is called instead.
type ProtoHandler struct{}

// Greet, Count and Talk are there to be found.
func (*ProtoHandler) Greet(context.Context, *wrapperspb.StringValue) (*wrapperspb.StringValue, error) {
	return nil, nil
}

// Count is a stream.
func (*ProtoHandler) Count(context.Context, *wrapperspb.Int32Value) error { return nil }

// Talk is a stream.
func (*ProtoHandler) Talk(context.Context) error { return nil }

// proto are the cells of a consumer of ProtoApi.
func proto(c *client.Client) error {
	conn, err := c.DialWithInfo(protoService, &client.ClientInfo{InterfaceName: protoService, MethodNames: []string{"greet", "count", "talk"}},
		client.WithProtocolTriple(), client.WithSerialization(constant.ProtobufSerialization), client.WithRetries(0))
	if err != nil {
		return err
	}
	greet := func(ctx context.Context, name string) (string, error) {
		reply := new(wrapperspb.StringValue)
		err := conn.CallUnary(ctx, []interface{}{wrapperspb.String(name)}, reply, "greet")
		return reply.Value, err
	}
	text, err := greet(context.Background(), "Mia")
	cell("protobuf/unary", want("hello Mia", text, err))
	ctx := context.WithValue(context.Background(), constant.AttachmentKey, map[string]interface{}{"colour": "blau"})
	text, err = greet(ctx, "colour")
	cell("protobuf/attachments to the provider", want("blau", text, err))
	_, err = greet(context.Background(), "fail")
	if tri.CodeOf(err) != tri.CodeNotFound || !strings.Contains(err.Error(), "nobody is called fail") {
		err = fmt.Errorf("wrong failure: %v", err)
	} else {
		err = nil
	}
	cell("protobuf/failure with code and text", err)
	cell("protobuf/server stream", serverStream(conn))
	cell("protobuf/bidirectional stream", bidiStream(conn))
	return nil
}

func serverStream(conn *client.Connection) error {
	raw, err := conn.CallServerStream(context.Background(), wrapperspb.Int32(2), "count")
	if err != nil {
		return err
	}
	var got []string
	in := raw.(*tri.ServerStreamForClient)
	for in.Receive(new(wrapperspb.StringValue)) {
		got = append(got, in.Msg().(*wrapperspb.StringValue).Value)
	}
	return want("n0,n1", strings.Join(got, ","), in.Err())
}

func bidiStream(conn *client.Connection) error {
	raw, err := conn.CallBidiStream(context.Background(), "talk")
	if err != nil {
		return err
	}
	both := raw.(*tri.BidiStreamForClient)
	for _, word := range []string{"a", "中😀"} {
		if err := both.Send(wrapperspb.String(word)); err != nil {
			return err
		}
		back := new(wrapperspb.StringValue)
		if err := want(word, back.Value, both.Receive(back)); err != nil && back.Value != word {
			return err
		}
	}
	return errors.Join(both.CloseRequest(), both.CloseResponse())
}
