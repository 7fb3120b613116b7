package interop

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/internal/zktest"
	"github.com/ferryrpc/ferry/interop/fleet"
)

// TestTripleDiscovery restarts and kills providers at tri:// while calls run, in both directions, and ZooKeeper in between.
func TestTripleDiscovery(t *testing.T) {
	t.Parallel()
	for _, line := range lines {
		if !wanted(line) || line == "27" {
			continue
		}
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			x := &fleetOf{t: t, peer: java(t, line).overTri(), zk: zktest.Start(t, zktest.Options{})}
			x.registry = "zookeeper://" + x.zk.Addr()
			x.javaProviders()
			x.ferryProviders()
			x.killed()
		})
	}
}

// killed ends one of two Java providers as a power cut does, while calls run that may be repeated: no call fails.
func (x *fleetOf) killed() {
	c := client(x.t, x.registry, ferry.Retries(2))
	a, b := x.provider("java-a"), x.provider("java-b")
	calls, err := fleet.ReferCalls(c, ferry.Method("who", ferry.Param("idempotent", "true"))...)
	require.NoError(x.t, err)
	l := loop(calls)
	require.NoError(x.t, eventually(l.reached("java-a")))
	require.NoError(x.t, eventually(l.reached("java-b")))
	require.NoError(x.t, a.cmd.Process.Kill())
	<-a.ended
	err = eventually(l.only("java-b"))
	x.report("provider killed, failover, no call fails", fromFerry, errors.Join(err, l.end()))
	require.NoError(x.t, c.Close())
	b.stop()
}

// restarted reports what a Java consumer said of its loop while Ferry's providers were replaced one by one.
func (x *fleetOf) restarted(answer []string, providers ...string) {
	const name = "rolling restart, no call fails"
	err := looped(answer, providers...)
	// Netty's words, in the consumer: it has read the GOAWAY and opens a stream all the same.
	if err != nil && x.peer.tri && strings.Contains(err.Error(), "greater than Last-Stream-ID") && x.losesItself() {
		note(x.peer.cell("discovery/"+name), x.peer.name, toFerry,
			"peer limitation: its consumer loses a call, and does not repeat it, when a provider at tri:// leaves, also a Java one")
		return
	}
	x.report(name, toFerry, err)
}

// losesItself says whether a Java consumer loses calls when Java providers are replaced one by one.
func (x *fleetOf) losesItself() bool {
	const rounds = 6
	consumer := x.peer.start(x.t, "Consumer", "registry="+x.registry, "application=java-control")
	defer consumer.stop()
	old := x.provider("control-0")
	require.NoError(x.t, eventually(who(consumer, "control-0")))
	for i := range rounds {
		consumer.tell("loop")
		next := fmt.Sprint("control-", i+1)
		young := x.provider(next)
		consumer.tell("await " + next)
		old.stop()
		answer := consumer.tell("stop")
		if old = young; looped(answer, next) != nil {
			break
		}
		if i == rounds-1 {
			old.stop()
			return false
		}
	}
	old.stop()
	return true
}
