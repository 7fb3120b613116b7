package exchange

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ferryrpc/ferry/transport"
)

// Opener opens a connection for a Client; it is transport.Transport's Dial with its URL.
type Opener func(ctx context.Context, opened func(transport.Conn) transport.Receiver) (transport.Conn, error)

// A Client is one address with at most one connection. Its methods are safe from any number of goroutines.
//
//	idle -> dialling -> connected <-> (lost -> dialling -> pausing -> dialling …) -> closed
type Client struct {
	address string
	params  Params
	open    Opener
	refuse  func(h Header) *transport.Frame
	current atomic.Pointer[clientConn]
	late    atomic.Int64
	oneway  atomic.Uint64 // ids of one-way requests, which nobody pairs

	ctx    context.Context // ends at Close
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu       sync.Mutex // guards the following
	closed   bool
	dialling chan struct{} // closed when the dialler has connected or failed once; nil when no dialler runs
	failure  error         // of the last attempt; nil after a success
	pause    time.Duration // the longest before the next attempt, if the last one was in vain
	opened   time.Time     // when the current connection was there
}

// NewClient makes a Client, which does not connect before Connect or the first call. address is for errors. refuse
// builds the answer to a request that comes from the server; nil or a nil result means none.
func NewClient(address string, p Params, open Opener, refuse func(h Header) *transport.Frame) *Client {
	if refuse == nil {
		refuse = func(Header) *transport.Frame { return nil }
	}
	c := &Client{address: address, params: p.withDefaults(), open: open, refuse: refuse, pause: firstPause}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

// Do sends a two-way request and returns its answer, whose Body the caller frees. f has HeaderLen bytes free at its
// front and is taken over. timeout, counted from start, bounds everything from queueing to the answer, and so does ctx.
// Errors are *Failure.
func (c *Client) Do(ctx context.Context, f *transport.Frame, serialization byte, start time.Time, timeout time.Duration) (Message, error) {
	cc, h, err := c.prepare(ctx, f, serialization, start, &timeout)
	if err != nil {
		f.Free()
		return Message{}, err
	}
	h.Flags |= FlagTwoWay
	return cc.do(ctx, f, h, int64(start.Sub(cc.pending.base)+timeout))
}

// OneWay sends a request that gets no answer. It returns when the request is queued; see Do.
func (c *Client) OneWay(ctx context.Context, f *transport.Frame, serialization byte, start time.Time, timeout time.Duration) error {
	cc, h, err := c.prepare(ctx, f, serialization, start, &timeout)
	if err != nil {
		f.Free()
		return err
	}
	h.ID = c.oneway.Add(1)
	return cc.send(ctx, f, h, int64(start.Sub(cc.pending.base)+timeout))
}

// prepare checks the size, brings ctx's deadline into timeout and finds the connection.
func (c *Client) prepare(ctx context.Context, f *transport.Frame, serialization byte, start time.Time, timeout *time.Duration) (*clientConn, Header, error) {
	size := int64(len(f.B) - HeaderLen)
	if size > c.params.Payload {
		return nil, Header{}, &Failure{false, &TooLargeError{size, c.params.Payload}}
	}
	if ctx.Err() != nil {
		return nil, Header{}, &Failure{false, context.Cause(ctx)}
	}
	if d, ok := ctx.Deadline(); ok {
		*timeout = min(*timeout, d.Sub(start))
	}
	if *timeout <= 0 {
		return nil, Header{}, &Failure{false, context.DeadlineExceeded}
	}
	h := Header{Flags: FlagRequest | serialization&MaskID, Length: uint32(size)}
	if cc := c.current.Load(); cc != nil {
		return cc, h, nil
	}
	cc, err := c.connection(ctx, start.Add(*timeout))
	return cc, h, err
}

// connection waits for the attempt to connect that is under way, or starts one. During a pause after a failed attempt
// it fails at once, so that the caller can turn to another provider.
func (c *Client) connection(ctx context.Context, deadline time.Time) (*clientConn, error) {
	done, err := c.dialler(0, nil)
	if err != nil {
		return nil, err
	}
	t := time.NewTimer(time.Until(deadline))
	defer t.Stop()
	select {
	case <-done:
	case <-ctx.Done():
		return nil, &Failure{false, context.Cause(ctx)}
	case <-t.C:
		return nil, &Failure{false, fmt.Errorf("%w: still connecting to %s", ErrTimeout, c.address)}
	}
	if cc := c.current.Load(); cc != nil {
		return cc, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return nil, c.failureLocked()
}

func (c *Client) failureLocked() error {
	switch {
	case c.closed:
		return &Failure{false, ErrClosed}
	case c.failure != nil:
		return &Failure{false, fmt.Errorf("%w: %w", ErrNotReached, c.failure)}
	}
	return &Failure{false, fmt.Errorf("%w: connection to %s lost", ErrNotReached, c.address)}
}

// dialler makes sure that a dialler runs and returns the channel that tells of its first result. One that is to begin
// with a pause fails calls until then, and says why.
func (c *Client) dialler(pause time.Duration, why error) (<-chan struct{}, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.dialling != nil && c.failure != nil {
		return nil, c.failureLocked()
	}
	if c.current.Load() != nil { // since the caller looked; another connection would be nobody's
		done := make(chan struct{})
		close(done)
		return done, nil
	}
	if c.dialling == nil {
		c.dialling = make(chan struct{})
		c.work.Add(1)
		if pause > 0 {
			c.failure = why
		}
		go c.dial(c.dialling, pause)
	}
	return c.dialling, nil
}

// Connect waits until the Client is connected, the first attempt has failed, or ctx ends.
func (c *Client) Connect(ctx context.Context) error {
	if c.current.Load() != nil {
		return nil
	}
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(time.Hour)
	}
	_, err := c.connection(ctx, deadline)
	return err
}

// The first pause before dialling again; it doubles up to reconnect.max, and its length is drawn at random below that
// (full jitter), so that the clients of a restarted server do not come at the same time.
const firstPause = 100 * time.Millisecond

// leavePause is the least time until a server that said READONLY and closed is dialled again. It may listen for a moment
// longer, and a call on a connection made then would be lost.
const leavePause = time.Second

// rest waits, or returns when the Client is closed.
func (c *Client) rest(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-c.ctx.Done():
	}
}

