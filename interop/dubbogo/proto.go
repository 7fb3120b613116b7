package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"dubbo.apache.org/dubbo-go/v3/common"
	"dubbo.apache.org/dubbo-go/v3/common/constant"
	tri "dubbo.apache.org/dubbo-go/v3/protocol/triple/triple_protocol"
	"dubbo.apache.org/dubbo-go/v3/server"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

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

// coded is the failure that is asked for by its code.
func coded(code int) error {
	return tri.NewError(tri.Code(code), fmt.Errorf("the text of %d", code))
}

func (protoAPI) count(n *wrapperspb.Int32Value, out *tri.ServerStream) error {
	if n.Value < 0 {
		if err := out.Send(wrapperspb.String("n0")); err != nil {
			return err
		}
		return coded(int(-n.Value))
	}
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
		if code, ok := strings.CutPrefix(word.Value, "code:"); ok {
			n, _ := strconv.Atoi(code)
			return coded(n)
		}
		if err := both.Send(word); err != nil {
			return err
		}
	}
}

// join answers with all the words, with commas between them.
func (protoAPI) join(in *tri.ClientStream) (*tri.Response, error) {
	var all []string
	for in.Receive(new(wrapperspb.StringValue)) {
		word := in.Msg().(*wrapperspb.StringValue).Value
		if code, ok := strings.CutPrefix(word, "code:"); ok {
			n, _ := strconv.Atoi(code)
			return nil, coded(n)
		}
		all = append(all, word)
	}
	if err := in.Err(); err != nil {
		return nil, err
	}
	return tri.NewResponse(wrapperspb.String(strings.Join(all, ","))), nil
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
		{Name: "join", Type: constant.CallClientStream, StreamInitFunc: stream,
			MethodFunc: func(_ context.Context, args []interface{}, _ interface{}) (interface{}, error) {
				reply, err := protoAPI{}.join(args[0].(*tri.ClientStream))
				if err != nil {
					return nil, err
				}
				return reply, nil
			}},
		{Name: "talk", Type: constant.CallBidiStream, StreamInitFunc: stream,
			MethodFunc: func(_ context.Context, args []interface{}, _ interface{}) (interface{}, error) {
				return nil, protoAPI{}.talk(args[0].(*tri.BidiStream))
			}},
	}}, server.WithInterface(protoService), server.WithSerialization(constant.ProtobufSerialization))
}

// ProtoHandler has the methods that dubbo-go looks for at a handler; their info is called instead.
type ProtoHandler struct{}

// Greet, Count, Join and Talk are there to be found.
func (*ProtoHandler) Greet(context.Context, *wrapperspb.StringValue) (*wrapperspb.StringValue, error) {
	return nil, nil
}

// Count is a stream.
func (*ProtoHandler) Count(context.Context, *wrapperspb.Int32Value) error { return nil }

// Join is a stream.
func (*ProtoHandler) Join(context.Context) error { return nil }

// Talk is a stream.
func (*ProtoHandler) Talk(context.Context) error { return nil }
