package lock

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/ferryrpc/ferry/internal/zk"
)

// The errors of a Lease.Do that come from the servers; nothing was carried out.
var (
	ErrNoNode     = zk.ErrNoNode
	ErrNodeExists = zk.ErrNodeExists
	ErrNotEmpty   = zk.ErrNotEmpty
	ErrBadVersion = zk.ErrBadVersion
)

// AnyVersion makes SetOp, DeleteOp and CheckOp take whatever version a node has.
const AnyVersion = zk.AnyVersion

// A Policy says when a lease is given up.
type Policy uint8

const (
	// OnLease keeps a lease over short outages: it ends when the time is over in which the session is proved to live.
	OnLease Policy = iota
	// OnDisconnect ends a lease with the connection to the server: earlier, and for less reason.
	OnDisconnect
)

// A Lease is one entry into a lock. Its methods are safe from any number of goroutines.
type Lease struct {
	h      *hold
	ctx    context.Context
	cancel context.CancelCauseFunc
	once   sync.Once
	result error
}

// Context ends when the lock may no longer be ours, by the policy of the lock, and with Unlock. Its cause matches ErrLost or
// ErrReleased. It has the values of the context under which the lock was acquired, and neither its deadline nor its end.
func (l *Lease) Context() context.Context { return l.ctx }

// Held says whether the lock is ours at this moment. Unlike Context it does not depend on a timer having fired, so it is
// right also in a process that was stopped. It costs a few atomic loads and the time.
func (l *Lease) Held() bool { return l.ctx.Err() == nil && l.h.alive() }

// Fence returns what tells this grant from others, for resources that refuse who was overtaken. Leases of one owner on the
// same lock have the same.
func (l *Lease) Fence() Fence { return l.h.fence }

// Revoked is closed when somebody asked for the lock, by Client.Revoke or Curator's Revoker. Nothing is taken away: who can
// do without the lock unlocks it.
func (l *Lease) Revoked() <-chan struct{} { return l.h.revoked }

// Path returns the node that stands for the lease in ZooKeeper.
func (l *Lease) Path() string { return l.h.path }

// Unlock gives the lease up. It returns nil when the lock was ours until then, and ErrLost when it was not, or when the session
// ended before the servers could say so. Any other error,
// that of ctx above all, means that it was ours and that its node will be deleted later, as soon as a server can be reached.
// Every further Unlock returns the same.
func (l *Lease) Unlock(ctx context.Context) error {
	l.once.Do(func() {
		last, lost := l.h.leave(l)
		var err error
		if last {
			err = l.h.remove(ctx)
		}
		switch {
		case lost != nil:
			l.result = fmt.Errorf("lock: unlock %s: %w", l.h.path, lost)
		case errors.Is(err, errGone):
			l.result = fmt.Errorf("lock: unlock %s: %w: %w", l.h.path, ErrLost, err)
		case err != nil:
			l.result = fmt.Errorf("lock: unlock %s: %w", l.h.path, err)
		}
	})
	return l.result
}

// An Op is a write to ZooKeeper that is guarded by a lease.
type Op struct{ op zk.Op }

// CreateOp makes a persistent node; its parent must be there. Paths of ops are the ensemble's: without the client's prefix.
func CreateOp(path string, data []byte) Op { return Op{zk.CreateOp(zk.Node{Path: path, Data: data})} }

// SetOp writes a node's data if it has that version.
func SetOp(path string, data []byte, version int32) Op { return Op{zk.SetOp(path, data, version)} }

// DeleteOp deletes a node of that version that has no children.
func DeleteOp(path string, version int32) Op { return Op{zk.DeleteOp(path, version)} }

// CheckOp fails the whole if a node does not have that version.
func CheckOp(path string, version int32) Op { return Op{zk.CheckOp(path, version)} }

// Guard returns the part of a transaction that fails it when the lock is gone.
func (l *Lease) Guard() zk.Op { return zk.CheckOp(l.h.path, zk.AnyVersion) }

// Do carries out all ops in one transaction, or none, and none if the servers have given the lock away: no stale holder can
// get a write through. It returns ErrLost then, ErrUnknown when the connection broke before the answer, and otherwise the error of
// the first op that failed.
func (l *Lease) Do(ctx context.Context, ops ...Op) error {
	if !l.Held() {
		return l.h.c.fault("do", l.h.path, lostCause(l))
	}
	parts := make([]zk.Op, 0, len(ops)+1)
	parts = append(parts, l.Guard())
	for _, op := range ops {
		parts = append(parts, op.op)
	}
	_, err := l.h.c.zk.Multi(ctx, parts...)
	if errors.Is(err, zk.ErrNoNode) {
		if _, found, e := l.h.c.zk.Exists(ctx, l.h.path, nil); e == nil && !found {
			err = fmt.Errorf("%w: %w", ErrLost, errGone)
			l.h.end(err)
		}
	}
	return l.h.c.fault("do", l.h.path, err)
}

// lostCause is why a lease is not held.
func lostCause(l *Lease) error {
	if cause := context.Cause(l.ctx); cause != nil {
		return cause
	}
	return fmt.Errorf("%w: %w", ErrLost, zk.ErrSessionEnded)
}