// dial tries, after a pause if there is one, until it is connected or the Client is closed.
func (c *Client) dial(first chan struct{}, before time.Duration) {
	defer c.work.Done()
	if before > 0 {
		c.rest(before + rand.N(before))
	}
	for attempt := 1; ; attempt++ {
		err := c.dialOnce()
		c.mu.Lock()
		c.failure = err
		stop := err == nil || c.closed || !c.params.Reconnect
		if stop {
			c.dialling = nil
		}
		pause := c.vainLocked(err != nil)
		c.mu.Unlock()
		if attempt == 1 {
			close(first)
		}
		if stop {
			return
		}
		c.rest(1 + rand.N(pause))
	}
}

// vainLocked is the longest pause after an attempt that was in vain, and makes the next one longer.
func (c *Client) vainLocked(vain bool) time.Duration {
	pause := c.pause
	if vain {
		c.pause = min(2*pause, c.params.ReconnectMax)
	}
	return pause
}

func (c *Client) dialOnce() error {
	if c.ctx.Err() != nil {
		return ErrClosed
	}
	var cc *clientConn
	conn, err := c.open(c.ctx, func(conn transport.Conn) transport.Receiver {
		cc = newClientConn(conn, c.params, &c.late, c.lost)
		cc.refuse = c.refuse
		return cc
	})
	if err != nil {
		return err
	}
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		conn.Close(ErrClosed)
		<-cc.closed
		return ErrClosed
	}
	defer c.mu.Unlock()
	c.current.Store(cc)
	c.opened = time.Now()
	if cc.gone() {
		c.current.CompareAndSwap(cc, nil)
		return fmt.Errorf("%s closed the connection at once", c.address)
	}
	return nil
}

// gone says whether the connection has ended already.
func (c *clientConn) gone() bool {
	c.pending.mu.Lock()
	defer c.pending.mu.Unlock()
	return c.pending.ended != nil
}

// lost runs when a connection has ended.
func (c *Client) lost(cc *clientConn, _ error) {
	if !c.current.CompareAndSwap(cc, nil) {
		return // it ended while it was being opened; the dialler sees it
	}
	if !c.params.Reconnect {
		return
	}
	pause, why := c.hungUp(cc)
	if cc.readonly.Load() {
		pause, why = leavePause, fmt.Errorf("%s went out of service", c.address)
	}
	_, _ = c.dialler(pause, why) // an error means that the Client is closed, or a dialler runs already
}

// hungUp is the pause after a connection that was of no use: it ended sooner than an attempt that failed would have been
// repeated, without a byte from the other side. Something that takes connections for a provider that is not there does
// that, or a provider that has too many; dialling at once would do so without end.
func (c *Client) hungUp(cc *clientConn) (time.Duration, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if lived := time.Since(c.opened); lived < c.pause && !cc.spoke.Load() && !cc.heard.Load() {
		return c.vainLocked(true), fmt.Errorf("%s hung up after %v without a word", c.address, lived.Round(time.Microsecond))
	}
	c.pause = firstPause
	return 0, nil
}

// Available says whether a call has a chance now: connected and not READONLY, or not dialled yet.
func (c *Client) Available() bool {
	if cc := c.current.Load(); cc != nil {
		return !cc.readonly.Load()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.closed && c.failure == nil
}

// Connected says whether there is a connection now.
func (c *Client) Connected() bool { return c.current.Load() != nil }

// Late is the number of answers that came when nobody waited for them any more.
func (c *Client) Late() int64 { return c.late.Load() }

// InFlight is the number of calls that wait for their answer.
func (c *Client) InFlight() int {
	if cc := c.current.Load(); cc != nil {
		return cc.pending.count()
	}
	return 0
}

// Close lets calls in flight finish until ctx ends, then closes the connection and waits for its goroutines.
func (c *Client) Close(ctx context.Context) error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.drain(ctx)
	c.cancel()
	if cc := c.current.Swap(nil); cc != nil {
		cc.conn.Close(ErrClosed)
		<-cc.closed
	}
	c.work.Wait()
	return nil
}

// drain waits until no call is in flight. It looks often rather than be told: it runs once in a Client's life.
func (c *Client) drain(ctx context.Context) {
	t := time.NewTicker(2 * time.Millisecond)
	defer t.Stop()
	for c.InFlight() > 0 {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}
