package interop

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/internal/zktest"
	"github.com/ferryrpc/ferry/interop/fleet"
)

// What Java programs are told about discovery by application.
const (
	instancesOnly  = "-Ddubbo.application.register-mode=instance"
	everything     = "-Ddubbo.application.register-mode=all"
	remoteMetadata = "-Ddubbo.application.metadata-type=remote"
	byApplication  = "-Ddubbo.application.service-discovery.migration=FORCE_APPLICATION"
)

// TestApplications lets Dubbo 3 and Ferry find each other by application.
func TestApplications(t *testing.T) {
	t.Parallel()
	for _, line := range lines {
		if !wanted(line) || line == "27" {
			continue
		}
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			x := &fleetOf{t: t, peer: java(t, line), zk: zktest.Start(t, zktest.Options{})}
			x.registry = "zookeeper://" + x.zk.Addr()
			x.javaInstances()
			x.ferryInstances()
			x.mixed()
		})
	}
}

// javaInstances has Java providers that stand under no interface.
func (x *fleetOf) javaInstances() {
	c := client(x.t, x.registry)
	calls, err := fleet.ReferCalls(c, ferry.Check(false))
	require.NoError(x.t, err)
	a := x.provider("java-a", instancesOnly, "whole=true")
	x.report("by application, instances alone, metadata local", fromFerry, eventually(x.answers(calls, "java-a")))
	require.Error(x.t, x.listed("providers", "java-a"), "it stands under its interface")
	x.capture("java-a")
	l := loop(calls)
	require.NoError(x.t, eventually(l.reached("java-a")))
	b := x.provider("java-b", instancesOnly, remoteMetadata, "whole=true")
	x.report("by application, instances alone, metadata remote", fromFerry, eventually(l.reached("java-b")))
	x.capture("java-b")
	a.stop()
	x.report("by application, rolling restart, no call fails", fromFerry, eventually(l.only("java-b")))
	require.NoError(x.t, l.end())

	x.zk.Stop(x.t)
	err = x.answers(calls, "java-b")()
	x.zk.Start(x.t, true)
	a = x.provider("java-a2", instancesOnly, remoteMetadata, "whole=true")
	x.report("by application, ZooKeeper restarted", fromFerry, errors.Join(err, eventually(x.answers(calls, "java-a2"))))
	a.stop()
	b.stop()
	require.NoError(x.t, c.Close())
}

// ferryInstances has Ferry providers that stand under no interface, and Java consumers that look for nothing else.
func (x *fleetOf) ferryInstances() {
	only := x.registry + "?registry-type=service"
	consumer := x.peer.start(x.t, "Consumer", byApplication, "whole=true", "registry="+x.registry, "application=java-consumer")
	require.NotContains(x.t, consumer.tell("who"), "WHO ferry-a")
	// The instance is there before the service is: its revision changes.
	a := ferry.NewServer(only, ferry.Param("host", "127.0.0.1"), ferry.Param("application", "ferry-a"))
	x.t.Cleanup(func() { closeServer(x.t, a) })
	require.NoError(x.t, fleet.PublishGopher(a, "ferry-a"))
	require.NoError(x.t, fleet.Publish(a, "ferry-a"))
	x.report("by application, instances alone", toFerry, eventually(who(consumer, "ferry-a")))

	consumer.tell("loop")
	consumer.tell("await ferry-a")
	b := serve(x.t, only, "ferry-b")
	consumer.tell("await ferry-b")
	time.Sleep(time.Second)
	closeServer(x.t, a)
	time.Sleep(time.Second)
	x.restarted("by application, rolling restart, no call fails", consumer.tell("stop"), "ferry-a", "ferry-b")

	x.zk.Stop(x.t)
	err := who(consumer, "ferry-b")()
	x.zk.Start(x.t, true)
	a = serve(x.t, only, "ferry-a2")
	x.report("by application, ZooKeeper restarted", toFerry, errors.Join(err, eventually(who(consumer, "ferry-a2"))))
	consumer.stop()
	closeServer(x.t, a)
	closeServer(x.t, b)
}

// mixed has a Java and a Ferry provider, both published both ways, which is the default on either side: a Java consumer that
// prefers applications calls both.
func (x *fleetOf) mixed() {
	a := x.provider("java-a", everything, "whole=true")
	b := serve(x.t, x.registry, "ferry-b")
	consumer := x.peer.start(x.t, "Consumer", everything, "whole=true", "registry="+x.registry, "application=java-consumer")
	both := errors.Join(eventually(who(consumer, "java-a")), eventually(who(consumer, "ferry-b")))
	x.report("by application and interface, beside a Java provider", toFerry, both)
	consumer.stop()
	c := client(x.t, x.registry)
	calls, err := fleet.ReferCalls(c)
	require.NoError(x.t, err)
	x.report("by application and interface, beside a Ferry provider", fromFerry,
		errors.Join(eventually(x.answers(calls, "java-a")), eventually(x.answers(calls, "ferry-b"))))
	require.NoError(x.t, c.Close())
	a.stop()
	closeServer(x.t, b)
}

// capture keeps what a Java provider wrote of itself, when the environment asks for it, for the tests of the registry: the
// instance, and its description if the registry has it.
func (x *fleetOf) capture(application string) {
	x.t.Helper()
	if os.Getenv("INTEROP_FRAMES") == "" {
		return
	}
	conn, _, err := zk.Connect([]string{x.zk.Addr()}, 10*time.Second, zk.WithLogger(quiet{}))
	require.NoError(x.t, err)
	defer conn.Close()
	nodes := map[string]string{}
	for _, parent := range []string{"/services/" + application, "/dubbo/metadata/" + application} {
		names, _, err := conn.Children(parent)
		if !errors.Is(err, zk.ErrNoNode) {
			require.NoError(x.t, err)
		}
		for _, name := range names {
			data, _, err := conn.Get(parent + "/" + name)
			require.NoError(x.t, err)
			nodes[parent+"/"+name] = string(data)
		}
	}
	dir := filepath.Join("..", "registry", "zookeeper", "testdata", "captured")
	require.NoError(x.t, os.MkdirAll(dir, 0o755))
	text, err := json.MarshalIndent(nodes, "", " ")
	require.NoError(x.t, err)
	require.NoError(x.t, os.WriteFile(filepath.Join(dir, "java"+x.peer.line+"-"+application+".json"), append(text, '\n'), 0o644))
}
