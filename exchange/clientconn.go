package exchange

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ferryrpc/ferry/transport"
)

// The serialization id of all events that this side starts: every peer reads hessian2.
const eventSerialization = 2

// Bodies of events in hessian2: null for a heartbeat, the strings R and W for READONLY and its end. A peer may not send
// a longer one than maxEvent (Dubbo, deserialization.event.size).
const (
	bodyNull  = "N"
	bodyRead  = "\x01R"
	bodyWrite = "\x01W"
	maxEvent  = 15
)

// A clientConn is one connection of a Client, from the moment it is open to its end.
type clientConn struct {
	params   Params
	conn     transport.Conn
	pending  *pending
	decoder  decoder
	ended    func(*clientConn, error) // told once
	refuse   func(h Header) *transport.Frame
	readonly atomic.Bool
	parted   atomic.Bool   // the server said its last word
	late     *atomic.Int64 // answers that nobody waited for
	heard    atomic.Bool   // anything arrived since the last tick
	spoke    atomic.Bool   // or before
	inFrame  atomic.Bool   // a message is incomplete
	whole    atomic.Bool   // a message was finished since the last tick
	closed   chan struct{} // closed when Closed has run

	tickMu  sync.Mutex // guards the following
	ticker  *time.Timer
	silent  int // ticks without a byte
	slow    int // ticks inside one message
	stopped bool
}

func newClientConn(conn transport.Conn, p Params, late *atomic.Int64, ended func(*clientConn, error)) *clientConn {
	c := &clientConn{params: p, conn: conn, pending: newPending(p.Calls), ended: ended, late: late, closed: make(chan struct{})}
	c.decoder.limit = p.Payload
	c.tickMu.Lock()
	c.ticker = time.AfterFunc(c.tickEvery(), c.tick)
	c.tickMu.Unlock()
	return c
}

// ticksPerHeartbeat is how finely silence is measured: it is noticed at most a quarter late.
const ticksPerHeartbeat = 4

func (c *clientConn) tickEvery() time.Duration {
	return max(min(c.params.Heartbeat, c.params.FrameTimeout)/ticksPerHeartbeat, time.Millisecond)
}

// tick measures silence: after a heartbeat's length it asks the server, after heartbeat.timeout it gives up.
func (c *clientConn) tick() {
	c.tickMu.Lock()
	defer c.tickMu.Unlock()
	if c.stopped {
		return
	}
	every := c.tickEvery()
	if c.heard.Swap(false) {
		c.spoke.Store(true)
		c.silent = 0
	} else {
		c.silent++
	}
	if c.whole.Swap(false) || !c.inFrame.Load() {
		c.slow = 0
	} else {
		c.slow++
	}
	switch silence := time.Duration(c.silent) * every; {
	case silence >= c.params.HeartbeatTimeout:
		c.conn.Close(fmt.Errorf("%w for %v", ErrSilent, c.params.HeartbeatTimeout))
		return
	case time.Duration(c.slow)*every > c.params.FrameTimeout:
		c.conn.Close(fmt.Errorf("%w within %v", ErrSlowFrame, c.params.FrameTimeout))
		return
	case silence > 0 && silence%c.params.Heartbeat < every && silence >= c.params.Heartbeat:
		// Nobody waits for the answer: any byte from the server breaks the silence.
		offer(c.conn, event(FlagRequest|FlagTwoWay, 0, 0, bodyNull))
	}
	c.ticker.Reset(every)
}

// event builds a frame of this layer's own. The id of a heartbeat need not be fresh: its answer is not paired.
func event(flags, status byte, id uint64, body string) *transport.Frame {
	f := transport.NewFrame(HeaderLen + len(body))
	f.B = append(f.B[:HeaderLen], body...)
	Header{Flags: flags | FlagEvent | eventSerialization, Status: status, ID: id, Length: uint32(len(body))}.Put(f.B)
	return f
}

// offer sends a frame of this layer's own. To a peer that does not read it is not sent, and not missed.
func offer(c transport.Conn, f *transport.Frame) {
	if c.Send(f, 1) == transport.ErrFull {
		f.Free()
	}
}

// Received implements transport.Receiver.
func (c *clientConn) Received(b []byte) (int, error) {
	if !c.heard.Load() {
		c.heard.Store(true)
	}
	used, err := c.decoder.decode(b, c)
	if in := c.decoder.partial() || used < len(b); in != c.inFrame.Load() {
		c.inFrame.Store(in)
	}
	return used, err
}

// message implements messages.
func (c *clientConn) message(m Message) error {
	if !c.whole.Load() {
		c.whole.Store(true)
	}
	switch {
	case m.Event():
		c.event(m)
	case m.Request():
		// Calls from a server to its client are refused; a peer that sends one must not wait for ever.
		if f := c.refuse(m.Header); f != nil && m.TwoWay() {
			offer(c.conn, f)
		}
		m.Body.Free()
	default:
		w := c.pending.take(m.ID)
		if w == nil {
			c.late.Add(1)
			m.Body.Free()
			return nil
		}
		w.reply = m
		w.done <- struct{}{}
	}
	return nil
}

