package ordered

import (
	"context"
	"errors"
	"math/bits"
	"strings"
	"sync"
	"time"
)

// A line is one key as its consumer sees it: the calls that have no answer yet, in their order.
//
//	steady ---a call fails---> broken ---the first unanswered call is answered---> steady
//
// While it is steady, calls are sent as they come, up to the window. While it is broken, nothing is sent until all that are under way have
// come back, and then only the first one that has no answer, again and again.
type line struct {
	mu      sync.Mutex // guards the following
	base    uint64     // the first call without an answer
	next    uint64     // the number of the next call
	over    uint64     // bit i: call base+i is answered or given up
	flying  int        // attempts under way
	broken  bool
	waiting int           // those who wait for changed
	changed chan struct{} // closed and replaced at every change while somebody waits
	used    int64
}

type shard struct {
	mu    sync.Mutex // guards the following
	lines map[string]*line
}

// forget is how long a key is remembered that no call uses.
const forget = time.Minute

// line returns the line of a key.
func (x *invoker) line(key string) *line {
	s := &x.shards[mix(hash(key))>>32%uint64(len(x.shards))]
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.lines[key]
	if l == nil {
		x.tidyLocked(s)
		l = &line{changed: make(chan struct{})}
		l.base = x.floor.Load()
		l.next = l.base
		s.lines[strings.Clone(key)] = l
	}
	l.mu.Lock()
	l.used = clock()
	l.mu.Unlock()
	return l
}

// tidyLocked forgets a few keys that nobody has used for a while. Numbers of a key that comes back begin above all that it had.
func (x *invoker) tidyLocked(s *shard) {
	const looks = 4
	n := 0
	for key, l := range s.lines { // Go begins at a random one
		if n++; n > looks {
			return
		}
		l.mu.Lock()
		if l.base == l.next && clock()-l.used > int64(forget) {
			for f := x.floor.Load(); f < l.next && !x.floor.CompareAndSwap(f, l.next); f = x.floor.Load() {
			}
			delete(s.lines, key)
		}
		l.mu.Unlock()
	}
}

// errPatience means that no owner answered for as long as ordered.wait says.
var errPatience = errors.New("ordered: no owner of the key has answered in time")

// enter gives a call its number, when there is room in the window and it may be sent. Whoever gets no error must leave.
func (l *line) enter(ctx context.Context, until time.Time, window uint64) (seq, base uint64, err error) {
	l.mu.Lock()
	for l.next-l.base >= window {
		if err := l.waitLocked(ctx, until); err != nil {
			l.mu.Unlock()
			return 0, 0, err
		}
	}
	seq = l.next
	l.next++
	if !l.broken {
		l.flying++
		base = l.base
		l.mu.Unlock()
		return seq, base, nil
	}
	base, err = l.turnLocked(ctx, until, seq)
	l.mu.Unlock()
	if err != nil {
		l.drop(seq)
	}
	return seq, base, err
}

// repair waits until a failed call may be sent again, and at least for a pause.
func (l *line) repair(ctx context.Context, until time.Time, seq uint64, pause time.Duration) (base uint64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flying--
	l.broken = true
	l.touchLocked()
	if pause > 0 {
		err = l.pauseLocked(ctx, until, pause)
	}
	if err == nil {
		base, err = l.turnLocked(ctx, until, seq)
	}
	if err != nil {
		l.flying++ // leave takes it away
	}
	return base, err
}

// turnLocked waits until a call may be sent.
func (l *line) turnLocked(ctx context.Context, until time.Time, seq uint64) (base uint64, err error) {
	for l.broken && (l.flying > 0 || seq != l.base) {
		if err := l.waitLocked(ctx, until); err != nil {
			return 0, err
		}
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if !time.Now().Before(until) {
		return 0, errPatience
	}
	l.flying++
	return l.base, nil
}

// leave ends a call. answered says that an owner has answered it: then the others may be sent.
func (l *line) leave(seq uint64, answered bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flying--
	if answered && seq == l.base {
		l.broken = false
	}
	l.overLocked(seq)
}

// drop ends a call that was not under way.
func (l *line) drop(seq uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.overLocked(seq)
}

func (l *line) overLocked(seq uint64) {
	l.over |= 1 << (seq - l.base)
	n := bits.TrailingZeros64(^l.over)
	l.over >>= n
	l.base += uint64(n)
	if l.base == l.next && l.flying == 0 {
		l.broken = false
	}
	l.touchLocked()
}

func (l *line) touchLocked() {
	if l.waiting > 0 {
		close(l.changed)
		l.changed = make(chan struct{})
	}
}

// waitLocked waits for a change, without the lock.
func (l *line) waitLocked(ctx context.Context, until time.Time) error {
	changed := l.changed
	l.waiting++
	l.mu.Unlock()
	t := time.NewTimer(time.Until(until))
	defer t.Stop()
	var err error
	select {
	case <-changed:
	case <-ctx.Done():
		err = ctx.Err()
	case <-t.C:
		err = errPatience
	}
	l.mu.Lock()
	l.waiting--
	return err
}

func (l *line) pauseLocked(ctx context.Context, until time.Time, d time.Duration) error {
	l.mu.Unlock()
	defer l.mu.Lock()
	t := time.NewTimer(min(d, time.Until(until)))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
