package zktest

import (
	"testing"

	"github.com/ferryrpc/ferry/zkembed"
)

// A Target is a ZooKeeper that a test may treat badly, whether it is a Server or an embedded one.
type Target interface {
	// Addr is the host:port for clients. It stays the same.
	Addr() string
	// Stop ends the server. Its connections are closed.
	Stop(t testing.TB)
	// Start runs it again after Stop, with its nodes and sessions or as an empty one.
	Start(t testing.TB, keep bool)
	// Freeze lets it neither read nor answer until thaw is called.
	Freeze(t testing.TB) (thaw func())
}

var (
	_ Target = (*Server)(nil)
	_ Target = (*embedded)(nil)
)

// Both runs a test twice, as subtests "embedded" and "real", each with an empty server of its own.
func Both(t *testing.T, o Options, run func(t *testing.T, z Target)) {
	t.Helper()
	t.Run("embedded", func(t *testing.T) { run(t, startEmbedded(t, o)) })
	t.Run("real", func(t *testing.T) { run(t, Start(t, o)) })
}

// Both runs a test twice, as subtests "embedded" and "real". The embedded server is empty, the real one is shared: use
// paths of your own, and leave it running if you stop it.
func (h *Shared) Both(t *testing.T, run func(t *testing.T, z Target)) {
	t.Helper()
	t.Run("embedded", func(t *testing.T) { run(t, startEmbedded(t, h.Options)) })
	t.Run("real", func(t *testing.T) { run(t, h.Server(t)) })
}

// An embedded is a zkembed.Server as a Target.
type embedded struct{ *zkembed.Server }

func startEmbedded(t testing.TB, o Options) *embedded {
	t.Helper()
	o = o.withDefaults()
	s, err := zkembed.Start(zkembed.Options{Tick: o.Tick, MinSession: o.MinSession, MaxSession: o.MaxSession, Reap: reap})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return &embedded{s}
}

func (e *embedded) Stop(testing.TB) { e.Server.Stop() }

func (e *embedded) Start(t testing.TB, keep bool) {
	t.Helper()
	if err := e.Restart(keep); err != nil {
		t.Fatal(err)
	}
}

func (e *embedded) Freeze(testing.TB) (thaw func()) {
	e.Hold(zkembed.Both)
	return e.Release
}
