package lock

import (
	"bytes"
	"context"
)

// An RWMutex has any number of readers or one writer. It is fair: a reader waits for writers that came before it, a writer
// for everybody. An owner who holds the write lock may take the read lock and then leave the write lock, which nobody gets in
// between (downgrade); the other way round is ErrUpgrade. Its methods are safe from any number of goroutines.
type RWMutex struct {
	c    *Client
	path string
	o    Options
}

// RWMutex returns the readers-writer lock at a path, which begins with a slash.
func (c *Client) RWMutex(path string, o Options) (*RWMutex, error) {
	full, err := c.full(path)
	if err != nil {
		return nil, err
	}
	o.Data = bytes.Clone(o.Data)
	return &RWMutex{c, full, o}, nil
}

// Path returns the path of the lock in ZooKeeper.
func (m *RWMutex) Path() string { return m.path }

// Lock waits until it has the write lock or ctx ends.
func (m *RWMutex) Lock(ctx context.Context) (*Lease, error) { return m.acquire(ctx, writeMark, true) }

// RLock waits until it has the read lock or ctx ends.
func (m *RWMutex) RLock(ctx context.Context) (*Lease, error) { return m.acquire(ctx, readMark, true) }

// TryLock returns ErrHeld when somebody else is before us.
func (m *RWMutex) TryLock(ctx context.Context) (*Lease, error) {
	return m.acquire(ctx, writeMark, false)
}

// TryRLock returns ErrHeld when a writer is before us.
func (m *RWMutex) TryRLock(ctx context.Context) (*Lease, error) {
	return m.acquire(ctx, readMark, false)
}

// Reader returns the read lock as a Locker.
func (m *RWMutex) Reader() Locker { return reader{m} }

func (m *RWMutex) acquire(ctx context.Context, mark string, wait bool) (*Lease, error) {
	return m.c.acquire(ctx, m.path, m.path, request{mark: mark, policy: m.o.Policy, data: m.o.Data, wait: wait})
}

// Participants returns who holds the lock and who waits, in order.
func (m *RWMutex) Participants(ctx context.Context) ([]Participant, error) {
	return m.c.participants(ctx, m.path)
}

type reader struct{ m *RWMutex }

func (r reader) Lock(ctx context.Context) (*Lease, error) { return r.m.RLock(ctx) }
func (r reader) Path() string                             { return r.m.path }
