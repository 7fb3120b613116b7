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
// it is right also in a process that was stopped. It costs two atomic loads and the time.
func (g *Generation) Alive() bool { return g.ctx.Err() == nil && time.Now().Before(g.c.deadline()) }

// Deadline returns the time until which the generation is proved to last; each answered request moves it.
func (g *Generation) Deadline() time.Time { return g.c.deadline() }

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

// prove notes that the servers have answered a request that left at t: they count the session's timeout from its
// arrival, which was later.
func (c *Client) prove(t time.Time) {
	for v := int64(t.Sub(c.base)); ; {
		old := c.proven.Load()
		if v <= old || c.proven.CompareAndSwap(old, v) {
			return
		}
	}
}

// deadline is when the lease ends: a sixth of the timeout before a server could expire the session.
func (c *Client) deadline() time.Time {
	grant := time.Duration(c.grant.Load())
	return c.base.Add(time.Duration(c.proven.Load()) + grant - grant/6)
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
		left := time.Until(c.deadline())
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
		case alive:
			timer.Reset(time.Until(c.deadline()))
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
