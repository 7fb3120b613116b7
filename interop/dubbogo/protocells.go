package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"dubbo.apache.org/dubbo-go/v3/client"
	"dubbo.apache.org/dubbo-go/v3/common/constant"
	tri "dubbo.apache.org/dubbo-go/v3/protocol/triple/triple_protocol"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// proto are the cells of a consumer of ProtoApi.
func proto(c *client.Client) error {
	conn, err := c.DialWithInfo(protoService, &client.ClientInfo{InterfaceName: protoService, MethodNames: []string{"greet", "count", "join", "talk"}},
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
	cell("protobuf/server stream", serverStream(conn, 2, "n0,n1"))
	cell("protobuf/server stream, failure with code and text", failed(serverStream(conn, -int32(tri.CodeFailedPrecondition), "n0")))
	cell("protobuf/client stream", clientStream(conn, "a", "中😀", "b"))
	cell("protobuf/client stream, failure with code and text", failed(clientStream(conn, failing)))
	cell("protobuf/bidirectional stream", bidiStream(conn))
	cell("protobuf/bidirectional stream, failure with code and text", failed(bidiStream(conn, failing)))
	return nil
}

// failing is the word that asks for a failure.
var failing = fmt.Sprint("code:", int(tri.CodeFailedPrecondition))

// failed holds a failure to what failing asks for.
func failed(err error) error {
	if tri.CodeOf(err) != tri.CodeFailedPrecondition || !strings.Contains(err.Error(), fmt.Sprint("the text of ", int(tri.CodeFailedPrecondition))) {
		return fmt.Errorf("wrong failure: %v", err)
	}
	return nil
}

func clientStream(conn *client.Connection, words ...string) error {
	raw, err := conn.CallClientStream(context.Background(), "join")
	if err != nil {
		return err
	}
	out := raw.(*tri.ClientStreamForClient)
	for _, word := range words {
		if err := out.Send(wrapperspb.String(word)); err != nil && !errors.Is(err, io.EOF) { // at the end the answer says why
			return err
		}
	}
	reply := tri.NewResponse(new(wrapperspb.StringValue))
	err = out.CloseAndReceive(reply)
	return want(strings.Join(words, ","), reply.Msg.(*wrapperspb.StringValue).Value, err)
}

func serverStream(conn *client.Connection, n int32, words string) error {
	raw, err := conn.CallServerStream(context.Background(), wrapperspb.Int32(n), "count")
	if err != nil {
		return err
	}
	var got []string
	in := raw.(*tri.ServerStreamForClient)
	for in.Receive(new(wrapperspb.StringValue)) {
		got = append(got, in.Msg().(*wrapperspb.StringValue).Value)
	}
	if text := strings.Join(got, ","); text != words {
		return fmt.Errorf("got %q, not %q, %w", text, words, in.Err())
	}
	return in.Err()
}

func bidiStream(conn *client.Connection, more ...string) error {
	raw, err := conn.CallBidiStream(context.Background(), "talk")
	if err != nil {
		return err
	}
	both := raw.(*tri.BidiStreamForClient)
	for _, word := range append([]string{"a", "中😀"}, more...) {
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

// protoJSON are the cells of a consumer that writes messages as JSON, in a POST of HTTP/1.1 each.
func protoJSON(c *client.Client) error {
	conn, err := c.DialWithInfo(protoService, &client.ClientInfo{InterfaceName: protoService, MethodNames: []string{"greet"}},
		client.WithProtocolTriple(), client.WithSerialization(constant.JSONSerialization), client.WithParam(constant.CallHTTPTypeKey, constant.CallHTTP),
		client.WithRetries(0))
	if err != nil {
		return err
	}
	greet := func(name string) (string, error) {
		reply := new(wrapperspb.StringValue)
		err := conn.CallUnary(context.Background(), []interface{}{wrapperspb.String(name)}, reply, "greet")
		return reply.Value, err
	}
	text, err := greet("中😀")
	cell("serialization/json over HTTP", want("hello 中😀", text, err))
	_, err = greet("fail")
	if tri.CodeOf(err) != tri.CodeNotFound || !strings.Contains(err.Error(), "nobody is called fail") {
		err = fmt.Errorf("wrong failure: %v", err)
	} else {
		err = nil
	}
	cell("serialization/json over HTTP, failure with code and text", err)
	return nil
}
