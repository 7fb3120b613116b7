package interop

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/internal/zktest"
	"github.com/ferryrpc/ferry/interop/fleet"
	"github.com/ferryrpc/ferry/protocol"
)

// gopherTypes is dubbo-go where it has the services of the Java programs. Its limit for messages is that of Java.
var gopherTypes = javaPeer{line: "go types", name: gopher.name}

// TestDubboGoTypes passes Java's types and makes Java's calls with dubbo-go, both ways.
func TestDubboGoTypes(t *testing.T) {
	t.Parallel()
	if !wanted(gopher.line) {
		return
	}
	program := buildGopher(t)
	server := zktest.Start(t, zktest.Options{})
	x := &gophers{t: t, program: program, address: server.Addr(), registry: "zookeeper://" + server.Addr()}
	port := freePort(t)
	provider := x.start("provider", "application=go-app", "port="+port, "calls=true", "limit=8388608")
	controls.Store(gopherTypes.line, x.javaAnswers("127.0.0.1:"+port))
	x.typesOf()
	x.javaCalls("dubbo://127.0.0.1:" + port)
	provider.stop()

	s := serve(t, x.registry, "ferry")
	cells(t, gopherTypes, toFerry, x.javaAnswers(s.URLs()[0].Address()))
	closeServer(t, s)
}

// javaAnswers are what dubbo-go's consumers find, with the provider that is there, at an address. They may send more than it
// takes.
func (x *gophers) javaAnswers(address string) []string {
	var all []string
	for _, c := range []struct{ service, command, generic string }{{fleet.TypesService.Name, "types", ""}, {fleet.CallsService.Name, "callcells", ""},
		{fleet.CallsService.Name, "genericcells", "true"}} {
		p := x.start("consumer", "application=go-"+c.command, "service="+c.service, "generic="+c.generic, "direct="+address, "limit=16777216")
		all = slices.Concat(all, p.tell(c.command))
		p.stop()
	}
	return all
}

// typesOf has a provider of dubbo-go.
func (x *gophers) typesOf() {
	c := client(x.t, x.registry)
	require.NoError(x.t, fleet.RegisterTypesTypes(c.Types()))
	typeCells(x.t, c, func(name string, err error) { judge(x.t, name, gopherTypes, fromFerry, err) }, "decimal, exponent")
	require.NoError(x.t, c.Close())
}

// javaCalls has a provider of dubbo-go at an address.
func (x *gophers) javaCalls(address string) {
	t := x.t
	c := client(t, x.registry)
	y := &callCells{c: c, address: address}
	var err error
	y.ref, err = c.Refer(fleet.CallsService, ferry.Method("sleep", ferry.Timeout(time.Second))...)
	require.NoError(t, err)
	require.NoError(t, fleet.RegisterCallsTypes(c.Types()))
	y.calls = fleet.NewCalls(y.ref)
	y.generic, err = c.Generic(fleet.CallsService.Name)
	require.NoError(t, err)
	for _, one := range []struct {
		name string
		run  func(context.Context) error
	}{
		{"no arguments", y.calls.Nothing}, {"one way", y.oneWay}, {"attachments both ways", y.attachments},
		{"group and version", y.groups}, {"group *", y.anyGroup}, {"group * and version *", y.anything}, {"objects in lists", y.family},
		{"7 MiB both ways", y.big}, {"request past the limit", y.tooBig},
		{"exception checked", y.checked}, {"exception runtime", y.failure("runtime", "java.lang.IllegalStateException", "runtime message")},
		{"exception custom", y.custom}, {"exception undeclared", y.failure("undeclared", "com.ferry.interop.UndeclaredException", "undeclared message")},
		{"exception with cause", y.failure("cause", "java.lang.IllegalArgumentException", "outer")},
		{"exception without message", y.failure("empty", "java.lang.IllegalStateException", "")},
		{"timeout of the consumer", y.timeout}, {"timeout of the provider's URL", y.published},
		{"generic with maps for objects", y.genericMap}, {"generic with the name of an enum", y.genericMaps}, {"generic exception", y.genericFailure},
		{"request past the peer's limit", y.tooBigThere}, {"reply past the limit", y.silent},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		judge(t, "calls/"+one.name, gopherTypes, fromFerry, one.run(ctx))
		cancel()
	}
	require.NoError(t, c.Close())
}

// genericMap is an object without an enum.
func (x *callCells) genericMap(ctx context.Context) error {
	p := map[string]any{"class": "com.ferry.interop.Person", "name": "Mia", "age": int32(30)}
	older, err := x.generic.Call(ctx, "older", []string{"com.ferry.interop.Person", "int"}, p, int32(2))
	m, _ := older.(map[any]any)
	return errors.Join(want("com.ferry.interop.Person", m["class"], err), want("Mia", m["name"], err), want(int32(32), m["age"], err))
}

// tooBigThere sends what this side would take and the other does not, which ends the connection.
func (x *callCells) tooBigThere(ctx context.Context) error {
	calls, err := fleet.ReferCalls(x.c, ferry.Param("payload", "16777216"))
	if err != nil {
		return err
	}
	start := time.Now()
	_, err = calls.Big(ctx, make([]byte, 9*mib))
	if took := time.Since(start); err == nil || protocol.CodeOf(err) != protocol.Network || took > 10*time.Second {
		return fmt.Errorf("wrong failure after %v: %w", took, err)
	}
	return eventually(func() error { return calls.Nothing(ctx) })
}

// silent asks for a reply that the provider may not send, and of which it says nothing.
func (x *callCells) silent(ctx context.Context) error {
	const patience = 3 * time.Second
	short, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if _, err := x.calls.Make(short, 9*mib); protocol.CodeOf(err) != protocol.Timeout {
		return fmt.Errorf("wrong failure: %w", err)
	}
	return x.calls.Nothing(ctx)
}
