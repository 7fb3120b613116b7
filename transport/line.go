package transport

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"
)

// A Sink is the socket under a Line. One goroutine at a time calls it.
type Sink interface {
	// Write hands bytes of bufs, in order, to the socket and returns how many it took. With a stall of zero it does not
	// wait: a socket that takes nothing now is 0 and no error. Otherwise it waits until the socket takes at least one
	// byte; os.ErrDeadlineExceeded means that it took none for that long.
	Write(bufs [][]byte, stall time.Duration) (n int, err error)
	// Rest is called after the last waiting Write of a row of them; what was needed to wait may be given back.
	Rest()
}

const (
	// Frames up to this size are copied behind others, which costs less than one more entry in a vectored write.
	copied = 4 << 10
	// Small frames are gathered in buffers of this size.
	batch = 64 << 10
	// A vectored write has at most this many entries.
	vector = 64
	// A sender writes at most this often for others before the flusher takes over.
	rounds = 4
)

// A Line is the send queue of one connection. It is embedded in a Conn and gives it Send, Wait and Flush.
//
// There is one writer at a time. The sender that finds nobody writing becomes the writer: it takes all that is queued,
// hands it to the socket without waiting, and does so again while more has come, a few times. While several calls are in
// flight it lets the goroutines that can run add their frames before; but whoever adds enough writes in its place. If it
// waited for all, this process and the peer would work in turns, each on all calls, and half of the cores would be idle.
// When the socket takes no
// more, or the sender has written for others long enough, a goroutine called the flusher goes on, waiting for the peer
// where it must; it ends with the queue. So a sender never waits for the peer, and an idle Line owns no buffer and no
// goroutine.
//
//	idle -> [sender yields ->] sender writes -> idle
//	                                  \-> flusher -> idle
//
// Frames belong to the Line from Send on: first in queue (under mu), then in out (the writer's alone), then they are freed.
type Line struct {
	sink  Sink
	ended func(error) // told once, by the writer, that the socket failed
	limit int
	stall time.Duration
	waits bool // every write may wait, so only the flusher writes

	mu      sync.Mutex // guards the following
	queue   []*Frame   // the last one may still be extended
	size    int        // bytes that the socket has not taken
	writing bool
	yielded int           // frames since the writer began to let others go first; 0 when it does not
	err     error         // why no more is sent
	room    chan struct{} // closed when the queue is half empty
	total   uint64        // bytes ever queued
	writes  uint64        // writes ever made
	flushes []flush

	flusher sync.WaitGroup

	out    []*Frame // the writer's: what it is writing, out[0] from offset on
	offset int
	vec    [][]byte
}

type flush struct {
	upTo uint64 // done when total - size reaches it
	done chan struct{}
}

// Start prepares the line. ended is called at most once, in the goroutine of a sender or of the flusher, when the socket
// fails; it must not block. waits says that sink's Write cannot do without waiting.
func (l *Line) Start(sink Sink, p Params, waits bool, ended func(error)) {
	l.sink, l.ended, l.waits = sink, ended, waits
	l.limit, l.stall = p.Queue, p.WriteStall
}

// Send queues f and takes it over, as Conn says. It is ErrFull, and f stays the caller's, when f would take the queue over
// its limit; but a queue that is at most half full takes a frame of any size. With more than one of calls in flight, other
// goroutines that can run get a turn before f is written.
func (l *Line) Send(f *Frame, calls int) error {
	n := len(f.B)
	l.mu.Lock()
	if l.err != nil || l.size+n > l.limit && l.size > l.limit/2 || n == 0 {
		err := l.err
		l.mu.Unlock()
		if err == nil && n > 0 {
			return ErrFull
		}
		f.Free()
		return err
	}
	spent := l.pushLocked(f)
	l.size += n
	l.total += uint64(n)
	turn := l.turnLocked(calls)
	l.mu.Unlock()
	if spent {
		f.Free()
	}
	switch turn {
	case startsFlusher:
		go l.flush()
	case yields:
		runtime.Gosched()
		if l.resume() {
			l.write()
		}
	case writes:
		l.write()
	}
	return nil
}

// pushLocked puts f behind the others and says whether it was copied, so that f is free again.
func (l *Line) pushLocked(f *Frame) (spent bool) {
	n := len(f.B)
	if last := len(l.queue) - 1; n <= copied && last >= 0 {
		tail := l.queue[last]
		if cap(tail.B)-len(tail.B) < n {
			tail = NewFrame(batch)
			l.queue = append(l.queue, tail)
		}
		tail.B = append(tail.B, f.B...)
		return true
	}
	l.queue = append(l.queue, f)
	return false
}

// write is the writer's turn in a sender.
func (l *Line) write() {
	written := 0
	for range rounds {
		if !l.take(written) {
			return
		}
		n, all, err := l.put(0)
		if err != nil {
			l.broken(err)
			return
		}
		if written = n; !all {
			break
		}
	}
	l.mu.Lock()
	if !l.settleLocked(written) {
		l.mu.Unlock()
		return
	}
	l.flusher.Add(1)
	l.mu.Unlock()
	go l.flush()
}

