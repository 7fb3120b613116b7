package interop

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/internal/zktest"
	"github.com/ferryrpc/ferry/interop/fleet"
	"github.com/ferryrpc/ferry/protocol"
)

// gopher is dubbo-go as a peer; its version stands in interop/dubbogo/go.mod.
var gopher = javaPeer{line: "go", name: "dubbo-go 3.3.0"}

// TestDubboGo runs types, calls and discovery against dubbo-go, both ways.
func TestDubboGo(t *testing.T) {
	t.Parallel()
	if !wanted(gopher.line) {
		return
	}
	program := filepath.Join(t.TempDir(), "dubbogo")
	build := exec.Command("go", "build", "-o", program, ".")
	build.Dir = "dubbogo"
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	zk := zktest.Start(t, zktest.Options{})
	x := &gophers{t: t, program: program, address: zk.Addr(), registry: "zookeeper://" + zk.Addr()}
	x.fromFerry()
	x.toFerry()
	x.applications()
}

// gophers is Ferry and dubbo-go around one ZooKeeper.
type gophers struct {
	t                          *testing.T
	program, address, registry string
}

func (x *gophers) start(role string, words ...string) *program {
	x.t.Helper()
	return launch(x.t, x.t.TempDir(), x.program, append([]string{role, "registry=" + x.address}, words...))
}

func (x *gophers) provider(name string, words ...string) *program {
	x.t.Helper()
	return x.start("provider", append(words, "port="+freePort(x.t), "application="+name)...)
}

func (x *gophers) serve(who string) *ferry.Server { return x.serveAt(x.registry, who) }

func (x *gophers) serveAt(registry, who string) *ferry.Server {
	x.t.Helper()
	s := ferry.NewServer(registry, ferry.Param("host", "127.0.0.1"), ferry.Param("application", who))
	require.NoError(x.t, fleet.PublishGopher(s, who))
	x.t.Cleanup(func() { closeServer(x.t, s) })
	return s
}

// fromFerry has dubbo-go as the provider. Ferry comes first.
func (x *gophers) fromFerry() {
	t := x.t
	c := client(t, x.registry)
	g, err := fleet.ReferGopher(c, slices.Concat([]ferry.Option{ferry.Check(false)}, ferry.Method("sleep", ferry.Timeout(500*time.Millisecond)))...)
	require.NoError(t, err)
	a := x.provider("go-a")
	whom := func(want string) func() error {
		return func() error { got, err := g.Who(t.Context()); return equal(want)(got, err) }
	}
	report(t, "discovery/consumer first", gopher.name, fromFerry, eventually(whom("go-a")))
	late, err := fleet.ReferGopher(client(t, x.registry))
	require.NoError(t, err)
	got, err := late.Who(t.Context())
	report(t, "discovery/provider first", gopher.name, fromFerry, equal("go-a")(got, err))
	x.echoes(g)

	l := loop(g)
	b := x.provider("go-b")
	require.NoError(t, eventually(l.reached("go-b")))
	a.stop()
	err = eventually(l.only("go-b"))
	report(t, "discovery/rolling restart, no call fails", gopher.name, fromFerry, errors.Join(err, l.end()))
	require.NoError(t, c.Close())
	control := x.start("consumer", "application=go-control")
	controls.Store(gopher.line, control.tell("gopher"))
	control.stop()
	b.stop()
}

// equal holds a reply to what it should be.
func equal[T any](what T) func(T, error) error {
	return func(got T, err error) error { return want(what, got, err) }
}

