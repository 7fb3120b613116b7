package idempotent

import (
	"context"
	"errors"

	"github.com/ferryrpc/ferry/internal/zk"
)

// Wait implements Store: it watches the record and its executor.
func (s *ZooKeeper) Wait(ctx context.Context, k Key) (Begun, error) {
	id := k.ID()
	for {
		w, events := zk.WatchChan()
		b, err := s.watched(ctx, id, w)
		if err != nil || b.State != InProgress || b.Left <= 0 {
			w.Stop()
			if err != nil {
				err = s.fault("wait", err)
			}
			return b, err
		}
		select {
		case <-events:
			w.Stop()
		case <-ctx.Done():
			w.Stop()
			return b, ctx.Err()
		}
	}
}

// watched looks at a record; w is told when it, or its executor, changes.
func (s *ZooKeeper) watched(ctx context.Context, id string, w *zk.Watch) (Begun, error) {
	f, err := s.find(ctx, id)
	if err != nil || f == nil || f.state == Absent {
		return Begun{}, err
	}
	if f.state != InProgress || f.dead {
		return s.told(f, f.state), nil
	}
	_, stat, err := s.zk.Get(ctx, f.path, w)
	if errors.Is(err, zk.ErrNoNode) {
		return Begun{}, nil
	}
	if err != nil {
		return Begun{}, err
	}
	if stat.Version != f.version { // it changed since
		return s.watched(ctx, id, w)
	}
	_, alive, err := s.zk.Exists(ctx, f.executor, w)
	f.dead = !alive
	return s.told(f, InProgress), err
}
