package zk

import (
	"context"
	"errors"
	"time"
)

// sweepPause is the time between two attempts of a sweep that the servers answered with an error.
const sweepPause = time.Second

// Sweep deletes an ephemeral node of the session, now or as soon as a server can be reached, for a caller who cannot wait.
// It gives up when the node is gone or another session's, and when the session or the client ends, as the servers then
// delete it themselves.
func (c *Client) Sweep(path string, session int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() == nil {
		c.wg.Go(func() { c.sweep(c.ctx, path, session) })
	}
}

func (c *Client) sweep(ctx context.Context, path string, session int64) {
	for ctx.Err() == nil {
		stat, found, err := c.Exists(ctx, path, nil)
		if err == nil {
			if !found || stat.Owner != session {
				return
			}
			err = c.Delete(ctx, path, AnyVersion)
		}
		switch {
		case err == nil, errors.Is(err, ErrNoNode), errors.Is(err, ErrNoAuth), errors.Is(err, ErrBadPath):
			return
		case !errors.Is(err, ErrConnectionLost):
			c.pause(sweepPause)
		}
	}
}
