package zookeeper

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ferryrpc/ferry/internal/zk"
	"github.com/ferryrpc/ferry/url"
)

// An entry is one URL that is, or is to be, registered. Its goroutine runs until the URL is unregistered and its node
// gone.
type entry struct {
	r         *Registry
	url       *url.URL
	path      string
	ephemeral bool
	changes   chan struct{} // one place: the node or its watch changed
	done      chan struct{} // closed when the goroutine is over

	// r.mu guards the following.
	want    bool
	proved  bool
	err     error              // of the last attempt
	settled chan struct{}      // closed and replaced after each attempt
	turned  context.CancelFunc // ends the present attempt, when want changes

	// The following belong to the goroutine.
	ours    map[int64]bool // sessions of ours that may have made the node
	taken   map[int64]bool // foreign sessions whose node we have replaced
	removed bool           // the node was seen to be gone, or not ours, when that was wanted; stays when done is closed
}

// Register publishes service until Unregister or Close. See registry.Registry. A URL with dynamic=false becomes a
// persistent node.
func (r *Registry) Register(ctx context.Context, service *url.URL) error {
	service = service.WithoutUser()
	if service.Interface() == "" || service.Interface() == "*" {
		return fmt.Errorf("zookeeper: register %s: no interface", brief(service))
	}
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return ErrClosed
	}
	text := service.String()
	e := r.entries[text]
	if e == nil {
		e = &entry{r: r, url: service, path: r.entryPath(service), ephemeral: service.Param("dynamic") != "false",
			changes: make(chan struct{}, 1), done: make(chan struct{}), settled: make(chan struct{}),
			turned: func() {}, want: true, ours: map[int64]bool{}, taken: map[int64]bool{}}
		r.entries[text] = e
		r.wg.Go(func() { e.run(r.ctx) })
	} else {
		e.wantLocked(true)
	}
	r.mu.Unlock()
	err := e.await(ctx)
	if err != nil && r.checks(service) {
		r.mu.Lock()
		e.wantLocked(false)
		r.mu.Unlock()
	}
	if err != nil {
		return fmt.Errorf("zookeeper: register %s: %w", brief(service), err)
	}
	return nil
}

func (r *Registry) checks(service *url.URL) bool {
	if text, ok := service.Lookup("check"); ok {
		return text == "true"
	}
	return r.p.Check
}

// Unregister takes service away. When ctx ends first it goes on trying.
func (r *Registry) Unregister(ctx context.Context, service *url.URL) error {
	service = service.WithoutUser()
	r.mu.Lock()
	e := r.entries[service.String()]
	if e == nil {
		r.mu.Unlock()
		return nil
	}
	e.wantLocked(false)
	r.mu.Unlock()
	select {
	case <-e.done:
		return nil
	case <-ctx.Done():
	}
	return fmt.Errorf("zookeeper: unregister %s: %w", brief(service), e.cause(context.Cause(ctx)))
}

// wantLocked says what is wanted from now on. r.mu must be held.
func (e *entry) wantLocked(want bool) {
	if e.want != want {
		e.want, e.proved, e.err = want, false, nil
		e.turned()
	}
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
			return errors.New("unregistered meanwhile")
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
	watch := zk.NewWatch(func(zk.Event) { e.change() })
	defer watch.Stop()
	for delay := e.base(); ; {
		attempt, cancel := context.WithCancel(ctx)
		e.r.mu.Lock()
		want := e.want
		e.turned = cancel
		e.r.mu.Unlock()
		var gen *zk.Generation
		var err error
		if want {
			gen, err = e.prove(attempt, watch)
		} else if err = e.remove(attempt); err == nil && e.leave() {
			cancel()
			e.removed = true
			return
		}
		e.settle(want, err)
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

// base is the first pause before mending.
func (e *entry) base() time.Duration { return min(spread/10, e.r.p.Retry) }

// change tells the goroutine to look at the node again.
func (e *entry) change() {
	select {
	case e.changes <- struct{}{}:
	default:
	}
}

// settle publishes the outcome of an attempt.
func (e *entry) settle(want bool, err error) {
	e.r.mu.Lock()
	defer e.r.mu.Unlock()
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
	if e.r.entries[e.url.String()] == e {
		delete(e.r.entries, e.url.String())
	}
	return true
}

// rest waits, with a proved entry, until something happens to it, and then, or with an error, a while longer: the
// entries of all processes are mended at the same moment otherwise.
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
	select {
	case <-e.changes:
	case <-ended.Done():
	case <-attempt.Done():
		return
	}
	e.unproved()
	if e.r.online(attempt) { // it was the connection or the session, and all others lost theirs too
		delay = max(delay, e.r.comeback())
	}
	pause(attempt, delay)
}

// refused says whether an error is the servers' final word, for which there is no use in asking soon again.
func refused(err error) bool { return errors.Is(err, zk.ErrNoAuth) || errors.Is(err, zk.ErrBadPath) }

// prove makes sure that the node is there and ours. It returns the generation in which that holds, nil for persistent
// nodes.
func (e *entry) prove(ctx context.Context, watch *zk.Watch) (*zk.Generation, error) {
	var gen *zk.Generation
	if e.ephemeral {
		var err error
		if gen, err = e.r.zk.Session(ctx); err != nil {
			return nil, err
		}
		e.ours[gen.ID()] = true
	}
	leave, err := e.r.turn(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	for range 4 { // others may work on the node meanwhile
		select {
		case <-e.changes: // whatever it was, the next answer has it
		default:
		}
		stat, found, err := e.r.zk.Exists(ctx, e.path, watch)
		switch {
		case err != nil:
			return nil, err
		case !found:
			_, err = e.r.zk.Create(ctx, e.node(gen))
		case stat.Owner == ownerOf(gen):
			return gen, nil
		case e.taken[stat.Owner]:
			return nil, fmt.Errorf("%w 0x%x", ErrForeign, stat.Owner)
		default:
			e.taken[stat.Owner] = !e.ours[stat.Owner]
			_, err = e.r.zk.Multi(ctx, zk.DeleteOp(e.path, zk.AnyVersion), zk.CreateOp(e.node(gen)))
		}
		if err != nil && !errors.Is(err, zk.ErrNodeExists) && !errors.Is(err, zk.ErrNoNode) && !errors.Is(err, zk.ErrConnectionLost) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%w: it comes and goes", ErrForeign)
}

func (e *entry) node(gen *zk.Generation) zk.Node {
	return zk.Node{Path: e.path, Session: gen, Parents: true}
}

// ownerOf is what the servers show as the owner of our node; 0 of a persistent one.
func ownerOf(gen *zk.Generation) int64 {
	if gen == nil {
		return 0
	}
	return gen.ID()
}

// remove deletes the node, if it is there and ours.
func (e *entry) remove(ctx context.Context) error {
	leave, err := e.r.turn(ctx)
	if err != nil {
		return err
	}
	defer leave()
	stat, found, err := e.r.zk.Exists(ctx, e.path, nil)
	if err != nil {
		return err
	}
	if !found || e.ephemeral && !e.ours[stat.Owner] || !e.ephemeral && stat.Owner != 0 {
		return nil
	}
	err = e.r.zk.Delete(ctx, e.path, zk.AnyVersion)
	if errors.Is(err, zk.ErrNoNode) {
		return nil
	}
	return err
}
