package zookeeper

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ferryrpc/ferry/internal/zk"
)

// An entry is something that is, or is to be, in the tree. Its goroutine runs until it is unwanted and gone.
type entry struct {
	r         *Registry
	key       string // in the registry's books
	content   content
	path      string // the node that ends with the session
	ephemeral bool
	changes   chan struct{} // one place: a node or a watch changed
	done      chan struct{} // closed when the goroutine is over

	// r.mu guards the following.
	want    bool
	version int // of what is wanted
	proved  bool
	err     error              // of the last attempt
	settled chan struct{}      // closed and replaced after each attempt
	turned  context.CancelFunc // ends the present attempt, when what is wanted changes

	// The following belong to the goroutine.
	connection int64          // the one on which it was proved last; 0 before
	gen        *zk.Generation // in which it was proved last; nil before, and for nodes that stay
	removed    bool           // the node was seen to be gone, or not ours, when that was wanted; stays when done is closed
}

// content is what an entry keeps in the tree. But for changed, it is used by one goroutine at a time.
type content interface {
	// prove makes sure that everything is there and ours. It returns the generation in which that holds, nil when it holds
	// for good.
	prove(ctx context.Context) (*zk.Generation, error)
	// changed says whether the last proof may not hold any more.
	changed() bool
	// remove takes away what is ours alone.
	remove(ctx context.Context) error
	// stop ends the watches.
	stop()
}

// newEntryLocked starts to keep in the tree what build makes; its content calls wake when it changed. r.mu must be held.
func (r *Registry) newEntryLocked(key, path string, ephemeral bool, build func(wake func()) content) *entry {
	e := &entry{r: r, key: key, path: path, ephemeral: ephemeral, changes: make(chan struct{}, 1), done: make(chan struct{}),
		settled: make(chan struct{}), turned: func() {}, want: true}
	e.content = build(e.change)
	r.entries[key] = e
	r.wg.Go(func() { e.run(r.ctx) })
	return e
}

// wantLocked says what is wanted from now on. r.mu must be held.
func (e *entry) wantLocked(want bool) {
	if e.want != want {
		e.want, e.proved, e.err = want, false, nil
		e.turned()
	}
}

// renewLocked says that what is wanted has another content from now on. r.mu must be held.
func (e *entry) renewLocked() {
	e.want, e.proved, e.err = true, false, nil
	e.version++
	e.turned()
}

// await waits until the entry is proved, or refused by the servers' final word.
func (e *entry) await(ctx context.Context) error {
	for {
		e.r.mu.Lock()
		proved, err, settled := e.proved, e.err, e.settled
		e.r.mu.Unlock()
		if proved {
			return nil
		}
		if refused(err) {
			return err
		}
		select {
		case <-settled:
		case <-e.done:
			if e.r.ctx.Err() != nil {
				return ErrClosed
			}
			return errUnregistered
		case <-ctx.Done():
			return e.cause(context.Cause(ctx))
		}
	}
}

// cause adds to the end of a caller's context what keeps the entry from being done.
func (e *entry) cause(end error) error {
	e.r.mu.Lock()
	err := e.err
	e.r.mu.Unlock()
	if s := e.r.zk.Status(); !s.Connected {
		if s.Err == nil {
			return fmt.Errorf("%s does not answer: %w", e.r.zk.Addresses(), end)
		}
		return fmt.Errorf("%s: %w (%w)", e.r.zk.Addresses(), s.Err, end)
	}
	if err == nil || errors.Is(err, end) {
		return fmt.Errorf("%s does not answer: %w", e.r.zk.Addresses(), end)
	}
	return fmt.Errorf("%w (%w)", err, end)
}

// run makes the tree agree with what is wanted until the entry is unwanted and gone, or ctx ends.
func (e *entry) run(ctx context.Context) {
	defer close(e.done)
	defer e.content.stop()
	for delay := e.base(); ; {
		attempt, cancel := context.WithCancel(ctx)
		e.r.mu.Lock()
		want, version := e.want, e.version
		e.turned = cancel
		e.r.mu.Unlock()
		var gen *zk.Generation
		var err error
		if want {
			gen, err = e.proveAgain(attempt)
		} else if err = e.content.remove(attempt); err == nil && e.leave() {
			cancel()
			e.removed = true
			return
		}
		e.settle(want, version, err)
		began := time.Now()
		e.rest(attempt, gen, err, delay)
		cancel()
		if ctx.Err() != nil {
			e.leave()
			return
		}
		if err != nil || time.Since(began) < time.Second { // somebody works against us: give way
			delay = min(2*delay, e.r.p.Retry)
		} else {
			delay = e.base()
		}
	}
}

// proveAgain proves. When the connection was lost or the session ended since the last proof, all others lost theirs too.
func (e *entry) proveAgain(attempt context.Context) (*zk.Generation, error) {
	over := e.gen != nil && e.gen.Context().Err() != nil
	if e.connection != 0 && (over || e.r.lostSince(e.connection)) {
		e.r.back(attempt)
		e.connection, e.gen = e.r.zk.Status().Connection, nil
	}
	gen, err := e.content.prove(attempt)
	if err == nil {
		e.connection, e.gen = e.r.zk.Status().Connection, gen
	}
	return gen, err
}

// base is the first pause before mending.
func (e *entry) base() time.Duration { return min(mend, e.r.p.Retry) }

// change tells the goroutine to look at the node again.
func (e *entry) change() {
	select {
	case e.changes <- struct{}{}:
	default:
	}
}

// settle publishes the outcome of an attempt.
func (e *entry) settle(want bool, version int, err error) {
	e.r.mu.Lock()
	defer e.r.mu.Unlock()
	if version != e.version {
		return // the next attempt is the one that counts
	}
	e.proved = want && e.want && err == nil
	e.err = err
	close(e.settled)
	e.settled = make(chan struct{})
}

// unproved notes that nothing is known of the node any more.
func (e *entry) unproved() {
	e.r.mu.Lock()
	defer e.r.mu.Unlock()
	e.proved = false
}

// leave takes the entry out of the registry's books, unless it is wanted again.
func (e *entry) leave() bool {
	e.r.mu.Lock()
	defer e.r.mu.Unlock()
	if e.want && e.r.ctx.Err() == nil {
		return false
	}
	if e.r.entries[e.key] == e {
		delete(e.r.entries, e.key)
	}
	return true
}

// rest waits, with a proved entry, until something happens to it, and then, or with an error, a while longer: somebody else may
// be at work on the node.
func (e *entry) rest(attempt context.Context, gen *zk.Generation, err error, delay time.Duration) {
	if err != nil {
		if refused(err) {
			delay = e.r.p.Retry / 2
		}
		t := time.NewTimer(e.r.p.Retry) // a node that stands in our way is watched
		defer t.Stop()
		if errors.Is(err, ErrForeign) {
			select {
			case <-e.changes:
			case <-t.C:
			case <-attempt.Done():
				return
			}
			delay = e.base()
		}
		pause(attempt, delay)
		return
	}
	ended := context.Background()
	if gen != nil {
		ended = gen.Context()
	}
	for waiting := true; waiting; {
		select {
		case <-e.changes:
			waiting = !e.content.changed()
		case <-ended.Done():
			waiting = false
		case <-attempt.Done():
			return
		}
	}
	e.unproved()
	pause(attempt, delay)
}

// refused says whether an error is the servers' final word, for which there is no use in asking soon again.
func refused(err error) bool { return errors.Is(err, zk.ErrNoAuth) || errors.Is(err, zk.ErrBadPath) }
