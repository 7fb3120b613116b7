package ordered

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ferryrpc/ferry/protocol"
)

// A notOwner is the refusal of a call whose bucket is another provider's, as far as this one knows.
type notOwner struct {
	owner, epoch string
	cause        error // why this provider cannot own it, if it should
}

// Error says who owns the bucket.
func (e *notOwner) Error() string {
	text := ErrNotOwner.Error() + ": the owner is not known"
	if e.owner != "" {
		text = ErrNotOwner.Error() + ": the owner is " + e.owner
	}
	if e.cause != nil {
		text += ": " + e.cause.Error()
	}
	return text
}

// Is makes it match ErrNotOwner.
func (e *notOwner) Is(target error) bool { return target == ErrNotOwner }

// Unwrap returns the cause.
func (e *notOwner) Unwrap() error { return e.cause }

// notOwnerLocked is the refusal of a call with an epoch.
func (h *host) notOwnerLocked(b *bucket, epoch string) error {
	t := b.tenure
	if b.state == owning && t.alive() {
		if laterEpoch(epoch, t.epoch) {
			b.suspect = true
			h.nudge()
		}
		return &notOwner{owner: h.self, epoch: t.epoch}
	}
	e := &notOwner{owner: b.owner, epoch: b.ownerEpoch, cause: b.failure}
	if e.owner == "" {
		e.owner = h.members.Load().of(b.number)
	}
	return e
}

// call runs an ordered call when it is its turn, or says why not.
func (h *host) call(ctx context.Context, next protocol.Invoker, c *protocol.Invocation, a arrival) error {
	b := &h.buckets[bucketOf(a.key)]
	w, v := h.enter(ctx, b, a)
	switch {
	case v.err != nil:
		return h.refused(c, a, v.err)
	case !v.run:
		c.Started = true // it has run
		answer, broken := h.codec.decode(c, v.answer)
		if broken != nil {
			return h.refused(c, a, broken)
		}
		return answer
	}
	return h.run(ctx, b, w, next, c, a)
}

// run is a call's turn.
func (h *host) run(ctx context.Context, b *bucket, w *waiter, next protocol.Invoker, c *protocol.Invocation, a arrival) error {
	t := w.tenure
	if t.ledger != nil && !w.saved {
		b.mu.Lock()
		state := w.k.appendState(nil)
		b.mu.Unlock()
		if err := t.ledger.Save(ctx, w.k.name, state); err != nil {
			h.sealedOff(b, t, err)
			return h.refused(c, a, h.giveUp(b, w, err))
		}
	}
	if !t.alive() {
		b.mu.Lock()
		err := h.notOwnerLocked(b, "")
		b.mu.Unlock()
		return h.refused(c, a, h.giveUp(b, w, err))
	}
	tc := &turn{Context: ctx, Turn: Turn{Key: w.k.name, Client: a.client, Seq: a.seq, Fence: t.fence}, tenure: t}
	err := serve(tc, next, c)
	tc.finish()
	if err != nil && !c.Started {
		_ = h.giveUp(b, w, err)
		return err // a filter behind this one refused it
	}
	var answer []byte
	if w.client != nil {
		answer = h.codec.encode(c, err, h.params.Result)
	}
	if lost := h.end(b, w, answer); lost != nil {
		return h.refused(c, a, lost)
	}
	return err
}

// serve calls the service. A panic is its answer, so that the key goes on.
func serve(ctx context.Context, next protocol.Invoker, c *protocol.Invocation) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic in %s.%s: %v", c.Method.Service, c.Method.Name, v)
		}
	}()
	return next.Invoke(ctx, c)
}

// giveUp takes back the turn of a call that did not run and lets the next one begin. It returns err.
func (h *host) giveUp(b *bucket, w *waiter, err error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range b.undoLocked(w) {
		f.end <- verdict{err: err}
	}
	if errors.Is(err, ErrStore) || errors.Is(err, ErrSealed) {
		w.k.refuse(err) // each of them would wait for the store in vain
	}
	h.dispatchLocked(b, w.k)
	return err
}

// errLate is why a call that ran has no normal answer.
var errLate = fmt.Errorf("%w: the key went to another owner while the call ran", ErrOutcomeUnknown)

// end records that a call ran and lets the next one begin. It returns an error when the bucket may have been another owner's
// meanwhile: then nobody can say what that one saw.
func (h *host) end(b *bucket, w *waiter, answer []byte) error {
	t, k := w.tenure, w.k
	if h.weak.order {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if w.client != nil {
		if r := w.client.record(w.seq); r != nil {
			r.state, r.answer, r.saving = recordDone, answer, t.ledger != nil
		}
	}
	k.used = clock()
	var lost error
	if !t.alive() {
		lost = errLate
	} else if t.ledger != nil {
		lost = h.saveLocked(b, w)
	}
	h.answerFollowers(w, answer, lost)
	if k.running == w {
		b.leaveLocked(w)
		h.dispatchLocked(b, k)
	}
	return lost
}

func (h *host) answerFollowers(w *waiter, answer []byte, lost error) {
	if w.client == nil {
		return
	}
	r := w.client.record(w.seq)
	if r == nil {
		return
	}
	for _, f := range r.followers {
		f.end <- verdict{answer: answer, err: lost}
	}
	r.followers, r.saving = nil, false
}

// saveLocked stores that w has ended and, in the same write, that the next one begins, which it then does. b.mu is let go meanwhile; the
// key is w's until it is stored, or the bucket is lost.
func (h *host) saveLocked(b *bucket, w *waiter) error {
	t, k := w.tenure, w.k
	var n *waiter
	if b.state == owning && b.tenure == t {
		if n = k.nextLocked(); n != nil && n.client != nil {
			n.client.records = append(n.client.records, record{seq: n.seq, state: recordRunning})
			n.client.next = n.seq + 1
		}
	}
	state := k.appendState(nil)
	b.mu.Unlock()
	err := h.persist(b, t, k.name, state)
	b.mu.Lock()
	if n == nil {
		if err != nil {
			return fmt.Errorf("%w: %w", errLate, err)
		}
		return nil
	}
	b.running--
	k.running = n
	b.running++
	if err != nil {
		for _, f := range b.undoLocked(n) {
			f.end <- verdict{err: err}
		}
		n.end <- verdict{err: h.notOwnerLocked(b, "")}
		h.dispatchLocked(b, k)
		return fmt.Errorf("%w: %w", errLate, err)
	}
	n.tenure, n.saved = t, true
	n.end <- verdict{run: true}
	return nil
}

// persist stores a key's state, however long the store is away: the call has run, and nobody may go on before that is known. It gives
// up with the tenure.
func (h *host) persist(b *bucket, t *tenure, key string, state []byte) error {
	const first, most = 5 * time.Millisecond, 500 * time.Millisecond
	for pause := first; ; pause = min(2*pause, most) {
		err := t.ledger.Save(t.ctx, key, state)
		if err == nil && t.alive() {
			return nil
		}
		h.sealedOff(b, t, err)
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-t.ctx.Done():
		}
		timer.Stop()
		if !t.alive() {
			if err == nil {
				err = context.Cause(t.ctx)
			}
			return err
		}
	}
}

// sealedOff gives a bucket up that the store knows a later owner of.
func (h *host) sealedOff(b *bucket, t *tenure, err error) {
	if errors.Is(err, ErrSealed) || errors.Is(err, ErrIncarnation) {
		h.lose(b, t, err)
	}
}
