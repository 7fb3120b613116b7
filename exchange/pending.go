package exchange

import (
	"math"
	"sync"
	"time"
)

// A wait is one call that waits for its answer. It is pooled; its channel holds one token at most.
type wait struct {
	done     chan struct{}
	reply    Message
	err      error
	deadline int64 // ns on the pending table's clock
}

var waits = sync.Pool{New: func() any { return &wait{done: make(chan struct{}, 1)} }}

func (w *wait) free() {
	w.reply, w.err = Message{}, nil
	waits.Put(w)
}

// pending is the table of waits of one connection. An id is the generation of a slot and its index, so a late or
// repeated answer never meets the wait that uses the slot next.
type pending struct {
	base  time.Time // zero of the deadlines
	most  int
	mu    sync.Mutex // guards the following
	slots []slot
	empty []uint32 // indexes of free slots, the last used on top
	used  int
	ended error         // why no more waits are taken
	room  chan struct{} // closed when a slot gets free; nil when nobody waits for one
	timer *time.Timer   // runs sweep; nil until the first wait
	next  int64         // when the timer fires; MaxInt64 when it is not set
}

type slot struct {
	gen uint32
	w   *wait
}

// sweepGap is the least time between two sweeps, and a sweep takes no more than a twentieth of the time.
const sweepGap = time.Millisecond

func newPending(most int) *pending {
	return &pending{base: time.Now(), most: most, next: math.MaxInt64}
}

// now is the time on the table's clock.
func (p *pending) now() int64 { return int64(time.Since(p.base)) }

// add registers w. calls is how many are in flight with it. When the table is full it returns a channel that is
// closed when it is worth trying again.
func (p *pending) add(w *wait) (id uint64, calls int, full <-chan struct{}, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended != nil {
		return 0, 0, nil, p.ended
	}
	if p.used >= p.most {
		if p.room == nil {
			p.room = make(chan struct{})
		}
		return 0, 0, p.room, nil
	}
	var i uint32
	if n := len(p.empty); n > 0 {
		i = p.empty[n-1]
		p.empty = p.empty[:n-1]
	} else {
		i = uint32(len(p.slots))
		p.slots = append(p.slots, slot{gen: 1})
	}
	s := &p.slots[i]
	s.w = w
	p.used++
	if w.deadline < p.next {
		p.armLocked(w.deadline)
	}
	return uint64(s.gen)<<32 | uint64(i), p.used, nil, nil
}

// armLocked sets the timer. p.mu must be held.
func (p *pending) armLocked(at int64) {
	p.next = at
	d := max(time.Duration(at-p.now()), 0)
	if p.timer == nil {
		p.timer = time.AfterFunc(d, p.sweep)
		return
	}
	p.timer.Reset(d)
}

// take removes the wait with this id; nil when somebody else has it or there is none.
func (p *pending) take(id uint64) *wait {
	i, gen := uint32(id), uint32(id>>32)
	p.mu.Lock()
	if int(i) >= len(p.slots) || p.slots[i].gen != gen || p.slots[i].w == nil {
		p.mu.Unlock()
		return nil
	}
	w := p.slots[i].w
	p.releaseLocked(i)
	p.mu.Unlock()
	return w
}

// releaseLocked frees slot i. p.mu must be held.
func (p *pending) releaseLocked(i uint32) {
	s := &p.slots[i]
	s.w = nil
	s.gen++
	p.empty = append(p.empty, i)
	p.used--
	if p.room != nil {
		close(p.room)
		p.room = nil
	}
}

// sweep ends the waits whose deadline has passed, and sets the timer for the next.
func (p *pending) sweep() {
	start := p.now()
	var late []*wait
	p.mu.Lock()
	next := int64(math.MaxInt64)
	for i := range p.slots {
		w := p.slots[i].w
		switch {
		case w == nil:
		case w.deadline <= start:
			late = append(late, w)
			p.releaseLocked(uint32(i))
		default:
			next = min(next, w.deadline)
		}
	}
	p.next = math.MaxInt64
	if next < math.MaxInt64 && p.ended == nil {
		now := p.now()
		p.armLocked(max(next, now+max(int64(sweepGap), 20*(now-start))))
	}
	p.mu.Unlock()
	for _, w := range late {
		w.err = ErrTimeout
		w.done <- struct{}{}
	}
}

// refuse takes no more waits; err is why.
func (p *pending) refuse(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended == nil {
		p.ended = err
	}
}

// end completes all waits with err and takes no more.
func (p *pending) end(err error) {
	var all []*wait
	p.mu.Lock()
	if p.ended == nil {
		p.ended = err
	}
	for i := range p.slots {
		if w := p.slots[i].w; w != nil {
			all = append(all, w)
			p.releaseLocked(uint32(i))
		}
	}
	if p.timer != nil {
		p.timer.Stop()
	}
	if p.room != nil {
		close(p.room)
		p.room = nil
	}
	p.mu.Unlock()
	for _, w := range all {
		w.err = err
		w.done <- struct{}{}
	}
}

// count is the number of calls in flight.
func (p *pending) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.used
}
