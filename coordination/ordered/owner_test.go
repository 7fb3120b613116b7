package ordered_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/coordination/ordered"
	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/url"
	"github.com/ferryrpc/ferry/zkembed"
)

// lostInside lets the owner of a key lose its session while a call of that key runs, and another provider take over.
func lostInside(t *testing.T, policy string) (*journal, error) {
	z := embedded(t)
	urls := &sessions{address: z.Addr(), session: 600 * time.Millisecond}
	j := newJournal()
	inside, release := make(chan struct{}), make(chan struct{})
	var first atomic.Bool
	j.hold = func(string) {
		if first.CompareAndSwap(false, true) {
			close(inside)
			<-release
		}
	}
	link, err := z.Listen("127.0.0.1:0")
	require.NoError(t, err)
	s, store, how := newShelf(), ferry.Param("ordered.store", "shelf"), ferry.Param("ordered.policy", policy)
	x, y := ferry.Builtin(), ferry.Builtin()
	require.NoError(t, x.Ordered.Use("shelf", s))
	require.NoError(t, y.Ordered.Use("shelf", s))
	serveWith(t, x, urls.at(link.Addr()), desk{j}, store, how)
	defer close(release) // before the server is closed
	c := consume(t, (&sessions{address: z.Addr(), session: 10 * time.Second}).url(), ferry.Timeout(300*time.Millisecond))
	done := make(chan error, 1)
	go func() {
		_, err := c.Append(context.Background(), "k", "1")
		done <- err
	}()
	<-inside
	sessions := len(z.Sessions())
	link.Hold(zkembed.Both)
	require.Eventually(t, func() bool { return len(z.Sessions()) < sessions }, patience, time.Millisecond)
	serveWith(t, y, urls.url(), desk{j}, store, how)
	return j, <-done
}

// TestPolicies of a call whose owner was lost while it ran: it runs again, or nobody may know.
func TestPolicies(t *testing.T) {
	t.Parallel()
	j, err := lostInside(t, "reexecutable")
	require.NoError(t, err)
	require.Equal(t, 1, j.doubles())
	j, err = lostInside(t, "atmostonce")
	require.ErrorIs(t, err, ordered.ErrOutcomeUnknown)
	require.Equal(t, protocol.OutcomeUnknown, protocol.OutcomeOf(err))
	require.Zero(t, j.doubles())
}

// TestABusyBucketStays: a bucket whose calls last longer than ordered.drain stays where it is until they end, and loses none of them.
func TestABusyBucketStays(t *testing.T) {
	z := embedded(t)
	s := &sessions{address: z.Addr(), session: 10 * time.Second}
	j := newJournal()
	const busy = 20
	release := make(chan struct{})
	var once sync.Once
	let := func() { once.Do(func() { close(release) }) }
	t.Cleanup(let)
	j.hold = func(key string) {
		if strings.HasPrefix(key, "busy") {
			<-release
		}
	}
	quick := []ferry.Option{ferry.Param("ordered.move", "5000"), ferry.Param("ordered.drain", "20")}
	var ran [2]atomic.Int64
	serveWith(t, ferry.Builtin(), s.url(), counted{desk{j}, &ran[0]}, quick...)
	c := consume(t, s.url(), ferry.Timeout(patience))
	var wg sync.WaitGroup
	call := func(caller string) {
		for n := range busy {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				defer cancel()
				if _, err := c.Append(ctx, fmt.Sprint("busy", n), caller); err != nil {
					t.Error(err)
				}
			})
		}
	}
	call("1")
	require.Eventually(t, func() bool { return ran[0].Load() == busy }, patience, time.Millisecond)
	serveWith(t, ferry.Builtin(), s.url(), counted{desk{j}, &ran[1]}, quick...)
	require.Eventually(t, func() bool { // many others have moved: the busy ones have been tried as well
		_, err := c.Append(t.Context(), fmt.Sprint("free", j.total()), "x")
		require.NoError(t, err)
		return ran[1].Load() > 5*busy
	}, patience, time.Millisecond)
	call("2")
	require.Equal(t, busy, j.busy(), "no second call of a busy key has begun")
	let()
	wg.Wait()
	require.Equal(t, 2*busy, j.busy())
	require.Zero(t, j.doubles())
	j.requireOrder(t, false, 0)
}

// busy is how many calls of busy keys have begun.
func (j *journal) busy() (n int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for key, list := range j.events {
		if strings.HasPrefix(key, "busy") {
			n += len(list)
		}
	}
	return n
}

// late lets calls wait at an owner that is cut off from ZooKeeper, while another provider takes the key over and runs a call of it.
func late(t *testing.T, weak ...int) *journal {
	z := embedded(t)
	urls := &sessions{address: z.Addr(), session: 600 * time.Millisecond}
	j := newJournal()
	inside, release := make(chan struct{}), make(chan struct{})
	var calls atomic.Int64
	j.hold = func(string) {
		if calls.Add(1) == 2 {
			close(inside)
			<-release
		}
	}
	link, err := z.Listen("127.0.0.1:0")
	require.NoError(t, err)
	x := ferry.Builtin()
	x.Ordered.Weaken(weak...)
	serveWith(t, x, urls.at(link.Addr()), desk{j})
	far := &sessions{address: z.Addr(), session: 10 * time.Second}
	y := ferry.Builtin()
	var sent atomic.Int64
	require.NoError(t, y.ReferenceFilters.Add("sent", nil, func(extension.Env, *url.URL) (protocol.Filter, error) {
		return func(next protocol.Invoker) protocol.Invoker {
			return protocol.InvokerFunc(func(ctx context.Context, c *protocol.Invocation) error {
				sent.Add(1)
				return next.Invoke(ctx, c)
			})
		}, nil
	}))
	c, other := consumeWith(t, y, far.url(), ferry.Param("reference.filter", "sent"), ferry.Timeout(patience)), consume(t, far.url())
	_, err = c.Append(t.Context(), "k", "before") // from now on its line is steady: calls are sent as they come
	require.NoError(t, err)
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = c.Append(t.Context(), "k", "first") }) // whatever comes of it
	<-inside
	from := sent.Load()
	for i := range 2 {
		wg.Go(func() { _, _ = c.Append(t.Context(), "k", fmt.Sprint("behind ", i)) })
	}
	require.Eventually(t, func() bool { return sent.Load() >= from+2 }, patience, time.Millisecond)
	for range 20 { // behind them on the same connection
		_, err := c.Plain(t.Context(), "there")
		require.NoError(t, err)
	}
	sessions := len(z.Sessions())
	link.Hold(zkembed.Both)
	require.Eventually(t, func() bool { return len(z.Sessions()) < sessions }, patience, time.Millisecond)
	serve(t, urls.url(), j)
	_, err = other.Append(t.Context(), "k", "other")
	require.NoError(t, err)
	close(release)
	wg.Wait()
	return j
}

// TestNothingBeginsAfterTheDeadline: the call that ran goes on, since its handler does not look at its context; those behind it do not begin.
func TestNothingBeginsAfterTheDeadline(t *testing.T) {
	t.Parallel()
	j := late(t)
	j.overlaps = 0
	j.requireOrder(t, true, 0)
}

func TestWithoutTheDeadlineALateOwnerGoesOn(t *testing.T) {
	t.Parallel()
	j := late(t, ordered.Deadline)
	j.overlaps = 0
	wrong, _ := j.disorder(true)
	require.NotEmpty(t, wrong)
}
