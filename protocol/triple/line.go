package triple

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ferryrpc/ferry/url"
)

// A line is the connections to one address: one, and more only when the provider takes no more calls on it, or has said
// GOAWAY and still answers those that it has.
//
//	idle -> dialling -> connected <-> (lost -> dialling -> pausing -> dialling …) -> closed
type line struct {
	address, scheme string
	params          connParams
	shutdown        time.Duration
	transport       *http.Transport
	down            atomic.Bool                        // not connected, and the last attempt to connect failed
	conns           atomic.Pointer[[]*http.ClientConn] // the last one is the newest
	calls           atomic.Int64                       // in flight
	ctx             context.Context                    // ends at Close
	cancel          context.CancelFunc
	work            sync.WaitGroup

	mu       sync.Mutex // guards the following, and changes of conns
	closed   bool
	dialling chan struct{} // closed when the dialler has connected or failed once; nil when none runs
	failure  error         // of the last attempt; nil after a success
}

// mostConns is how many connections a line has at most; on those, calls wait for their turn.
const mostConns = 16

var (
	errLineClosed = errors.New("the reference is closed")
	errNotReached = errors.New("no connection")
)

func newLine(u *url.URL, params connParams, shutdown time.Duration, config *tls.Config) *line {
	l := &line{address: u.Address(), scheme: "http", params: params, shutdown: shutdown}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.conns.Store(new([]*http.ClientConn))
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(config == nil)
	protocols.SetHTTP2(config != nil)
	x := params.exchange
	dialer := &net.Dialer{Timeout: params.ConnectTimeout}
	l.transport = &http.Transport{Protocols: &protocols, DialContext: dialer.DialContext, DisableCompression: true, TLSHandshakeTimeout: params.Handshake,
		MaxResponseHeaderBytes: maxHeaderBytes,
		HTTP2: &http.HTTP2Config{SendPingTimeout: x.Heartbeat, PingTimeout: max(x.HeartbeatTimeout-x.Heartbeat, time.Second), WriteByteTimeout: params.WriteStall,
			MaxReceiveBufferPerStream: streamWindow, MaxReceiveBufferPerConnection: connectionWindow}}
	if config != nil {
		config = config.Clone()
		config.MinVersion = max(config.MinVersion, tls.VersionTLS12)
		if config.ServerName == "" && !config.InsecureSkipVerify {
			config.ServerName = u.Host()
		}
		l.transport.TLSClientConfig, l.scheme = config, "https"
	}
	return l
}

// How many bytes a provider may send before they are read.
const (
	streamWindow     = 1 << 20
	connectionWindow = 4<<20 - 1
)

// connection returns a connection that takes a call now, the newest one when none does and there may be no more.
func (l *line) connection(ctx context.Context) (*http.ClientConn, error) {
	for {
		conns := *l.conns.Load()
		for i := len(conns) - 1; i >= 0; i-- {
			if conns[i].Available() > 0 {
				return conns[i], nil
			}
		}
		if len(conns) >= mostConns {
			return conns[len(conns)-1], nil
		}
		done, err := l.dialler()
		if err != nil {
			return nil, err
		}
		select {
		case <-done:
		case <-ctx.Done():
			return nil, fmt.Errorf("still connecting to %s: %w", l.address, context.Cause(ctx))
		}
		l.mu.Lock()
		err = l.failureLocked()
		l.mu.Unlock()
		if err != nil {
			return nil, err
		}
	}
}

// failureLocked is nil after a success. l.mu must be held.
func (l *line) failureLocked() error {
	switch {
	case l.closed:
		return errLineClosed
	case l.failure != nil:
		return fmt.Errorf("%w: %w", errNotReached, l.failure)
	}
	return nil
}

// dialler makes sure that a dialler runs and returns the channel that tells of its first result. While one pauses after a
// failed attempt, it fails at once, so that the caller can turn to another provider.
func (l *line) dialler() (<-chan struct{}, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.dialling != nil && l.failure != nil {
		return nil, l.failureLocked()
	}
	if l.dialling == nil {
		l.dialling = make(chan struct{})
		l.work.Add(1)
		go l.dial(l.dialling)
	}
	return l.dialling, nil
}

// The first pause before dialling again; it doubles up to reconnect.max, and its length is drawn at random below that.
const firstPause = 100 * time.Millisecond

// dial tries until it is connected or the line is closed.
func (l *line) dial(first chan struct{}) {
	defer l.work.Done()
	pause := firstPause
	for attempt := 1; ; attempt++ {
		err := l.dialOnce()
		l.mu.Lock()
		l.failure = err
		l.down.Store(err != nil && len(*l.conns.Load()) == 0)
		stop := err == nil || l.closed || !l.params.exchange.Reconnect
		if stop {
			l.dialling = nil
		}
		l.mu.Unlock()
		if attempt == 1 {
			close(first)
		}
		if stop {
			return
		}
		l.rest(1 + rand.N(pause))
		pause = min(2*pause, l.params.exchange.ReconnectMax)
	}
}

func (l *line) rest(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-l.ctx.Done():
	}
}

func (l *line) dialOnce() error {
	c, err := l.transport.NewClientConn(l.ctx, l.scheme, l.address)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		_ = c.Close()
		return errLineClosed
	}
	conns := append((*l.conns.Load())[:len(*l.conns.Load()):len(*l.conns.Load())], c)
	l.conns.Store(&conns)
	l.work.Add(1)
	// The hook may run in a call's goroutine, which must not wait for l.mu.
	var once sync.Once
	c.SetStateHook(func(c *http.ClientConn) {
		if c.Err() != nil {
			once.Do(func() { go l.lost(c) })
		}
	})
	return nil
}

// lost forgets a connection that has ended, and sees to another one.
func (l *line) lost(c *http.ClientConn) {
	defer l.work.Done()
	l.mu.Lock()
	var rest []*http.ClientConn
	for _, other := range *l.conns.Load() {
		if other != c {
			rest = append(rest, other)
		}
	}
	l.conns.Store(&rest)
	again := !l.closed && len(rest) == 0 && l.params.exchange.Reconnect
	l.mu.Unlock()
	if again {
		_, _ = l.dialler() // an error means that the line is closed, or a dialler runs already
	}
}

// Close implements io.Closer: calls in flight may finish for as long as shutdown says.
func (l *line) Close() error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	t := time.NewTicker(step)
	defer t.Stop()
	for until := time.Now().Add(l.shutdown); l.calls.Load() > 0 && time.Now().Before(until); {
		<-t.C
	}
	l.cancel()
	for _, c := range *l.conns.Load() {
		_ = c.Close()
	}
	l.work.Wait()
	l.transport.CloseIdleConnections()
	return nil
}

var _ io.Closer = (*line)(nil)
