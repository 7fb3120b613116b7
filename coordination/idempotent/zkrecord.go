package idempotent

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/ferryrpc/ferry/coordination/lock"
	"github.com/ferryrpc/ferry/internal/zk"
)

// A zkRecord is a record as its node holds it.
type zkRecord struct {
	state    State
	args     Digest
	owner    string
	executor string // node of the process that began it
	attempt  int
	fence    lock.Fence
	began    time.Time
	ends     time.Time // of the record
	result   []byte
}

// zkData is the head of a node's data, so that people can read it; the result follows as it is.
//
//	0        2
//	| length | JSON | result ...
type zkData struct {
	State    string `json:"state"`
	Args     Digest `json:"args"`
	Owner    string `json:"owner"`
	Executor string `json:"executor"`
	Attempt  int    `json:"attempt"`
	Fence    string `json:"fence,omitempty"`
	Began    int64  `json:"began"`
	Ends     int64  `json:"ends"`
}

func (r *zkRecord) bytes() []byte {
	d := zkData{State: letter(r.state), Args: r.args, Owner: r.owner, Executor: r.executor, Attempt: r.attempt, Began: r.began.UnixMilli(), Ends: r.ends.UnixMilli()}
	if r.fence.Token != 0 {
		d.Fence = r.fence.String()
	}
	head, _ := json.Marshal(d) // of strings and numbers: it cannot fail
	b := binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(head)+len(r.result)), uint16(len(head)))
	return append(append(b, head...), r.result...)
}

func (r *zkRecord) read(b []byte) error {
	if len(b) < 2 || len(b) < 2+int(binary.BigEndian.Uint16(b)) {
		return errors.New("the node holds no record")
	}
	n := 2 + int(binary.BigEndian.Uint16(b))
	var d zkData
	if err := json.Unmarshal(b[2:n], &d); err != nil {
		return fmt.Errorf("the node holds no record: %w", err)
	}
	*r = zkRecord{args: d.Args, owner: d.Owner, executor: d.Executor, attempt: d.Attempt, began: time.UnixMilli(d.Began), ends: time.UnixMilli(d.Ends), result: b[n:]}
	switch d.State {
	case "P":
		r.state = InProgress
	case "D":
		r.state = Done
	case "U":
		r.state = Unknown
	default:
		return fmt.Errorf("the node holds the state %q", d.State)
	}
	if d.Fence != "" {
		var err error
		if r.fence, err = lock.ParseFence(d.Fence); err != nil {
			return err
		}
	}
	return nil
}

// places are the paths where a record can be: this slice's first, then the one before and the one to come.
func (s *ZooKeeper) places(id string, now time.Time) [3]string {
	n := now.UnixNano() / int64(s.slice)
	return [3]string{s.place(id, n), s.place(id, n-1), s.place(id, n+1)}
}

func (s *ZooKeeper) place(id string, slice int64) string {
	return s.records() + "/" + strconv.FormatInt(slice, 10) + "/" + id[:2] + "/" + id
}

func (s *ZooKeeper) records() string { return s.prefix + root + "/records" }

// create makes a record, in one transaction with the proof that no other slice has one and that our session lives. What
// outdated record is in the way is deleted in it too. again says that somebody else was faster.
func (s *ZooKeeper) create(ctx context.Context, self, id string, old *found, q Request) (again bool, err error) {
	r := s.fresh(self, q)
	places := s.places(id, r.began)
	ops := []zk.Op{zk.CheckOp(self, zk.AnyVersion)}
	if old != nil {
		ops = append(ops, zk.DeleteOp(old.path, old.version))
	}
	for i, path := range places {
		if i == 0 {
			ops = append(ops, zk.CreateOp(zk.Node{Path: path, Data: r.bytes()}))
			continue
		}
		ops = append(ops, zk.CreateOp(zk.Node{Path: path}), zk.DeleteOp(path, zk.AnyVersion))
	}
	_, err = s.zk.Multi(ctx, ops...)
	switch {
	case err == nil:
		return false, nil
	case errors.Is(err, zk.ErrNodeExists), errors.Is(err, zk.ErrBadVersion):
		return true, nil
	case !errors.Is(err, zk.ErrNoNode):
		return false, err
	}
	for _, path := range places { // of a new slice; or our session is over, which self finds out
		if err := s.zk.MakeParents(ctx, path); err != nil {
			return false, err
		}
	}
	if _, alive, err := s.zk.Exists(ctx, self, nil); err != nil || !alive {
		s.forget(self)
		return err == nil, err
	}
	return true, nil
}

