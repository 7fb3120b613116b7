package lock

import (
	"cmp"
	"context"
	"errors"
	"slices"
)

// A MultiLock is several locks that are acquired together, in the order of their paths, so that no two MultiLocks wait for
// each other. It must not have the same lock twice, unless it is acquired under an owner.
type MultiLock struct{ lockers []Locker }

// NewMultiLock returns the lock that consists of others.
func NewMultiLock(lockers ...Locker) *MultiLock {
	sorted := slices.Clone(lockers)
	slices.SortStableFunc(sorted, func(a, b Locker) int { return cmp.Compare(a.Path(), b.Path()) })
	return &MultiLock{sorted}
}

// Lock waits until it has all locks or ctx ends. If one cannot be had, none is held when it returns.
func (m *MultiLock) Lock(ctx context.Context) (*MultiLease, error) {
	var leases []*Lease
	for _, locker := range m.lockers {
		l, err := locker.Lock(ctx)
		if err != nil {
			return nil, errors.Join(err, unlockAll(ctx, leases))
		}
		leases = append(leases, l)
	}
	all := &MultiLease{leases: leases}
	all.ctx, all.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	for _, l := range leases {
		all.unhook = append(all.unhook, context.AfterFunc(l.ctx, func() { all.cancel(context.Cause(l.ctx)) }))
	}
	return all, nil
}

// unlockAll unlocks in reverse order; an error does not stop it.
func unlockAll(ctx context.Context, leases []*Lease) error {
	var errs []error
	for _, l := range slices.Backward(leases) {
		errs = append(errs, l.Unlock(ctx))
	}
	return errors.Join(errs...)
}

// A MultiLease is a lease on several locks.
type MultiLease struct {
	leases []*Lease
	ctx    context.Context
	cancel context.CancelCauseFunc
	unhook []func() bool
}

// Context ends when one of the leases does. Its cause is that lease's.
func (m *MultiLease) Context() context.Context { return m.ctx }

// Leases returns the leases in the order of their paths.
func (m *MultiLease) Leases() []*Lease { return slices.Clone(m.leases) }

// Held says whether all locks are ours at this moment.
func (m *MultiLease) Held() bool {
	return !slices.ContainsFunc(m.leases, func(l *Lease) bool { return !l.Held() })
}

// Unlock unlocks all, also when some are lost, and returns what each Unlock returned.
func (m *MultiLease) Unlock(ctx context.Context) error {
	for _, unhook := range m.unhook {
		unhook()
	}
	m.cancel(ErrReleased)
	return unlockAll(ctx, m.leases)
}
