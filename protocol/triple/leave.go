package triple

import (
	"context"
	"sync/atomic"
	"time"
)

const (
	// quiet is how long no call must come before everybody has heard of the end. A Java consumer on a busy machine was seen to
	// stand still for nearly half a second with a call in its hands.
	quiet = time.Second
	// longest is how long others may go on calling, whom no registry tells better: they learn the end by GOAWAY.
	longest = 2 * time.Second
	// slowest is how long consumers of Dubbo may go on: Java's apply a change up to ten seconds late, and lose a call that
	// crosses with a GOAWAY.
	slowest = 11 * time.Second
	step    = 2 * time.Millisecond // between two looks; a call then costs two additions and tells nobody
)

// A load is how many calls have begun, ever.
type load struct {
	all  atomic.Uint64
	told atomic.Uint64 // of consumers that a registry tells of the end
}

func (l *load) begun(told bool) {
	l.all.Add(1)
	if told {
		l.told.Add(1)
	}
}

// settle waits until calls of a service, or of all of a port, have stopped coming, or nobody is connected. It leaves the better part
// of a shutdown to running calls.
func (pt *port) settle(ctx context.Context, l *load) {
	start := time.Now()
	most := slowest
	if d, ok := ctx.Deadline(); ok {
		most = min(most, d.Sub(start)/2)
	}
	t := time.NewTicker(step)
	defer t.Stop()
	any, told := watch{at: start}, watch{at: start}
	for time.Since(start) < most && pt.conns.Load() > 0 {
		idle, deaf := any.still(l.all.Load()), told.still(l.told.Load())
		if idle >= quiet || deaf >= quiet && time.Since(start) >= longest {
			return
		}
		<-t.C
	}
}

// A watch knows since when a number has not changed.
type watch struct {
	n  uint64
	at time.Time
}

func (w *watch) still(n uint64) time.Duration {
	if n != w.n {
		w.n, w.at = n, time.Now()
	}
	return time.Since(w.at)
}