// flush is the flusher: it writes until nothing is queued.
func (l *Line) flush() {
	defer l.flusher.Done()
	written := 0
	for {
		if written < batch {
			runtime.Gosched() // little was there to write: let the senders that can run add to it
		}
		if l.counted(written) {
			l.sink.Rest() // while still the writer, as the next one may not wait
		}
		if !l.take(0) {
			return
		}
		n, _, err := l.put(l.stall)
		if errors.Is(err, os.ErrDeadlineExceeded) && !l.waits {
			// The system calls a socket writable when much of its buffer is free, which a slow peer may not bring about.
			if n, _, err = l.put(0); n == 0 && err == nil {
				err = ErrStalled
			}
		}
		if err != nil {
			l.sink.Rest()
			l.broken(err)
			return
		}
		written = n
	}
}

// counted counts n bytes as written and says whether the writer has nothing more to do.
func (l *Line) counted(n int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.countLocked(n)
	return l.err != nil || l.size == 0
}

// take settles the last write and takes what is queued into out. It returns false, and the caller stops being the
// writer, when there is nothing to write or the line has ended.
func (l *Line) take(written int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.settleLocked(written) {
		return false
	}
	if len(l.out) == 0 {
		l.out, l.queue = l.queue, l.out
	}
	return true
}

// countLocked counts n bytes as written and tells those who wait for it.
func (l *Line) countLocked(n int) {
	if n == 0 {
		return
	}
	l.size -= n
	l.writes++
	if l.room != nil && l.size <= l.limit/2 {
		close(l.room)
		l.room = nil
	}
	for len(l.flushes) > 0 && l.total-uint64(l.size) >= l.flushes[0].upTo {
		close(l.flushes[0].done)
		l.flushes = l.flushes[1:]
	}
}

// settleLocked counts n bytes as written. It returns false, and ends the caller's time as the writer, when nothing is
// left or the line has ended.
func (l *Line) settleLocked(n int) bool {
	l.countLocked(n)
	if l.err == nil && l.size > 0 {
		return true
	}
	free(l.out)
	l.out, l.offset = reuse(l.out), 0
	l.queue = reuse(l.queue) // empty, but perhaps large
	l.writing = false
	return false
}

// put writes from out once, frees what is done with, and says how many bytes the socket took and whether that was all.
func (l *Line) put(stall time.Duration) (n int, all bool, err error) {
	l.vec = append(l.vec[:0], l.out[0].B[l.offset:])
	for _, f := range l.out[1:min(len(l.out), vector)] {
		l.vec = append(l.vec, f.B)
	}
	n, err = l.sink.Write(l.vec, stall)
	clear(l.vec)
	if cap(l.vec) > 8 {
		l.vec = nil
	}
	if err != nil {
		return n, false, err
	}
	rest, done := l.offset+n, 0
	for done < len(l.out) && rest >= len(l.out[done].B) {
		rest -= len(l.out[done].B)
		l.out[done].Free()
		done++
	}
	more := min(len(l.out), vector) > done
	l.offset = rest
	l.out = append(l.out[:0], l.out[done:]...)
	clear(l.out[len(l.out) : len(l.out)+done])
	return n, !more, nil
}

// broken ends the line because the socket failed. The caller is the writer.
func (l *Line) broken(err error) {
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, ErrStalled) {
		err = ErrStalled
	} else {
		err = Cause(err)
	}
	first := l.End(err)
	l.mu.Lock()
	l.settleLocked(0)
	l.mu.Unlock()
	if first {
		l.ended(err)
	}
}

// End makes err the reason why nothing more is sent, drops what is queued and wakes all who wait. It returns false when
// the line had ended before.
func (l *Line) End(err error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return false
	}
	l.err = err
	free(l.queue)
	l.queue = nil
	if l.room != nil {
		close(l.room)
		l.room = nil
	}
	for _, f := range l.flushes {
		close(f.done)
	}
	l.flushes = nil
	return true
}

// Err returns why the line has ended, or nil.
func (l *Line) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// Quiet waits until the flusher has ended. The line must have ended, and the socket must fail its Write.
func (l *Line) Quiet() { l.flusher.Wait() }

// Wait returns a channel that is closed when the queue is half empty or the line has ended; nil when it has room now.
func (l *Line) Wait() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil || l.size <= l.limit/2 {
		return nil
	}
	if l.room == nil {
		l.room = make(chan struct{})
	}
	return l.room
}

// Flush returns when the socket has taken all that was queued before, or when ctx or the line ends.
func (l *Line) Flush(ctx context.Context) error {
	l.mu.Lock()
	if l.err != nil || l.size == 0 {
		defer l.mu.Unlock()
		return l.err
	}
	f := flush{upTo: l.total, done: make(chan struct{})}
	l.flushes = append(l.flushes, f)
	l.mu.Unlock()
	select {
	case <-f.done:
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.err != nil && l.total-uint64(l.size) < f.upTo {
			return l.err
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("transport: flush: %w", ctx.Err())
	}
}

// Counts returns how many bytes and how many writes the socket has taken.
func (l *Line) Counts() (bytes, writes uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total - uint64(l.size), l.writes
}

func free(fs []*Frame) {
	for _, f := range fs {
		f.Free()
	}
}

// reuse empties a list and keeps its memory if that is little.
func reuse(fs []*Frame) []*Frame {
	if cap(fs) > 8 {
		return nil
	}
	clear(fs)
	return fs[:0]
}
