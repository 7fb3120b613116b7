package idempotent

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ferryrpc/ferry/coordination/lock"
)

// An Executor runs calls at most once per key, as far as its Store and Policy can promise. Its fields are set before the first
// Do; its methods are then safe from any number of goroutines.
type Executor struct {
	Store  Store
	Policy Policy
	Lease  time.Duration // how long a call may take until its executor counts as dead; 0 means a minute
	TTL    time.Duration // how long answers are kept; 0 means ten minutes
	// Lock, if any, is held while a call is looked up and runs; its lease's fence goes into the record.
	Lock func(ctx context.Context, k Key) (*lock.Lease, error)

	mu      sync.Mutex         // guards the following
	flights map[string]*flight // by Key.ID: the calls that this executor runs or looks up
}

// A flight is a call that one goroutine of this process takes care of.
type flight struct {
	args   Digest
	done   chan struct{} // closed when answer and err are there
	answer Answer
	err    error
}

// A Call is what an Executor runs.
type Call struct {
	Key   Key
	Args  Digest
	Fence lock.Fence    // what the caller acts under, when there is no Lock
	TTL   time.Duration // 0: the Executor's
	// Run executes the call. It is called at most once per Do, with a context that ends with the executor's lease.
	Run func(ctx context.Context) Ran
	// Resolve finds out whether an earlier executor ran the call before it died, for AtMostOnce; nil when nobody can. With
	// Resolved it returns the call's answer.
	Resolve func(ctx context.Context) (Resolved, Ran, error)
}

// Resolved is what the application says about a call whose executor died.
type Resolved uint8

// The verdicts of a Resolver.
const (
	StillUnknown Resolved = iota // nobody can say
	DidRun                       // it ran; its reply was filled in
	DidNotRun                    // it had no effect, and may run now
)

// Ran is how an execution ended.
type Ran struct {
	End    End
	Result []byte // Complete: what repeats are answered with
	Err    error  // the execution's own error; Do does not look at it
	// Commit makes effect and record durable in one step, for Transactional; nil when the execution had no transaction.
	Commit func(ctx context.Context, t Ticket, f Final) error
}

// End says what an execution means for its record.
type End uint8

// The ends of an execution.
const (
	Complete    End = iota // it ran, and every repeat gets its answer
	DidNotStart            // it had no effect, and a repeat may run
	GaveUp                 // it ran, and gave up on the way: cancelled, out of time, panicked
)

// An Answer is the result of Do.
type Answer struct {
	State    State // Done, or Unknown
	Replayed bool  // it is another execution's
	Result   []byte
	Attempt  int
	Age      time.Duration // since the executor began
	Ran      *Ran          // this Do's own execution; nil when it made none
}

const (
	recording = 5 * time.Second // for writing how a call ended; its caller's time does not count
	undoing   = 2 * time.Second // for taking a record back whose writing was given up
)

// NotRecordedError is the error of Do when an execution ended without being Complete: the record is gone and the call may be
// repeated. Ran has its own error.
type NotRecordedError struct{ Ran Ran }

// Error returns the execution's own error's text.
func (e *NotRecordedError) Error() string {
	return fmt.Sprintf("idempotent: not recorded: %v", e.Ran.Err)
}

// Unwrap returns the execution's own error.
func (e *NotRecordedError) Unwrap() error { return e.Ran.Err }

// Do runs the call or finds its answer. It waits until ctx ends for calls with the same key that others run. Errors match
// ErrKeyReused, ErrKeyInvalid, ErrOutcomeUnknown (the call may have run, and will not be run again), ErrInProgress (it runs),
// *NotRecordedError, or come from the store: then this Do ran nothing.
func (x *Executor) Do(ctx context.Context, c Call) (Answer, error) {
	if err := c.Key.check(); err != nil {
		return Answer{}, err
	}
	id := c.Key.ID()
	for {
		f, first := x.join(id, c.Args)
		if first {
			x.lead(ctx, id, f, c)
			return f.answer, f.err
		}
		if f.args != c.Args {
			return Answer{}, reused(c.Key)
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			return Answer{}, fmt.Errorf("%w: %s runs in this process: %w", ErrInProgress, c.Key, context.Cause(ctx))
		}
		if f.err == nil {
			a := f.answer
			a.Replayed, a.Ran = true, nil
			return a, nil
		}
		if errors.Is(f.err, ErrOutcomeUnknown) {
			return Answer{State: Unknown, Attempt: f.answer.Attempt, Age: f.answer.Age}, f.err
		}
		// It was not recorded, or the store failed: the next one tries for himself.
	}
}

func reused(k Key) error {
	return fmt.Errorf("%w: %s was used for a call with other arguments", ErrKeyReused, k)
}

