package exchange

import (
	"sync"
	"time"
)

// A task is one request that waits for a worker.
type task struct {
	conn *ServerConn
	m    Message
}

// workers runs tasks on goroutines that it keeps. While the queue holds tasks, one worker at least is on its way to it:
// either just woken, or about to look again.
type workers struct {
	run       func(task)
	most      int // workers
	mostQueue int

	mu     sync.Mutex // guards the following
	queue  []task     // a ring
	head   int
	queued int
	idle   []*worker // the one that worked last is on top, so that those at the bottom can be let go
	alive  int
	waking bool // a worker has been woken and has not come yet
	closed bool
	gone   sync.WaitGroup
}

type worker struct {
	wake  chan bool // true: look at the queue; false: end
	since time.Time // idle since
}

func newWorkers(most, mostQueue int, run func(task)) *workers {
	return &workers{run: run, most: most, mostQueue: mostQueue}
}

// submit queues a task; false when there is no room for it.
func (p *workers) submit(t task) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.queued >= p.mostQueue {
		return false
	}
	if p.queued == len(p.queue) {
		p.growLocked()
	}
	p.queue[(p.head+p.queued)&(len(p.queue)-1)] = t
	p.queued++
	p.wakeLocked()
	return true
}

// growLocked doubles the ring, whose length is a power of two. p.mu must be held.
func (p *workers) growLocked() {
	bigger := make([]task, max(64, 2*len(p.queue)))
	for i := range p.queued {
		bigger[i] = p.queue[(p.head+i)&(len(p.queue)-1)]
	}
	p.queue, p.head = bigger, 0
}

// wakeLocked sends for a worker if none is coming. p.mu must be held.
func (p *workers) wakeLocked() {
	if p.waking || p.queued == 0 {
		return
	}
	if n := len(p.idle); n > 0 {
		w := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.waking = true
		w.wake <- true
		return
	}
	if p.alive < p.most {
		p.alive++
		p.waking = true
		p.gone.Add(1)
		go p.work(&worker{wake: make(chan bool, 1)})
	}
}

// work is a worker's life.
func (p *workers) work(w *worker) {
	defer p.gone.Done()
	p.mu.Lock()
	p.waking = false
	for {
		if p.queued == 0 {
			if p.closed {
				break
			}
			w.since = time.Now()
			p.idle = append(p.idle, w)
			p.mu.Unlock()
			stay := <-w.wake
			p.mu.Lock()
			if !stay {
				break
			}
			p.waking = false
			continue
		}
		t := p.queue[p.head]
		p.queue[p.head] = task{}
		p.head = (p.head + 1) & (len(p.queue) - 1)
		p.queued--
		p.wakeLocked()
		p.mu.Unlock()
		p.run(t)
		p.mu.Lock()
	}
	p.alive--
	p.mu.Unlock()
}

// trim ends the workers that have been idle for longer than age.
func (p *workers) trim(age time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	limit := time.Now().Add(-age)
	n := 0
	for n < len(p.idle) && p.idle[n].since.Before(limit) {
		p.idle[n].wake <- false
		n++
	}
	p.idle = append(p.idle[:0], p.idle[n:]...)
}

// close ends all workers when they have emptied the queue, and waits for them.
func (p *workers) close() {
	p.mu.Lock()
	p.closed = true
	for _, w := range p.idle {
		w.wake <- false
	}
	p.idle = nil
	p.mu.Unlock()
	p.gone.Wait()
}

// busy is the number of tasks that wait or run.
func (p *workers) busy() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.queued + p.alive - len(p.idle)
}
