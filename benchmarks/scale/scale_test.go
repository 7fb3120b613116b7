package main

import (
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

// small is a fleet that a test can afford: 40 processes with 20 entries or 10 lists each.
func small() size {
	return size{services: 40, providers: 10, processes: 20, consumers: 20, each: 10, session: 20 * time.Second}
}

// TestNoStampede cuts all connections at once. What follows must come spread over seconds, not in one blow, and be no more
// than one look at each entry and each list; a machine that is slow spreads it further.
func TestNoStampede(t *testing.T) {
	f, err := newFleet(small())
	require.NoError(t, err)
	defer func() { require.NoError(t, f.close()) }()
	require.NoError(t, f.connect())
	require.NoError(t, f.provide())
	require.NoError(t, f.consume())
	var w wave
	require.NoError(t, f.wave(&w, func() error { f.zk.Cut(); return nil }))
	entries, lists := f.services*f.providers+f.size.processes+f.size.consumers, f.size.consumers*f.each
	t.Logf("%d entries and %d lists: %+v", entries, lists, w)
	require.GreaterOrEqual(t, w.requests, entries+lists, "everything is looked at")
	require.LessOrEqual(t, w.requests, 2*(entries+3*lists), "a list has three categories")
	require.Less(t, f.load.most(2*slot), w.requests/3, "no more than a third at the same moment")

	// The same when all sessions end, and everything has to be made again.
	require.NoError(t, f.measureEnd(&figures{}))
	total, _ := f.load.result()
	t.Logf("%d requests, at most %d at the same moment", total, f.load.most(2*slot))
	require.GreaterOrEqual(t, total, 2*entries)
	require.Less(t, f.load.most(2*slot), total/3)
}

// TestFigures runs the whole program at a small size: whatever happens to the fleet, all its lists become whole again.
func TestFigures(t *testing.T) {
	s := small()
	s.session = 6 * time.Second
	r, err := measure(s, io.Discard)
	require.NoError(t, err)
	t.Logf("%+v", r)
	require.Less(t, r.deaths[len(r.deaths)/2], 10*time.Second, "a dead process leaves the lists soon after its session")
	const most = 8 << 10 // of its URL, as it came and merged with the consumer's
	require.Less(t, r.service/float64(r.providers), float64(most), "bytes per provider of a subscribed service")
	require.Less(t, r.ended.requests, 40*(r.services*r.providers+3*r.consumers*r.each))
	require.Less(t, r.lost.requests, 40*(r.services*r.providers+3*r.consumers*r.each))
}
