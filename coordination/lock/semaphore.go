package lock

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/ferryrpc/ferry/internal/zk"
)

// A Semaphore has a number of permits. Acquirers pass a gate one by one, in the order in which they came, and only the one in
// the gate looks at the permits: a permit that comes back wakes one process. The layout is that of Curator's
// InterProcessSemaphoreV2, with the limit in the node at the path.
//
//	<path>                                    the limit, in decimal
//	<path>/locks/_c_<guid>-lock-NNNNNNNNNN    the gate
//	<path>/leases/_c_<guid>-lease-NNNNNNNNNN  a permit
//
// Its methods are safe from any number of goroutines.
type Semaphore struct {
	c     *Client
	path  string
	limit int
	o     Options
}

// Semaphore returns the semaphore at a path, which begins with a slash. Who names a limit makes the semaphore where there is none, and
// gets ErrLimit where it has another one; 0 takes the limit that it has.
func (c *Client) Semaphore(path string, limit int, o Options) (*Semaphore, error) {
	full, err := c.full(path)
	if err != nil {
		return nil, err
	}
	if limit < 0 {
		return nil, c.fault("open", full, fmt.Errorf("%w: %d must not be negative", ErrLimit, limit))
	}
	o.Data = bytes.Clone(o.Data)
	return &Semaphore{c, full, limit, o}, nil
}

// Path returns the path of the semaphore in ZooKeeper.
func (s *Semaphore) Path() string { return s.path }

// Acquire waits for a permit until ctx ends.
func (s *Semaphore) Acquire(ctx context.Context) (*Lease, error) {
	return single(s.acquire(ctx, 1, true))
}

// TryAcquire returns ErrHeld when there is no permit, and also when others are at the gate.
func (s *Semaphore) TryAcquire(ctx context.Context) (*Lease, error) {
	return single(s.acquire(ctx, 1, false))
}

// AcquireN waits until it has n permits at once, or ctx ends. Those who come later wait behind it, even for fewer.
func (s *Semaphore) AcquireN(ctx context.Context, n int) ([]*Lease, error) {
	return s.acquire(ctx, n, true)
}

func single(leases []*Lease, err error) (*Lease, error) {
	if err != nil {
		return nil, err
	}
	return leases[0], nil
}

// Limit returns the number of permits, 0 when nobody has made the semaphore or it was not used for a while.
func (s *Semaphore) Limit(ctx context.Context) (int, error) {
	data, _, err := s.c.zk.Get(ctx, s.path, nil)
	if errors.Is(err, zk.ErrNoNode) {
		return 0, nil
	}
	var n int
	if err == nil {
		n, err = parseLimit(data)
	}
	return n, s.c.fault("limit", s.path, err)
}

// SetLimit changes the number of permits for everybody. Permits that are held stay; whoever named another limit gets ErrLimit
// from now on.
func (s *Semaphore) SetLimit(ctx context.Context, limit int) error {
	if limit <= 0 {
		return s.c.fault("limit", s.path, fmt.Errorf("%w: %d must be positive", ErrLimit, limit))
	}
	err := s.make(ctx, limit)
	if err == nil {
		_, err = s.c.zk.Set(ctx, s.path, formatLimit(limit), zk.AnyVersion)
	}
	return s.c.fault("limit", s.path, err)
}

// Holders returns the number of permits that are held.
func (s *Semaphore) Holders(ctx context.Context) (int, error) {
	n, err := s.holders(ctx, nil)
	return n, s.c.fault("holders", s.path, err)
}

func formatLimit(n int) []byte { return strconv.AppendInt(nil, int64(n), 10) }

// parseLimit reads the node's data; a node that another client made has none.
func parseLimit(data []byte) (int, error) {
	if len(data) == 0 {
		return 0, nil
	}
	n, err := strconv.Atoi(string(data))
	if err != nil || n <= 0 {
		return 0, fmt.Errorf("%w: the node holds %q", ErrLimit, shorten(string(data)))
	}
	return n, nil
}

// make makes the semaphore's node if it is missing.
func (s *Semaphore) make(ctx context.Context, limit int) error {
	_, err := s.c.zk.Create(ctx, zk.Node{Path: s.path, Data: formatLimit(limit), Container: true, Parents: true})
	if errors.Is(err, zk.ErrNodeExists) || errors.Is(err, zk.ErrConnectionLost) { // what it is will be read
		return nil
	}
	return err
}

func (s *Semaphore) holders(ctx context.Context, w *zk.Watch) (n int, err error) {
	names, err := s.c.zk.Children(ctx, s.path+"/leases", w)
	if errors.Is(err, zk.ErrNoNode) {
		return 0, nil
	}
	for _, name := range names {
		if strings.Contains(name, leaseMark) {
			n++
		}
	}
	return n, err
}

func (s *Semaphore) acquire(ctx context.Context, n int, wait bool) ([]*Lease, error) {
	if n <= 0 {
		return nil, s.c.fault("acquire", s.path, fmt.Errorf("%w: %d permits were asked for", ErrLimit, n))
	}
	inner, cancel := s.c.within(ctx)
	defer cancel()
	for {
		if err := s.prepare(inner); err != nil {
			return nil, s.c.fault("acquire", s.path, err)
		}
		// An owner must not enter the gate twice: two of his goroutines would count the same permits.
		gate, err := s.c.acquire(WithOwner(inner, ""), s.path+"/locks", s.path, request{mark: exclusiveMark, wait: wait})
		if err != nil {
			return nil, err
		}
		holds, err := s.admit(inner, gate, n, wait)
		_ = gate.Unlock(inner) // what it cannot delete is with the sweeper
		var leases []*Lease
		if err == nil {
			leases, err = enterAll(ctx, holds)
		}
		switch {
		case err == nil:
			return leases, nil
		case inner.Err() != nil && !errors.Is(err, zk.ErrDisconnected):
			return nil, s.c.fault("acquire", s.path, context.Cause(inner))
		case inner.Err() != nil, !again(err):
			return nil, s.c.fault("acquire", s.path, err)
		}
	}
}

