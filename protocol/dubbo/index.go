package dubbo

import (
	"hash/maphash"
	"sync/atomic"
)

// An index finds a value by a key of bytes. find takes no lock and allocates nothing, as every call needs it; update is for
// one goroutine at a time, and costs the same whether ten keys are there or ten thousand. It is a hash table whose chains
// never change: a new one takes the old one's place.
type index[V any] struct {
	seed    maphash.Seed
	buckets atomic.Pointer[[]atomic.Pointer[link[V]]] // a power of two, at least as many as keys
	count   int
}

type link[V any] struct {
	hash  uint64
	key   string
	value V
	next  *link[V]
}

func newIndex[V any]() *index[V] {
	x := &index[V]{seed: maphash.MakeSeed()}
	x.resize(16)
	return x
}

// find returns the entry of a key, or nil.
func (x *index[V]) find(key []byte) *link[V] {
	hash := maphash.Bytes(x.seed, key)
	for l := x.chain(hash); l != nil; l = l.next {
		if l.hash == hash && l.key == string(key) {
			return l
		}
	}
	return nil
}

// holds says whether an entry that was found earlier is still in force.
func (x *index[V]) holds(entry *link[V]) bool {
	for l := x.chain(entry.hash); l != nil; l = l.next {
		if l == entry {
			return true
		}
	}
	return false
}

func (x *index[V]) chain(hash uint64) *link[V] {
	buckets := *x.buckets.Load()
	return buckets[hash&uint64(len(buckets)-1)].Load()
}

// update puts what change makes of a key's value in its place; with keep false the key is taken out.
func (x *index[V]) update(key string, change func(old V) (value V, keep bool)) {
	hash := maphash.String(x.seed, key)
	buckets := *x.buckets.Load()
	bucket := &buckets[hash&uint64(len(buckets)-1)]
	var old V
	var others *link[V]
	there := false
	for l := bucket.Load(); l != nil; l = l.next {
		if l.hash == hash && l.key == key {
			old, there = l.value, true
			continue
		}
		others = &link[V]{l.hash, l.key, l.value, others}
	}
	value, keep := change(old)
	switch {
	case keep:
		others = &link[V]{hash, key, value, others}
		if !there {
			x.count++
		}
	case there:
		x.count--
	}
	bucket.Store(others)
	if x.count > len(buckets) {
		x.resize(2 * len(buckets))
	}
}

// resize moves everything to n buckets. Who searches meanwhile finds what was there before.
func (x *index[V]) resize(n int) {
	bigger := make([]atomic.Pointer[link[V]], n)
	if old := x.buckets.Load(); old != nil {
		for i := range *old {
			for l := (*old)[i].Load(); l != nil; l = l.next {
				bucket := &bigger[l.hash&uint64(n-1)]
				bucket.Store(&link[V]{l.hash, l.key, l.value, bucket.Load()})
			}
		}
	}
	x.buckets.Store(&bigger)
}
