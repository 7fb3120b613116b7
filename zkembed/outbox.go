package zkembed

import (
	"slices"
	"sync"
	"time"
)

const keepBuffer = 64 << 10 // larger buffers are left to the garbage collector

// An outbox is what a connection has to send, in order. A part may be sent only at a certain time, which holds up all
// that follows.
type outbox struct {
	mu     sync.Mutex // guards the following
	wake   sync.Cond  // of every change that somebody waits for
	parts  []part
	size   int
	most   int       // the longest frame since nothing was queued
	notAt  time.Time // earliest time for what is put next
	ended  bool      // nothing may be put any more
	broken bool      // nor sent
	spare  []byte
}

type part struct {
	b    []byte
	at   time.Time
	last bool // nothing more will be put
}

// put queues a copy of frame and returns how much is queued then, the longest frame apart.
func (o *outbox) put(frame []byte) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ended {
		return 0
	}
	if n := len(o.parts); n == 0 || o.parts[n-1].at != o.notAt {
		o.parts = append(o.parts, part{b: o.spare[:0], at: o.notAt})
		o.spare = nil
	}
	last := &o.parts[len(o.parts)-1]
	last.b = append(last.b, frame...)
	o.size += len(frame)
	o.most = max(o.most, len(frame))
	o.wake.Broadcast()
	return o.size - o.most
}

// next waits for something to send. It returns false when there is nothing and will be nothing.
func (o *outbox) next() (part, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.parts) == 0 && !o.ended && !o.broken {
		o.wake.Wait()
	}
	if len(o.parts) == 0 || o.broken {
		return part{}, false
	}
	p := o.parts[0]
	p.last = o.ended
	o.parts = slices.Delete(o.parts, 0, 1)
	return p, true
}

// done takes back a part that was sent.
func (o *outbox) done(p part) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.size -= len(p.b); o.size == 0 {
		o.most = 0
	}
	if cap(p.b) <= keepBuffer {
		o.spare = p.b
	}
	o.wake.Broadcast()
}

// room waits until less than limit is queued: who does not read the answers has to wait with the next questions.
func (o *outbox) room(limit int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.size >= limit && !o.ended && !o.broken {
		o.wake.Wait()
	}
}

// delay holds back what is put from now on. A shorter delay than one before changes nothing.
func (o *outbox) delay(d time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if at := time.Now().Add(d); at.After(o.notAt) {
		o.notAt = at
	}
}

// end lets what is queued be sent, and nothing more.
func (o *outbox) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended = true
	o.wake.Broadcast()
}

// abandon stops at once.
func (o *outbox) abandon() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended, o.broken, o.parts = true, true, nil
	o.wake.Broadcast()
}
