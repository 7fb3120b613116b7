package interop

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/internal/zktest"
	"github.com/ferryrpc/ferry/interop/fleet"
)

// TestTripleDiscovery restarts and kills providers at tri:// while calls run, and ZooKeeper in between, with Ferry as the consumer.
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
