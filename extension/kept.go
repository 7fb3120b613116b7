package extension

import (
	"errors"
	"io"
	"slices"
	"sync"
)

// Kept holds what belongs to one client or server and must outlive the implementation that opened it: an implementation is
// opened anew when a parameter changes, and then finds here what it had. The zero value is empty.
type Kept struct {
	mu     sync.Mutex // guards the following
	closed bool
	values map[string]any
	order  []io.Closer
}

// ErrClosed means that a client or server is closed.
var ErrClosed = errors.New("extension: closed")

// Open returns what was kept under key, or opens it. What is an io.Closer is closed with the client or server. A nil
// Kept keeps nothing. open must not use the Kept.
func (k *Kept) Open(key string, open func() (any, error)) (any, error) {
	if k == nil {
		return open()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if v, ok := k.values[key]; ok {
		return v, nil
	}
	if k.closed {
		return nil, ErrClosed
	}
	v, err := open()
	if err != nil {
		return nil, err
	}
	if k.values == nil {
		k.values = map[string]any{}
	}
	k.values[key] = v
	if c, ok := v.(io.Closer); ok {
		k.order = append(k.order, c)
	}
	return v, nil
}

// Close closes what is kept, the last opened first.
func (k *Kept) Close() error {
	k.mu.Lock()
	closers := k.order
	k.order, k.values, k.closed = nil, nil, true
	k.mu.Unlock()
	var errs []error
	for _, c := range slices.Backward(closers) {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}
