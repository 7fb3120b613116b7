package ordered

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// The states of a bucket.
const (
	idle = iota
	claiming
	sealing
	owning
	draining
)

// A bucket is what a host knows about one bucket.
type bucket struct {
	number int

	mu         sync.Mutex // guards the following
	state      int
	queued     bool      // somebody will claim it or look at it again
	again      bool      // look at it once more when that is done
	blocked    bool      // another provider's node is there, and watched
	suspect    bool      // a call has seen a later epoch
	releasing  bool      // its node is being deleted by us
	made       int64     // the session of ours whose node is there, or may be; 0: none
	retry      time.Time // when to try again after a failure
	failure    error     // why it cannot be owned
	owner      string    // who else owns it, as far as is known
	ownerEpoch string
	tenure     *tenure   // while owning or draining; after a loss the last one
	swept      time.Time // when its idle keys are due to be swept
	keys       map[string]*key
	running    int
	drained    chan struct{} // while draining: closed when nothing runs
}

// A key is the calls of one key at its owner.
//
//	arriving -> (parked ->) running -> answered
//
// One runs at a time. Those that wait are in the order of arrival; when one ends, the first that may begin does.
type key struct {
	name    string
	clients map[string]*client
	waiters []*waiter
	running *waiter
	used    int64         // clock
	loaded  bool          // the store was asked
	loading chan struct{} // while it is
}

// A waiter is one call that has arrived.
type waiter struct {
	k        *key
	client   *client // nil for a caller that does not number its calls
	seq      uint64
	tenure   *tenure
	since    int64     // clock
	deadline time.Time // zero: none
	saved    bool      // the store knows that it begins
	end      chan verdict
}

// A verdict says what becomes of a call that waited.
type verdict struct {
	run    bool   // it is the call's turn
	answer []byte // it ran before
	err    error
}

// refuse ends the wait of all that did not begin.
func (k *key) refuse(err error) {
	for _, w := range k.waiters {
		w.end <- verdict{err: err}
	}
	k.waiters = nil
}

// An arrival is a call as it reaches its bucket.
type arrival struct {
	key, client, epoch string
	seq, base          uint64
	deadline           time.Time
}

// enter finds out what to do with a call: run it (w.tenure is whose turn it is), or what the verdict says. It waits for the call's turn.
func (h *host) enter(ctx context.Context, b *bucket, a arrival) (w *waiter, v verdict) {
	b.mu.Lock()
	t, k, err := h.admitLocked(ctx, b, a)
	if err != nil {
		b.mu.Unlock()
		return nil, verdict{err: err}
	}
	w = &waiter{k: k, seq: a.seq, tenure: t, since: clock(), deadline: a.deadline}
	k.used = w.since
	if a.client != "" {
		v, done := k.arriveLocked(w, a)
		if done && h.weak.replay && v.answer != nil {
			w.client, done = nil, false
		}
		if done {
			b.mu.Unlock()
			return w, v
		}
		if v.err == errFollow {
			b.mu.Unlock()
			return w, <-w.end
		}
	}
	if h.weak.order {
		w.client = nil
		b.mu.Unlock()
		return w, verdict{run: true}
	}
	if k.running == nil && (w.client == nil || w.seq == w.client.next) {
		b.beginLocked(w)
		b.mu.Unlock()
		return w, verdict{run: true}
	}
	w.end = make(chan verdict, 1)
	k.waiters = append(k.waiters, w)
	if k.running == nil {
		h.dispatchLocked(b, k) // a new base may have freed one that was parked
	}
	b.mu.Unlock()
	return w, <-w.end
}

// admitLocked refuses calls that have nothing to do here and returns the key of the others, with its stored state. b.mu is let go while
// the store is asked.
func (h *host) admitLocked(ctx context.Context, b *bucket, a arrival) (*tenure, *key, error) {
	for {
		t := b.tenure
		if b.state != owning || !t.alive() || a.client != "" && a.epoch != t.epoch {
			return nil, nil, h.notOwnerLocked(b, a.epoch)
		}
		k := b.keys[a.key]
		if k == nil {
			if h.keys.Add(1) > mostKeys {
				h.keys.Add(-1)
				return nil, nil, fmt.Errorf("ordered: more than %d keys are in use here, try another one later or shorten ordered.replay", mostKeys)
			}
			k = &key{name: strings.Clone(a.key), clients: map[string]*client{}, loaded: t.ledger == nil, used: clock()}
			b.keys[k.name] = k
		}
		switch {
		case k.loaded:
			return t, k, nil
		case k.loading != nil:
			loading := k.loading
			b.mu.Unlock()
			<-loading
			b.mu.Lock()
		default:
			if err := h.loadLocked(ctx, b, t, k); err != nil {
				return nil, nil, err
			}
		}
	}
}

