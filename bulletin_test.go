package ferry

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// notices is a Rules that the test speaks through.
type notices struct {
	mu      sync.Mutex
	watches int
	ended   int
	tell    map[string]func([]byte)
}

func (n *notices) Watch(ctx context.Context, key string, notify func([]byte)) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if key == "bad" {
		return errors.New("not a key")
	}
	n.watches++
	n.tell[key] = notify
	context.AfterFunc(ctx, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.ended++
	})
	return nil
}

func TestBulletinSharesWatches(t *testing.T) {
	n := &notices{tell: map[string]func([]byte){}}
	b := &bulletin{rules: n, boards: map[string]*board{}}
	heard := func(into *[]string) func([]byte) {
		return func(text []byte) { *into = append(*into, string(text)) }
	}
	var first, second, third []string
	stopFirst, err := b.watch("k", heard(&first))
	require.NoError(t, err)
	n.tell["k"]([]byte("one"))
	stopSecond, err := b.watch("k", heard(&second))
	require.NoError(t, err)
	require.Equal(t, []string{"one"}, second, "who comes later is told at once")
	n.tell["k"]([]byte("two"))
	stopFirst()
	stopFirst()
	n.tell["k"](nil)
	require.Equal(t, []string{"one", "two"}, first)
	require.Equal(t, []string{"one", "two", ""}, second)
	require.Equal(t, 1, n.watches)
	stopSecond()
	require.Eventually(t, func() bool { n.mu.Lock(); defer n.mu.Unlock(); return n.ended == 1 }, waitForProviders, waitForProviders/1000)

	stopThird, err := b.watch("k", heard(&third))
	require.NoError(t, err)
	require.Empty(t, third)
	require.Equal(t, 2, n.watches)
	stopThird()
	_, err = b.watch("bad", heard(&third))
	require.Error(t, err)
	require.Empty(t, b.boards)
}
