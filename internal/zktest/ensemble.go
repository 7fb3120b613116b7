package zktest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// An Ensemble is three servers that form one ZooKeeper.
type Ensemble struct {
	Servers []*Server
}

// StartEnsemble runs three servers until the test ends. It returns when a leader is elected and all three serve (about 2 s).
func StartEnsemble(t testing.TB, o Options) *Ensemble {
	t.Helper()
	return startEnsemble(t, o, nil)
}

func startEnsemble(t testing.TB, o Options, between func(peer string) string) *Ensemble {
	t.Helper()
	e, err := launchEnsemble(t.TempDir(), o.withDefaults(), between)
	t.Cleanup(func() {
		if err := e.end(); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// Addr is the addresses of all servers, separated by commas, as clients take them.
func (e *Ensemble) Addr() string {
	var all []string
	for _, s := range e.Servers {
		all = append(all, s.Addr())
	}
	return strings.Join(all, ",")
}

// Leader waits until one of the running servers leads, and returns it.
func (e *Ensemble) Leader(t testing.TB) *Server {
	t.Helper()
	for deadline := time.Now().Add(startLimit); time.Now().Before(deadline); {
		for _, s := range e.Servers {
			if !s.proc.exited() && !s.quiet && mode(s.Addr()) == "leader" {
				return s
			}
		}
	}
	t.Fatalf("zktest: no leader after %v", startLimit)
	return nil
}

// Stop ends all servers. Their data stay.
func (e *Ensemble) Stop(t testing.TB) {
	t.Helper()
	if err := e.end(); err != nil {
		t.Fatal(err)
	}
}

// Start runs all stopped servers again, with their data or as an empty ensemble, and waits until they serve.
func (e *Ensemble) Start(t testing.TB, keep bool) {
	t.Helper()
	for _, s := range e.Servers {
		if err := s.start(keep); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range e.Servers {
		if err := s.ready(time.Now().Add(startLimit)); err != nil {
			t.Fatal(err)
		}
	}
}

// launchEnsemble returns the servers it started even if it fails, so that they can be ended. between, if not nil, is given the
// address at which each other server takes followers, and returns the one under which the first server knows it.
func launchEnsemble(dir string, o Options, between func(peer string) string) (*Ensemble, error) {
	e := &Ensemble{}
	if err := installed(); err != nil {
		return e, err
	}
	var peers, seen []string // seen is what the first server is told
	for id := 1; id <= 3; id++ {
		var ports [3]int
		for i := range ports {
			var err error
			if ports[i], err = freePort(); err != nil {
				return e, err
			}
		}
		followers := fmt.Sprintf("127.0.0.1:%d", ports[0])
		peers = append(peers, fmt.Sprintf("server.%d=%s:%d", id, followers, ports[1]))
		if between != nil && id > 1 {
			followers = between(followers)
		}
		seen = append(seen, fmt.Sprintf("server.%d=%s:%d", id, followers, ports[1]))
		e.Servers = append(e.Servers, &Server{o: o, dir: fmt.Sprintf("%s/%d", dir, id), id: id, port: ports[2]})
	}
	for _, s := range e.Servers {
		known := peers
		if s.id == 1 {
			known = seen
		}
		if err := s.prepare(known); err != nil {
			return e, err
		}
		if err := s.run(); err != nil {
			return e, err
		}
	}
	for _, s := range e.Servers {
		if err := s.ready(time.Now().Add(startLimit)); err != nil {
			return e, err
		}
	}
	return e, nil
}

func (e *Ensemble) end() error {
	var errs []error
	for _, s := range e.Servers {
		if s.proc != nil {
			errs = append(errs, s.end())
		}
	}
	return errors.Join(errs...)
}

// Kill ends all servers as a power cut would, with SIGKILL. Their data stay.
func (e *Ensemble) Kill(t testing.TB) {
	t.Helper()
	for _, s := range e.Servers {
		s.Kill(t)
	}
}

// Freeze halts all servers.
func (e *Ensemble) Freeze(t testing.TB) (thaw func()) {
	t.Helper()
	var thaws []func()
	for _, s := range e.Servers {
		thaws = append(thaws, s.Freeze(t))
	}
	return func() {
		for _, thaw := range thaws {
			thaw()
		}
	}
}

var _ Target = (*Ensemble)(nil)
