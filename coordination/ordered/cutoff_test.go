package ordered_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/zkembed"
)

// cutOff makes calls while each provider in turn is cut off from ZooKeeper for longer than its session.
func cutOff(t *testing.T, weak ...int) (*workload, *journal) {
	z := embedded(t)
	s := &sessions{address: z.Addr(), session: 600 * time.Millisecond}
	j := newJournal()
	x := ferry.Builtin()
	x.Ordered.Weaken(weak...)
	links := make([]*zkembed.Listener, 2)
	for i := range links {
		var err error
		links[i], err = z.Listen("127.0.0.1:0")
		require.NoError(t, err)
		serveWith(t, x, s.at(links[i].Addr()), desk{j}, ferry.Param("ordered.zookeeper", s.at(links[i].Addr())))
	}
	w := newWorkload(t, 20)
	c := consume(t, (&sessions{address: z.Addr(), session: 10 * time.Second}).url())
	w.run(c, 4, 1<<20)
	w.run(consume(t, (&sessions{address: z.Addr(), session: 10 * time.Second}).url()), 4, 1<<20)
	for round := range 3 {
		n := j.total()
		require.Eventually(t, func() bool { return j.total() > n+500 }, patience, time.Millisecond)
		link := links[round%2]
		before := len(z.Sessions())
		link.Hold(zkembed.Both)
		require.Eventually(t, func() bool { return len(z.Sessions()) < before }, patience, time.Millisecond)
		n = j.total()
		require.Eventually(t, func() bool { return j.total() > n+300 }, patience, time.Millisecond)
		link.Release()
		require.Eventually(t, func() bool { return len(z.Sessions()) >= before }, patience, time.Millisecond)
	}
	w.finish()
	return w, j
}

func TestAnOwnerThatIsCutOffStopsInTime(t *testing.T) {
	w, j := cutOff(t)
	require.Empty(t, w.failed)
	j.requireOrder(t, true, 0)
	w.requireAllThere(t, j)
}
