package cluster

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	budgetShare   = 0.2 // of the calls
	budgetRate    = 10  // per second, whatever the calls
	budgetSeconds = 10  // over how long unused retries are kept
	budgetStart   = budgetRate * budgetSeconds
)

// A Budget bounds the retries of calls that may have run, so that repeats do not finish off providers that are in
// trouble: 20 % of the calls plus 10 per second, kept for 10 s, and 100 at the start. One Budget serves all clusters of a
// client and service. Its zero value is a full one.
type Budget struct {
	calls   atomic.Int64 // ever
	spent   atomic.Int64
	refused atomic.Int64

	mu      sync.Mutex // guards the following
	begun   bool
	tokens  float64
	seen    int64     // calls that tokens account for
	at      time.Time // of seen
	rate    float64   // calls per second, measured over at least a second
	rateAt  time.Time
	rateHas int64
}

// BudgetState is what a Budget shows of itself.
type BudgetState struct {
	Left    int   // retries that may be made at this moment
	Calls   int64 // calls that added to it, ever
	Spent   int64 // retries that it paid for, ever
	Refused int64 // retries that it refused, ever
}

// call notes a call; it is on the hot path.
func (b *Budget) call() { b.calls.Add(1) }

// withdraw says whether a retry may be made, and pays for it.
func (b *Budget) withdraw() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fillLocked(time.Now())
	if b.tokens < 1 {
		b.refused.Add(1)
		return false
	}
	b.tokens--
	b.spent.Add(1)
	return true
}

func (b *Budget) fillLocked(now time.Time) {
	calls := b.calls.Load()
	if !b.begun {
		b.begun, b.tokens, b.at, b.rateAt = true, budgetStart, now, now
	}
	passed := now.Sub(b.at).Seconds()
	if over := now.Sub(b.rateAt).Seconds(); over >= 1 {
		b.rate = float64(calls-b.rateHas) / over
		b.rateAt, b.rateHas = now, calls
	}
	b.tokens += budgetShare*float64(calls-b.seen) + budgetRate*passed
	b.tokens = min(b.tokens, (budgetRate+budgetShare*b.rate)*budgetSeconds)
	b.seen, b.at = calls, now
}

// State returns what is left and what was spent.
func (b *Budget) State() BudgetState {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fillLocked(time.Now())
	return BudgetState{Left: int(b.tokens), Calls: b.calls.Load(), Spent: b.spent.Load(), Refused: b.refused.Load()}
}