func (x *gophers) echoes(g fleet.Gopher) {
	ctx, cancel := context.WithTimeout(x.t.Context(), time.Minute)
	defer cancel()
	cell := func(name string, err error) { report(x.t, "gopher/"+name, gopher.name, fromFerry, err) }
	cell("echoBool", equal(true)(g.EchoBool(ctx, true)))
	cell("echoInt", equal(int32(-70000))(g.EchoInt(ctx, -70000)))
	cell("echoLong", equal(int64(1)<<40)(g.EchoLong(ctx, 1<<40)))
	cell("echoDouble", equal(1.0/3)(g.EchoDouble(ctx, 1.0/3)))
	cell("echoString", equal("Hello 中😀")(g.EchoString(ctx, "Hello 中😀")))
	cell("echoBytes", equal([]byte{1, 2, 255})(g.EchoBytes(ctx, []byte{1, 2, 255})))
	cell("echoStrings", equal([]string{"a", "", "中"})(g.EchoStrings(ctx, []string{"a", "", "中"})))
	pairs := map[string]string{"a": "1", "b": "2"}
	cell("echoMap", equal(pairs)(g.EchoMap(ctx, pairs)))
	born := time.UnixMilli(1700000000123)
	ann := &fleet.Citizen{Name: "Ann", Age: 30, Born: born, Tags: []string{"x", "y"}, Friends: []*fleet.Citizen{{Name: "Bob", Born: born}}}
	cell("echoCitizen", equal(ann)(g.EchoCitizen(ctx, ann)))
	cell("echoCitizens", equal([]*fleet.Citizen{ann, ann})(g.EchoCitizens(ctx, []*fleet.Citizen{ann, ann}, 2)))
	cell("echoDate", equal(born)(g.EchoDate(ctx, born)))
	_, err := g.Fail(ctx, "what went wrong")
	cell("fail", fails(err, protocol.Application, "what went wrong"))
	cell("attachment", equal("blau")(g.Attachment(ferry.WithAttachment(ctx, "colour", "blau"), "colour")))
	_, err = g.Sleep(ctx, 3000)
	cell("timeout", fails(err, protocol.Timeout, "500ms"))
}

// toFerry has dubbo-go as the consumer, once before Ferry and once after it.
func (x *gophers) toFerry() {
	t := x.t
	early := x.start("consumer", "application=go-early")
	a := x.serve("ferry-a")
	report(t, "discovery/consumer first", gopher.name, toFerry, eventually(who(early, "ferry-a")))
	early.stop()

	c := x.start("consumer", "application=go-late")
	report(t, "discovery/provider first", gopher.name, toFerry, eventually(who(c, "ferry-a")))
	cells(t, gopher, toFerry, c.tell("gopher"))
	c.tell("loop")
	c.tell("await ferry-a")
	b := x.serve("ferry-b")
	c.tell("await ferry-b")
	closeServer(t, a)
	time.Sleep(time.Second)
	report(t, "discovery/rolling restart, no call fails", gopher.name, toFerry, looped(c.tell("stop"), "ferry-a", "ferry-b"))
	c.stop()
	closeServer(t, b)
}

// applications has providers that stand under no interface, in a registry of their own.
func (x *gophers) applications() {
	t := x.t
	zk := zktest.Start(t, zktest.Options{})
	x = &gophers{t: t, program: x.program, address: zk.Addr(), registry: "zookeeper://" + zk.Addr()}
	only := x.registry + "?registry-type=service"
	one := x.serveAt(only, "ferry-a")
	consumer := x.start("consumer", "application=go-application", "by=application")
	report(t, "discovery/by application, instances alone", gopher.name, toFerry, eventually(who(consumer, "ferry-a")))
	consumer.tell("loop")
	consumer.tell("await ferry-a")
	two := x.serveAt(only, "ferry-b")
	consumer.tell("await ferry-b")
	answer := consumer.tell("stop")
	report(t, "discovery/by application, a second application", gopher.name, toFerry, looped(answer, "ferry-a", "ferry-b"))
	consumer.stop()
	closeServer(t, one)
	closeServer(t, two)
	x.instances()
}

// instances has dubbo-go as the provider.
func (x *gophers) instances() {
	t := x.t
	a := x.provider("go-a", "by=application")
	c := client(t, x.registry)
	g, err := fleet.ReferGopher(c, ferry.Check(false))
	require.NoError(t, err)
	report(t, "discovery/by application, instances alone, metadata remote", gopher.name, fromFerry, eventually(func() error {
		got, err := g.Who(t.Context())
		return equal("go-a")(got, err)
	}))
	l := loop(g)
	b := x.provider("go-b", "by=application")
	require.NoError(t, eventually(l.reached("go-b")))
	report(t, "discovery/by application, a second application", gopher.name, fromFerry, l.end())
	require.NoError(t, c.Close())
	a.stop()
	b.stop()
}
