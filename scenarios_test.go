package ferry_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/internal/zk"
	"github.com/ferryrpc/ferry/internal/zktest"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/registry"
)

// A scene is a ZooKeeper at which faults are tried, with a group for each fault.
type scene struct {
	zktest.Target
	office zkOffice
	faults []zooFault
}

// session is how long ZooKeeper takes a silent process for alive.
const session = 2 * time.Second

// registry returns the URL of the registry for processes of their own: each n has a session of its own.
func (s *scene) registry(n int) string {
	return fmt.Sprintf("zookeeper://%s?session=%d&cache=false", s.Addr(), session.Milliseconds()+int64(n))
}

// TestFaultScenarios works through what can happen to a fleet, from ZooKeeper to a single provider, over the embedded server,
// a real one, and an ensemble of three.
func TestFaultScenarios(t *testing.T) {
	run := func(t *testing.T, z zktest.Target, faults []zooFault) {
		c, err := zk.Open(zk.Config{Addresses: strings.Split(z.Addr(), ",")})
		require.NoError(t, err)
		defer func() { require.NoError(t, c.Close()) }()
		s := &scene{z, zkOffice{c}, faults}
		for _, scenario := range []struct {
			name string
			run  func(*testing.T, *scene)
		}{
			{"1 ZooKeeper restarts, is away, freezes, loses its data", zooKeeperFails},
			{"2 a consumer starts without ZooKeeper", startsFromTheCache},
			{"3 the registry tells nonsense", func(t *testing.T, s *scene) {
				tellNonsense(t, s.office, "zookeeper://"+s.Addr()+"?cache=false", ferry.Builtin())
			}},
			{"4 all providers restart", func(t *testing.T, s *scene) { roll(t, s.registry(0)) }},
			{"5 a provider is killed", providerIsKilled},
			{"6 a provider misbehaves", providerMisbehaves},
			{"7 the cable is pulled", cableIsPulled},
			{"8 an address swallows everything", addressSwallows},
		} {
			t.Run(scenario.name, func(t *testing.T) { scenario.run(t, s) })
		}
	}
	zktest.Both(t, zktest.Options{}, func(t *testing.T, z zktest.Target) {
		t.Parallel()
		run(t, z, zooFaults())
	})
	t.Run("ensemble", func(t *testing.T) {
		t.Parallel()
		e := zktest.StartEnsemble(t, zktest.Options{})
		run(t, e, append(zooFaults(), zooFault{"the leader is killed", func(t *testing.T, _ zktest.Target) {
			leader := e.Leader(t)
			leader.Kill(t)
			e.Leader(t)
			leader.Start(t, true)
		}}, zooFault{"all are killed at once", func(t *testing.T, _ zktest.Target) { e.Kill(t); e.Start(t, true) }}))
	})
}

// A zooFault is over when strike returns.
type zooFault struct {
	name   string
	strike func(*testing.T, zktest.Target)
}

func zooFaults() []zooFault {
	return []zooFault{
		{"restart", func(t *testing.T, z zktest.Target) { z.Stop(t); z.Start(t, true) }},
		{"away longer than a session", func(t *testing.T, z zktest.Target) { z.Stop(t); time.Sleep(session * 3 / 2); z.Start(t, true) }},
		{"frozen longer than a session", func(t *testing.T, z zktest.Target) {
			thaw := z.Freeze(t)
			time.Sleep(session * 3 / 2)
			thaw()
		}},
		{"data lost", func(t *testing.T, z zktest.Target) { z.Stop(t); z.Start(t, false) }},
	}
}