// join returns the flight of a key, and whether the caller is the one who takes care of it.
func (x *Executor) join(id string, args Digest) (f *flight, first bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if f := x.flights[id]; f != nil {
		return f, false
	}
	if x.flights == nil {
		x.flights = map[string]*flight{}
	}
	f = &flight{args: args, done: make(chan struct{}), err: errors.New("idempotent: the executor was aborted")}
	x.flights[id] = f
	return f, true
}

// lead takes care of a flight. It lands also when the call panics through.
func (x *Executor) lead(ctx context.Context, id string, f *flight, c Call) {
	defer func() {
		x.mu.Lock()
		delete(x.flights, id)
		x.mu.Unlock()
		close(f.done)
	}()
	if x.Lock == nil {
		f.answer, f.err = x.decide(ctx, c)
		return
	}
	f.answer, f.err = x.locked(ctx, c)
}

// locked decides under the lock of the key.
func (x *Executor) locked(ctx context.Context, c Call) (Answer, error) {
	lease, err := x.Lock(ctx, c.Key)
	if err != nil {
		if ctx.Err() != nil {
			return Answer{}, fmt.Errorf("%w: the lock of %s is held elsewhere: %w", ErrInProgress, c.Key, err)
		}
		return Answer{}, fmt.Errorf("idempotent: %w: %w", ErrStore, err)
	}
	defer func() {
		after, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoing)
		defer cancel()
		_ = lease.Unlock(after) // what it cannot delete is deleted later; whether it was lost, Finish has seen
	}()
	c.Fence = lease.Fence()
	run := c.Run
	c.Run = func(ctx context.Context) Ran {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		defer context.AfterFunc(lease.Context(), func() { cancel(context.Cause(lease.Context())) })()
		if !lease.Held() {
			return Ran{End: DidNotStart, Err: fmt.Errorf("idempotent: before the call began: %w", lock.ErrLost)}
		}
		ran := run(ctx)
		if ran.End == Complete && !lease.Held() { // another one may run it by now
			ran.End, ran.Err = GaveUp, errors.Join(ran.Err, lock.ErrLost)
		}
		return ran
	}
	return x.decide(ctx, c)
}

// decide moves along the states of the record until there is an answer.
func (x *Executor) decide(ctx context.Context, c Call) (Answer, error) {
	q := Request{Key: c.Key, Args: c.Args, Owner: NewOwner(), Fence: c.Fence, Lease: x.lease(), TTL: c.TTL, Reopen: c.Resolve != nil}
	if q.TTL <= 0 {
		q.TTL = x.ttl()
	}
	b, at, err := x.begin(ctx, q)
	for {
		if err != nil {
			return Answer{}, fmt.Errorf("idempotent: %s: %w", c.Key, err)
		}
		switch b.State {
		case Started:
			if b.Attempt == 1 || x.Policy != AtMostOnce {
				return x.run(ctx, c, q, b, at)
			}
			return x.resolve(ctx, c, q, b, at)
		case Done:
			return Answer{State: Done, Replayed: true, Result: b.Result, Attempt: b.Attempt, Age: b.Age}, nil
		case Mismatch:
			return Answer{}, reused(c.Key)
		case Unknown:
			if c.Resolve == nil {
				return unknown(c, b, "an executor died or was overtaken")
			}
			at = time.Now()
			b, err = x.Store.TakeOver(ctx, q)
		case InProgress:
			over, e := overtakes(b.Fence, q.Fence)
			switch {
			case e != nil:
				err = e
			case b.Left <= 0 && b.Fence.Token > q.Fence.Token: // its executor is dead, and a later one than we are
				err = fmt.Errorf("%w: its record is of fence %d, this call's is %d", ErrFenced, b.Fence.Token, q.Fence.Token)
			case b.Left <= 0 || over:
				at = time.Now()
				b, err = x.Store.TakeOver(ctx, q)
			default:
				b, err = x.Store.Wait(ctx, c.Key)
				if ctx.Err() != nil && (err != nil || b.State == InProgress) {
					return Answer{}, fmt.Errorf("%w: %s, attempt %d for %s: %w", ErrInProgress, c.Key, b.Attempt, b.Age.Round(time.Millisecond),
						context.Cause(ctx))
				}
			}
		default: // Absent: it was abandoned, or its time is over
			b, at, err = x.begin(ctx, q)
		}
	}
}

// begin asks for the record. An answer that does not come is asked for again with the same owner; when there is none at
// all, nothing was run, and what may have been written is taken back.
func (x *Executor) begin(ctx context.Context, q Request) (b Begun, at time.Time, err error) {
	const tries = 3
	for range tries {
		if ctx.Err() != nil {
			err = errors.Join(context.Cause(ctx), err)
			break
		}
		at = time.Now()
		if b, err = x.Store.Begin(ctx, q); err == nil || errors.Is(err, ErrFull) || errors.Is(err, ErrIncarnation) {
			return b, at, err
		}
	}
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoing)
	defer cancel()
	_ = x.Store.Abandon(after, q.Ticket()) // else it is InProgress until its lease is over
	return b, at, err
}

