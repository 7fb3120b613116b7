package idempotent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/internal/zk"
	"github.com/ferryrpc/ferry/url"
)

// The bounds of the store zookeeper. Every record lies in the memory of every server and passes through one leader.
const (
	zkLargest = 1 << 10          // bytes of an answer
	zkRate    = 500              // records a second of one process
	zkBurst   = 1000             // records at once
	zkLive    = 100_000          // records of one process in three slices
	zkSlice   = 15 * time.Minute // one parent's records
)

// ZooKeeper is a Store for rare and important calls: job triggers, administration. It refuses more than 500 records a second,
// 100,000 live ones, answers over 1 KiB and times over a quarter of an hour. An executor is alive for as long as its
// session is, whatever the clocks say; a record is written in one transaction with a check of that session.
//
//	/ferry/idempotent/executors/<guid>                      ephemeral, one per session generation
//	/ferry/idempotent/records/<slice>/<2 letters>/<id>      slices are a quarter of an hour long, and deleted as a whole
//
// A record is looked for in three slices, and made in a transaction that fails when one of the others has it: so clocks of
// providers may differ by minutes.
type ZooKeeper struct {
	zk      *zk.Client
	release func() error
	prefix  string
	now     func() time.Time
	slice   time.Duration
	limit   limiter

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu       sync.Mutex // guards the following
	gen      *zk.Generation
	executor string // the node of gen
}

var _ Store = (*ZooKeeper)(nil)

// OpenZooKeeper returns a store at the ensemble that address names, as zookeeper://host:port/prefix?session=10000. With e.Shared it takes
// part in the process's session of that ensemble.
func OpenZooKeeper(e extension.Env, address string) (*ZooKeeper, error) {
	u, err := url.Parse(address)
	if err == nil && u.Scheme() != "zookeeper" {
		err = fmt.Errorf("scheme %q, want zookeeper://", u.Scheme())
	}
	if err != nil {
		return nil, fmt.Errorf("idempotent: zookeeper: %w", err)
	}
	return newZooKeeper(e, u, zkSlice)
}

// NewZooKeeper is the constructor of the store zookeeper: at the ensemble that idempotent.zookeeper names, or that of the registry.
func NewZooKeeper(e extension.Env, u *url.URL) (Store, error) {
	z, err := ensemble(e, u)
	if err != nil {
		return nil, err
	}
	return newZooKeeper(e, z, zkSlice)
}

