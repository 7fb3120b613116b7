package zk

import (
	"context"
	"time"
)

// A Generation is a time in which one session was provably alive. Work that must not outlive the session takes the
// generation at its start. A session that survives a long silence goes on in a new generation with the same id, since
// for a while nobody could know that it lived.
type Generation struct {
	c      *Client
	id     int64
	ctx    context.Context
	cancel context.CancelCauseFunc
}

// ID returns the session's id, which is the ephemeralOwner of its nodes.
func (g *Generation) ID() int64 { return g.id }

// Context ends with the generation; its cause matches ErrSessionEnded. It ends early enough that no server has taken
// the session's ephemeral nodes away yet, as long as this machine's clock runs at the servers' rate and the session is
// not ended by force.
func (g *Generation) Context() context.Context { return g.ctx }

// Alive says whether the generation lasts at this moment. Unlike Context it does not depend on a timer having fired, so
// it is right also in a process that was stopped. It costs a few atomic loads and the time.
func (g *Generation) Alive() bool { return g.ctx.Err() == nil && g.c.left(time.Now()) > 0 }

// Deadline returns the time until which the generation is proved to last; each answered request moves it.
func (g *Generation) Deadline() time.Time {
	now := time.Now()
	return now.Add(g.c.left(now))
}

// Session returns the generation that is alive now and waits for one until ctx ends.
func (c *Client) Session(ctx context.Context) (*Generation, error) {
	var g *Generation
	err := c.await(ctx, func() bool {
		g = c.gen
		return g != nil && g.Alive()
	})
	if err != nil {
		return nil, &opError{op: "session", err: err}
	}
	return g, nil
}

// Strict makes only what the ensemble's leader answered a proof of life, and asks it for one every twelfth of the timeout, until
// release is called. Followers answer pings and reads by themselves, also one that has lost its leader and does not know it
// yet, while the leader may end the session. Who only wants to be seen by others need not care; who holds a lock must.
func (c *Client) Strict() (release func()) {
	ctx, cancel := context.WithCancel(c.ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() != nil {
		return cancel
	}
	c.strict.Add(1)
	c.wg.Go(func() {
		defer c.strict.Add(-1)
		for ctx.Err() == nil {
			grant := c.SessionTimeout()
			began := time.Now()
			patience, stop := context.WithTimeout(ctx, grant/3)
			_ = c.Sync(patience, "/") // its answer is the proof
			stop()
			select {
			case <-time.After(max(grant/12-time.Since(began), grant/100)):
			case <-ctx.Done():
			}
		}
	})
	return cancel
}

// proves says whether the answer to a request of that type is a proof of life.
func (c *Client) proves(op int32, code uint32) bool {
	const expired, moved = 0xffffff90, 0xffffff8a // -112 and -118: not on this connection, and perhaps not at all
	if code == expired || code == moved {
		return false
	}
	switch op {
	case opPing, opExists, opGetData, opGetChildren:
		return c.strict.Load() == 0
	}
	return true
}

// prove notes that the servers have answered a request that left at t: they count the session's timeout from its
// arrival, which was later.
func (c *Client) prove(t time.Time) {
	for v := int64(t.Sub(c.base)); ; {
		old := c.proven.Load()
		if v <= old {
			return
		}
		if c.proven.CompareAndSwap(old, v) {
			c.ahead.Store(t.UnixNano() - v)
			return
		}
	}
}

// left is how long the lease lasts from now: until a sixth of the timeout before a server could expire the session. The time
// since the last proof is the larger one by two clocks, since the monotonic one stands still while a machine sleeps. A wall
// clock that is set ahead therefore ends leases early; one that is set back changes nothing.
func (c *Client) left(now time.Time) time.Duration {
	grant, mono := c.grant.Load(), int64(now.Sub(c.base))
	jump := max(now.UnixNano()-mono-c.ahead.Load(), 0)
	return time.Duration(c.proven.Load() + grant - grant/6 - mono - jump)
}

// enterLocked makes the generation of the link's session if the last one is over. c.mu must be held.
func (c *Client) enterLocked(id int64) {
	if g := c.gen; g != nil && g.ctx.Err() == nil {
		if g.id == id {
			return
		}
		g.cancel(errExpired)
	}
	g := &Generation{c: c, id: id}
	g.ctx, g.cancel = context.WithCancelCause(c.ctx)
	c.gen = g
}

// leave ends the generation, if one is alive.
func (c *Client) leave(why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gen != nil && c.gen.ctx.Err() == nil {
		c.gen.cancel(why)
		c.touchLocked()
	}
}

// watchdog ends generations whose lease has run out, and begins one when the session of the link turns out to live.
func (c *Client) watchdog() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		left := c.left(time.Now())
		c.mu.Lock()
		alive, linked, changed := c.gen != nil && c.gen.ctx.Err() == nil, c.link != nil, c.changed
		switch {
		case alive && left <= 0:
			c.gen.cancel(errLease)
			c.touchLocked()
			alive, changed = false, c.changed
		case !alive && linked && left > 0:
			c.enterLocked(c.link.session)
			c.touchLocked()
			alive, changed = true, c.changed
		}
		c.mu.Unlock()
		var tick <-chan time.Time
		switch {
		case alive: // not later than a machine that slept should learn of it
			timer.Reset(min(c.left(time.Now()), time.Duration(c.grant.Load())/12))
			tick = timer.C
		case linked: // only replies can bring the generation back, and they make no event
			timer.Reset(time.Duration(c.grant.Load()) / 20)
			tick = timer.C
		}
		select {
		case <-tick:
		case <-changed:
		case <-c.ctx.Done():
			c.leave(ErrClosed)
			return
		}
	}
}