// loadLocked asks the store for a key's state, without b.mu.
func (h *host) loadLocked(ctx context.Context, b *bucket, t *tenure, k *key) error {
	k.loading = make(chan struct{})
	b.mu.Unlock()
	state, err := t.ledger.Load(ctx, k.name)
	b.mu.Lock()
	close(k.loading)
	k.loading = nil
	if err == nil && b.tenure != t {
		return nil // another owner may have written since: it is read again
	}
	if err == nil {
		if err = k.readState(state, h.params.Policy == "reexecutable"); err != nil {
			err = fmt.Errorf("%w: %w", ErrStore, err)
		}
	}
	k.loaded = err == nil
	return err
}

// errFollow means that the call runs already, for an earlier attempt: the waiter gets that one's answer.
var errFollow = errors.New("ordered: follow")

// arriveLocked places a numbered call among those of its client. done means that the verdict stands.
func (k *key) arriveLocked(w *waiter, a arrival) (v verdict, done bool) {
	cl := k.clients[a.client]
	if cl == nil {
		cl = &client{id: strings.Clone(a.client), next: a.base}
		k.clients[cl.id] = cl
	}
	w.client = cl
	cl.rebase(a.base)
	if a.seq >= cl.next {
		if a.seq-cl.next >= mostWindow {
			return verdict{err: fmt.Errorf("%w: call %d is %d ahead of the next one", ErrGap, a.seq, a.seq-cl.next)}, true
		}
		for i, other := range k.waiters {
			if other.client == cl && other.seq == a.seq { // the same call again: nobody waits for the first attempt any more
				other.end <- verdict{err: errSuperseded}
				k.waiters = slices.Delete(k.waiters, i, i+1)
				break
			}
		}
		return verdict{}, false
	}
	r := cl.record(a.seq)
	switch {
	case r == nil:
		return verdict{err: errForgotten}, true
	case r.state == recordRunning, r.saving:
		w.end = make(chan verdict, 1)
		r.followers = append(r.followers, w)
		return verdict{err: errFollow}, false
	case r.state == recordUnknown:
		return verdict{err: errDied}, true
	}
	return verdict{answer: r.answer}, true
}

var (
	errSuperseded = errors.New("ordered: a later attempt took the call's place")
	errForgotten  = fmt.Errorf("%w: the call was given up by its consumer, or is older than what is remembered", ErrOutcomeUnknown)
	errDied       = fmt.Errorf("%w: the owner of the key died while the call ran", ErrOutcomeUnknown)
)

// beginLocked makes it w's turn.
func (b *bucket) beginLocked(w *waiter) {
	w.k.running = w
	b.running++
	if cl := w.client; cl != nil {
		cl.records = append(cl.records, record{seq: w.seq, state: recordRunning})
		cl.next = w.seq + 1
	}
}

// undoLocked takes back a turn that was not used.
func (b *bucket) undoLocked(w *waiter) (followers []*waiter) {
	if cl := w.client; cl != nil {
		if n := len(cl.records) - 1; n >= 0 && cl.records[n].seq == w.seq {
			followers = cl.records[n].followers
			cl.records = cl.records[:n]
			if cl.next == w.seq+1 {
				cl.next = w.seq
			}
		}
	}
	b.leaveLocked(w)
	return followers
}

func (b *bucket) leaveLocked(w *waiter) {
	w.k.running = nil
	b.running--
	if b.running == 0 && b.drained != nil {
		close(b.drained)
		b.drained = nil
	}
}

// nextLocked takes the first waiter that may begin out of the line, or returns nil.
func (k *key) nextLocked() *waiter {
	for i, w := range k.waiters {
		if w.client == nil || w.seq == w.client.next {
			k.waiters = slices.Delete(k.waiters, i, i+1)
			return w
		}
	}
	return nil
}

// dispatchLocked lets the next call of an idle key run.
func (h *host) dispatchLocked(b *bucket, k *key) {
	if k.running != nil {
		return
	}
	if b.state != owning || !b.tenure.alive() {
		k.refuse(h.notOwnerLocked(b, ""))
		return
	}
	if w := k.nextLocked(); w != nil {
		w.tenure = b.tenure
		b.beginLocked(w)
		w.end <- verdict{run: true}
	}
}
