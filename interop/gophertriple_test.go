package interop

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/internal/zktest"
	"github.com/ferryrpc/ferry/interop/fleet"
	"github.com/ferryrpc/ferry/interop/fleet/proto"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/protocol/triple"
)

// gopherTriple is dubbo-go over tri where controls are looked up.
var gopherTriple = javaPeer{line: "go", name: gopher.name, tri: true}

// TestDubboGoTriple has dubbo-go at tri://, both ways: the types and calls of its mode without a .proto file, whose wrapper is Java's, and
// protobuf's messages and streams.
func TestDubboGoTriple(t *testing.T) {
	t.Parallel()
	if !wanted(gopher.line) {
		return
	}
	program := buildGopher(t)
	server := zktest.Start(t, zktest.Options{})
	x := &gophers{t: t, program: program, address: server.Addr(), registry: "zookeeper://" + server.Addr()}
	port := freePort(t)
	provider := x.start("provider", "protocol=tri", "application=go-tri", "port="+port)
	controls.Store(gopherTriple.cell(gopherTriple.line), x.triAnswers("go-tri"))
	x.triFromFerry(port)
	provider.stop()

	s := x.serve("ferry-tri", ferry.Param("protocol", "tri"))
	require.NoError(t, fleet.PublishStreams(s))
	cells(t, gopherTriple, toFerry, x.triAnswers("ferry-tri"))
	c := x.start("consumer", "protocol=tri", "application=go-limits")
	require.NoError(t, eventually(who(c, "ferry-tri")))
	cells(t, gopherTriple, toFerry, c.tell("limits"))
	c.stop()
	closeServer(t, s)
	x.triMsgpack()
	x.triDiscovery()
}

// triAnswers are what a consumer of dubbo-go finds over tri, with the provider that is there.
func (x *gophers) triAnswers(want string) []string {
	c := x.start("consumer", "protocol=tri", "application=go-consumer")
	defer c.stop()
	require.NoError(x.t, eventually(who(c, want)))
	// A second reference to a service in one process of dubbo-go finds no provider.
	d := x.start("consumer", "protocol=tri", "application=go-json")
	defer d.stop()
	require.NoError(x.t, eventually(who(d, want)))
	return slices.Concat(c.tell("gopher"), c.tell("anything"), c.tell("calls"), c.tell("proto"), d.tell("json"))
}

// triFromFerry has a provider of dubbo-go.
func (x *gophers) triFromFerry(port string) {
	t := x.t
	c := client(t, x.registry+"?registry-type=interface")
	require.NoError(t, fleet.RegisterGopherTypes(c.Types()))
	ref, err := c.Refer(fleet.GopherService, ferry.Method("sleep", ferry.Timeout(500*time.Millisecond))...)
	require.NoError(t, err)
	g := fleet.NewGopher(ref)
	x.tri = true
	x.echoes(g)
	for _, one := range x.triCalls(c, ref, g, port) {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		judge(t, one.name, gopherTriple, fromFerry, one.run(ctx))
		cancel()
	}
	require.NoError(t, c.Close())
}

func (x *gophers) triCalls(c *ferry.Client, ref *ferry.Reference, g fleet.Gopher, port string) []streamCell {
	direct := client(x.t, "", ferry.Direct("tri://127.0.0.1:"+port))
	protoRef, err := direct.Refer(proto.ProtoApiService)
	require.NoError(x.t, err)
	p := &streamCells{t: x.t, c: direct, proto: proto.NewProtoApi(protoRef), ref: protoRef}
	return append([]streamCell{
		{"calls/no arguments", func(ctx context.Context) error { return equal("go-tri")(g.Who(ctx)) }},
		{"calls/96 KiB both ways", func(ctx context.Context) error { return sameBytes(ctx, g, 96<<10) }},
		{"calls/7 MiB both ways", func(ctx context.Context) error { return sameBytes(ctx, g, 7*mib) }},
		{"calls/request past the limit", func(ctx context.Context) error {
			_, err := g.EchoBytes(ctx, make([]byte, 9*mib))
			return errors.Join(fails(err, protocol.Serialization, "too large"), equal("go-tri")(g.Who(ctx)))
		}},
		{"calls/reply past the limit", func(ctx context.Context) error {
			_, err := g.Make(ctx, 9*mib)
			return errors.Join(fails(err, protocol.Serialization, "too large"), equal("go-tri")(g.Who(ctx)))
		}},
		{"calls/unknown method", func(ctx context.Context) error {
			m := *fleet.GopherService.Methods[0]
			m.Name, m.Index = "nowhere", -1
			err := ref.Invoke(ctx, &protocol.Invocation{Method: &m, Args: &protocol.AnyRow{Value: "x"}})
			return errors.Join(fails(err, protocol.Network, ""), equal("go-tri")(g.Who(ctx)))
		}},
		{"calls/unknown service", func(ctx context.Context) error {
			nowhere, err := direct.Generic("com.ferry.interop.Nowhere")
			if err == nil {
				_, err = nowhere.Call(ctx, "x", nil)
			}
			return fails(err, protocol.Network, "")
		}},
		{"calls/async", func(ctx context.Context) error {
			s, err := ferry.Go(ctx, g.Who).Wait(ctx)
			return want("go-tri", s, err)
		}},
	}, p.gopher()...)
}

// gopher are cells with a provider of dubbo-go.
func (p *streamCells) gopher() []streamCell {
	const code = triple.FailedPrecondition
	failing := wrapperspb.String(fmt.Sprint("code:", int(code)))
	return []streamCell{
		{"protobuf/unary", func(ctx context.Context) error { return p.greet(ctx, "Mia", "hello Mia") }},
		{"protobuf/attachments both ways", p.attachments}, {"protobuf/failure with code and text", p.status},
		{"protobuf/server stream", func(ctx context.Context) error {
			return came(values(p.proto.Count(ctx, wrapperspb.Int32(2))), "n0", "n1")
		}},
		{"protobuf/server stream, failure with code and text", func(ctx context.Context) error {
			return brokenWith(p.proto.Count(ctx, wrapperspb.Int32(-int32(code))), "n0", code)
		}},
		{"protobuf/client stream", func(ctx context.Context) error {
			reply, err := p.proto.Join(ctx, of(wrapperspb.String("a"), wrapperspb.String("中😀"), wrapperspb.String("b")))
			return want("a,中😀,b", reply.GetValue(), err)
		}},
		{"protobuf/client stream, failure with code and text", func(ctx context.Context) error {
			_, err := p.proto.Join(ctx, of(failing))
			return coded(err, code, textOf(code))
		}},
		{"protobuf/bidirectional stream", func(ctx context.Context) error {
			return came(values(p.proto.Talk(ctx, of(wrapperspb.String("a"), wrapperspb.String("b")))), "a", "b")
		}},
		{"protobuf/bidirectional stream, failure with code and text", p.talkFails},
	}
}

// sameBytes sends so many and gets them back.
func sameBytes(ctx context.Context, g fleet.Gopher, n int) error {
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(i * 31)
	}
	got, err := g.EchoBytes(ctx, data)
	return want(data, got, err)
}
