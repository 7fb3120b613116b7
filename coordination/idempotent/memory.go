package idempotent

import (
	"container/list"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/ferryrpc/ferry/coordination/lock"
)

// MemoryParams are the parameters of the store memory.
type MemoryParams struct {
	Bytes int64 `url:"idempotent.bytes" default:"67108864" doc:"memory that records may take (store memory); the oldest answers go first"`
}

// recordSize is what a record takes beside its result and key, roughly.
const recordSize = 400

// Memory is a Store in the process: for repeats within its time to the same provider. A restart forgets everything, and so
// does a lack of room: records are bounded by bytes as well as by time, and the oldest answers leave first.
type Memory struct {
	most int64
	now  func() time.Time

	mu      sync.Mutex // guards the following
	records map[string]*record
	over    list.List // records that are Done or Unknown, in the order in which they became so
	bytes   int64
	evicted int64 // before their time
}

type record struct {
	id      string
	state   State // InProgress, Done or Unknown
	args    Digest
	owner   string
	fence   lock.Fence
	attempt int
	started time.Time
	until   time.Time // InProgress: the lease's end; otherwise the record's
	ttl     time.Duration
	result  []byte
	changed chan struct{} // closed when the state changes; nil when nobody waits
	place   *list.Element // in over
}

func (r *record) size() int64 { return int64(recordSize + len(r.result)) }

var _ Store = (*Memory)(nil)

// NewMemory returns an empty store that takes about so many bytes; 0 means 64 MiB.
func NewMemory(bytes int64) *Memory {
	if bytes <= 0 {
		bytes = 64 << 20
	}
	m := &Memory{most: bytes, now: time.Now, records: map[string]*record{}}
	return m
}

// MemoryState is what a Memory shows of itself.
type MemoryState struct {
	Records int
	Bytes   int64
	Evicted int64 // answers that left before their time, for lack of room
}

// State returns the counts.
func (m *Memory) State() MemoryState {
	m.mu.Lock()
	defer m.mu.Unlock()
	return MemoryState{len(m.records), m.bytes, m.evicted}
}

// Caps implements Store.
func (m *Memory) Caps() Caps { return Caps{Largest: int(m.most / 4)} }

// Begin implements Store.
func (m *Memory) Begin(_ context.Context, q Request) (Begun, error) {
	id := q.Key.ID()
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	r := m.findLocked(id, now)
	switch {
	case r == nil:
		r = &record{id: id, args: q.Args}
		if err := m.roomLocked(r.size(), now); err != nil {
			return Begun{}, err
		}
		m.records[id] = r
		m.bytes += r.size()
		return m.startLocked(r, q, now), nil
	case r.args != q.Args:
		return Begun{State: Mismatch}, nil
	case r.state == InProgress && r.owner == q.Owner:
		return m.told(r, now, Started), nil
	}
	return m.told(r, now, r.state), nil
}

// TakeOver implements Store.
func (m *Memory) TakeOver(_ context.Context, q Request) (Begun, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	r := m.findLocked(q.Key.ID(), now)
	switch {
	case r == nil:
		return Begun{}, nil
	case r.args != q.Args:
		return Begun{State: Mismatch}, nil
	case r.state == InProgress && r.owner == q.Owner:
		return m.told(r, now, Started), nil
	case r.state == Done, r.state == Unknown && !q.Reopen:
		return m.told(r, now, r.state), nil
	}
	dead := r.state == Unknown || !now.Before(r.until)
	may, err := mayTake(r.fence, q.Fence, dead)
	if err != nil {
		return Begun{}, fmt.Errorf("idempotent: memory: %w", err)
	}
	if !may {
		return m.told(r, now, r.state), nil
	}
	return m.startLocked(r, q, now), nil
}

// startLocked gives a record to an executor.
func (m *Memory) startLocked(r *record, q Request, now time.Time) Begun {
	if r.place != nil {
		m.over.Remove(r.place)
		r.place = nil
	}
	m.bytes -= int64(len(r.result))
	r.state, r.owner, r.fence, r.result = InProgress, q.Owner, q.Fence, nil
	r.started, r.until, r.ttl = now, now.Add(q.Lease), q.TTL
	r.attempt++
	r.tell()
	return m.told(r, now, Started)
}