// forget drops an executor's node that is gone, so that the next call makes another one.
func (s *ZooKeeper) forget(node string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.executor == node {
		s.gen, s.executor = nil, ""
	}
}

// A limiter keeps records from coming faster, or becoming more, than ZooKeeper is made for.
type limiter struct {
	rate, burst float64

	mu     sync.Mutex // guards the following
	tokens float64
	at     time.Time
	counts [3]int // of records in the last slices
	slice  int64
}

func (l *limiter) take(now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := now.UnixNano() / int64(zkSlice); n != l.slice {
		if n == l.slice+1 {
			l.counts = [3]int{0, l.counts[0], l.counts[1]}
		} else {
			l.counts = [3]int{}
		}
		l.slice = n
	}
	if live := l.counts[0] + l.counts[1] + l.counts[2]; live >= zkLive {
		return fmt.Errorf("%w: this process has %d records in ZooKeeper, which keeps all of them in the memory of all servers; use sql or redis", ErrFull, live)
	}
	if l.at.IsZero() {
		l.tokens = l.burst
	} else {
		l.tokens = min(l.burst, l.tokens+l.rate*max(now.Sub(l.at).Seconds(), 0))
	}
	l.at = now
	if l.tokens < 1 {
		return fmt.Errorf("%w: more than %.0f records a second, which all pass through ZooKeeper's one leader; use sql or redis", ErrFull, l.rate)
	}
	l.tokens--
	l.counts[0]++
	return nil
}

// collect deletes slices that are too old for any record.
func (s *ZooKeeper) collect() {
	tick := time.NewTicker(max(s.slice/4, 10*time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-s.ctx.Done():
			return
		}
		_ = s.Collect(s.ctx) // what it does not get done, the next one does
	}
}

// Collect deletes the slices that are over. Providers may do so at the same time; whoever finds a node gone goes on.
func (s *ZooKeeper) Collect(ctx context.Context) error {
	now := s.now().UnixNano() / int64(s.slice)
	slices, err := s.zk.Children(ctx, s.records(), nil)
	if errors.Is(err, zk.ErrNoNode) {
		return nil
	}
	if err != nil {
		return s.fault("collect", err)
	}
	for _, name := range slices {
		n, err := strconv.ParseInt(name, 10, 64)
		if err != nil || n >= now-2 { // the one before is looked at, and clocks may differ
			continue
		}
		if err := s.deleteSlice(ctx, s.records()+"/"+name); err != nil {
			return s.fault("collect", err)
		}
	}
	return nil
}

func (s *ZooKeeper) deleteSlice(ctx context.Context, slice string) error {
	shards, err := s.zk.Children(ctx, slice, nil)
	if err != nil {
		return gone(err)
	}
	for _, shard := range shards {
		shard = slice + "/" + shard
		ids, err := s.zk.Children(ctx, shard, nil)
		if err != nil {
			if gone(err) != nil {
				return err
			}
			continue
		}
		for _, id := range ids {
			if err := gone(s.zk.Delete(ctx, shard+"/"+id, zk.AnyVersion)); err != nil {
				return err
			}
		}
		if err := gone(s.zk.Delete(ctx, shard, zk.AnyVersion)); err != nil {
			return err
		}
	}
	return gone(s.zk.Delete(ctx, slice, zk.AnyVersion))
}

// gone takes it for done when somebody else did it.
func gone(err error) error {
	if errors.Is(err, zk.ErrNoNode) {
		return nil
	}
	return err
}
