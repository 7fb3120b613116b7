package interop

import (
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/internal/zktest"
	"github.com/ferryrpc/ferry/interop/fleet"
)

// TestTripleDiscovery finds, restarts and kills providers at tri:// while calls run, and restarts ZooKeeper in between.
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
			x.killed()
			x.ferryProviders()
			x.killedFerry()
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

// killedFerry ends one of two Ferry providers so, under the calls of a Java consumer, which repeats what fails.
func (x *fleetOf) killedFerry() {
	start := func(who string) *program {
		return process(x.t, "registry="+x.registry+"?session=10000", "who="+who, "protocol="+x.peer.scheme())
	}
	a, b := start("ferry-a"), start("ferry-b")
	// ZooKeeper ends the session of the dead one later, and calls go on until then.
	err := x.survives(a, func() error {
		return eventually(gone(func() error { return x.listed("providers", "ferry-a") }))
	}, "ferry-a", "ferry-b")
	b.stop()
	const name = "provider killed, failover, no call fails"
	if err != nil && x.losesKilled() {
		x.t.Logf("%s: %v", name, err)
		note(x.peer.cell("discovery/"+name), x.peer.name, toFerry, notRepeated)
		return
	}
	x.report(name, toFerry, err)
}

const notRepeated = "peer limitation: Java does not repeat the calls that run on a tri connection when it breaks, also with Java providers"

// losesKilled says whether a Java consumer loses calls, too, when one of two Java providers is killed.
func (x *fleetOf) losesKilled() bool {
	const rounds = 8
	control := &fleetOf{t: x.t, peer: x.peer, zk: zktest.Start(x.t, zktest.Options{})}
	control.registry = "zookeeper://" + control.zk.Addr()
	stays := control.provider("stays")
	defer stays.stop()
	for range rounds {
		goes := control.provider("goes")
		// The call that is lost is the one that runs at the end, so the loop needs no more than another call.
		if err := control.survives(goes, func() error { return nil }, "goes", "stays"); err != nil {
			x.t.Logf("control: %v", err)
			return true
		}
	}
	return false
}

// survives kills a provider while a Java consumer calls it and another one, until the end that until waits for.
func (x *fleetOf) survives(victim *program, until func() error, names ...string) error {
	consumer := x.peer.start(x.t, "Consumer", "registry="+x.registry, "application=java-consumer", "retries=2")
	defer consumer.stop()
	consumer.tell("loop")
	for _, name := range names {
		consumer.tell("await " + name)
	}
	require.NoError(x.t, victim.cmd.Process.Kill())
	<-victim.ended
	return errors.Join(until(), looped(consumer.tell("stop"), names...))
}

const hangsUp = "peer limitation: over tri Java leaves the registry and ends its connections at once, with the calls that run, also those of Java consumers"

// left reports a cell in which a Java provider went away under calls.
func (x *fleetOf) left(name string, l *looper, err error) {
	x.t.Helper()
	if err == nil || !x.peer.tri || !x.losesCalls() {
		x.report(name, fromFerry, err)
		return
	}
	x.t.Logf("%s: %v", name, err)
	note(x.peer.cell("discovery/"+name), x.peer.name, fromFerry, hangsUp)
	l.forgive()
}

var losers sync.Map // line of a peer to whether a control lost calls

// losesCalls says whether a Java consumer loses calls, too, when one of two Java providers goes.
func (x *fleetOf) losesCalls() bool {
	if lost, ok := losers.Load(x.peer.line); ok {
		return lost.(bool)
	}
	const rounds = 5
	control := &fleetOf{t: x.t, peer: x.peer, zk: zktest.Start(x.t, zktest.Options{})}
	control.registry = "zookeeper://" + control.zk.Addr()
	stays := control.provider("stays")
	defer stays.stop()
	lost := false
	for i := 0; i < rounds && !lost; i++ {
		goes := control.provider("goes")
		consumer := control.peer.start(x.t, "Consumer", "registry="+control.registry, "application=java-consumer")
		consumer.tell("loop")
		consumer.tell("await goes")
		goes.stop()
		if err := looped(consumer.tell("stop")); err != nil {
			x.t.Logf("control: %v", err)
			lost = true
		}
		consumer.stop()
	}
	losers.Store(x.peer.line, lost)
	return lost
}

// forgive has the loop go on as if nothing had failed.
func (l *looper) forgive() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = nil
}
