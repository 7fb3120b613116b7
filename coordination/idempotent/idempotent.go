// Package idempotent makes a repeated call give the first one's answer instead of having a second effect.
//
// A provider keeps one record per call in a Store, under a Key that the caller carries over all of its attempts:
//
//	absent --Begin--> PENDING --Finish--> DONE (answer kept for its time, then absent)
//	                  |  |  ^------------------------------------ TakeOver by another executor, when the first is dead
//	                  |  +--Finish(Unknown)--> UNKNOWN ---------- TakeOver, when the application can resolve it
//	                  +--Abandon--> absent                        by the executor that knows that nothing ran
//
// Whoever finds a record does not run the call: a DONE one is answered from the record, a PENDING one is waited for. An executor that
// dies between the effect and the record leaves PENDING behind; what then happens is the method's Policy, and never a
// silent second run. A stale executor, which was taken for dead, cannot Finish: its record belongs to another one by then.
//
// # Parts
//
//	Store      records: Memory, SQL, Redis, ZooKeeper
//	Executor   the flow around one call, with the calls of this process that have the same key behind it
//	Setup      what a server's filter is made from: stores by name, resolvers, who the caller is
//
// The filter (Setup.NewFilter) is the innermost one of a provider; what the handler's own filters refuse before it is not recorded.
package idempotent

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ferryrpc/ferry/coordination/lock"
	"github.com/ferryrpc/ferry/protocol"
)

var (
	// ErrFenced means that the record belongs to another executor by now: what the caller did may have been done again.
	ErrFenced = lock.ErrFenced
	// ErrIncarnation means that fences are of another life of ZooKeeper's data: they cannot be compared.
	ErrIncarnation = lock.ErrIncarnation
	// ErrFull means that a bounded store has no room for another record, or that records come faster than it is made for.
	ErrFull = errors.New("store is full")
	// ErrTooLarge means that an answer is larger than the store keeps.
	ErrTooLarge = errors.New("answer is too large for the store")
	// ErrStore means that the store cannot be reached or does not answer.
	ErrStore = errors.New("store is away")

	// ErrOutcomeUnknown is protocol.ErrOutcomeUnknown.
	ErrOutcomeUnknown = protocol.ErrOutcomeUnknown
	// ErrKeyReused is protocol.ErrKeyReused.
	ErrKeyReused = protocol.ErrKeyReused
	// ErrKeyInvalid is protocol.ErrKeyInvalid.
	ErrKeyInvalid = protocol.ErrKeyInvalid
	// ErrInProgress is protocol.ErrInProgress.
	ErrInProgress = protocol.ErrInProgress
)

// A Key names one call. Calls of different callers, services or methods are different ones, whatever their Text.
type Key struct {
	Caller  string // who calls: see Setup.Caller
	Service string // with group and version
	Method  string
	Text    string // the caller's own name for the call, at most protocol.LongestIdempotencyKey bytes
}