func (c *clientConn) event(m Message) {
	defer m.Body.Free()
	if !m.Request() {
		return
	}
	switch string(m.Body.B) {
	case bodyRead:
		if m.Status == Exhausted {
			c.parted.Store(true)
		}
		c.readonly.Store(true)
	case bodyWrite:
		c.readonly.Store(false)
	default:
		if m.TwoWay() && len(m.Body.B) <= maxEvent {
			offer(c.conn, answer(m))
		}
	}
}

// answer repeats a heartbeat's body under its id and serialization.
func answer(m Message) *transport.Frame {
	f := transport.NewFrame(HeaderLen + len(m.Body.B))
	f.B = append(f.B[:HeaderLen], m.Body.B...)
	Header{Flags: FlagEvent | m.Serialization(), Status: OK, ID: m.ID, Length: uint32(len(m.Body.B))}.Put(f.B)
	return f
}

// tooLarge implements messages: the call ends at once, with both sizes, and not by its timeout.
func (c *clientConn) tooLarge(h Header) error {
	if h.Request() {
		return nil
	}
	if w := c.pending.take(h.ID); w != nil {
		w.reply.Header = h
		w.err = &TooLargeError{int64(h.Length), c.params.Payload}
		w.done <- struct{}{}
	}
	return nil
}

// Closed implements transport.Receiver.
func (c *clientConn) Closed(err error) {
	c.tickMu.Lock()
	c.stopped = true
	c.ticker.Stop()
	c.tickMu.Unlock()
	c.decoder.free()
	// The connection is out of use before its callers learn of its end: they may call again at once.
	lost := fmt.Errorf("connection lost: %w", err)
	if c.parted.Load() {
		lost = fmt.Errorf("%w: %w", ErrParted, lost)
	}
	c.pending.refuse(lost)
	c.ended(c, err)
	c.pending.end(lost)
	close(c.closed)
}

// do sends f and waits for its answer until deadline (on the pending table's clock) or ctx ends.
func (c *clientConn) do(ctx context.Context, f *transport.Frame, h Header, deadline int64) (Message, error) {
	w := waits.Get().(*wait)
	w.deadline = deadline
	id, calls, err := c.register(ctx, w, deadline)
	if err != nil {
		f.Free()
		w.free()
		return Message{}, err
	}
	h.ID = id
	h.Put(f.B)
	if err := c.queue(ctx, f, calls, deadline); err != nil {
		if c.pending.take(id) == nil {
			<-w.done
		}
		w.free()
		return Message{}, err
	}
	if done := ctx.Done(); done == nil {
		<-w.done
	} else {
		select {
		case <-w.done:
		case <-done:
			// Whoever took the wait completes it; it may be the answer, which then counts.
			if c.pending.take(id) != nil {
				w.free()
				return Message{}, &Failure{true, context.Cause(ctx)}
			}
			<-w.done
		}
	}
	m, err := w.reply, w.err
	w.free()
	if err != nil {
		return m, &Failure{true, err}
	}
	return m, nil
}

// register puts w in the table, and waits for a free place if there is none.
func (c *clientConn) register(ctx context.Context, w *wait, deadline int64) (id uint64, calls int, err error) {
	for {
		id, calls, full, err := c.pending.add(w)
		if err != nil {
			return 0, 0, &Failure{false, err}
		}
		if full == nil {
			return id, calls, nil
		}
		if err := c.await(ctx, full, deadline, fmt.Errorf("%w (parameter connection.calls=%d)", ErrBusy, c.params.Calls)); err != nil {
			return 0, 0, err
		}
	}
}

// queue hands f to the transport, and waits while its queue is full.
func (c *clientConn) queue(ctx context.Context, f *transport.Frame, calls int, deadline int64) error {
	for {
		err := c.conn.Send(f, calls)
		if err == nil {
			return nil
		}
		if err != transport.ErrFull {
			return &Failure{false, err}
		}
		if full := c.conn.Wait(); full != nil {
			if err := c.await(ctx, full, deadline, transport.ErrFull); err != nil {
				f.Free()
				return err
			}
		}
	}
}

// await blocks until ch is closed; past the deadline it fails with cause. It runs only when something is full.
func (c *clientConn) await(ctx context.Context, ch <-chan struct{}, deadline int64, cause error) error {
	t := time.NewTimer(time.Duration(deadline - c.pending.now()))
	defer t.Stop()
	select {
	case <-ch:
		return nil
	case <-ctx.Done():
		return &Failure{false, errors.Join(context.Cause(ctx), cause)}
	case <-t.C:
		return &Failure{false, fmt.Errorf("%w: %w", ErrTimeout, cause)}
	}
}

// several stands for the number of one-way calls in flight, which nobody knows.
const several = 2

// send sends f, for which no answer is expected.
func (c *clientConn) send(ctx context.Context, f *transport.Frame, h Header, deadline int64) error {
	h.Put(f.B)
	return c.queue(ctx, f, several, deadline)
}
