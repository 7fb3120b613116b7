package ordered

import (
	"context"
	"errors"
	"time"

	"github.com/ferryrpc/ferry/internal/zk"
)

// sweepAgain is how many times ordered.replay lie between two sweeps of a bucket. The first comes after one: later ones only
// find what could not be dropped when it was time.
const sweepAgain = 10

// sweep has the states of keys removed from the store that nobody has used since their bucket became ours: they are not in our memory, and
// would stay for ever. It takes one bucket after the other.
func (h *host) sweep(now time.Time) {
	if h.store == nil || h.sweeping.Load() {
		return
	}
	var due []*bucket
	for i := range h.buckets {
		b := &h.buckets[i]
		b.mu.Lock()
		if b.state == owning && now.After(b.swept) {
			b.swept = now.Add(sweepAgain * h.params.Replay)
			due = append(due, b)
		}
		b.mu.Unlock()
	}
	if len(due) == 0 {
		return
	}
	h.sweeping.Store(true)
	h.wg.Go(func() {
		defer h.sweeping.Store(false)
		for _, b := range due {
			h.sweepBucket(b)
		}
	})
}

func (h *host) sweepBucket(b *bucket) {
	b.mu.Lock()
	t := b.tenure
	b.mu.Unlock()
	s, ok := t.ledger.(Sweeper)
	if !ok || !t.alive() {
		return
	}
	err := s.Sweep(t.ctx, func(key string) bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.tenure != t || b.keys[key] != nil
	})
	if err != nil && t.alive() {
		h.env.Log().Info("ordered: states of idle keys stay in the store for now", "service", h.service, "bucket", b.number, "cause", err)
		b.mu.Lock()
		b.swept = time.Now().Add(h.params.Replay)
		b.mu.Unlock()
	}
}

// Sweep implements Sweeper.
func (l *zkLedger) Sweep(ctx context.Context, used func(key string) bool) error {
	names, err := l.zk.Children(ctx, l.path, nil)
	if err != nil {
		return l.fault(err)
	}
	for _, name := range names {
		node := l.path + "/" + name
		state, stat, err := l.zk.Get(ctx, node, nil)
		if err == nil {
			if key, ok := keyOfState(state); !ok || l.node(key) != node || used(key) {
				continue
			}
			_, err = l.zk.Multi(ctx, zk.CheckOp(l.path, l.version), zk.DeleteOp(node, stat.Version))
		}
		switch {
		case err == nil, errors.Is(err, zk.ErrNoNode), errors.Is(err, zk.ErrBadVersion): // it has been used meanwhile, or the bucket is another's
		default:
			return l.fault(err)
		}
	}
	return nil
}
