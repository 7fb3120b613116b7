package ordered_test

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/internal/zktest"
)

// processes makes calls while provider processes are killed and frozen for longer than their sessions.
func processes(t *testing.T, z zktest.Target, store string) (*workload, *journal) {
	j := newJournal()
	j.fences = true
	b := ferry.NewServer("", ferry.Host("127.0.0.1"))
	require.NoError(t, b.ExportValue(bookService, book{j}))
	t.Cleanup(func() { require.NoError(t, b.Close(ended())) })
	at := b.URLs()[0]
	bookURL := "dubbo://" + at.Address()
	s := &sessions{address: z.Addr(), session: 1500 * time.Millisecond}
	var all []*provider
	for range 3 {
		all = append(all, startChild(t, s.url(), bookURL, store))
	}
	w := newWorkload(t, 30)
	for range 2 {
		w.run(consume(t, (&sessions{address: z.Addr(), session: 10 * time.Second}).url()), 4, 1<<20)
	}
	more := func(n int) {
		t.Helper()
		from := j.total()
		require.Eventually(t, func() bool { return j.total() > from+n }, patience, time.Millisecond)
	}
	more(100)
	takenOver := func() { // every key has an owner that answers
		t.Helper()
		from := j.lengths()
		require.Eventually(t, func() bool {
			now := j.lengths()
			for key, n := range from {
				if now[key] < n+2 { // one may have been under way
					return false
				}
			}
			return len(from) == w.keys
		}, patience, time.Millisecond)
	}
	require.Eventually(t, func() bool { return len(j.lengths()) == w.keys }, patience, time.Millisecond)
	all[0].signal(t, syscall.SIGKILL)
	takenOver()
	more(100)
	require.NoError(t, zktest.Halt(all[1].cmd.Process))
	takenOver()
	all[1].signal(t, syscall.SIGCONT)
	more(100)
	w.finish()
	return w, j
}

func TestOwnersAreKilledAndFrozen(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		w, j := processes(t, z, "memory")
		require.Empty(t, w.failed)
		j.requireOrder(t, true, 0)
		w.requireAllThere(t, j)
	})
}

// TestKilledOwnersLeaveTheirState: with a store nothing runs twice. What an owner ran when it died has an unknown outcome.
func TestKilledOwnersLeaveTheirState(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		w, j := processes(t, z, "zookeeper")
		require.Zero(t, j.doubles())
		j.requireOrder(t, false, len(w.failed))
		for _, err := range w.failed {
			require.True(t, strings.Contains(err.Error(), "OUTCOME_UNKNOWN"), "%v", err)
		}
		w.requireAllThere(t, j)
		w.requireLinear(t)
	})
}

// requireAllThere checks that no call that was answered is missing from the journal.
func (w *workload) requireAllThere(t *testing.T, j *journal) {
	t.Helper()
	there := map[string]int{}
	for key, list := range j.events {
		for _, e := range list {
			there[key+" "+e.caller]++
		}
	}
	for call := range w.acked {
		require.Positive(t, there[call], "call %s was answered and is not in the journal", call)
	}
}
