package dubbo

import (
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

func set(x *index[int], key string, v int) { x.update(key, func(int) (int, bool) { return v, true }) }

func TestIndex(t *testing.T) {
	const n = 5000
	x := newIndex[int]()
	for i := range n {
		set(x, strconv.Itoa(i), i)
	}
	set(x, "7", -7)
	for i := range n {
		if i%2 == 1 && i != 7 {
			x.update(strconv.Itoa(i), func(old int) (int, bool) {
				require.Equal(t, i, old)
				return 0, false
			})
		}
	}
	x.update("absent", func(old int) (int, bool) {
		require.Zero(t, old)
		return 0, false
	})
	require.Equal(t, n/2+1, x.count)
	for i := range n {
		l := x.find([]byte(strconv.Itoa(i)))
		switch {
		case i == 7:
			require.Equal(t, -7, l.value)
		case i%2 == 0:
			require.Equal(t, i, l.value)
			require.True(t, x.holds(l))
		default:
			require.Nil(t, l, i)
		}
	}
	require.Nil(t, x.find(nil))
	l := x.find([]byte("7"))
	set(x, "7", 7)
	require.False(t, x.holds(l), "another value is in force")
}

// TestIndexKeepsItsPace: what a change rebuilds does not grow with the number of keys.
func TestIndexKeepsItsPace(t *testing.T) {
	cost := func(keys int) float64 {
		x := newIndex[int]()
		for i := range keys {
			set(x, fmt.Sprint("a", i), i)
		}
		next := 0
		return testing.AllocsPerRun(50, func() {
			key := "b" + strconv.Itoa(next)
			set(x, key, next)
			x.update(key, func(int) (int, bool) { return 0, false })
			next++
		})
	}
	require.Less(t, cost(30_000), cost(30)+8)
}

func TestIndexFindAllocatesNothing(t *testing.T) {
	x := newIndex[int]()
	set(x, "a key", 1)
	key := []byte("a key")
	require.Zero(t, testing.AllocsPerRun(100, func() { x.find(key) }))
}

func TestIndexWhileItChanges(t *testing.T) {
	x := newIndex[int]()
	set(x, "stays", 1)
	var done atomic.Bool
	var readers sync.WaitGroup
	var missed atomic.Int64
	for range 3 {
		readers.Go(func() {
			for !done.Load() {
				if l := x.find([]byte("stays")); l == nil || l.value != 1 {
					missed.Add(1)
				}
			}
		})
	}
	for i := range 2000 {
		set(x, strconv.Itoa(i), i)
		if i%3 == 0 {
			x.update(strconv.Itoa(i/2), func(int) (int, bool) { return 0, false })
		}
	}
	done.Store(true)
	readers.Wait()
	require.Zero(t, missed.Load(), "a key that stays is found at any time")
}
