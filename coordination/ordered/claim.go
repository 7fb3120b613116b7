package ordered

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ferryrpc/ferry/coordination/lock"
	"github.com/ferryrpc/ferry/internal/zk"
)

// errTaken means that a bucket is another provider's.
var errTaken = errors.New("another provider owns the bucket")

// claim makes a bucket ours if nobody has it, and finds out whether one of ours still is. Of one that should not be ours it takes away
// what we may have left there.
func (h *host) claim(e *era, b *bucket) {
	ctx, cancel := context.WithCancel(e.gen.Context())
	defer cancel()
	defer context.AfterFunc(h.ctx, cancel)()
	b.mu.Lock()
	owned := b.state == owning || b.state == draining
	t := b.tenure
	if !owned {
		if b.releasing {
			b.mu.Unlock()
			return
		}
		if h.members.Load().of(b.number) != h.self || h.leaving.Load() {
			b.releasing = b.made != 0
			b.mu.Unlock()
			h.shed(e, b)
			return
		}
		b.state = claiming
	}
	b.mu.Unlock()
	f, err := h.take(e, b, !owned)
	if owned {
		if ctx.Err() == nil && (errors.Is(err, errTaken) || errors.Is(err, zk.ErrNoNode) || err == nil && f != t.fence) {
			h.lose(b, t, fmt.Errorf("the node that stood for it is gone"))
			h.nudge()
		}
		return
	}
	var l Ledger
	if err == nil && h.store != nil {
		b.mu.Lock()
		b.state = sealing
		b.mu.Unlock()
		l, err = h.store.Seal(ctx, Bucket{h.service, b.number}, f)
	}
	if err != nil {
		h.failed(ctx, b, err)
		return
	}
	h.own(b, newTenure(e.gen, f, l, h.weak.deadline))
}

// take makes the bucket's node, unless create is false, and returns its epoch when it is ours. It is watched in any case.
// It does not leave with the generation: a node that is made when nobody waits any more would be deleted late, under those who count on it
// because the session went on.
func (h *host) take(e *era, b *bucket, create bool) (lock.Fence, error) {
	ctx, path := h.ctx, h.path+"/own/"+bucketName(b.number)
	if create {
		b.mu.Lock()
		b.made = e.gen.ID()
		b.mu.Unlock()
	}
	const tries = 5
	for range tries {
		if create {
			_, err := h.zk.Create(ctx, zk.Node{Path: path, Data: []byte(h.self), Session: e.gen})
			if err != nil && !errors.Is(err, zk.ErrNodeExists) && !errors.Is(err, zk.ErrConnectionLost) {
				return lock.Fence{}, err
			}
		}
		data, stat, err := h.zk.Get(ctx, path, h.watches[b.number])
		switch {
		case errors.Is(err, zk.ErrNoNode) && create:
			continue
		case err != nil:
			return lock.Fence{}, err
		}
		f := lock.Fence{Incarnation: e.life, Token: stat.Created}
		if stat.Owner == e.gen.ID() {
			return f, nil
		}
		b.mu.Lock()
		b.owner, b.ownerEpoch, b.made = string(data), epochText(f), 0
		b.mu.Unlock()
		return lock.Fence{}, errTaken
	}
	return lock.Fence{}, errors.New("the bucket's node comes and goes")
}

// failed notes why a bucket is not ours.
func (h *host) failed(ctx context.Context, b *bucket, err error) {
	b.mu.Lock()
	b.state = idle
	taken := errors.Is(err, errTaken)
	b.blocked = taken && !b.again // its watch may have fired already
	report := !taken && b.failure == nil && ctx.Err() == nil
	b.failure = nil
	if !taken {
		b.failure = err
		b.owner, b.ownerEpoch = h.self, ""
		b.retry = time.Now().Add(pause)
	}
	b.mu.Unlock()
	if report {
		h.env.Log().Warn("ordered: a bucket cannot be owned", "service", h.service, "bucket", b.number, "cause", err)
	}
}

// failAll notes why none of the buckets can be ours.
func (h *host) failAll(err error) {
	for i := range h.buckets {
		b := &h.buckets[i]
		b.mu.Lock()
		if b.state == idle {
			b.failure = err
		}
		b.mu.Unlock()
	}
}

// own begins a tenure. What keys have done stays known when nobody else can have owned the bucket since.
func (h *host) own(b *bucket, t *tenure) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if old := b.tenure; old == nil || old.fence != t.fence {
		h.forgetLocked(b, t)
		b.swept = time.Now().Add(h.params.Replay)
	}
	b.tenure, b.state = t, owning
	b.owner, b.ownerEpoch, b.failure, b.blocked = "", "", nil, false
	for _, k := range b.keys {
		h.dispatchLocked(b, k)
	}
}

// forgetLocked drops what keys have done under an earlier epoch. Calls of that time which still run keep their keys busy.
func (h *host) forgetLocked(b *bucket, t *tenure) {
	for name, k := range b.keys {
		if k.running == nil && k.loading == nil {
			delete(b.keys, name)
			h.keys.Add(-1)
			continue
		}
		k.clients, k.loaded = map[string]*client{}, t.ledger == nil
	}
}