// resolve asks the application about a call whose executor died, in the place of another execution.
func (x *Executor) resolve(ctx context.Context, c Call, q Request, b Begun, at time.Time) (Answer, error) {
	why := "the executor before died or was overtaken"
	if c.Resolve != nil {
		verdict, ran, err := c.Resolve(ctx)
		switch {
		case err != nil:
			why += ", and asking the application failed: " + err.Error()
		case verdict == DidNotRun:
			return x.run(ctx, c, q, b, at)
		case verdict == DidRun:
			if err := x.finish(ctx, q, Final{State: Done, Result: ran.Result, TTL: q.TTL}, nil); err != nil {
				return unknown(c, b, "recording failed: "+err.Error())
			}
			return Answer{State: Done, Replayed: true, Result: ran.Result, Attempt: b.Attempt, Age: b.Age}, nil
		}
	}
	if err := x.finish(ctx, q, Final{State: Unknown, TTL: q.TTL}, nil); err != nil {
		why += "; recording that failed: " + err.Error()
	}
	return unknown(c, b, why)
}

func unknown(c Call, b Begun, why string) (Answer, error) {
	return Answer{State: Unknown, Attempt: b.Attempt, Age: b.Age},
		fmt.Errorf("%w: %s, attempt %d: %s", ErrOutcomeUnknown, c.Key, b.Attempt, why)
}

// run executes the call and records how it ended.
func (x *Executor) run(ctx context.Context, c Call, q Request, b Begun, at time.Time) (Answer, error) {
	ran := x.execute(ctx, c, q, at)
	f := Final{State: Done, Result: ran.Result, TTL: q.TTL}
	switch {
	case ran.End == Complete:
		if err := x.finish(ctx, q, f, ran.Commit); err != nil {
			return unknown(c, b, "it ran, and recording it failed: "+err.Error())
		}
		return Answer{State: Done, Result: ran.Result, Attempt: b.Attempt, Age: time.Since(at), Ran: &ran}, nil
	case ran.End == GaveUp && x.Policy == AtMostOnce:
		why := fmt.Sprintf("it gave up on the way: %v", ran.Err)
		if err := x.finish(ctx, q, Final{State: Unknown, TTL: q.TTL}, nil); err != nil {
			why += "; recording that failed: " + err.Error()
		}
		return unknown(c, b, why)
	}
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoing)
	defer cancel()
	_ = x.Store.Abandon(after, q.Ticket()) // else it is InProgress until its lease is over, and then run again
	return Answer{Ran: &ran}, &NotRecordedError{ran}
}

// execute calls Run within the lease, which began at a time before the store knew of it. A panic passes through; the record
// then says what the policy says of executions that gave up.
func (x *Executor) execute(ctx context.Context, c Call, q Request, at time.Time) (ran Ran) {
	if ctx.Err() != nil {
		return Ran{End: DidNotStart, Err: context.Cause(ctx)}
	}
	inner, cancel := context.WithDeadlineCause(ctx, at.Add(q.Lease), errLease)
	defer cancel()
	ended := false
	defer func() {
		if !ended {
			x.gaveUp(ctx, q)
		}
	}()
	ran = c.Run(inner)
	ended = true
	return ran
}

var errLease = errors.New("idempotent: the call took longer than its lease (idempotent.lease)")

// gaveUp records an execution that panicked.
func (x *Executor) gaveUp(ctx context.Context, q Request) {
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoing)
	defer cancel()
	if x.Policy == AtMostOnce {
		_ = x.Store.Finish(after, q.Ticket(), Final{State: Unknown, TTL: q.TTL})
		return
	}
	_ = x.Store.Abandon(after, q.Ticket())
}

// finish records how a call ended. The caller's time may be over by then; a store that does not answer is asked again for a
// while.
func (x *Executor) finish(ctx context.Context, q Request, f Final, commit func(context.Context, Ticket, Final) error) error {
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), recording)
	defer cancel()
	if commit != nil {
		return commit(after, q.Ticket(), f)
	}
	pause := 10 * time.Millisecond
	for {
		err := x.Store.Finish(after, q.Ticket(), f)
		if err == nil || errors.Is(err, ErrFenced) || errors.Is(err, ErrTooLarge) || errors.Is(err, ErrIncarnation) || after.Err() != nil {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-after.Done():
			timer.Stop()
			return err
		}
		pause *= 2
	}
}

func (x *Executor) lease() time.Duration {
	if x.Lease > 0 {
		return x.Lease
	}
	return time.Minute
}

func (x *Executor) ttl() time.Duration {
	if x.TTL > 0 {
		return x.TTL
	}
	return 10 * time.Minute
}