// tell wakes who waits for a change.
func (r *record) tell() {
	if r.changed != nil {
		close(r.changed)
		r.changed = nil
	}
}

func (m *Memory) told(r *record, now time.Time, s State) Begun {
	b := Begun{State: s, Attempt: r.attempt, Age: now.Sub(r.started), Fence: r.fence, Result: r.result}
	if r.state == InProgress {
		b.Left = r.until.Sub(now)
	}
	return b
}

// findLocked returns a record whose time is not over. One in progress stays for as long as an answer would, so that others learn
// that its executor died.
func (m *Memory) findLocked(id string, now time.Time) *record {
	r := m.records[id]
	if r != nil && r.outdated(now) {
		m.dropLocked(r)
		return nil
	}
	return r
}

func (r *record) outdated(now time.Time) bool {
	if r.state == InProgress {
		return !now.Before(r.until.Add(r.ttl))
	}
	return !now.Before(r.until)
}

func (m *Memory) dropLocked(r *record) {
	if r.place != nil {
		m.over.Remove(r.place)
		r.place = nil
	}
	m.bytes -= r.size()
	delete(m.records, r.id)
	r.tell()
}

// roomLocked makes room for n more bytes: what is outdated goes, and then the oldest answers. Calls in progress stay.
func (m *Memory) roomLocked(n int64, now time.Time) error {
	for e := m.over.Front(); e != nil; e = m.over.Front() {
		r := e.Value.(*record)
		outdated := r.outdated(now)
		if !outdated && m.bytes+n <= m.most {
			return nil
		}
		if !outdated {
			m.evicted++
		}
		m.dropLocked(r)
	}
	if m.bytes+n <= m.most {
		return nil
	}
	for _, r := range m.records { // all are in progress; those of executors that never came back are left
		if r.outdated(now) {
			m.dropLocked(r)
		}
	}
	if m.bytes+n > m.most {
		return fmt.Errorf("idempotent: memory: %w: %d calls in progress take %d bytes, the limit is %d (idempotent.bytes)", ErrFull, len(m.records),
			m.bytes, m.most)
	}
	return nil
}

// Finish implements Store.
func (m *Memory) Finish(_ context.Context, t Ticket, f Final) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	r := m.findLocked(t.Key.ID(), now)
	if r == nil || r.owner != t.Owner {
		return fmt.Errorf("idempotent: memory: %w", ErrFenced)
	}
	if r.state != InProgress { // the answer to the first Finish was lost
		return nil
	}
	if len(f.Result) > m.Caps().Largest {
		return fmt.Errorf("idempotent: memory: %w: %d bytes, the limit is %d", ErrTooLarge, len(f.Result), m.Caps().Largest)
	}
	if behind, err := stale(r.fence, t.Fence); err != nil || behind {
		return fmt.Errorf("idempotent: memory: %w", errors2(err, ErrFenced))
	}
	// The room is there at any rate once the older answers are gone, as a result is a quarter of it at most; calls in
	// progress may make it tight, and then this answer must be kept nevertheless: the call has run.
	_ = m.roomLocked(int64(len(f.Result)), now)
	r.state, r.result, r.until = f.State, f.Result, now.Add(f.TTL)
	m.bytes += int64(len(r.result))
	r.place = m.over.PushBack(r)
	r.tell()
	return nil
}

// Abandon implements Store.
func (m *Memory) Abandon(_ context.Context, t Ticket) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r := m.records[t.Key.ID()]; r != nil && r.owner == t.Owner && r.state == InProgress {
		m.dropLocked(r)
	}
	return nil
}

// Wait implements Store.
func (m *Memory) Wait(ctx context.Context, k Key) (Begun, error) {
	id := k.ID()
	for {
		b, changed := m.look(id)
		if b.State != InProgress || b.Left <= 0 {
			return b, nil
		}
		timer := time.NewTimer(b.Left)
		select {
		case <-changed:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return b, ctx.Err()
		}
		timer.Stop()
	}
}

func (m *Memory) look(id string) (Begun, <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	r := m.findLocked(id, now)
	if r == nil {
		return Begun{}, nil
	}
	if r.state == InProgress && r.changed == nil {
		r.changed = make(chan struct{})
	}
	return m.told(r, now, r.state), r.changed
}

func errors2(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}
