package ordered_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/coordination/ordered"
	"github.com/ferryrpc/ferry/internal/zktest"
	"github.com/ferryrpc/ferry/zkembed"
)

func TestOneOrderPerKey(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		s := &sessions{address: z.Addr(), session: 10 * time.Second}
		j := newJournal()
		for range 3 {
			serve(t, s.url(), j)
		}
		w := newWorkload(t, 5)
		for range 4 {
			c := consume(t, s.url(), ferry.Timeout(patience))
			w.run(c, 4, 40)
			text, err := c.Plain(t.Context(), "hello")
			require.NoError(t, err)
			require.Equal(t, "hello", text)
		}
		w.wg.Wait()
		require.Equal(t, 4*4*40, w.finish())
		require.Empty(t, w.failed)
		require.Equal(t, 4*4*40, j.total())
		j.requireOrder(t, false, 0)
		w.requireLinear(t)
	})
}

func embedded(t *testing.T) *zkembed.Server {
	t.Helper()
	z, err := zkembed.Start(zkembed.Options{Tick: 50 * time.Millisecond})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, z.Close()) })
	return z
}

// lossyRun makes calls over a network that loses one request and one answer in ten.
func lossyRun(t *testing.T, weak ...int) (*workload, *journal) {
	z := embedded(t)
	s := &sessions{address: z.Addr(), session: 10 * time.Second}
	j := newJournal()
	x := ferry.Builtin()
	x.Ordered.Weaken(weak...)
	serveWith(t, x, s.url(), desk{j})
	w := newWorkload(t, 3)
	for range 3 {
		w.run(consumeWith(t, lossy(t, 10), s.url(), ferry.Param("reference.filter", "lossy")), 4, 100)
	}
	w.wg.Wait()
	w.finish()
	return w, j
}

func TestLostRequestsAndAnswers(t *testing.T) {
	w, j := lossyRun(t)
	require.Empty(t, w.failed)
	require.Len(t, w.acked, 3*4*100)
	require.Equal(t, 3*4*100, j.total(), "each call runs once")
	j.requireOrder(t, false, 0)
	w.requireLinear(t)
}

func TestWithoutRecordsCallsRunTwice(t *testing.T) {
	_, j := lossyRun(t, ordered.Replay)
	require.Positive(t, j.doubles())
	wrong, _ := j.disorder(false)
	require.NotEmpty(t, wrong)
}

func TestWithoutTheLineCallsAreOutOfOrder(t *testing.T) {
	_, j := lossyRun(t, ordered.Order)
	wrong, _ := j.disorder(false)
	require.NotEmpty(t, wrong)
}

// TestProvidersComeAndGo adds and closes providers under load: no call is lost, none runs twice, none is out of order.
func TestProvidersComeAndGo(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		s := &sessions{address: z.Addr(), session: 10 * time.Second}
		j := newJournal()
		fast := ferry.Param("ordered.move", "5000")
		old := serve(t, s.url(), j, fast)
		w := newWorkload(t, 50)
		for range 2 { // patient: a call that is repeated while its bucket moves may run at both owners
			w.run(consume(t, s.url(), ferry.Timeout(patience)), 4, 1<<20)
		}
		more := func() { // every key has been used since
			t.Helper()
			n := j.total()
			require.Eventually(t, func() bool { return j.total() > n+1000 }, patience, 5*time.Millisecond)
		}
		more()
		second := serve(t, s.url(), j, fast)
		require.Eventually(t, func() bool { return j.owners() > 1 }, patience, 5*time.Millisecond)
		more()
		require.NoError(t, old.Close(context.Background()))
		more()
		serve(t, s.url(), j, fast)
		require.Eventually(t, func() bool { return j.owners() > 2 }, patience, 5*time.Millisecond)
		require.NoError(t, second.Close(context.Background()))
		more()
		calls := w.finish()
		require.Empty(t, w.failed)
		require.Equal(t, calls, j.total())
		j.requireOrder(t, false, 0)
		w.requireLinear(t)
	})
}
