package leader

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/coordination/lock"
	"github.com/ferryrpc/ferry/internal/zktest"
)

// Each latch begins at a server of its own. The server that the ensemble obeys is killed; then all are stopped and come back.
func TestEnsemble(t *testing.T) {
	t.Parallel()
	z := zktest.StartEnsemble(t, zktest.Options{})
	path := newPath()
	var latches []*Latch
	for i := range z.Servers {
		latches = append(latches, join(t, open(t, z.Addr(), 2*time.Second), path, LatchOptions{Options: Options{ID: fmt.Sprint(i), Retry: 50 * time.Millisecond}}))
		waiting(t, latches[i], i+1)
	}
	leading := func() (n int) {
		for _, l := range latches {
			if _, yes := l.State(); yes {
				n++
			}
		}
		return n
	}
	one := func() bool { return leading() == 1 }
	require.Eventually(t, one, 10*time.Second, time.Millisecond)
	dead := z.Leader(t)
	dead.Kill(t)
	z.Leader(t)
	require.Eventually(t, one, 20*time.Second, time.Millisecond)
	dead.Start(t, true)
	waiting(t, latches[0], len(latches))

	z.Stop(t)
	require.Eventually(t, func() bool { return leading() == 0 }, 10*time.Second, time.Millisecond)
	z.Start(t, true)
	require.Eventually(t, one, 20*time.Second, time.Millisecond)
	waiting(t, latches[0], len(latches)) // each has one node

	// A selector that does not requeue does not lead again by itself.
	terms := make(chan context.Context, 10)
	s, err := NewSelector(open(t, z.Addr(), 2*time.Second), path+"s", SelectorOptions{}, func(ctx context.Context, _ lock.Fence) error {
		terms <- ctx
		<-ctx.Done()
		return nil
	})
	require.NoError(t, err)
	result := make(chan error, 1)
	go func() { result <- s.Run(t.Context()) }()
	term := <-terms
	z.Stop(t)
	<-term.Done()
	if err := <-result; !errors.Is(err, lock.ErrLost) {
		require.Fail(t, "leadership was lost", "%v", err)
	}
	z.Start(t, true)
	waiting(t, s, 0)
	require.Empty(t, terms)
	go func() { result <- s.Run(t.Context()) }()
	<-terms
	waiting(t, s, 1)
	s.Interrupt()
	require.NoError(t, <-result)
}
