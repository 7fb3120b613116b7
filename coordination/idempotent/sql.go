package idempotent

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ferryrpc/ferry/coordination/lock"
)

// SQL is a Store in a table of an SQL database, the only kind in which effect and record can be one transaction (RunTx). It works
// with the database's clock. It opens nothing and needs no Close; db is the application's own, with a driver of its choice.
type SQL struct {
	db      *sql.DB
	dialect dialect
	table   string
	swept   atomic.Int64 // when outdated records were deleted last, unix seconds
	q       statements
}

var _ Transactor = (*SQL)(nil)

// SQLOptions are what NewSQL may be told. The zero value works.
type SQLOptions struct {
	Table string // ferry_idempotent; letters, digits, _ and one dot
}

// statements are the texts for one table and dialect.
type statements struct{ insert, look, renew, take, finish, abandon, sweep string }

// NewSQL returns a store in a table of db; CreateTable makes it.
func NewSQL(db *sql.DB, d Dialect, o SQLOptions) (*SQL, error) {
	table := o.Table
	if table == "" {
		table = "ferry_idempotent"
	}
	if !regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?$`).MatchString(table) {
		return nil, fmt.Errorf("idempotent: sql: %q cannot be the name of a table", table)
	}
	if db == nil || d < SQLite || d > MySQL {
		return nil, errors.New("idempotent: sql: want a database and its dialect: SQLite, PostgreSQL or MySQL")
	}
	s := &SQL{db: db, dialect: dialectOf(d), table: table}
	s.q = s.dialect.statements(table)
	return s, nil
}

// CreateTable makes the table if there is none.
func (s *SQL) CreateTable(ctx context.Context) error {
	for _, text := range s.dialect.schema(s.table) {
		if _, err := s.db.ExecContext(ctx, text); err != nil {
			return fmt.Errorf("idempotent: sql: create %s: %w", s.table, err)
		}
	}
	return nil
}

// Schema returns the statements of CreateTable, for those who make tables by other means.
func (s *SQL) Schema() []string { return s.dialect.schema(s.table) }

// DB implements Transactor.
func (s *SQL) DB() *sql.DB { return s.db }

// Caps implements Store.
func (s *SQL) Caps() Caps {
	return Caps{Durable: true, Shared: true, Linearizable: true, Transactional: true}
}

func (s *SQL) fault(what string, err error) error {
	return fmt.Errorf("idempotent: sql: %s: %w: %w", what, ErrStore, err)
}

// A row is a record as the table holds it; times are milliseconds of the database's clock.
type row struct {
	state            State
	args, owner      string
	attempt          int
	fence            lock.Fence
	age, left, alive int64 // since it began, of the lease, of the record
	result           []byte
}

// look reads a record; nil when there is none. One whose time is over is there and says so (alive).
func (s *SQL) look(ctx context.Context, id string) (*row, error) {
	var r row
	var state, life string
	err := s.db.QueryRowContext(ctx, s.q.look, id).Scan(&state, &r.args, &r.owner, &r.attempt, &life, &r.fence.Token, &r.age, &r.left, &r.alive, &r.result)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	switch state {
	case "P":
		r.state = InProgress
	case "D":
		r.state = Done
	case "U":
		r.state = Unknown
	default:
		return nil, fmt.Errorf("%s holds the state %q", s.table, state)
	}
	if _, err := hex.Decode(r.fence.Incarnation[:], []byte(life)); life != "" && err != nil {
		return nil, fmt.Errorf("%s holds the incarnation %q", s.table, life)
	}
	return &r, nil
}

func (r *row) told(state State) Begun {
	b := Begun{State: state, Attempt: r.attempt, Age: time.Duration(max(r.age, 0)) * time.Millisecond, Fence: r.fence}
	if r.state == InProgress {
		b.Left = time.Duration(r.left) * time.Millisecond
	}
	if state == Done {
		b.Result = r.result
	}
	return b
}

func lifeOf(f lock.Fence) string {
	if f.Incarnation == (lock.Incarnation{}) {
		return ""
	}
	return f.Incarnation.String()
}

func started(q Request, attempt int) Begun {
	return Begun{State: Started, Attempt: attempt, Left: q.Lease, Fence: q.Fence}
}

// changed says whether a statement changed its row.
func changed(res sql.Result, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

// label is what people see of a key in the table: printable ASCII, which every database takes.
func label(k Key) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, k.String())
}

// Begin implements Store. The insert comes first: the table's key lets one through.
func (s *SQL) Begin(ctx context.Context, q Request) (Begun, error) {
	s.sweep(ctx)
	id, args := q.Key.ID(), hex.EncodeToString(q.Args[:])
	lease, ttl := q.Lease.Milliseconds(), q.TTL.Milliseconds()
	for {
		mine, err := changed(s.db.ExecContext(ctx, s.q.insert, id, label(q.Key), args, q.Owner, lifeOf(q.Fence), q.Fence.Token, lease, lease+ttl))
		if err != nil {
			return Begun{}, s.fault("begin", err)
		}
		if mine {
			return started(q, 1), nil
		}
		r, err := s.look(ctx, id)
		switch {
		case err != nil:
			return Begun{}, s.fault("begin", err)
		case r == nil: // it was deleted meanwhile
			continue
		case r.alive <= 0: // its time is over: it is as if it were not there
			mine, err := changed(s.db.ExecContext(ctx, s.q.renew, args, q.Owner, lifeOf(q.Fence), q.Fence.Token, lease, lease+ttl, id, r.owner, r.attempt))
			if err != nil {
				return Begun{}, s.fault("begin", err)
			}
			if mine {
				return started(q, 1), nil
			}
			continue
		case r.args != args:
			return Begun{State: Mismatch}, nil
		case r.state == InProgress && r.owner == q.Owner:
			return r.told(Started), nil
		}
		return r.told(r.state), nil
	}
}

// TakeOver implements Store. The row that was looked at must still be the same when it changes hands.
func (s *SQL) TakeOver(ctx context.Context, q Request) (Begun, error) {
	id, args := q.Key.ID(), hex.EncodeToString(q.Args[:])
	for {
		r, err := s.look(ctx, id)
		switch {
		case err != nil:
			return Begun{}, s.fault("take over", err)
		case r == nil || r.alive <= 0:
			return Begun{}, nil
		case r.args != args:
			return Begun{State: Mismatch}, nil
		case r.state == InProgress && r.owner == q.Owner:
			return r.told(Started), nil
		case r.state == Done, r.state == Unknown && !q.Reopen:
			return r.told(r.state), nil
		}
		may, err := mayTake(r.fence, q.Fence, r.state == Unknown || r.left <= 0)
		if err != nil {
			return Begun{}, fmt.Errorf("idempotent: sql: %w", err)
		}
		if !may {
			return r.told(r.state), nil
		}
		lease := q.Lease.Milliseconds()
		mine, err := changed(s.db.ExecContext(ctx, s.q.take, q.Owner, lifeOf(q.Fence), q.Fence.Token, lease, lease+q.TTL.Milliseconds(), id, r.owner, r.attempt,
			letter(r.state)))
		if err != nil {
			return Begun{}, s.fault("take over", err)
		}
		if mine {
			return started(q, r.attempt+1), nil
		}
	}
}

func letter(s State) string {
	switch s {
	case Done:
		return "D"
	case Unknown:
		return "U"
	}
	return "P"
}

// An execer is a database or a transaction.
type execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

func (s *SQL) write(ctx context.Context, x execer, t Ticket, f Final) (bool, error) {
	life := lifeOf(t.Fence)
	return changed(x.ExecContext(ctx, s.q.finish, letter(f.State), f.Result, f.TTL.Milliseconds(), t.Key.ID(), t.Owner, t.Fence.Token, life, life))
}

// Finish implements Store.
func (s *SQL) Finish(ctx context.Context, t Ticket, f Final) error {
	mine, err := s.write(ctx, s.db, t, f)
	if err != nil {
		return s.fault("finish", err)
	}
	if mine {
		return nil
	}
	r, err := s.look(ctx, t.Key.ID())
	switch {
	case err != nil:
		return s.fault("finish", err)
	case r == nil || r.owner != t.Owner || r.alive <= 0:
		return fmt.Errorf("idempotent: sql: %w", ErrFenced)
	case r.state != InProgress: // the answer to the first Finish was lost
		return nil
	}
	if err := sameLife(r.fence, t.Fence); err != nil {
		return fmt.Errorf("idempotent: sql: %w", err)
	}
	return fmt.Errorf("idempotent: sql: %w", ErrFenced)
}

// FinishTx implements Transactor.
func (s *SQL) FinishTx(ctx context.Context, tx *sql.Tx, t Ticket, f Final) error {
	mine, err := s.write(ctx, tx, t, f)
	if err != nil {
		return s.fault("finish", err)
	}
	if !mine {
		return fmt.Errorf("idempotent: sql: %w", ErrFenced)
	}
	return nil
}

// Abandon implements Store.
func (s *SQL) Abandon(ctx context.Context, t Ticket) error {
	if _, err := s.db.ExecContext(ctx, s.q.abandon, t.Key.ID(), t.Owner); err != nil {
		return s.fault("abandon", err)
	}
	return nil
}

// Wait implements Store; it looks again and again.
func (s *SQL) Wait(ctx context.Context, k Key) (Begun, error) {
	id := k.ID()
	return poll(ctx, func() (Begun, error) {
		r, err := s.look(ctx, id)
		switch {
		case err != nil:
			return Begun{}, s.fault("wait", err)
		case r == nil || r.alive <= 0:
			return Begun{}, nil
		}
		return r.told(r.state), nil
	})
}

const (
	sweepEvery = 10 // seconds
	sweepMost  = time.Second
)

// sweep deletes a slice of outdated records now and then; the call that comes at that time pays for it. What it does not
// get done, the next one does: an outdated record counts for nothing.
func (s *SQL) sweep(ctx context.Context) {
	now, last := time.Now().Unix(), s.swept.Load()
	if now-last < sweepEvery || !s.swept.CompareAndSwap(last, now) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, sweepMost)
	defer cancel()
	_, _ = s.db.ExecContext(ctx, s.q.sweep)
}

// Sweep deletes up to a thousand outdated records, by the index on their end, and says how many.
func (s *SQL) Sweep(ctx context.Context) (int64, error) {
	res, err := s.db.ExecContext(ctx, s.q.sweep)
	if err != nil {
		return 0, s.fault("sweep", err)
	}
	return res.RowsAffected()
}
