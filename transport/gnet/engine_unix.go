//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package gnet

import (
	"fmt"
	"log/slog"
	"runtime"
	"sync"

	"github.com/panjf2000/gnet/v2"
)

// An engine is gnet's event loops, running while they are in use.
type engine struct {
	gnet.BuiltinEventEngine
	log   *slog.Logger
	loops int

	mu    sync.Mutex // guards the following, and is held while the loops start and stop
	users int        // listeners and connections
	loop  *gnet.Client
}

// acquire starts the loops for their first user.
func (e *engine) acquire() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.users == 0 {
		loops := e.loops
		if loops == 0 {
			loops = max(1, runtime.GOMAXPROCS(0)/2)
		}
		// TCPDelay leaves the socket as it is; the standard library has set TCP_NODELAY on it.
		loop, err := gnet.NewClient(e, gnet.WithNumEventLoop(loops), gnet.WithTCPNoDelay(gnet.TCPDelay), gnet.WithLogger(logger{e.log}))
		if err != nil {
			return fmt.Errorf("gnet: %w", err)
		}
		if err := loop.Start(); err != nil {
			return fmt.Errorf("gnet: %w", err)
		}
		e.loop = loop
	}
	e.users++
	return nil
}

// release stops the loops after their last user. It must not be called in a loop, for which it waits.
func (e *engine) release() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.users--
	if e.users > 0 {
		return
	}
	if err := e.loop.Stop(); err != nil {
		e.log.Warn("transport: gnet stopped with an error", "error", err)
	}
	e.loop = nil
}

// OnOpen is called in the event loop for an enrolled connection, before anything is read from it.
func (e *engine) OnOpen(g gnet.Conn) ([]byte, gnet.Action) {
	return nil, g.Context().(*conn).opening(g)
}

// OnTraffic is called in the event loop when bytes have arrived.
func (e *engine) OnTraffic(g gnet.Conn) gnet.Action {
	return g.Context().(*conn).traffic(g)
}

// OnClose is called in the event loop, before the descriptor is closed.
func (e *engine) OnClose(g gnet.Conn, err error) gnet.Action {
	g.Context().(*conn).closing(err)
	return gnet.None
}

// logger is what gnet writes its events to. It tells in detail what it does, which is of interest only when looked for.
type logger struct{ log *slog.Logger }

func (l logger) Debugf(string, ...any) {}
func (l logger) Infof(string, ...any)  {}
func (l logger) Warnf(format string, args ...any) {
	l.log.Debug("transport: gnet: " + fmt.Sprintf(format, args...))
}
func (l logger) Errorf(format string, args ...any) {
	l.log.Warn("transport: gnet: " + fmt.Sprintf(format, args...))
}
func (l logger) Fatalf(format string, args ...any) {
	l.log.Error("transport: gnet: " + fmt.Sprintf(format, args...))
}
