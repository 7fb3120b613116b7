package idempotent

import (
	"context"
	"time"
)

// poll is Wait for stores that cannot tell of changes: it looks again and again, less often the longer it takes.
func poll(ctx context.Context, look func() (Begun, error)) (Begun, error) {
	const first, most = 2 * time.Millisecond, 100 * time.Millisecond
	timer := time.NewTimer(first)
	defer timer.Stop()
	for pause := first; ; pause = min(pause+pause/2, most) {
		b, err := look()
		if err != nil || b.State != InProgress || b.Left <= 0 {
			return b, err
		}
		timer.Reset(min(pause, b.Left+time.Millisecond))
		select {
		case <-timer.C:
		case <-ctx.Done():
			return b, ctx.Err()
		}
	}
}
