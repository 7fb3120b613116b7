package interop

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/internal/zktest"
	"github.com/ferryrpc/ferry/interop/fleet"
)

// TestDubboGoRules has rules written by hand steer Ferry's consumers of dubbo-go's providers, and dubbo-go's consumers of Ferry's.
func TestDubboGoRules(t *testing.T) {
	t.Parallel()
	if !wanted(gopher.line) {
		return
	}
	program := buildGopher(t)
	server := zktest.Start(t, zktest.Options{})
	x := &gophers{t: t, program: program, address: server.Addr(), registry: "zookeeper://" + server.Addr()}
	f := &fleetOf{t: t, peer: gopher, zk: server, registry: x.registry}
	// As in no real fleet is the folder of rules away.
	require.NoError(t, f.write("/dubbo", "/dubbo/config", "/dubbo/config/dubbo", "/dubbo/config/dubbo/another.configurators"))
	x.rulesToFerry(f, x.rulesFromFerry(f))
}

// rulesFromFerry has dubbo-go's providers, a consumer of Ferry's, and one of dubbo-go's, whose failures it returns.
func (x *gophers) rulesFromFerry(f *fleetOf) map[string]error {
	const both = "go-a,go-b"
	first, second := freePort(x.t), freePort(x.t)
	a := x.start("provider", "port="+first, "application=go-app", "who=go-a")
	b := x.start("provider", "port="+second, "application=go-app", "who=go-b", "host=127.0.0.2")
	c := client(x.t, x.registry+"?registry-type=interface")
	g, err := fleet.ReferGopher(c)
	require.NoError(x.t, err)
	s := steered{direction: fromFerry, spread: func() string { return spreadOf(g, "") }, tagged: func() string { return spreadOf(g, "gray") },
		first: "127.0.0.1:" + first, second: "127.0.0.2:" + second, app: "go-app", gopher: true}
	for _, r := range byHand(fleet.GopherService.Name, "ferry-consumer", s, "go-a", "go-b") {
		governed(f, r.name, fromFerry, f.obeys(s, r, both, 30*time.Second))
	}
	consumer, gray := x.steeredConsumers()
	s.spread, s.tagged = said(consumer, "spread"), said(gray, "spread")
	control := map[string]error{}
	for _, r := range byHand(fleet.GopherService.Name, "go-consumer", s, "go-a", "go-b") {
		control[r.name] = f.obeys(s, r, both, doubtful)
	}
	consumer.stop()
	gray.stop()
	a.stop()
	b.stop()
	require.NoError(x.t, c.Close())
	return control
}

// rulesToFerry has dubbo-go's consumer follow rules about Ferry's providers.
func (x *gophers) rulesToFerry(f *fleetOf, control map[string]error) {
	export := func(who, host string) *ferry.Server {
		return x.serveAt(x.registry+"?registry-type=interface", who, ferry.Param("application", "ferry-app"), ferry.Param("weight", "100"),
			ferry.Param("host", host), ferry.Param("bind.ip", host))
	}
	one, two := export("ferry-a", "127.0.0.1"), export("ferry-b", "127.0.0.2")
	consumer, gray := x.steeredConsumers()
	s := steered{direction: toFerry, spread: said(consumer, "spread"), tagged: said(gray, "spread"), first: one.URLs()[0].Address(),
		second: two.URLs()[0].Address(), app: "ferry-app", gopher: true}
	f.rulesOfOthers(byHand(fleet.GopherService.Name, "go-consumer", s, "ferry-a", "ferry-b"), s, "ferry-a,ferry-b", control)
	consumer.stop()
	gray.stop()
	closeServer(x.t, one)
	closeServer(x.t, two)
}

// steeredConsumers are two that follow rules. The second one's calls are tagged gray, which is for dubbo-go a matter of the whole reference.
func (x *gophers) steeredConsumers() (plain, gray *program) {
	return x.start("consumer", "application=go-consumer", "rules=true"), x.start("consumer", "application=go-consumer", "rules=true", "tag=gray")
}