// zooKeeperFails: calls go on through each fault; afterwards both providers are registered again, each once.
func zooKeeperFails(t *testing.T, s *scene) {
	group := ferry.Group("scenario-1")
	var servers []*ferry.Server
	var want []string
	for i, name := range []string{"ann", "bob"} {
		servers = append(servers, export(t, s.registry(1+i), name, group))
		want = append(want, servers[i].URLs()[0].Address())
	}
	slices.Sort(want)
	c := refer(t, s.registry(3), group, ferry.Cluster("failfast"), ferry.Timeout(patience))
	served(t, c, "ann")
	served(t, c, "bob")
	stop := load(c, 2)
	for i, fault := range s.faults {
		fault.strike(t, s.Target)
		within := time.Now().Add(3 * patience) // an ensemble that is empty, on a busy machine
		fresh := refer(t, s.registry(4+i), group, ferry.Check(false))
		for {
			registered := true
			for _, server := range servers {
				for _, standing := range server.Standings() {
					registered = registered && standing.Registered
				}
			}
			if registered && slices.Equal(listed(c), want) && slices.Equal(listed(fresh), want) {
				break
			}
			require.True(t, time.Now().Before(within), "%s: registered %v, lists %v and %v, want %v", fault.name, registered, listed(c), listed(fresh), want)
			time.Sleep(10 * time.Millisecond)
		}
		require.NoError(t, fresh.in.Close())
	}
	calls, err := stop()
	require.NoError(t, err, "of %d calls", calls)
	require.Positive(t, calls)
}

// listed returns the addresses of a list that is live, each as often as it is there; nil otherwise.
func listed(c *client) (addresses []string) {
	state := c.in.Directory().State()
	if state.Source != registry.Live {
		return nil
	}
	for _, u := range state.URLs {
		if registry.Category(u) == registry.Providers {
			addresses = append(addresses, u.Address())
		}
	}
	slices.Sort(addresses)
	return addresses
}

// startsFromTheCache: what a process learns serves the next one while ZooKeeper is away, and is replaced when it is back.
func startsFromTheCache(t *testing.T, s *scene) {
	group := ferry.Group("scenario-2")
	export(t, s.registry(1), "ann", group)
	with := func(n int) string {
		return strings.Replace(s.registry(n), "cache=false", "cache="+filepath.Join(t.TempDir(), "..", "cache.json"), 1)
	}
	start := func(n int) (*ferry.Client, *client) {
		c := ferry.NewClient(with(n), group, ferry.Timeout(patience))
		in, err := fill(c)
		require.NoError(t, err)
		return c, in
	}
	first, in := start(2)
	served(t, in, "ann")
	require.NoError(t, first.Close())
	s.Stop(t)
	second, in := start(3)
	defer second.Close()
	got, err := in.Buy(t.Context(), "apple", 1)
	require.NoError(t, err)
	require.Equal(t, "ann sold apple", got)
	require.Equal(t, "file", second.Standings()[0].Source)
	s.Start(t, true)
	export(t, s.registry(4), "bob", group)
	served(t, in, "bob")
	require.Equal(t, "live", second.Standings()[0].Source)
}

// addressSwallows: an address that answers no connection costs calls nothing while there is another, and only their own time
// when there is none.
func addressSwallows(t *testing.T, s *scene) {
	group := ferry.Group("scenario-8")
	hole := fmt.Sprintf("dubbo://%s/%s?interface=%s&group=scenario-8", blackHole(t), service, service)
	s.office.add(t, hole)
	defer s.office.remove(t, hole)
	alone := refer(t, s.registry(1), group, ferry.Check(false), ferry.Timeout(300*time.Millisecond))
	require.Eventually(t, func() bool { return len(listed(alone)) == 1 }, patience, time.Millisecond)
	start := time.Now()
	_, err := alone.Buy(t.Context(), "apple", 1)
	require.Equal(t, protocol.NotSent, protocol.OutcomeOf(err), "%v", err)
	require.Less(t, time.Since(start), patience)
	export(t, s.registry(2), "ann", group)
	both := refer(t, s.registry(3), group, ferry.Timeout(patience))
	require.Eventually(t, func() bool { return len(listed(both)) == 2 }, patience, time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for range 100 {
		_, err := both.Buy(ctx, "apple", 1)
		require.NoError(t, err)
	}
}
