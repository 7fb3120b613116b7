package interop

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/internal/zktest"
	"github.com/ferryrpc/ferry/interop/fleet"
	"github.com/ferryrpc/ferry/protocol"
)

// TestTypes passes every type in both directions, by way of a proxy that records what Java writes.
func TestTypes(t *testing.T) {
	t.Parallel()
	for _, line := range lines {
		if !wanted(line) {
			continue
		}
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			peer := java(t, line)
			frames := newFrames(peer)
			toJava(t, peer, frames)
			fromJava(t, peer, frames)
			require.NoError(t, frames.save())
		})
	}
}

// serve starts a Ferry provider on loopback.
func serve(t *testing.T, registry, who string, options ...ferry.Option) *ferry.Server {
	t.Helper()
	s := ferry.NewServer(registry, append([]ferry.Option{ferry.Param("host", "127.0.0.1"), ferry.Param("application", who)}, options...)...)
	require.NoError(t, fleet.Publish(s, who))
	t.Cleanup(func() { closeServer(t, s) })
	return s
}

func closeServer(t *testing.T, s *ferry.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	require.NoError(t, s.Close(ctx))
}

// client makes a Ferry consumer.
func client(t *testing.T, registry string, options ...ferry.Option) *ferry.Client {
	t.Helper()
	c := ferry.NewClient(registry, append([]ferry.Option{ferry.Param("application", "ferry-consumer"), ferry.Timeout(20 * time.Second), ferry.Retries(0)}, options...)...)
	require.NoError(t, fleet.Register(c.Types()))
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

func fromJava(t *testing.T, peer javaPeer, frames *frames) {
	s := serve(t, "", "ferry")
	p := frames.proxy(t, s.URLs()[0].Address(), "request")
	consumer := peer.start(t, "Consumer", "url=dubbo://"+p, "application=consumer")
	cells(t, peer, toFerry, consumer.tell("types"))
	consumer.stop()
}

func toJava(t *testing.T, peer javaPeer, frames *frames) {
	port := freePort(t)
	provider := peer.start(t, "Provider", "port="+port)
	p := frames.proxy(t, "127.0.0.1:"+port, "response")
	c := client(t, "", ferry.Direct("dubbo://"+p))
	require.NoError(t, fleet.RegisterTypesTypes(c.Types()))
	typeCells(t, c, func(name string, err error) { judge(t, name, peer, fromFerry, err) })
	require.NoError(t, c.Close())
	provider.stop()
}

// typeCells sends every sample to a provider. Samples that are named apart, with their method, have cells of their own.
func typeCells(t *testing.T, c *ferry.Client, judge func(name string, err error), apart ...string) {
	t.Helper()
	ref, err := c.Refer(fleet.TypesService)
	require.NoError(t, err)
	for _, m := range fleet.TypesService.Methods {
		var bad []error
		for _, s := range fleet.Samples() {
			if s.Method != m.Name {
				continue
			}
			err := sampleCall(t.Context(), ref, m, s)
			if name := s.Method + ", " + s.Name; slices.Contains(apart, name) {
				judge("types/"+name, err)
			} else if err != nil {
				bad = append(bad, fmt.Errorf("[%s] %w", s.Name, err))
			}
		}
		judge("types/"+m.Name, errors.Join(bad...))
	}
}

func sampleCall(ctx context.Context, ref *ferry.Reference, m *protocol.Method, s fleet.Sample) error {
	call := m.New()
	*call.Args.At(0).(*string) = s.Name
	fleet.Set(call.Args.At(1), s.Sent())
	err := ref.Invoke(ctx, call)
	return want(s.Value, reflect.ValueOf(call.Reply.At(0)).Elem().Interface(), err)
}

// limitations are cells in which a peer is at fault, as a control shows: the same cell between two of its own programs.
var limitations = map[string]string{
	"33 types/floatField": floatField,
	"go calls calls/past the peer's own limit of 100 KiB": "peer limitation: dubbo-go 3.3.0 takes no message over 100 KiB and hangs up, also between its own programs",
	"go types types/decimal, exponent":                    "peer limitation: the decimals of dubbo-go 3.3.0 have no exponent: 1E+30 becomes 31 digits, also between its own programs",
	"go types calls/group *":                              groupStar, "go types calls/group * and version *": groupStar,
	"go types calls/timeout of the provider's URL":    "peer limitation: the client of dubbo-go 3.3.0 heeds no timeout of a method in a provider's URL, also of its own",
	"go types calls/generic with the name of an enum": "peer limitation: dubbo-go 3.3.0 makes no enum of its name, also in generic calls of its own",
	"go gopher/attachment":                            "peer limitation: the client of dubbo-go 3.3.0 sends none of the attachments of a context over dubbo://; a filter of the program can",
	"27 calls/group * and version *":                  "peer limitation: sends the * itself to a provider without group or version, also to a Java one",
	"33 calls/exception undeclared":                   undeclared,
	"32 calls/exception undeclared":                   undeclared,

	"33 tri types/floatField":               floatField,
	"33 tri calls/exception undeclared":     undeclared,
	"32 tri calls/exception undeclared":     undeclared,
	"33 tri calls/attachments beyond ASCII": headers,
	"32 tri calls/attachments beyond ASCII": headers,
	"32 tri calls/$echo":                    "peer limitation: 3.2.16 has no $echo over tri: its consumer fails with a NullPointerException, also at a Java provider",
}

const (
	groupStar  = "peer limitation: dubbo-go 3.3.0 looks for a group that is called *, also among its own providers"
	floatField = "peer limitation: hessian-lite 4 writes eight bytes into a float field and damages its neighbour"
	undeclared = "peer limitation: STRICT refuses the class of an exception that no method declares, also between Java programs"
	headers    = "peer limitation: Java writes and reads headers in ASCII, also between its own programs"
)

// judge reports a cell, unless it failed where the peer is known to be at fault and fails against itself too.
func judge(t *testing.T, name string, peer javaPeer, direction string, err error) {
	t.Helper()
	why, known := limitations[peer.line+" "+peer.cell(name)]
	if err == nil || !known || !peer.failsItself(t, name) {
		report(t, peer.cell(name), peer.name, direction, err)
		return
	}
	note(peer.cell(name), peer.name, direction, why)
}

var controls sync.Map // peer to the answer of a control

// failsItself runs a cell between the peer's own provider and consumer.
func (p javaPeer) failsItself(t *testing.T, name string) bool {
	t.Helper()
	answer, ok := controls.Load(p.cell(p.line))
	if !ok {
		port := freePort(t)
		offer, ask := []string{"port=" + port}, []string{"url=dubbo://127.0.0.1:" + port}
		if p.tri {
			both := []string{everything, "whole=true", "registry=zookeeper://" + zktest.Start(t, zktest.Options{}).Addr()}
			offer, ask = append(offer, both...), append([]string{"direct=127.0.0.1:" + port}, both...)
		}
		provider := p.start(t, "Provider", append(offer, "application=java-provider")...)
		consumer := p.start(t, "Consumer", append(ask, "application=java-consumer")...)
		answer = append(consumer.tell("types"), consumer.tell("calls")...)
		consumer.stop()
		provider.stop()
		controls.Store(p.cell(p.line), answer)
	}
	return slices.ContainsFunc(answer.([]string), func(line string) bool { return strings.HasPrefix(line, "CELL "+name+" FAIL") })
}
