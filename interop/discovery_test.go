package interop

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/internal/zktest"
	"github.com/ferryrpc/ferry/interop/fleet"
)

// TestDiscovery lets consumers and providers of both kinds find each other through ZooKeeper by interface, whoever comes
// first, and restarts either side while calls run.
func TestDiscovery(t *testing.T) {
	t.Parallel()
	for _, line := range lines {
		if !wanted(line) {
			continue
		}
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			x := &fleetOf{t: t, peer: java(t, line), zk: zktest.Start(t, zktest.Options{})}
			x.registry = "zookeeper://" + x.zk.Addr()
			x.javaProviders()
			x.killed()
			x.ferryProviders()
			x.killedFerry()
			x.readOnly()
		})
	}
}

// fleetOf is Ferry and one peer around one ZooKeeper.
type fleetOf struct {
	t        *testing.T
	peer     javaPeer
	zk       *zktest.Server
	registry string
}

func (x *fleetOf) provider(name string, words ...string) *program {
	x.t.Helper()
	return x.peer.start(x.t, "Provider", append(words, "port="+freePort(x.t), "registry="+x.registry, "application="+name)...)
}

func (x *fleetOf) report(name, direction string, err error) {
	x.t.Helper()
	report(x.t, x.peer.cell("discovery/"+name), x.peer.name, direction, err)
}

// eventually runs check until it is content. The limit is what a Java client of ZooKeeper may take that has reached a server
// just as it started: a server that is not ready yet never answers such a client's first word, and the client waits for two
// thirds of its session's 60 s before it tries again.
func eventually(check func() error) error {
	const limit, pause = 90 * time.Second, 50 * time.Millisecond
	var err error
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(pause) {
		if err = check(); err == nil {
			return nil
		}
	}
	return err
}

// javaProviders has Ferry as the consumer.
func (x *fleetOf) javaProviders() {
	// Ferry first: a reference without a provider, which comes later.
	c := x.consumer()
	calls, err := fleet.ReferCalls(c, ferry.Check(false))
	require.NoError(x.t, err)
	_, err = calls.Who(x.t.Context())
	require.Error(x.t, err, "there is no provider yet")
	a := x.provider("java-a")
	x.report("consumer first", fromFerry, eventually(x.answers(calls, "java-a")))
	x.report("consumer is listed", fromFerry, x.listed("consumers", "ferry-consumer"))

	// Java first.
	late := client(x.t, x.registry)
	again, err := fleet.ReferCalls(late)
	require.NoError(x.t, err)
	x.report("provider first", fromFerry, x.answers(again, "java-a")())
	require.NoError(x.t, late.Close())

	// A rolling restart: the new one is up before the old one goes.
	l := loop(calls)
	require.NoError(x.t, eventually(l.reached("java-a")))
	b := x.provider("java-b")
	require.NoError(x.t, eventually(l.reached("java-b")))
	a.stop()
	x.left("provider leaves, no call fails", l, eventually(l.only("java-b")))
	a = x.provider("java-a2")
	require.NoError(x.t, eventually(l.reached("java-a2")))
	b.stop()
	x.left("rolling restart, no call fails", l, eventually(l.only("java-a2")))

	// ZooKeeper goes and comes back.
	x.zk.Stop(x.t)
	require.NoError(x.t, l.end())
	err = x.answers(calls, "java-a2")()
	x.zk.Start(x.t, true)
	if err == nil {
		err = eventually(func() error { return x.listed("providers", "java-a2") })
	}
	b = x.provider("java-b2")
	if err == nil {
		err = eventually(x.answers(calls, "java-b2"))
	}
	x.report("ZooKeeper restarted", fromFerry, err)
	a.stop()
	b.stop()
	require.NoError(x.t, c.Close())
}

// answers says whether that provider answers one of a few calls.
func (x *fleetOf) answers(calls fleet.Calls, who string) func() error {
	return func() error {
		seen := map[string]bool{}
		for range 30 {
			got, err := calls.Who(x.t.Context())
			if err != nil {
				return err
			}
			seen[got] = true
		}
		if !seen[who] {
			return fmt.Errorf("%s does not answer, but %v", who, slices.Collect(maps.Keys(seen)))
		}
		return nil
	}
}

// listed says whether the registry has an entry of an application for Calls.
func (x *fleetOf) listed(category, application string) error {
	return listed(x.zk.Addr(), fleet.CallsService.Name, category, application)
}

// listed says whether a registry has an entry of an application for a service.
func listed(address, service, category, application string) error {
	conn, _, err := zk.Connect([]string{address}, 10*time.Second, zk.WithLogger(quiet{}))
	if err != nil {
		return err
	}
	defer conn.Close()
	names, _, err := conn.Children("/dubbo/" + service + "/" + category)
	if err != nil {
		return err
	}
	for _, n := range names {
		if text, err := url.QueryUnescape(n); err == nil && strings.Contains(text, "application="+application+"&") {
			return nil
		}
	}
	return fmt.Errorf("%s is not among the %s: %q", application, category, names)
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}

