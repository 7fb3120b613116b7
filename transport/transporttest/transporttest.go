// Package transporttest holds the conformance suite that every transport passes, and benchmarks to compare them.
package transporttest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/transport"
	"github.com/ferryrpc/ferry/url"
)

// Open makes a transport for a server, one for its clients (which may be the same), and a URL to listen at. Each test opens its own.
type Open func(t testing.TB) (server, client transport.Transport, base *url.URL)

// Run runs the suite; connections is how many there are at a time in the test of very many. The package's TestMain
// should look for goroutines that are left.
func Run(t *testing.T, open Open, connections int) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, *pair)
	}{
		{"echo of one byte to 4 MiB", testEcho},
		{"order for each of many senders", testOrder},
		{"addresses", testAddresses},
		{"bytes left by the receiver come again", testPartial},
		{"too many bytes left close", testLeftTooMuch},
		{"error of the receiver closes", testReceiverError},
		{"peer closes", testPeerCloses},
		{"both close", testBothClose},
		{"send after close", testSendAfterClose},
		{"close by the owner before anything", testCloseWhenOpened},
		{"close from the receiver", testCloseInReceiver},
		{"last words are delivered", testLastWords},
		{"flush", testFlush},
		{"queue is bounded", testBoundedQueue},
		{"stalled peer is closed", testStall},
		{"slow peer is not closed", testSlow},
		{"close while the peer does not read", testCloseStuck},
		{"listener closes its connections", testListenerClose},
		{"most connections", testAccepts},
		{"address in use", testInUse},
		{"dial refused", testDialRefused},
		{"dial honours its context", testDialContext},
		{"bad parameters", testBadParameters},
		{"very many connections", func(t *testing.T, p *pair) { testMany(t, p, connections) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := &pair{T: t}
			p.server, p.client, p.base = open(t)
			test.run(t, p)
		})
	}
}

// patience is how long something may take that happens at once on an idle machine.
const patience = 20 * time.Second

// pair is a server and its clients.
type pair struct {
	*testing.T
	server, client transport.Transport
	base           *url.URL
}

// listen starts a listener; each accepted connection's probe goes through receive.
func (p *pair) listen(receive func(*probe, []byte) (int, error)) (transport.Listener, chan *probe) {
	p.Helper()
	accepted := make(chan *probe, 2000)
	l, err := p.server.Listen(p.base, func(c transport.Conn) transport.Receiver {
		s := newProbe(p.T, c, receive)
		accepted <- s
		return s
	})
	require.NoError(p, err)
	p.Cleanup(func() { require.NoError(p, l.Close()) })
	return l, accepted
}

// dial connects to l with some parameters changed.
func (p *pair) dial(l transport.Listener, receive func(*probe, []byte) (int, error), params ...string) *probe {
	p.Helper()
	u := p.base.WithAddress(l.Addr().String())
	for i := 0; i < len(params); i += 2 {
		u = u.With(params[i], params[i+1])
	}
	var c *probe
	conn, err := p.client.Dial(context.Background(), u, func(conn transport.Conn) transport.Receiver {
		c = newProbe(p.T, conn, receive)
		return c
	})
	require.NoError(p, err)
	require.Same(p, conn, c.conn)
	p.Cleanup(func() {
		conn.Close(nil)
		c.end(p.T)
	})
	return c
}

// probe is a Receiver that checks how it is called.
type probe struct {
	t       *testing.T
	conn    transport.Conn
	receive func(*probe, []byte) (int, error)
	busy    atomic.Bool
	once    sync.Once
	started chan struct{} // closed by the first Received

	mu     sync.Mutex
	got    []byte // what keep has kept
	more   *sync.Cond
	closed chan struct{}
	err    error
}

func newProbe(t *testing.T, c transport.Conn, receive func(*probe, []byte) (int, error)) *probe {
	p := &probe{t: t, conn: c, receive: receive, started: make(chan struct{}), closed: make(chan struct{})}
	p.more = sync.NewCond(&p.mu)
	return p
}

func (p *probe) Received(b []byte) (int, error) {
	if !p.busy.CompareAndSwap(false, true) {
		p.t.Error("Received is called by two goroutines at a time")
	}
	defer p.busy.Store(false)
	select {
	case <-p.closed:
		p.t.Error("Received is called after Closed")
	default:
	}
	if len(b) == 0 {
		p.t.Error("Received is called without a byte")
	}
	p.once.Do(func() { close(p.started) })
	return p.receive(p, b)
}

func (p *probe) Closed(err error) {
	if !p.busy.CompareAndSwap(false, true) {
		p.t.Error("Closed is called during Received")
	}
	defer p.busy.Store(false)
	if err == nil {
		p.t.Error("Closed is called without a reason")
	}
	p.mu.Lock()
	p.err = err
	p.mu.Unlock()
	close(p.closed) // panics the second time
}

// end waits for Closed and returns its reason.
func (p *probe) end(t *testing.T) error {
	t.Helper()
	wait(t, p.closed, "the end of the connection")
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// send sends a copy of b and waits for room where there is none.
func (p *probe) send(b []byte, calls int) error {
	f := transport.NewFrame(len(b))
	f.B = append(f.B, b...)
	for {
		err := p.conn.Send(f, calls)
		if !errors.Is(err, transport.ErrFull) {
			return err
		}
		if room := p.conn.Wait(); room != nil {
			<-room
		}
	}
}

// kept waits until keep has kept n bytes and returns all.
func (p *probe) kept(t *testing.T, n int) []byte {
	t.Helper()
	late := time.AfterFunc(patience, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.more.Broadcast()
	})
	defer late.Stop()
	start := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.got) < n && time.Since(start) < patience {
		p.more.Wait()
	}
	require.GreaterOrEqual(t, len(p.got), n, "bytes that have arrived")
	return p.got
}

// keep takes all bytes and keeps them.
func keep(p *probe, b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.got = append(p.got, b...)
	p.more.Broadcast()
	return len(b), nil
}

// echo sends all bytes back.
func echo(p *probe, b []byte) (int, error) {
	f := transport.NewFrame(len(b))
	f.B = append(f.B, b...)
	if err := p.conn.Send(f, 1); err != nil && p.conn.Wait() != nil {
		p.t.Errorf("echo: %v", err)
	}
	return len(b), nil
}

// gated starts a listener whose connections read nothing before the gate is opened, which the end of the test does too.
func (p *pair) gated() (l transport.Listener, accepted chan *probe, open func()) {
	p.Helper()
	gate := make(chan struct{})
	l, accepted = p.listen(func(s *probe, b []byte) (int, error) {
		<-gate
		return keep(s, b)
	})
	open = sync.OnceFunc(func() { close(gate) })
	p.Cleanup(open)
	return l, accepted, open
}

func first(t *testing.T, c chan *probe) *probe {
	t.Helper()
	select {
	case p := <-c:
		return p
	case <-time.After(patience):
		require.FailNow(t, "no connection was accepted")
		return nil
	}
}

func wait(t *testing.T, c <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		require.FailNow(t, "waited in vain for "+what)
	}
}

// pattern returns n bytes that differ by seed and by place.
func pattern(n int, seed byte) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = seed + byte(i) + byte(i>>8)*7 + byte(i>>16)*31
	}
	return b
}
