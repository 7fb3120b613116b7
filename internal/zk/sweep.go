package zk

import (
	"context"
	"errors"
	"strings"
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

// SweepNamed deletes the children of dir whose names begin with prefix, for a caller who does not know whether its create
// was carried out: the name must be one that nobody else uses. It goes on until a listing that includes every earlier
// request of this session shows none, or the client is closed.
func (c *Client) SweepNamed(dir, prefix string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() == nil {
		c.wg.Go(func() {
			for c.ctx.Err() == nil && !c.sweepNamed(c.ctx, dir, prefix) {
				c.pause(sweepPause)
			}
		})
	}
}

// sweepNamed says whether there is nothing left to delete.
func (c *Client) sweepNamed(ctx context.Context, dir, prefix string) bool {
	err := c.Sync(ctx, dir)
	var names []string
	if err == nil {
		names, err = c.Children(ctx, dir, nil)
	}
	for _, name := range names {
		if strings.HasPrefix(name, prefix) && err == nil {
			if err = c.Delete(ctx, dir+"/"+name, AnyVersion); errors.Is(err, ErrConnectionLost) {
				return c.sweepNamed(ctx, dir, prefix) // waits for the next connection
			}
		}
	}
	return err == nil || errors.Is(err, ErrNoNode) || errors.Is(err, ErrNoAuth) || errors.Is(err, ErrBadPath)
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
