package interop

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
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
	program := buildGopher(t)
	zk := zktest.Start(t, zktest.Options{})
	x := &gophers{t: t, program: program, address: zk.Addr(), registry: "zookeeper://" + zk.Addr()}
	x.fromFerry()
	x.toFerry()
	x.applications()
}

// buildGopher builds dubbo-go's program.
func buildGopher(t *testing.T) (program string) {
	t.Helper()
	program = filepath.Join(t.TempDir(), "dubbogo")
	build := exec.Command("go", "build", "-o", program, ".")
	build.Dir = "dubbogo"
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return program
}

// gophers is Ferry and dubbo-go around one ZooKeeper.
type gophers struct {
	t                          *testing.T
	program, address, registry string
	tri                        bool // the provider is at tri://
}

func (x *gophers) start(role string, words ...string) *program {
	x.t.Helper()
	return launch(x.t, x.t.TempDir(), x.program, append([]string{role, "registry=" + x.address}, words...))
}

func (x *gophers) provider(name string, words ...string) *program {
	x.t.Helper()
	return x.start("provider", append(words, "port="+freePort(x.t), "application="+name)...)
}

func (x *gophers) listed(category, application string) error {
	return listed(x.address, fleet.GopherService.Name, category, application)
}

func (x *gophers) serve(who string, options ...ferry.Option) *ferry.Server {
	return x.serveAt(x.registry, who, options...)
}

func (x *gophers) serveAt(registry, who string, options ...ferry.Option) *ferry.Server {
	x.t.Helper()
	s := ferry.NewServer(registry, append([]ferry.Option{ferry.Param("host", "127.0.0.1"), ferry.Param("application", who)}, options...)...)
	require.NoError(x.t, fleet.PublishGopher(s, who))
	x.t.Cleanup(func() { closeServer(x.t, s) })
	return s
}

// fromFerry has dubbo-go as the provider. Ferry comes first.
func (x *gophers) fromFerry() {
	t := x.t
	c := client(t, x.registry)
	require.NoError(t, fleet.RegisterGopherTypes(c.Types()))
	g, err := fleet.ReferGopher(c, slices.Concat([]ferry.Option{ferry.Check(false)}, ferry.Method("sleep", ferry.Timeout(500*time.Millisecond)))...)
	require.NoError(t, err)
	a := x.provider("go-a")
	whom := func(want string) func() error {
		return func() error { got, err := g.Who(t.Context()); return equal(want)(got, err) }
	}
	report(t, "discovery/consumer first", gopher.name, fromFerry, eventually(whom("go-a")))
	report(t, "discovery/consumer is listed", gopher.name, fromFerry, x.listed("consumers", "ferry-consumer"))
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
	controls.Store(gopher.line, slices.Concat(control.tell("gopher"), control.tell("anything")))
	control.stop()
	x.formats()
	b.stop()
}

// hessianAlone is a limitation that the bytes of the peer's own programs prove.
const hessianAlone = "peer limitation: dubbo-go 3.3.0 has hessian2 alone on dubbo://: its consumer writes hessian2 whatever it is told, also between its own programs, and its provider hangs up on others"

// formats asks dubbo-go for the other formats that its documentation knows. A provider of dubbo-go is up.
func (x *gophers) formats() {
	t := x.t
	for _, format := range []string{"protobuf", "msgpack"} {
		s := x.serve("ferry-"+format, ferry.Param("serialization", format))
		consumer := x.start("consumer", "application=go-"+format, "serialization="+format)
		// Only the refusal of what has nothing but this format names the one that was sent.
		err := eventually(func() error {
			if answer := strings.Join(consumer.tell("who"), " "); !strings.Contains(answer, "serialization 2 is not accepted here") {
				return errors.New(answer)
			}
			return nil
		})
		require.NoError(t, err)
		closeServer(t, s)
		// Its own provider, which takes the same, is content.
		require.NoError(t, eventually(who(consumer, "go-b")))
		note("serialization/"+format, gopher.name, toFerry, hessianAlone)
		consumer.stop()

		c := client(t, x.registry, ferry.Param("serialization", format), ferry.Timeout(2*time.Second))
		g, err := fleet.ReferGopher(c)
		require.NoError(t, err)
		_, err = g.Who(t.Context())
		x.limited("serialization/"+format, fromFerry, err)
		require.NoError(t, c.Close())
	}
}

// limited reports a cell of a format: dubbo-go's failure in it is known.
func (x *gophers) limited(name, direction string, err error) {
	if err != nil {
		x.t.Logf("%s, %s: %v", name, direction, err)
		note(name, gopher.name, direction, hessianAlone)
		return
	}
	report(x.t, name, gopher.name, direction, nil)
}

// equal holds a reply to what it should be.
func equal[T any](what T) func(T, error) error {
	return func(got T, err error) error { return want(what, got, err) }
}

