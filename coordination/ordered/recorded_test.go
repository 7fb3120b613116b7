package ordered_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/coordination/idempotent"
	"github.com/ferryrpc/ferry/coordination/lock"
	"github.com/ferryrpc/ferry/coordination/ordered"
	"github.com/ferryrpc/ferry/zkembed"
)

// records are a store of recorded calls that the providers of a test have together.
type records struct {
	*idempotent.Memory
	unfenced bool // the negative control: epochs do not reach it

	mu       sync.Mutex // guards the following
	fences   []lock.Fence
	finished []error
}

func (r *records) Caps() idempotent.Caps { return idempotent.Caps{Durable: true, Shared: true} }

func (r *records) Begin(ctx context.Context, q idempotent.Request) (idempotent.Begun, error) {
	r.mu.Lock()
	r.fences = append(r.fences, q.Fence)
	r.mu.Unlock()
	if r.unfenced {
		q.Fence = lock.Fence{}
	}
	return r.Memory.Begin(ctx, q)
}

func (r *records) TakeOver(ctx context.Context, q idempotent.Request) (idempotent.Begun, error) {
	if r.unfenced {
		q.Fence = lock.Fence{}
	}
	return r.Memory.TakeOver(ctx, q)
}

func (r *records) Finish(ctx context.Context, t idempotent.Ticket, f idempotent.Final) error {
	if r.unfenced {
		t.Fence = lock.Fence{}
	}
	err := r.Memory.Finish(ctx, t, f)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.finished = append(r.finished, err)
	return err
}

func (r *records) ends() []error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]error(nil), r.finished...)
}

// overtakenRecord lets the owner of a key be overtaken, without noticing it, while a recorded call of that key runs. The executor's lease is
// far longer than the test. It returns what the caller got before the late owner came back, and how often the call had run by then.
func overtakenRecord(t *testing.T, r *records) (at int64, ran int, err error) {
	z := embedded(t)
	urls := &sessions{address: z.Addr(), session: 600 * time.Millisecond}
	j := newJournal()
	inside, release := make(chan struct{}), make(chan struct{})
	let := sync.OnceFunc(func() { close(release) })
	t.Cleanup(let)
	var first atomic.Bool
	j.hold = func(string) {
		if first.CompareAndSwap(false, true) {
			close(inside)
			<-release
		}
	}
	link, err := z.Listen("127.0.0.1:0")
	require.NoError(t, err)
	both := []ferry.Option{ferry.Param("append.idempotent", "common"), ferry.Param("append.idempotent.key", "1"), ferry.Param("idempotent.policy", "reexecutable"),
		ferry.Param("idempotent.lease", "600000")}
	x, y := ferry.Builtin(), ferry.Builtin()
	x.Ordered.Weaken(ordered.Deadline)
	require.NoError(t, x.Idempotent.Use("common", r))
	require.NoError(t, y.Idempotent.Use("common", r))
	serveWith(t, x, urls.at(link.Addr()), desk{j}, both...)
	far := &sessions{address: z.Addr(), session: 10 * time.Second}
	c := consume(t, far.url(), ferry.Timeout(300*time.Millisecond))
	type answer struct {
		at  int64
		err error
	}
	done := make(chan answer, 1)
	go func() {
		at, err := c.Append(context.Background(), "k", "1")
		done <- answer{at, err}
	}()
	<-inside
	sessions := len(z.Sessions())
	link.Hold(zkembed.Both)
	require.Eventually(t, func() bool { return len(z.Sessions()) < sessions }, patience, time.Millisecond)
	serveWith(t, y, urls.url(), desk{j}, both...)
	a := <-done
	ran = j.total()
	before := len(r.ends())
	let()
	require.Eventually(t, func() bool { return len(r.ends()) > before }, patience, time.Millisecond, "the late owner comes back")
	return a.at, ran, a.err
}

// TestTheEpochIsTheRecordsFence: the next owner takes the record of an overtaken one at once, not when its lease is over, and the late
// owner records nothing.
func TestTheEpochIsTheRecordsFence(t *testing.T) {
	t.Parallel()
	r := &records{Memory: idempotent.NewMemory(0)}
	at, ran, err := overtakenRecord(t, r)
	require.NoError(t, err)
	require.EqualValues(t, 2, at)
	require.Equal(t, 2, ran)
	ends := r.ends()
	require.Len(t, ends, 2)
	require.NoError(t, ends[0])
	require.ErrorIs(t, ends[1], idempotent.ErrFenced)
	first, last := r.fences[0], r.fences[len(r.fences)-1]
	require.Positive(t, first.Token)
	require.Greater(t, last.Token, first.Token)
	require.Equal(t, first.Incarnation, last.Incarnation)
}

func TestWithoutTheFenceALateOwnerRecords(t *testing.T) {
	t.Parallel()
	r := &records{Memory: idempotent.NewMemory(0), unfenced: true}
	_, ran, err := overtakenRecord(t, r)
	require.Error(t, err, "the record is a living executor's, as far as its lease says")
	require.Equal(t, 1, ran)
	require.Equal(t, []error{nil}, r.ends())
}
