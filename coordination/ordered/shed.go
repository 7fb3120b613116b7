package ordered

import (
	"context"
	"errors"

	"github.com/ferryrpc/ferry/internal/zk"
)

// shed deletes the node of a bucket that we do not own and should not, if it is ours. There are such nodes because tenures end
// before their session does: a session whose life was not proved in time may go on, and its nodes with it, while the bucket has
// come to be another provider's, who would wait for us for ever. b.releasing must be set if there may be one.
func (h *host) shed(e *era, b *bucket) {
	b.mu.Lock()
	made := b.made
	b.mu.Unlock()
	if made == 0 {
		return
	}
	_, err := h.take(e, b, false)
	if err == nil {
		h.remove(h.ctx, b, e.gen)
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.releasing = false
	if errors.Is(err, zk.ErrNoNode) {
		b.made = 0
	}
}

// remove deletes the node of a bucket that was given up. Nothing is claimed before that is certain: a late deletion would take a
// new tenure's node away.
func (h *host) remove(ctx context.Context, b *bucket, gen *zk.Generation) {
	gone := false
	for gen.Alive() && !gone {
		err := h.zk.DeleteIn(ctx, gen, h.path+"/own/"+bucketName(b.number), zk.AnyVersion)
		if gone = err == nil || errors.Is(err, zk.ErrNoNode); gone {
			break
		}
		if ctx.Err() != nil {
			return // Close leaves it to the sweeper
		}
		if !errors.Is(err, zk.ErrConnectionLost) {
			sleep(h.ctx, pause)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.releasing = false
	if gone {
		b.made = 0
	}
}
