package interop

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
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

const (
	ownTag    = "tag that a provider gives itself"
	taggedAll = "peer limitation: dubbo-go 3.3.0 merges the tag of its reference into every provider that has none and calls all, also its own; calls without a tag go right"
)

// rulesFromFerry has dubbo-go's providers, a consumer of Ferry's, and one of dubbo-go's that meets the rules that it is known to
// ignore, which it returns.
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
	third := x.start("provider", "port="+freePort(x.t), "application=go-app", "who=go-c", "tag=gray")
	governed(f, ownTag, fromFerry, errors.Join(leads(s.tagged, "go-c", 30*time.Second), leads(s.spread, both, 30*time.Second)))
	consumer, gray := x.steeredConsumers()
	s.spread, s.tagged = said(consumer, "spread"), said(gray, "spread")
	tagged := leads(s.tagged, "go-c", doubtful)
	third.stop()
	control := f.control(byHand(fleet.GopherService.Name, "go-consumer", s, "go-a", "go-b"), s, both)
	control[ownTag] = tagged
	for _, p := range []*program{consumer, gray, a, b} {
		p.stop()
	}
	require.NoError(x.t, c.Close())
	return control
}

// rulesToFerry has dubbo-go's consumer follow rules about Ferry's providers.
func (x *gophers) rulesToFerry(f *fleetOf, control map[string]error) {
	const both = "ferry-a,ferry-b"
	export := func(who, host string, options ...ferry.Option) *ferry.Server {
		return x.serveAt(x.registry+"?registry-type=interface", who, append(options, ferry.Param("application", "ferry-app"), ferry.Param("weight", "100"),
			ferry.Param("host", host), ferry.Param("bind.ip", host))...)
	}
	one, two := export("ferry-a", "127.0.0.1"), export("ferry-b", "127.0.0.2")
	consumer, gray := x.steeredConsumers()
	s := steered{direction: toFerry, spread: said(consumer, "spread"), tagged: said(gray, "spread"), first: one.URLs()[0].Address(),
		second: two.URLs()[0].Address(), app: "ferry-app", gopher: true}
	f.rulesOfOthers(byHand(fleet.GopherService.Name, "go-consumer", s, "ferry-a", "ferry-b"), s, both, control)
	third := export("ferry-c", "127.0.0.1", ferry.Param("dubbo.tag", "gray"))
	err := leads(s.spread, both, 30*time.Second)
	tagged := leads(s.tagged, "ferry-c", doubtful)
	if err == nil && errors.Is(tagged, errIgnored) && errors.Is(control[ownTag], errIgnored) {
		x.t.Logf("%v; between dubbo-go's own programs: %v", tagged, control[ownTag])
		note("governance/"+ownTag, gopher.name, toFerry, taggedAll)
	} else {
		governed(f, ownTag, toFerry, errors.Join(err, tagged))
	}
	consumer.stop()
	gray.stop()
	for _, s := range []*ferry.Server{one, two, third} {
		closeServer(x.t, s)
	}
}

// TestDubboGoHash compares the picks of Ferry's and dubbo-go's consumers for the same keys among the same providers.
func TestDubboGoHash(t *testing.T) {
	t.Parallel()
	if !wanted(gopher.line) {
		return
	}
	const keys = 100
	program := buildGopher(t)
	for direction, providers := range map[string]kind{fromFerry: gopherKind{}, toFerry: ferryKind{}} {
		t.Run(direction, func(t *testing.T) {
			s := &stage{t: t, program: program, zk: zktest.Start(t, zktest.Options{}), port: freePort(t)}
			names := []string{"a", "b", "c"}
			for i, host := range []string{one, two, "127.0.0.4"} {
				s.start(providers, names[i], host)
			}
			c := client(t, ferryKind{}.registry(s))
			g, err := fleet.ReferGopher(c, ferry.Param("loadbalance", "consistenthash"))
			require.NoError(t, err)
			theirs := gopherKind{}.start(s, "consumer", "application=go-consumer", "balance=consistenthashing")
			report(t, "governance/consistent hash picks alike", gopher.name, direction, eventually(func() error {
				var picks []string
				for i := range keys {
					who, err := g.WhoFor(context.Background(), fmt.Sprint("key-", i))
					if err != nil {
						return err
					}
					picks = append(picks, who)
				}
				for _, name := range names {
					if !slices.Contains(picks, name) {
						return fmt.Errorf("%s gets no call", name)
					}
				}
				return equal("PICKS "+strings.Join(picks, ","))(strings.Join(theirs.tell(fmt.Sprint("picks ", keys)), " "), nil)
			}))
			theirs.stop()
			require.NoError(t, c.Close())
		})
	}
}

// steeredConsumers are two that follow rules. The second one's calls are tagged gray, which is for dubbo-go a matter of the whole reference.
func (x *gophers) steeredConsumers() (plain, gray *program) {
	return x.start("consumer", "application=go-consumer", "rules=true"), x.start("consumer", "application=go-consumer", "rules=true", "tag=gray")
}
