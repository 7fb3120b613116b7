package lock

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ferryrpc/ferry/internal/zk"
)

// Options are what a lock may be told. The zero value works.
type Options struct {
	Policy Policy
	Data   []byte // kept in the node while contending and holding, for Participants; it is copied
}

// A Locker can be acquired.
type Locker interface {
	// Lock waits for the lock until ctx ends, which bounds the waiting alone and not the lease.
	Lock(ctx context.Context) (*Lease, error)
	// Path returns the path of the lock in ZooKeeper.
	Path() string
}

var (
	_ Locker = (*Mutex)(nil)
	_ Locker = (*RWMutex)(nil)
	_ Locker = reader{}
)

// A Mutex excludes everybody else on the same path: other Mutexes, RWMutexes, Curator's InterProcessMutex. Its methods are
// safe from any number of goroutines; it has no state of its own, so that one may be made for each use.
type Mutex struct {
	c    *Client
	path string
	o    Options
}

// Mutex returns the mutex at a path, which begins with a slash.
func (c *Client) Mutex(path string, o Options) (*Mutex, error) {
	full, err := c.full(path)
	if err != nil {
		return nil, err
	}
	o.Data = bytes.Clone(o.Data)
	return &Mutex{c, full, o}, nil
}

// full checks a path and puts the prefix before it.
func (c *Client) full(path string) (string, error) {
	err := checkPath(path)
	if err == nil {
		path = c.prefix + path
		err = checkPath(path)
	}
	if err != nil {
		return "", c.fault("open", "", err)
	}
	return path, nil
}

// Path returns the path of the lock in ZooKeeper.
func (m *Mutex) Path() string { return m.path }

// Lock waits until it has the lock or ctx ends. Waiters get it in the order in which they came; those of one process stand
// in line for one place. The context's owner, if it holds the lock, enters at once.
func (m *Mutex) Lock(ctx context.Context) (*Lease, error) { return m.acquire(ctx, true) }

// LockFor does what Lock does, for an owner.
func (m *Mutex) LockFor(ctx context.Context, owner Owner) (*Lease, error) {
	return m.Lock(WithOwner(ctx, owner))
}

// TryLock returns ErrHeld when somebody else is before us. ctx bounds the requests that it takes to know.
func (m *Mutex) TryLock(ctx context.Context) (*Lease, error) { return m.acquire(ctx, false) }

func (m *Mutex) acquire(ctx context.Context, wait bool) (*Lease, error) {
	return m.c.acquire(ctx, m.path, m.path, request{mark: exclusiveMark, policy: m.o.Policy, data: m.o.Data, wait: wait})
}

// Participants returns who holds the lock and who waits, in order. Waiters of a process that stand behind its first one are
// not among them.
func (m *Mutex) Participants(ctx context.Context) ([]Participant, error) {
	return m.c.participants(ctx, m.path)
}

// A Participant is a node that contends for a lock.
type Participant struct {
	Path   string
	Data   []byte
	Token  int64
	Shared bool // it wants a read lock
	Holds  bool // nobody is before it that excludes it
}

func (c *Client) participants(ctx context.Context, dir string) ([]Participant, error) {
	ctx, cancel := c.within(ctx)
	defer cancel()
	names, err := c.zk.Children(ctx, dir, nil)
	if errors.Is(err, zk.ErrNoNode) {
		return nil, nil
	}
	if err != nil {
		return nil, c.fault("participants", dir, err)
	}
	var line []contender
	for _, name := range names {
		if n, ok := parseName(name); ok {
			line = append(line, n)
		}
	}
	slices.SortFunc(line, func(a, b contender) int { return int(a.number - b.number) })
	var out []Participant
	for _, n := range line {
		data, stat, err := c.zk.Get(ctx, dir+"/"+n.name, nil)
		if errors.Is(err, zk.ErrNoNode) { // it left meanwhile
			continue
		}
		if err != nil {
			return nil, c.fault("participants", dir, err)
		}
		first, _ := predecessor(names, n)
		out = append(out, Participant{Path: dir + "/" + n.name, Data: data, Token: stat.Created, Shared: n.shared(), Holds: first == ""})
	}
	return out, nil
}

// revocation is what is written into a node to ask for its lock, as Curator's Revoker does.
const revocation = "__REVOKE__"

// Revoke asks who has the node at a path, which is Participant.Path or Lease.Path, to give the lock up: Lease.Revoked tells
// him. The node's data is lost by that.
func (c *Client) Revoke(ctx context.Context, node string) error {
	ctx, cancel := c.within(ctx)
	defer cancel()
	err := checkNode(node)
	if err == nil {
		_, err = c.zk.Set(ctx, node, []byte(revocation), zk.AnyVersion)
	}
	return c.fault("revoke", node, err)
}

// checkNode says why a path is none of a contender's node.
func checkNode(path string) error {
	i := strings.LastIndexByte(path, '/')
	if _, ok := parseName(path[i+1:]); !ok || i <= 0 {
		return fmt.Errorf("%w: it is not a contender's node", ErrPath)
	}
	return checkPath(path[:i])
}