// lose ends a tenure: nothing begins any more, what runs is told, and its answers say that nobody knows.
func (h *host) lose(b *bucket, t *tenure, cause error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tenure != t || b.state != owning && b.state != draining {
		return
	}
	b.state = idle
	t.end(fmt.Errorf("%w: %w", ErrLost, cause))
	for _, k := range b.keys {
		k.refuse(h.notOwnerLocked(b, ""))
	}
}

// endEra ends all tenures of a generation.
func (h *host) endEra(gen *zk.Generation) {
	h.mu.Lock()
	h.era = nil
	for _, i := range h.queue {
		h.unqueue(&h.buckets[i])
	}
	h.queue = nil
	h.mu.Unlock()
	for i := range h.buckets {
		b := &h.buckets[i]
		b.mu.Lock()
		t := b.tenure
		b.blocked, b.owner, b.ownerEpoch = false, "", ""
		b.mu.Unlock()
		if t != nil && t.gen == gen && !t.deadlineOff {
			h.lose(b, t, errors.New("the session ended"))
		}
	}
}

// give hands a bucket over: it lets what runs end, which is bounded, and deletes the node. A bucket whose calls do not end stays, unless
// by force.
func (h *host) give(ctx context.Context, gen *zk.Generation, b *bucket, most time.Duration, force bool) {
	b.mu.Lock()
	t := b.tenure
	if b.state != owning || t.gen != gen {
		b.mu.Unlock()
		return
	}
	b.state = draining
	drained := make(chan struct{})
	if b.running == 0 {
		close(drained)
	} else {
		b.drained = drained
	}
	b.owner, b.ownerEpoch = h.heir(b.number), ""
	for _, k := range b.keys {
		k.refuse(h.notOwnerLocked(b, ""))
	}
	b.mu.Unlock()
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-drained:
	case <-timer.C:
	case <-ctx.Done():
	case <-t.ctx.Done():
		return // lost meanwhile
	}
	b.mu.Lock()
	if b.tenure != t || b.state != draining {
		b.mu.Unlock()
		return
	}
	b.drained = nil
	if b.running > 0 && !force {
		b.state, b.owner = owning, ""
		b.retry = time.Now().Add(most)
		for _, k := range b.keys {
			h.dispatchLocked(b, k)
		}
		b.mu.Unlock()
		return
	}
	b.releasing = true
	b.mu.Unlock()
	h.lose(b, t, errors.New("it was given to another provider"))
	h.remove(ctx, b, t.gen)
}

// heir is who should own a bucket that we give away.
func (h *host) heir(bucket int) string {
	m := h.members.Load()
	if o := m.of(bucket); o != h.self {
		return o
	}
	return m.without(bucket, h.self)
}

// tend ends waits that have lasted too long, and drops keys that nobody uses.
func (h *host) tend() {
	now := time.Now()
	for i := range h.buckets {
		b := &h.buckets[i]
		b.mu.Lock()
		if b.state == owning && len(b.keys) > 0 {
			for name, k := range b.keys {
				k.tendLocked(now, h.params.Gap)
				if k.running == nil && len(k.waiters) == 0 && k.loading == nil && now.UnixNano()-k.used > int64(h.params.Replay) {
					h.dropLocked(b, name, k)
				}
			}
		}
		b.mu.Unlock()
	}
}

// dropLocked forgets a key that nobody uses, in the store as well.
func (h *host) dropLocked(b *bucket, name string, k *key) {
	if b.tenure.ledger == nil {
		delete(b.keys, name)
		h.keys.Add(-1)
		return
	}
	// Calls that come meanwhile wait as if the key were read, which it is then.
	k.loading, k.loaded = make(chan struct{}), false
	t := b.tenure
	h.wg.Go(func() {
		err := t.ledger.Drop(t.ctx, name)
		b.mu.Lock()
		defer b.mu.Unlock()
		close(k.loading)
		k.loading = nil
		if b.keys[name] == k {
			delete(b.keys, name)
			h.keys.Add(-1)
		}
		if err != nil && t.alive() {
			h.env.Log().Info("ordered: a key's state stays in the store", "service", h.service, "key", name, "cause", err)
		}
	})
}

var errWaited = errors.New("ordered: it was not the call's turn before its time was over")

// tendLocked ends the waits of a key that have lasted too long.
func (k *key) tendLocked(now time.Time, gap time.Duration) {
	kept := k.waiters[:0]
	for _, w := range k.waiters {
		switch {
		case !w.deadline.IsZero() && now.After(w.deadline):
			w.end <- verdict{err: errWaited}
		case k.running == nil && now.UnixNano()-w.since > int64(gap):
			w.end <- verdict{err: fmt.Errorf("%w: call %d waited %s for call %d", ErrGap, w.seq, gap, w.client.next)}
		default:
			kept = append(kept, w)
		}
	}
	clear(k.waiters[len(kept):])
	k.waiters = kept
}