func newZooKeeper(e extension.Env, u *url.URL, slice time.Duration) (*ZooKeeper, error) {
	cfg, err := zk.FromURL(u, e.TLS)
	if err != nil {
		return nil, fmt.Errorf("idempotent: zookeeper: %w", err)
	}
	s := &ZooKeeper{now: time.Now, slice: slice, limit: limiter{rate: zkRate, burst: zkBurst}}
	if path := u.Path(); path != "" && path != "/" {
		s.prefix = "/" + trimSlashes(path)
	}
	if e.Shared == nil {
		if s.zk, err = zk.Open(cfg); err != nil {
			return nil, fmt.Errorf("idempotent: zookeeper: %w", err)
		}
		s.release = s.zk.Close
	} else {
		v, release, err := e.Shared.Acquire(cfg.Key(), func() (io.Closer, error) { return zk.Open(cfg) })
		if err != nil {
			return nil, fmt.Errorf("idempotent: zookeeper: %w", err)
		}
		s.zk, s.release = v.(*zk.Client), release
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.wg.Go(s.collect)
	return s, nil
}

func trimSlashes(s string) string {
	for s != "" && s[0] == '/' {
		s = s[1:]
	}
	for s != "" && s[len(s)-1] == '/' {
		s = s[:len(s)-1]
	}
	return s
}

// Close ends the store; calls that are in progress here are of a dead executor then.
func (s *ZooKeeper) Close() error {
	if s.ctx.Err() != nil {
		return nil
	}
	s.cancel()
	s.wg.Wait()
	s.mu.Lock()
	node := s.executor
	s.gen, s.executor = nil, ""
	s.mu.Unlock()
	if node != "" {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		_ = s.zk.Delete(ctx, node, zk.AnyVersion) // it ends with the session at the latest
		cancel()
	}
	return s.release()
}

// Caps implements Store.
func (s *ZooKeeper) Caps() Caps {
	return Caps{Durable: true, Shared: true, Linearizable: true, Largest: zkLargest}
}

// Accepts refuses times that records are not looked for that long.
func (s *ZooKeeper) Accepts(lease, ttl time.Duration) error {
	if lease+ttl > s.slice {
		return fmt.Errorf("idempotent.ttl=%s and idempotent.lease=%s: together they may be %s in ZooKeeper, longer records belong into SQL or Redis", ttl, lease, s.slice)
	}
	return nil
}

func (s *ZooKeeper) fault(what string, err error) error {
	for _, known := range []error{ErrFenced, ErrIncarnation, ErrFull, ErrTooLarge} {
		if errors.Is(err, known) {
			return fmt.Errorf("idempotent: zookeeper: %s: %w", what, err)
		}
	}
	return fmt.Errorf("idempotent: zookeeper: %s at %s: %w: %w", what, s.zk.Addresses(), ErrStore, err)
}

// self returns the node that stands for this process's session generation, and makes it at first.
func (s *ZooKeeper) self(ctx context.Context) (string, error) {
	gen, err := s.zk.Session(ctx)
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	if s.gen == gen {
		defer s.mu.Unlock()
		return s.executor, nil
	}
	s.mu.Unlock()
	if s.ctx.Err() != nil {
		return "", errors.New("the store is closed")
	}
	node := s.prefix + root + "/executors/" + NewOwner()
	if err := s.zk.MakeParents(ctx, node); err != nil {
		return "", err
	}
	if _, err := s.zk.Create(ctx, zk.Node{Path: node, Session: gen}); err != nil {
		return "", err // one that was made nevertheless ends with the session, and nobody names it
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gen == gen { // two made one
		s.zk.Sweep(node, gen.ID())
		return s.executor, nil
	}
	s.gen, s.executor = gen, node
	return node, nil
}

// A found is a record with the place and version that it was read at.
type found struct {
	zkRecord
	path    string
	version int32
	dead    bool // its executor is
}

// find looks for a record in the slices where it can be.
func (s *ZooKeeper) find(ctx context.Context, id string) (*found, error) {
	now := s.now()
	for _, path := range s.places(id, now) {
		data, stat, err := s.zk.Get(ctx, path, nil)
		if errors.Is(err, zk.ErrNoNode) {
			continue
		}
		if err != nil {
			return nil, err
		}
		f := &found{path: path, version: stat.Version}
		if err := f.read(data); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if f.state != InProgress {
			if !now.Before(f.ends) {
				f.state = Absent // its time is over, and it is in the way
			}
			return f, nil
		}
		_, alive, err := s.zk.Exists(ctx, f.executor, nil)
		f.dead = !alive
		if f.dead && !now.Before(f.ends) {
			f.state = Absent
		}
		return f, err
	}
	return nil, nil
}

func (f *found) told(s State, now time.Time, session time.Duration) Begun {
	b := Begun{State: s, Attempt: f.attempt, Age: max(now.Sub(f.began), 0), Fence: f.fence}
	switch {
	case s == Done:
		b.Result = f.result
	case f.state == InProgress && !f.dead:
		b.Left = session // nobody can take it over before
	}
	return b
}

func (s *ZooKeeper) told(f *found, state State) Begun {
	return f.told(state, s.now(), s.zk.SessionTimeout())
}

// Begin implements Store.
func (s *ZooKeeper) Begin(ctx context.Context, q Request) (Begun, error) {
	id, counted := q.Key.ID(), false
	for {
		self, err := s.self(ctx)
		if err != nil {
			return Begun{}, s.fault("begin", err)
		}
		f, err := s.find(ctx, id)
		switch {
		case err != nil:
			return Begun{}, s.fault("begin", err)
		case f != nil && f.state != Absent && f.args != q.Args:
			return Begun{State: Mismatch}, nil
		case f != nil && f.state == InProgress && f.owner == q.Owner:
			return s.told(f, Started), nil
		case f != nil && f.state != Absent:
			return s.told(f, f.state), nil
		}
		if !counted {
			if err := s.limit.take(s.now()); err != nil {
				return Begun{}, s.fault("begin", err)
			}
			counted = true
		}
		if again, err := s.create(ctx, self, id, f, q); err != nil || !again {
			if err != nil {
				return Begun{}, s.fault("begin", err)
			}
			return started(q, 1), nil
		}
	}
}

// TakeOver implements Store.
func (s *ZooKeeper) TakeOver(ctx context.Context, q Request) (Begun, error) {
	id := q.Key.ID()
	for {
		self, err := s.self(ctx)
		if err != nil {
			return Begun{}, s.fault("take over", err)
		}
		f, err := s.find(ctx, id)
		switch {
		case err != nil:
			return Begun{}, s.fault("take over", err)
		case f == nil || f.state == Absent:
			return Begun{}, nil
		case f.args != q.Args:
			return Begun{State: Mismatch}, nil
		case f.state == InProgress && f.owner == q.Owner:
			return s.told(f, Started), nil
		case f.state == Done, f.state == Unknown && !q.Reopen:
			return s.told(f, f.state), nil
		}
		may, err := mayTake(f.fence, q.Fence, f.state == Unknown || f.dead)
		if err != nil {
			return Begun{}, s.fault("take over", err)
		}
		if !may {
			return s.told(f, f.state), nil
		}
		r := s.fresh(self, q)
		r.attempt = f.attempt + 1
		_, err = s.zk.Multi(ctx, zk.CheckOp(self, zk.AnyVersion), zk.SetOp(f.path, r.bytes(), f.version))
		switch {
		case err == nil:
			return started(q, r.attempt), nil
		case !errors.Is(err, zk.ErrBadVersion) && !errors.Is(err, zk.ErrNoNode):
			return Begun{}, s.fault("take over", err)
		}
	}
}

func (s *ZooKeeper) fresh(self string, q Request) zkRecord {
	now := s.now()
	return zkRecord{state: InProgress, args: q.Args, owner: q.Owner, executor: self, attempt: 1, fence: q.Fence, began: now, ends: now.Add(q.Lease + q.TTL)}
}

// Finish implements Store. The transaction fails when the executor's session is over: others may have taken the record by then.
func (s *ZooKeeper) Finish(ctx context.Context, t Ticket, f Final) error {
	if len(f.Result) > zkLargest {
		return s.fault("finish", fmt.Errorf("%w: %d bytes, the limit is %d", ErrTooLarge, len(f.Result), zkLargest))
	}
	for {
		r, err := s.find(ctx, t.Key.ID())
		switch {
		case err != nil:
			return s.fault("finish", err)
		case r == nil || r.state == Absent || r.owner != t.Owner:
			return s.fault("finish", ErrFenced)
		case r.state != InProgress: // the answer to the first Finish was lost
			return nil
		}
		if behind, err := stale(r.fence, t.Fence); err != nil || behind {
			return s.fault("finish", errors2(err, ErrFenced))
		}
		end := r.zkRecord
		end.state, end.result, end.ends = f.State, f.Result, s.now().Add(f.TTL)
		_, err = s.zk.Multi(ctx, zk.CheckOp(r.executor, zk.AnyVersion), zk.SetOp(r.path, end.bytes(), r.version))
		switch {
		case err == nil:
			return nil
		case errors.Is(err, zk.ErrNoNode): // the session is over
			return s.fault("finish", ErrFenced)
		case !errors.Is(err, zk.ErrBadVersion):
			return s.fault("finish", err)
		}
	}
}

// Abandon implements Store.
func (s *ZooKeeper) Abandon(ctx context.Context, t Ticket) error {
	r, err := s.find(ctx, t.Key.ID())
	if err == nil && r != nil && r.state == InProgress && r.owner == t.Owner {
		err = s.zk.Delete(ctx, r.path, r.version)
	}
	if err != nil && !errors.Is(err, zk.ErrNoNode) && !errors.Is(err, zk.ErrBadVersion) {
		return s.fault("abandon", err)
	}
	return nil
}
