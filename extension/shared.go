package extension

import (
	"io"
	"sync"
)

// Shared keeps resources that several users have together, such as one ZooKeeper session per ensemble and process.
// The zero value is ready to use.
type Shared struct {
	mu    sync.Mutex // guards the following
	items map[string]*sharedItem
}

type sharedItem struct {
	users int
	ready chan struct{} // closed when value and err are set
	value io.Closer
	err   error
}

// Acquire returns the resource called key and opens it first if nobody has it. The last release closes it; release may
// be called more than once. A failed open is reported to everybody who waited for it, and not kept.
func (s *Shared) Acquire(key string, open func() (io.Closer, error)) (value io.Closer, release func() error, err error) {
	s.mu.Lock()
	it, ok := s.items[key]
	if !ok {
		it = &sharedItem{ready: make(chan struct{})}
		if s.items == nil {
			s.items = map[string]*sharedItem{}
		}
		s.items[key] = it
	}
	it.users++
	s.mu.Unlock()
	if !ok {
		it.value, it.err = open()
		close(it.ready)
	}
	<-it.ready
	if it.err != nil {
		s.drop(key, it)
		return nil, nil, it.err
	}
	var once sync.Once
	release = func() (err error) {
		once.Do(func() {
			if s.drop(key, it) {
				err = it.value.Close()
			}
		})
		return err
	}
	return it.value, release, nil
}

// drop takes one user away and says whether it was the last.
func (s *Shared) drop(key string, it *sharedItem) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	it.users--
	if it.users > 0 && it.err == nil {
		return false
	}
	if s.items[key] == it {
		delete(s.items, key)
	}
	return it.users == 0
}
