package zktest

import (
	"io"
	"net"
	"sync"
	"testing"
)

// StartIsolatable runs an ensemble whose first server is a follower that isolate cuts off from its leader, without either being
// told: packets between them vanish, as in a network that is split. Clients reach all servers as before.
func StartIsolatable(t testing.TB, o Options) (e *Ensemble, isolate func()) {
	t.Helper()
	p := &partition{split: make(chan struct{}), over: make(chan struct{})}
	t.Cleanup(p.close)
	e = startEnsemble(t, o, func(peer string) string { return p.forward(t, peer) })
	for e.Leader(t) == e.Servers[0] { // a leader would take the others' connections, which do not pass here
		e.Servers[0].Stop(t)
		e.Leader(t)
		e.Servers[0].Start(t, true)
	}
	return e, func() { close(p.split) }
}

// A partition forwards connections until it is split. Then they stay open and carry nothing.
type partition struct {
	split, over chan struct{}
	wg          sync.WaitGroup

	mu     sync.Mutex // guards the following
	closed bool
	open   []io.Closer
}

// forward listens, and connects whoever comes with peer.
func (p *partition) forward(t testing.TB, peer string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.keep(l)
	p.wg.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", peer)
			if err != nil {
				_ = in.Close() // it tries again
				continue
			}
			p.keep(in)
			p.keep(out)
			p.wg.Go(func() { p.copy(in, out) })
			p.wg.Go(func() { p.copy(out, in) })
		}
	})
	return l.Addr().String()
}

func (p *partition) keep(c io.Closer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		_ = c.Close() // nobody uses it
		return
	}
	p.open = append(p.open, c)
}

func (p *partition) copy(from, to net.Conn) {
	defer to.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		select {
		case <-p.split:
			<-p.over
			return
		default:
		}
		if err == nil {
			_, err = to.Write(buf[:n])
		}
		if err != nil {
			return
		}
	}
}

func (p *partition) close() {
	p.mu.Lock()
	p.closed = true
	close(p.over)
	for _, c := range p.open {
		_ = c.Close() // some are closed already
	}
	p.mu.Unlock()
	p.wg.Wait()
}
