package zookeeper

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/internal/zktest"
	"github.com/ferryrpc/ferry/registry"
	"github.com/ferryrpc/ferry/registry/registrytest"
)

// A fault is something that happens to ZooKeeper and is over when it returns.
type fault struct {
	name   string
	strike func(t *testing.T, z zktest.Target, w *world)
}

// A world is a process with providers and one with a consumer, and what the latter sees of the former.
type world struct {
	providers, consumer *Registry
	sink                *registrytest.Sink
}

// stale waits until the consumer knows that its list may be old, and the provider that its entries may be gone.
func (w *world) stale(t *testing.T) {
	t.Helper()
	w.sink.Wait(t, "an old list", func(s registry.State) bool { return s.Source == registry.Memory })
	for _, proved := range w.providers.Registered() {
		require.False(t, proved)
	}
}

// faults are what ZooKeeper as a whole can suffer: scenario 1 of the list of faults to keep as tests.
func faults() []fault {
	return []fault{
		{"restart", func(t *testing.T, z zktest.Target, w *world) { z.Stop(t); z.Start(t, true) }},
		{"away for long", func(t *testing.T, z zktest.Target, w *world) { z.Stop(t); w.stale(t); z.Start(t, true) }},
		{"frozen past the session", func(t *testing.T, z zktest.Target, w *world) {
			gen, err := w.providers.zk.Session(registrytest.Within(t))
			require.NoError(t, err)
			thaw := z.Freeze(t)
			<-gen.Context().Done()
			w.stale(t)
			thaw()
		}},
		{"data lost", func(t *testing.T, z zktest.Target, w *world) { z.Stop(t); z.Start(t, false) }},
	}
}

// ensembleFaults are what a part of an ensemble can suffer.
func ensembleFaults(e *zktest.Ensemble) []fault {
	connected := func(t *testing.T, w *world) *zktest.Server {
		address := ""
		require.Eventually(t, func() bool { address = w.providers.zk.Status().Address; return address != "" }, registrytest.Limit, time.Millisecond)
		i := slices.IndexFunc(e.Servers, func(s *zktest.Server) bool { return s.Addr() == address })
		return e.Servers[i]
	}
	return []fault{
		{"leader killed", func(t *testing.T, _ zktest.Target, w *world) {
			leader := e.Leader(t)
			leader.Kill(t)
			e.Leader(t)
			leader.Start(t, true)
		}},
		{"our server killed", func(t *testing.T, _ zktest.Target, w *world) {
			s := connected(t, w)
			s.Kill(t)
			require.Eventually(t, func() bool { a := w.providers.zk.Status().Address; return a != "" && a != s.Addr() }, registrytest.Limit, time.Millisecond)
			s.Start(t, true)
		}},
		{"our server killed, and back without its data", func(t *testing.T, _ zktest.Target, w *world) {
			s := connected(t, w)
			s.Kill(t)
			e.Leader(t)
			s.Start(t, false)
		}},
		{"our server frozen", func(t *testing.T, _ zktest.Target, w *world) {
			s := connected(t, w)
			thaw := s.Freeze(t)
			require.Eventually(t, func() bool { a := w.providers.zk.Status().Address; return a != "" && a != s.Addr() }, registrytest.Limit, time.Millisecond)
			thaw()
		}},
		{"all killed at once", func(t *testing.T, z zktest.Target, w *world) { e.Kill(t); e.Start(t, true) }},
	}
}

// TestRegistrationsAndListsSurvive works through everything that ZooKeeper can suffer, one after the other, with the same
// two processes. After each fault, without anybody's help, all entries are there and belong to their process's living
// session, the consumer has exactly them in a live list, and a change is seen.
func TestRegistrationsAndListsSurvive(t *testing.T) {
	t.Parallel()
	zktest.Both(t, zktest.Options{}, func(t *testing.T, z zktest.Target) { survive(t, z, faults()) })
}

func TestRegistrationsAndListsSurviveInAnEnsemble(t *testing.T) {
	t.Parallel()
	e := zktest.StartEnsemble(t, zktest.Options{})
	survive(t, e, append(ensembleFaults(e), faults()[1:]...))
}

func survive(t *testing.T, z zktest.Target, list []fault) {
	query := newRoot() + "&session=2000&retry.period=300"
	w := &world{providers: open(t, extension.Env{}, z.Addr(), query), consumer: open(t, extension.Env{}, z.Addr(), query)}
	one, two, three := registrytest.Provider(1, "Survivor", ""), registrytest.Provider(2, "Survivor", ""), registrytest.Provider(3, "Survivor", "")
	require.NoError(t, w.providers.Register(registrytest.Within(t), one))
	require.NoError(t, w.providers.Register(registrytest.Within(t), two))
	w.sink, _ = registrytest.Subscribe(t, w.consumer, registrytest.Consumer("Survivor", ""))
	w.sink.Live(t, one, two)
	for _, f := range list {
		t.Run(f.name, func(t *testing.T) {
			f.strike(t, z, w)
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // an ensemble that is empty and busy takes its time
			defer cancel()
			require.NoError(t, w.providers.Register(ctx, three), "it was not there before")
			w.sink.Live(t, one, two, three)
			require.Eventually(t, func() bool { return w.ours(t) }, registrytest.Limit, 10*time.Millisecond)
			require.NoError(t, w.providers.Unregister(registrytest.Within(t), three))
			w.sink.Live(t, one, two)
		})
	}
}

// ours says whether the tree has each entry once, as our session's.
func (w *world) ours(t *testing.T) bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	session := w.providers.zk.Status().Session
	above := w.providers.servicePath(registrytest.Provider(1, "Survivor", "")) + "/providers"
	names, err := w.consumer.zk.Children(ctx, above, nil)
	if err != nil || len(names) != 3 {
		return false
	}
	for _, name := range names {
		stat, found, err := w.consumer.zk.Exists(ctx, above+"/"+name, nil)
		if err != nil || !found || stat.Owner != session {
			return false
		}
	}
	for _, proved := range w.providers.Registered() {
		if !proved {
			return false
		}
	}
	return true
}
