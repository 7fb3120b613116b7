package idempotent

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// A Transactor is a Store whose records lie in the application's own SQL database.
type Transactor interface {
	Store
	// DB is the database.
	DB() *sql.DB
	// FinishTx does what Finish does, in a transaction that the caller commits.
	FinishTx(ctx context.Context, tx *sql.Tx, t Ticket, f Final) error
}

type transactionKey struct{}

// A transaction is the one of a call with the policy transactional. It belongs to the handler's goroutine.
type transaction struct {
	store  Transactor
	tx     *sql.Tx
	failed bool // a part of it failed: it is rolled back
}

// ErrOtherDatabase means that RunTx was given another database than the one in which the call is recorded.
var ErrOtherDatabase = errors.New("not the database of the records")

// RunTx runs fn in a transaction of db. Within a call of the policy transactional it is the transaction in which the call's
// record is written: it is committed with it when the handler returns without an error, so that there is either the effect
// and its record, or neither. Several RunTx of one call share it; once one has failed, it is rolled back as a whole.
// Elsewhere RunTx commits when fn returns nil. tx must not be used after fn has returned, nor be committed by fn.
func RunTx(ctx context.Context, db *sql.DB, fn func(tx *sql.Tx) error) error {
	t, _ := ctx.Value(transactionKey{}).(*transaction)
	if t == nil {
		return runAlone(ctx, db, fn)
	}
	if db != t.store.DB() {
		return fmt.Errorf("idempotent: RunTx: %w: the effect could not be recorded with it", ErrOtherDatabase)
	}
	if t.failed {
		return errors.New("idempotent: RunTx: the call's transaction has failed before")
	}
	if t.tx == nil {
		// The transaction outlives the caller's time: once it is complete it is committed, and until then end rolls it back.
		tx, err := db.BeginTx(context.WithoutCancel(ctx), nil)
		if err != nil {
			return fmt.Errorf("idempotent: RunTx: %w", err)
		}
		t.tx = tx
	}
	t.failed = true // unless fn returns: it may panic
	err := fn(t.tx)
	t.failed = err != nil
	return err
}

func runAlone(ctx context.Context, db *sql.DB, fn func(tx *sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("idempotent: RunTx: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // after the commit it does nothing
	if err := fn(tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("idempotent: RunTx: commit: %w", err)
	}
	return nil
}

// take returns what commits the transaction with its record, or nil when there is none to commit. end does nothing then.
func (t *transaction) take() func(context.Context, Ticket, Final) error {
	if t.tx == nil || t.failed {
		return nil
	}
	tx := t.tx
	t.tx = nil
	return func(ctx context.Context, ticket Ticket, f Final) error {
		if err := t.store.FinishTx(ctx, tx, ticket, f); err != nil {
			return errors.Join(err, tx.Rollback())
		}
		if err := tx.Commit(); err != nil {
			return fmt.Errorf("idempotent: commit: %w", err)
		}
		return nil
	}
}

// end rolls back what was not taken.
func (t *transaction) end() {
	if t.tx != nil {
		_ = t.tx.Rollback() // nothing of it counts
		t.tx = nil
	}
}