// ID returns 43 letters, digits, - and _ that stand for the key; equal keys have equal ones, and nobody can find another key
// with the same.
func (k Key) ID() string {
	h := sha256.New()
	var n [4]byte
	for _, part := range [...]string{k.Caller, k.Service, k.Method, k.Text} {
		n[0], n[1], n[2], n[3] = byte(len(part)>>24), byte(len(part)>>16), byte(len(part)>>8), byte(len(part))
		h.Write(n[:])
		h.Write([]byte(part))
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// String returns the key for messages, shortened.
func (k Key) String() string {
	text := k.Service + "." + k.Method + "/" + k.Text
	const most = 200
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}

// check refuses keys that no store takes.
func (k Key) check() error {
	if n := len(k.Text); n == 0 || n > protocol.LongestIdempotencyKey {
		return fmt.Errorf("%w: the key of %s.%s has %d bytes, want 1 to %d", ErrKeyInvalid, k.Service, k.Method, n, protocol.LongestIdempotencyKey)
	}
	return nil
}

// A Digest stands for a call's arguments.
type Digest [16]byte

// A Policy says what becomes of a call whose executor died between effect and record.
type Policy uint8

// The policies.
const (
	// AtMostOnce never runs the call again: its outcome is unknown, unless a Resolver can tell.
	AtMostOnce Policy = iota
	// ReExecutable runs it again: effects happen at least once, and all repeats get the same answer.
	ReExecutable
	// Transactional runs it again, since an effect without a record cannot be: both are one SQL transaction (RunTx).
	Transactional
)

// String returns the value of the parameter idempotent.policy.
func (p Policy) String() string {
	return [...]string{"atmostonce", "reexecutable", "transactional"}[p]
}

// State is what a store says about a key.
type State uint8

// The states of a record as Begin, TakeOver and Wait find it.
const (
	Absent     State = iota // no record, or none any more
	Started                 // the asker is the call's executor now
	InProgress              // another executor has it
	Done                    // it has run, Result is what it answered
	Unknown                 // nobody can say whether it has run
	Mismatch                // the key belongs to a call with other arguments
)

// String returns the state's name.
func (s State) String() string {
	return [...]string{"absent", "started", "in progress", "done", "unknown", "mismatch"}[s]
}

// A Request asks for a key's record.
type Request struct {
	Key  Key
	Args Digest
	// Owner names the executor that asks, for this call alone: see NewOwner. A Begin whose answer was lost is repeated with
	// the same Owner.
	Owner string
	// Fence says under which lock or ownership the executor acts; the zero Fence under none. Records of executors with a smaller
	// fence are of dead ones.
	Fence lock.Fence
	// Lease is how long the executor may take; afterwards others take it for dead.
	Lease time.Duration
	// TTL is how long the record stays once the call is over.
	TTL time.Duration
	// Reopen makes TakeOver take records in state Unknown as well, for a caller that finds out whether the call ran.
	Reopen bool
}

// NewOwner returns a fresh name for an executor.
func NewOwner() string { return rand.Text() }

// A Begun is what a store knows about a key.
type Begun struct {
	State   State
	Attempt int           // how many executors the call has had; the asker included when Started
	Age     time.Duration // since the executor began
	Left    time.Duration // InProgress: until the executor may be taken for dead; 0 or less: it is
	Fence   lock.Fence    // of the executor
	Result  []byte        // Done: what Finish was given
}

// A Ticket says whose record is finished or abandoned.
type Ticket struct {
	Key   Key
	Owner string
	Fence lock.Fence
}

// Ticket returns the one of the executor that asked.
func (r Request) Ticket() Ticket { return Ticket{r.Key, r.Owner, r.Fence} }

// A Final is how a call ended.
type Final struct {
	State  State // Done or Unknown
	Result []byte
	TTL    time.Duration
}

// A Store keeps records. Its methods are safe from any number of goroutines and processes, and each is atomic. An error means
// that the store cannot say; the request may have been carried out. Repeating it with the same Owner is harmless.
type Store interface {
	// Begin makes the asker the call's executor if there is no record (Started), and otherwise tells its state.
	Begin(ctx context.Context, r Request) (Begun, error)
	// TakeOver makes the asker the executor if the one before is dead (its lease is over, or its fence is smaller), and
	// otherwise tells the state.
	TakeOver(ctx context.Context, r Request) (Begun, error)
	// Finish stores how the call ended. ErrFenced means that the record is not the ticket's any more, or that a larger fence
	// was there; nothing is stored then.
	Finish(ctx context.Context, t Ticket, f Final) error
	// Abandon removes the record of a call that did not run. One that is not the ticket's stays, without an error.
	Abandon(ctx context.Context, t Ticket) error
	// Wait returns the state once it is not InProgress with a living executor any more, or the context's error.
	Wait(ctx context.Context, k Key) (Begun, error)
	// Caps says what the store can promise.
	Caps() Caps
}

// Caps are a store's powers.
type Caps struct {
	Durable       bool // records outlive the provider's process
	Shared        bool // providers see each other's records
	Linearizable  bool // an acknowledged record is never forgotten before its time, whatever fails
	Transactional bool // records can be written in the transaction of the effect: the store is a Transactor
	Largest       int  // largest Result in bytes; 0: no limit of its own
}

// overtakes says whether an executor with fence b may take the record of a living one with fence a: only with a larger fence
// of the same incarnation.
func overtakes(a, b lock.Fence) (bool, error) {
	if err := sameLife(a, b); err != nil {
		return false, err
	}
	return b.Token > a.Token && a.Token != 0, nil
}

// stale says whether b is behind a.
func stale(a, b lock.Fence) (bool, error) {
	if err := sameLife(a, b); err != nil {
		return false, err
	}
	return b.Token < a.Token, nil
}

func sameLife(a, b lock.Fence) error {
	none := lock.Incarnation{}
	if a.Incarnation != none && b.Incarnation != none && a.Incarnation != b.Incarnation {
		return fmt.Errorf("%w %s, the record is of %s", ErrIncarnation, b.Incarnation, a.Incarnation)
	}
	return nil
}

// mayTake says whether an executor with fence b may take a record over that has fence a; dead says that the record's executor is.
func mayTake(a, b lock.Fence, dead bool) (bool, error) {
	over, err := overtakes(a, b)
	if err != nil || over {
		return over, err
	}
	return dead && b.Token >= a.Token, nil
}
