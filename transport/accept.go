package transport

import (
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"
)

// A Group is the connections of one listener.
type Group struct {
	mu     sync.Mutex // guards the following
	conns  map[Closer]struct{}
	closed bool
	wait   sync.WaitGroup
}

// A Closer is what a Group needs of a connection.
type Closer interface{ Close(cause error) }

// Add puts c into the group; it returns false when the group is closed or has most members already. Zero is any number.
func (g *Group) Add(c Closer, most int) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed || most > 0 && len(g.conns) >= most {
		return false
	}
	if g.conns == nil {
		g.conns = map[Closer]struct{}{}
	}
	g.conns[c] = struct{}{}
	g.wait.Add(1)
	return true
}

// Remove takes c out, after the last call to its Receiver.
func (g *Group) Remove(c Closer) {
	g.mu.Lock()
	_, ok := g.conns[c]
	delete(g.conns, c)
	g.mu.Unlock()
	if ok {
		g.wait.Done()
	}
}

// Close closes all members and returns when each was removed.
func (g *Group) Close() {
	g.mu.Lock()
	g.closed = true
	conns := make([]Closer, 0, len(g.conns))
	for c := range g.conns {
		conns = append(conns, c)
	}
	g.mu.Unlock()
	for _, c := range conns {
		c.Close(ErrClosed)
	}
	g.wait.Wait()
}

// Accept calls serve for each connection that l accepts, until l is closed. Other errors, such as no file descriptor
// being left, are logged and tried again after a pause that grows to a second.
func Accept(l net.Listener, log *slog.Logger, serve func(net.Conn)) {
	const first, last = 5 * time.Millisecond, time.Second
	pause := first
	for {
		c, err := l.Accept()
		if err == nil {
			pause = first
			serve(c)
			continue
		}
		if errors.Is(err, net.ErrClosed) {
			return
		}
		log.Warn("transport: accept failed", "address", l.Addr().String(), "error", err, "again", pause)
		time.Sleep(pause)
		pause = min(2*pause, last)
	}
}
