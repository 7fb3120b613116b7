package ordered

import (
	"context"

	"github.com/ferryrpc/ferry/coordination/lock"
)

// A Bucket names one bucket of one service.
type Bucket struct {
	Service string // with group and version
	Number  int    // 0 to Buckets-1
}

// A Store remembers what keys have done, for the next owner of their bucket. Its methods are safe from any number of goroutines and
// processes.
type Store interface {
	// Seal makes f the bucket's epoch, unless a larger one is there (ErrSealed) or one of another incarnation (ErrIncarnation). Once it has
	// returned, no write under a smaller epoch is accepted any more. Sealing again with the same epoch is harmless.
	Seal(ctx context.Context, b Bucket, f lock.Fence) (Ledger, error)
}

// A Ledger is what a Store keeps for a bucket, as its owner of one epoch sees it. For one key no two methods are called at once.
type Ledger interface {
	// Load returns what Save stored last under the key, by whatever owner; nil when there is nothing.
	Load(ctx context.Context, key string) ([]byte, error)
	// Save stores a key's state. ErrSealed means that a larger epoch was sealed: nothing was stored. After any other error it may have
	// been.
	Save(ctx context.Context, key string, state []byte) error
	// Drop removes a key's state, as Save stores it.
	Drop(ctx context.Context, key string) error
}

// A Sweeper is a Ledger that can find the states of keys that nobody uses any more. Those that an owner used it drops itself; what
// earlier owners left is swept by the bucket's next owner, when he has had it for as long as an idle key is remembered.
type Sweeper interface {
	Ledger
	// Sweep removes the states of the bucket's keys, as Drop does, but of those for which used says true. A state that Save stores
	// meanwhile stays. What it does not get done, a later Sweep does. used does not block.
	Sweep(ctx context.Context, used func(key string) bool) error
}