func (x *gophers) echoes(g fleet.Gopher) {
	ctx, cancel := context.WithTimeout(x.t.Context(), time.Minute)
	defer cancel()
	cell := func(name string, err error) {
		if x.tri {
			judge(x.t, "gopher/"+name, gopherTriple, fromFerry, err)
			return
		}
		report(x.t, "gopher/"+name, gopher.name, fromFerry, err)
	}
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
	for name, v := range fleet.Anything() {
		got, err := g.EchoAny(ctx, v, 1)
		cell("any "+name, want(v, got, err))
	}
	cell("group and version", x.grouped(ctx))
	_, err := g.Fail(ctx, "what went wrong")
	cell("fail", fails(err, protocol.Application, "what went wrong"))
	cell("attachment", equal("blau")(g.Attachment(ferry.WithAttachment(ctx, "colour", "blau"), "colour")))
	_, err = g.Sleep(ctx, 3000)
	cell("timeout", fails(err, protocol.Timeout, "500ms"))
}

// grouped asks the provider of a group and version.
func (x *gophers) grouped(ctx context.Context) error {
	c := client(x.t, x.registry)
	defer c.Close()
	g, err := fleet.ReferGopher(c, ferry.Param("group", "g1"), ferry.Param("version", "1.0.0"))
	if err != nil {
		return err
	}
	who, err := g.Who(ctx)
	if x.tri {
		return want("go-tri/g1", who, err)
	}
	return want("go-a/g1", who, err)
}

// toFerry has dubbo-go as the consumer, once before Ferry and once after it.
func (x *gophers) toFerry() {
	t := x.t
	early := x.start("consumer", "application=go-early")
	a := x.serve("ferry-a")
	report(t, "discovery/consumer first", gopher.name, toFerry, eventually(who(early, "ferry-a")))
	report(t, "discovery/consumer is listed", gopher.name, toFerry, x.listed("consumers", "go-early"))
	early.stop()

	c := x.start("consumer", "application=go-late")
	report(t, "discovery/provider first", gopher.name, toFerry, eventually(who(c, "ferry-a")))
	cells(t, gopher, toFerry, c.tell("gopher"))
	cells(t, gopher, toFerry, c.tell("anything"))
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

// watched says whether so many watch an instance; Ferry's providers watch theirs themselves. ZooKeeper does not tell who watches a
// list; dubbo-go begins with the list and goes on with what stands in it.
func (x *gophers) watched(instance string, n int) func() error {
	return func() error {
		const watcher = "\n\t0x"
		watches, err := zktest.FourLetter(x.address, "wchp")
		_, after, _ := strings.Cut(watches, "/"+instance)
		if after, _, _ = strings.Cut(after, "\n/"); err == nil && strings.Count(after, watcher) < n {
			err = fmt.Errorf("fewer than %d watch %s: %q", n, instance, watches)
		}
		return err
	}
}

// applications has providers that stand under no interface, in a registry of their own.
func (x *gophers) applications() {
	t := x.t
	zk := zktest.Start(t, zktest.Options{})
	x = &gophers{t: t, program: x.program, address: zk.Addr(), registry: "zookeeper://" + zk.Addr()}
	only := x.registry + "?registry-type=service"
	// The instances have one port, or else the application would have two revisions, of which dubbo-go knows one at random.
	port := freePort(t)
	at := func(host string) []ferry.Option {
		return []ferry.Option{ferry.Param("application", "ferry-app"), ferry.Param("port", port), ferry.Param("host", host), ferry.Param("bind.ip", host)}
	}
	one := x.serveAt(only, "ferry-a", at("127.0.0.2")...)
	consumer := x.start("consumer", "application=go-application", "by=application")
	report(t, "discovery/by application, instances alone", gopher.name, toFerry, eventually(who(consumer, "ferry-a")))
	consumer.tell("loop")
	consumer.tell("await ferry-a")
	// dubbo-go lists the instances first and begins to watch them some time after: one that comes in between is not seen for
	// as long as it looks again of itself, which is minutes.
	require.NoError(t, eventually(x.watched("services/ferry-app/"+one.URLs()[0].Address(), 2)))
	two := x.serveAt(only, "ferry-b", at("127.0.0.3")...)
	consumer.tell("await ferry-b")
	report(t, "discovery/by application, a second instance", gopher.name, toFerry, looped(consumer.tell("stop"), "ferry-a", "ferry-b"))
	consumer.stop()
	closeServer(t, one)
	closeServer(t, two)
	x.instances()
}

// instances has dubbo-go as the provider.
func (x *gophers) instances() {
	t := x.t
	a := x.provider("go-app", "who=go-a", "by=application")
	c := client(t, x.registry)
	g, err := fleet.ReferGopher(c, ferry.Check(false))
	require.NoError(t, err)
	report(t, "discovery/by application, instances alone, metadata remote", gopher.name, fromFerry, eventually(func() error {
		got, err := g.Who(t.Context())
		return equal("go-a")(got, err)
	}))
	l := loop(g)
	other := x.provider("go-other", "by=application")
	require.NoError(t, eventually(l.reached("go-other")))
	report(t, "discovery/by application, a second application", gopher.name, fromFerry, l.end())
	l = loop(g)
	b := x.provider("go-app", "who=go-b", "by=application")
	err = eventually(l.reached("go-b"))
	report(t, "discovery/by application, a second instance", gopher.name, fromFerry, errors.Join(err, l.end()))
	require.NoError(t, c.Close())
	for _, p := range []*program{a, b, other} {
		p.stop()
	}
}