// consumer repeats no call; at tri:// it repeats what is known not to have run, as it is by default: a Java provider that ends
// answers unimplemented while the registry's news is on its way. (Retries that are set would repeat more.)
func (x *fleetOf) consumer() *ferry.Client {
	if !x.peer.tri {
		return client(x.t, x.registry)
	}
	c := ferry.NewClient(x.registry, ferry.Param("application", "ferry-consumer"), ferry.Timeout(20*time.Second))
	require.NoError(x.t, fleet.Register(c.Types()))
	x.t.Cleanup(func() { require.NoError(x.t, c.Close()) })
	return c
}

// serve is a provider of Ferry's with the peer's protocol.
func (x *fleetOf) serve(who string) *ferry.Server {
	return serve(x.t, x.registry, who, ferry.Param("protocol", x.peer.scheme()))
}

// ferryProviders has Java as the consumer.
func (x *fleetOf) ferryProviders() {
	// Java first.
	consumer := x.peer.start(x.t, "Consumer", "registry="+x.registry, "application=java-consumer")
	require.NotContains(x.t, strings.Join(consumer.tell("who"), ""), "WHO")
	a := x.serve("ferry-a")
	x.report("consumer first", toFerry, eventually(who(consumer, "ferry-a")))
	x.report("consumer is listed", toFerry, x.listed("consumers", "java-consumer"))

	// Ferry first.
	late := x.peer.start(x.t, "Consumer", "registry="+x.registry, "application=java-late")
	x.report("provider first", toFerry, who(late, "ferry-a")())
	late.stop()

	// A Dubbo 3 consumer learns of a change up to ten seconds late, so the old provider stays until the new one is known.
	consumer.tell("loop")
	b := x.serve("ferry-b")
	consumer.tell("await ferry-b")
	closeServer(x.t, a)
	a = x.serve("ferry-a2")
	consumer.tell("await ferry-a2")
	closeServer(x.t, b)
	time.Sleep(time.Second)
	x.restarted("rolling restart, no call fails", consumer.tell("stop"), "ferry-a", "ferry-b", "ferry-a2")

	x.zk.Stop(x.t)
	err := who(consumer, "ferry-a2")()
	x.zk.Start(x.t, true)
	if err == nil {
		err = eventually(func() error { return x.listed("providers", "ferry-a2") })
	}
	b = x.serve("ferry-b2")
	if err == nil {
		err = eventually(who(consumer, "ferry-b2"))
	}
	closeServer(x.t, a)
	x.report("ZooKeeper restarted", toFerry, err)
	consumer.stop()
	closeServer(x.t, b)
}

// who says whether a consumer program gets its answer from that provider.
func who(p *program, name string) func() error {
	return func() error {
		answer := p.tell("who")
		if !slices.Contains(answer, "WHO "+name) {
			return fmt.Errorf("the answer is %q", answer)
		}
		return nil
	}
}

// readOnly shuts providers down that no registry speaks of, so that READONLY alone tells the consumer.
func (x *fleetOf) readOnly() {
	first, second := freePort(x.t), freePort(x.t)
	a := x.peer.start(x.t, "Provider", "port="+first, "application=java-a")
	b := x.peer.start(x.t, "Provider", "port="+second, "application=java-b")
	c := client(x.t, "static://127.0.0.1:"+first+",127.0.0.1:"+second)
	calls, err := fleet.ReferCalls(c)
	require.NoError(x.t, err)
	l := loop(calls)
	require.NoError(x.t, eventually(l.reached("java-a")))
	require.NoError(x.t, eventually(l.reached("java-b")))
	a.stop()
	err = eventually(l.only("java-b"))
	if e := l.end(); err == nil {
		err = e
	}
	x.report("READONLY, no call fails", fromFerry, err)
	require.NoError(x.t, c.Close())
	b.stop()

	x.readOnlyOfFerry()
}

func (x *fleetOf) readOnlyOfFerry() {
	const name = "READONLY, no call fails"
	if x.peer.line == "27" && x.refusesTwo() {
		note("discovery/"+name, x.peer.name, toFerry, "peer limitation: 2.7.23 cannot refer to two direct URLs, also of Java providers")
		return
	}
	one, two := serve(x.t, "", "ferry-a"), serve(x.t, "", "ferry-b")
	consumer := x.peer.start(x.t, "Consumer", "url=dubbo://"+one.URLs()[0].Address()+";dubbo://"+two.URLs()[0].Address())
	consumer.tell("loop")
	consumer.tell("await ferry-a")
	consumer.tell("await ferry-b")
	closeServer(x.t, one)
	time.Sleep(time.Second)
	x.restarted(name, consumer.tell("stop"), "ferry-a", "ferry-b")
	consumer.stop()
	closeServer(x.t, two)
}

// refusesTwo says whether a Java consumer fails at two direct URLs of Java providers.
func (x *fleetOf) refusesTwo() bool {
	ports := []string{freePort(x.t), freePort(x.t)}
	a := x.peer.start(x.t, "Provider", "port="+ports[0])
	b := x.peer.start(x.t, "Provider", "port="+ports[1])
	consumer := x.peer.start(x.t, "Consumer", "url=dubbo://127.0.0.1:"+ports[0]+";dubbo://127.0.0.1:"+ports[1])
	answer := consumer.tell("who")
	consumer.stop()
	a.stop()
	b.stop()
	return strings.Contains(strings.Join(answer, " "), "ClassCastException")
}
