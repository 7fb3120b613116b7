package zktest

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

// A Shared is one real server for all tests of a package, started when the first of them asks. The zero value works:
//
//	var real zktest.Shared
//
//	func TestMain(m *testing.M) { real.Main(m) }
//
// Tests that share it must use paths of their own.
type Shared struct {
	Options Options // of the server

	mu  sync.Mutex // guards the following
	s   *Server
	dir string
	err error
}

// Server is the server, which runs when Server returns. It is safe for concurrent use.
func (h *Shared) Server(t testing.TB) *Server {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.s == nil && h.err == nil {
		if h.dir, h.err = os.MkdirTemp("", "zktest"); h.err == nil {
			h.s, h.err = launch(h.dir, h.Options)
		}
	}
	if h.err != nil {
		t.Fatal(h.err)
	}
	return h.s
}

// Main runs the tests of a package, stops the server, checks that no goroutine is left, and exits.
func (h *Shared) Main(m *testing.M, options ...goleak.Option) {
	code := m.Run()
	err := h.close()
	if err == nil && code == 0 {
		err = goleak.Find(options...)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

func (h *Shared) close() (err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.s != nil {
		err = h.s.end()
	}
	if h.dir != "" {
		err = errors.Join(err, os.RemoveAll(h.dir))
	}
	return err
}
