package zk

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	gozk "github.com/go-zookeeper/zk"
)

// maxCalls bounds the requests in flight on one connection; more callers wait.
const maxCalls = 256

// A link is one TCP connection on which a session was accepted, from the handshake to the end of its library connection.
type link struct {
	c       *Client
	address string
	session int64
	tcp     net.Conn
	lib     *gozk.Conn
	ended   <-chan gozk.Event // closed when the library's goroutine is over
	ready   chan struct{}     // the library has taken the session
	slots   chan struct{}     // one per call in flight
	calls   sync.WaitGroup
	zxid    atomic.Int64 // newest transaction in a reply

	ending atomic.Bool // the library closes the session; its last request must still get through

	dead chan struct{} // closed by the first fail
	once sync.Once
	err  error // why; set before dead is closed

	mu      sync.Mutex // guards the following
	watches map[watchKey]*watchSet
}

// newLink puts a library connection on a TCP connection that has shaken hands.
func newLink(c *Client, address string, tcp net.Conn, g greeting) (*link, error) {
	l := &link{c: c, address: address, session: g.session, tcp: tcp, ready: make(chan struct{}),
		slots: make(chan struct{}, maxCalls), dead: make(chan struct{}), watches: map[watchKey]*watchSet{}}
	w := newWire(l, tcp, g)
	lib, events, err := gozk.Connect([]string{address}, g.timeout,
		gozk.WithDialer(func(string, string, time.Duration) (net.Conn, error) { return w, nil }),
		gozk.WithHostProvider(&oneServer{address: address}),
		gozk.WithLogger(silent{}), gozk.WithLogInfo(false),
		gozk.WithMaxBufferSize(maxFrame),
		gozk.WithEventCallback(l.event))
	if err != nil {
		return nil, fmt.Errorf("zk: %w", err)
	}
	l.lib, l.ended = lib, events
	return l, nil
}

// open waits until the library has the session, and authenticates.
func (l *link) open(ctx context.Context) error {
	select {
	case <-l.ready:
	case <-l.dead:
		return l.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if l.c.cfg.User == "" {
		return nil
	}
	done := make(chan error, 1)
	l.calls.Go(func() { done <- l.lib.AddAuth("digest", []byte(l.c.cfg.User+":"+l.c.cfg.Password)) })
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("authenticate as %s: %w", l.c.cfg.User, err)
		}
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// fail ends the TCP connection; the first reason stays.
func (l *link) fail(err error) {
	l.once.Do(func() {
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			err = fmt.Errorf("%s did not answer for two thirds of the session timeout", l.address)
		}
		l.err = err
		close(l.dead)
		_ = l.tcp.Close() // what it says about unsent bytes changes nothing
	})
}

func (l *link) failed() bool {
	select {
	case <-l.dead:
		return true
	default:
		return false
	}
}

// end closes the library connection and waits for everything that used it. On a connection that still works this ends
// the session at the server.
func (l *link) end() {
	l.ending.Store(true)
	l.lib.Close()
	l.fail(ErrClosed)
	for range l.ended {
	}
	l.calls.Wait()
	l.loseWatches()
}

// event is called by the library's goroutines, one at a time, in the order of the server's packets.
func (l *link) event(e gozk.Event) {
	switch {
	case e.Type == gozk.EventSession && e.State == gozk.StateHasSession:
		close(l.ready)
	case e.Type >= gozk.EventNodeCreated && e.Type <= gozk.EventNodeChildrenChanged:
		l.changed(Event{Type: EventType(e.Type), Path: e.Path})
	}
}

// oneServer is a host provider with one server that is connected to once: a second connection would carry requests of
// this link into another session.
type oneServer struct {
	address string
	used    bool
}

func (o *oneServer) Init([]string) error { return nil }
func (o *oneServer) Len() int            { return 1 }
func (o *oneServer) Connected()          {}

// Next says after the first time that the round is over, which makes the library wait for its end.
func (o *oneServer) Next() (string, bool) {
	again := o.used
	o.used = true
	return o.address, again
}

type silent struct{}

func (silent) Printf(string, ...any) {}
