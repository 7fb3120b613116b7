package ordered

import (
	"context"
	"encoding/hex"
	"strconv"
	"sync"
	"time"

	"github.com/ferryrpc/ferry/coordination/lock"
	"github.com/ferryrpc/ferry/internal/zk"
)

// A tenure is the time in which this provider owns a bucket under one session: between two of them others may have owned it.
type tenure struct {
	gen    *zk.Generation
	fence  lock.Fence
	epoch  string // fence as calls carry it
	ledger Ledger // nil: nothing outlives the owner
	ctx    context.Context
	end    context.CancelCauseFunc

	// deadlineOff keeps a tenure when its generation ends. Only the negative control of the tests sets it.
	deadlineOff bool
}

func newTenure(gen *zk.Generation, f lock.Fence, l Ledger, deadlineOff bool) *tenure {
	t := &tenure{gen: gen, fence: f, epoch: epochText(f), ledger: l, deadlineOff: deadlineOff}
	parent := gen.Context()
	if deadlineOff {
		parent = context.WithoutCancel(parent)
	}
	t.ctx, t.end = context.WithCancelCause(parent)
	return t
}

// alive says whether the bucket is ours at this moment, also in a process that was stopped.
func (t *tenure) alive() bool {
	return (t.deadlineOff || t.gen.Alive()) && t.ctx.Err() == nil
}

// epochText is an epoch as calls carry it: the transaction, and enough of the incarnation to tell lives of the data apart.
func epochText(f lock.Fence) string {
	if f.Token == 0 {
		return ""
	}
	return strconv.FormatInt(f.Token, 36) + "." + hex.EncodeToString(f.Incarnation[:4])
}

// laterEpoch says whether epoch a is known to be later than b. Of two lives of the data nobody can say.
func laterEpoch(a, b string) bool {
	at, al := splitEpoch(a)
	bt, bl := splitEpoch(b)
	return al == bl && at > bt
}

func splitEpoch(s string) (token int64, life string) {
	for i := range len(s) {
		if s[i] == '.' {
			token, _ = strconv.ParseInt(s[:i], 36, 64) // 0 is before all
			return token, s[i+1:]
		}
	}
	return 0, ""
}

type turnKey struct{}

// A turn is the context of an ordered call's handler: it ends with the caller's and with the tenure. Nothing is made for it before
// the handler asks for Done.
type turn struct {
	context.Context
	Turn
	tenure *tenure

	mu     sync.Mutex // guards the following
	over   bool
	inner  context.Context
	cancel context.CancelCauseFunc
	unhook func() bool
}

// Done implements context.Context.
func (t *turn) Done() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.inner == nil {
		t.inner, t.cancel = context.WithCancelCause(t.Context)
		t.unhook = context.AfterFunc(t.tenure.ctx, func() { t.cancel(ErrLost) })
		if t.over {
			t.endLocked()
		}
	}
	return t.inner.Done()
}

// Err implements context.Context. It is right also when no timer has fired in a process that was stopped.
func (t *turn) Err() error {
	if err := t.Context.Err(); err != nil {
		return err
	}
	t.mu.Lock()
	over := t.over
	t.mu.Unlock()
	if over || !t.tenure.alive() {
		return context.Canceled
	}
	return nil
}

// Value implements context.Context.
func (t *turn) Value(key any) any {
	switch key.(type) {
	case turnKey:
		return t
	case lock.FenceKey:
		return &t.Fence
	}
	t.mu.Lock()
	inner := t.inner
	t.mu.Unlock()
	if inner != nil {
		return inner.Value(key) // context.WithCancel finds its parent so, and needs no goroutine
	}
	return t.Context.Value(key)
}

// finish ends the context when the handler has returned.
func (t *turn) finish() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
	t.endLocked()
}

func (t *turn) endLocked() {
	if t.cancel != nil {
		t.unhook()
		t.cancel(context.Canceled)
	}
}

// clock is a coarse time in ns, for what need not be exact.
func clock() int64 { return time.Now().UnixNano() }