// prepare makes the semaphore, or compares its limit with ours, before we stand at the gate.
func (s *Semaphore) prepare(ctx context.Context) error {
	if s.limit == 0 {
		return nil
	}
	data, stat, err := s.c.zk.Get(ctx, s.path, nil)
	switch {
	case errors.Is(err, zk.ErrNoNode):
		return s.make(ctx, s.limit)
	case err == nil && len(data) == 0:
		if _, err = s.c.zk.Set(ctx, s.path, formatLimit(s.limit), stat.Version); err != nil && !errors.Is(err, zk.ErrNoAuth) {
			return nil // another one was faster; what he wrote is compared in the gate
		}
	case err == nil:
		return s.compare(data)
	}
	return err
}

// compare says whether the semaphore has the limit that we were told.
func (s *Semaphore) compare(data []byte) error {
	limit, err := parseLimit(data)
	switch {
	case err != nil:
		return err
	case limit == 0 && s.limit != 0: // the servers took the node away before we came to the gate
		return errGone
	case limit != s.limit && s.limit != 0:
		return fmt.Errorf("%w: it is %d, wanted is %d", ErrLimit, limit, s.limit)
	case limit == 0:
		return fmt.Errorf("%w: nobody has set one", ErrLimit)
	}
	return nil
}

// admit waits in the gate until there are n permits, and takes them.
func (s *Semaphore) admit(ctx context.Context, gate *Lease, n int, wait bool) ([]*hold, error) {
	for {
		w, events := zk.WatchChan()
		free, err := s.free(ctx, w, n)
		if err == nil && !free && wait {
			select {
			case <-events:
				w.Stop()
				continue
			case <-gate.ctx.Done():
				err = errGone
			case <-ctx.Done():
				err = context.Cause(ctx)
			}
		}
		w.Stop()
		switch {
		case err != nil:
			return nil, err
		case !free:
			return nil, ErrHeld
		}
		return s.take(ctx, gate, n)
	}
}

// free says whether n permits are there. w is told when that may have changed.
func (s *Semaphore) free(ctx context.Context, w *zk.Watch, n int) (bool, error) {
	data, _, err := s.c.zk.Get(ctx, s.path, w)
	if err == nil || errors.Is(err, zk.ErrNoNode) { // the servers may take an empty container away at any time
		err = s.compare(data)
	}
	if err != nil {
		return false, err
	}
	limit, err := parseLimit(data)
	if err != nil {
		return false, err
	}
	if n > limit {
		return false, fmt.Errorf("%w: it is %d, %d permits were asked for", ErrLimit, limit, n)
	}
	held, err := s.holders(ctx, w)
	return held+n <= limit, err
}

// take makes the nodes of n permits in one transaction, which fails when the gate is not ours any more.
func (s *Semaphore) take(ctx context.Context, gate *Lease, n int) (holds []*hold, err error) {
	defer func() {
		if err != nil {
			for _, h := range holds {
				_ = h.remove(ctx) // what it cannot delete is with the sweeper
			}
		}
	}()
	paths, err := s.makePermits(ctx, gate, n)
	for _, path := range paths {
		h := s.c.newHold(gate.h.gen, gate.h.fence.Incarnation, request{policy: s.o.Policy})
		h.path = path
		holds = append(holds, h)
	}
	for _, h := range holds {
		if err == nil {
			err = h.settle(ctx)
		}
	}
	return holds, err
}

func (s *Semaphore) makePermits(ctx context.Context, gate *Lease, n int) (paths []string, err error) {
	dir, gen := s.path+"/leases", gate.h.gen
	for range maxTries {
		prefix := newPrefix()
		ops := []zk.Op{gate.Guard()}
		for range n {
			ops = append(ops, zk.CreateOp(zk.Node{Path: dir + "/" + prefix + leaseMark, Data: s.o.Data, Session: gen, Sequence: true}))
		}
		all, err := s.c.create(ctx, gen, dir, prefix, func(ctx context.Context) (string, error) {
			made, err := s.c.zk.Multi(ctx, ops...)
			return strings.Join(made, "\n"), err
		})
		if err == nil {
			return strings.Split(all, "\n")[1:], nil
		}
		if !errors.Is(err, zk.ErrNoNode) {
			return nil, err
		}
		if err := gate.h.look(ctx); err != nil { // it was not the folder that is missing
			return nil, err
		}
		if err := s.c.containers(ctx, dir, s.path); err != nil {
			return nil, err
		}
	}
	return nil, errGone
}

// enterAll gives each hold its lease, or removes all.
func enterAll(ctx context.Context, holds []*hold) (leases []*Lease, err error) {
	for _, h := range holds {
		l := h.lease(ctx)
		if l == nil {
			err = errGone
			break
		}
		leases = append(leases, l)
	}
	if err != nil {
		for _, h := range holds {
			_ = h.remove(ctx) // lost already
		}
	}
	return leases, err
}
