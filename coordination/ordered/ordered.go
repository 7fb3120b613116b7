// Package ordered runs calls with the same key one after the other, and each client's in the order in which it made them, over
// many consumers and providers.
//
// Keys fall into 1024 buckets. Of the providers of a service each bucket has one owner, the one that rendezvous hashing gives it to,
// and calls of a key run at the owner of its bucket alone. ZooKeeper decides about ownership, and is asked when it changes, not
// when a call is made.
//
//	<root>/config            how keys become buckets
//	<root>/members/<address> ephemeral: a provider that takes part
//	<root>/own/bNNNN         ephemeral: the owner; the transaction that made it is the bucket's epoch
//	<root>/state/bNNNN       with the store zookeeper: the sealed epoch, and below it what keys have done
//
// A provider has a bucket in one of these states:
//
//	Idle -> Claiming -> Sealing -> Owning -> Draining -> Idle
//	  ^        |  somebody else's     |  session or node lost, sealed by another
//	  |<-------'<---------------------'
//
// Sealing writes the epoch into the store that remembers what keys have done, before anything is read from it: from then on the
// writes of earlier owners are refused.
//
// # Parts
//
//	Setup     what a server's filter is made from
//	host      one service of a provider: which buckets it owns         (goroutine run, and some that claim and release)
//	bucket    the keys of one bucket, while it is owned
//	key       the calls of one key: who runs, who waits for its turn
//	cluster   the consumer's side: numbers calls, finds owners, sends unanswered calls again in their order
//
// # What a call carries
//
// The attachment order-call is "<epoch> <client> <seq> <base> <key>": the owner's epoch as the consumer knows it, the consumer (new in each
// process), the number of the call (1, 2, 3 … per client and key, without gaps), the first one that has no answer yet, and the key, which may
// hold anything. It is one attachment since each costs both sides as much as an argument. An owner runs calls of its own epoch alone, so that
// one which was late on the way never runs under another owner. It runs those of a client in the order of their numbers, parks what comes
// early, and answers from its records what has run already. A consumer that does not number its calls may give a key by order-key.
package ordered

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ferryrpc/ferry/coordination/lock"
	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/serialize"
)

var (
	// ErrNotOwner means that the provider does not own the bucket of the call's key. The call did not run.
	ErrNotOwner = errors.New("NOT_OWNER")
	// ErrGap means that an earlier call of the same client and key did not arrive in time. The call did not run.
	ErrGap = errors.New("ORDER_GAP")
	// ErrKey means that the ordering key is empty, over 1 KiB, not to be found in the arguments, or not the provider's.
	ErrKey = errors.New("ORDER_KEY_INVALID")
	// ErrOutcomeUnknown means that the owner of the call's key died or was overtaken while the call may have run.
	ErrOutcomeUnknown = errors.New("OUTCOME_UNKNOWN")
	// ErrLost is the cause of a handler's context that ends because the bucket may be another provider's by now.
	ErrLost = errors.New("ordered: the bucket is not owned any more")
	// ErrSealed means that a store has a larger epoch for the bucket: somebody else owns it.
	ErrSealed = errors.New("ordered: sealed by a later owner")
	// ErrStore means that the store of ordered state cannot be reached or read.
	ErrStore = errors.New("ordered: store is away")
	// ErrIncarnation means that epochs are of another life of ZooKeeper's data: they cannot be compared.
	ErrIncarnation = lock.ErrIncarnation
)

// The attachments of ordered calls and their answers.
const (
	attachCall  = "order-call"  // of a numbered call: see above
	attachKey   = "order-key"   // of others: the key, if no argument is it
	attachError = "order-error" // of answers that are none of the service: one of the errors above
	attachOwner = "order-owner" // of NOT_OWNER: who owns the bucket as far as is known
	attachEpoch = "order-epoch" // of NOT_OWNER: that owner's epoch, if it is known
	attachFinal = "order-final" // of OUTCOME_UNKNOWN: nobody will know more
)

// Buckets is how many buckets the keys of a service fall into.
const Buckets = 1024

// LongestKey is how long an ordering key may be, in bytes.
const LongestKey = 1 << 10

// Params are the parameters of ordered calls, for a service and for each method that has its own.
type Params struct {
	Ordered string `url:"ordered" default:"false" doc:"true: calls with the same key run one after the other, each client's in its order, at the provider that owns the key; lock: one at a time under a ZooKeeper lock for each call, far slower"`
	Key     string `url:"ordered.key" doc:"argument that is the ordering key: 0, or a field of it: 0.accountId"`
}

// HostParams are the parameters of a provider of ordered calls.
type HostParams struct {
	ZooKeeper string        `url:"ordered.zookeeper" doc:"ZooKeeper that decides who owns which keys, as zookeeper://host:port; the registry when unset"`
	Store     string        `url:"ordered.store" default:"memory" doc:"what remembers the calls that ran, over a change of the owner: memory (nothing does), zookeeper, or one handed over by Extensions.Ordered.Use"`
	Policy    string        `url:"ordered.policy" default:"atmostonce" doc:"what becomes of an ordered call whose owner died while it ran, with a store that outlives it: atmostonce (its outcome is unknown) or reexecutable (it runs again)"`
	Move      int           `url:"ordered.move" default:"100" doc:"buckets per second that a provider gives away when others come"`
	Drain     time.Duration `url:"ordered.drain" default:"2000" doc:"longest time that the calls of a bucket may take to end before it moves; otherwise it stays and moves later"`
	Replay    time.Duration `url:"ordered.replay" default:"120000" doc:"how long a key that is not used is remembered"`
	Gap       time.Duration `url:"ordered.gap" default:"5000" doc:"how long a call waits for an earlier one that did not arrive"`
	Result    int           `url:"ordered.result" default:"65536" doc:"largest answer that is kept for repeats, in bytes; of a larger one only that it was given"`
}

// ClusterParams are the parameters of a consumer of ordered calls.
type ClusterParams struct {
	Window int           `url:"ordered.window" default:"64" doc:"calls of one consumer and key in flight; more wait, 1 to 64"`
	Wait   time.Duration `url:"ordered.wait" default:"30000" doc:"how long an ordered call is repeated until the owner of its key answers; never longer than the caller's deadline"`
}

const (
	mostWindow = 64
	mostKeys   = 1 << 20 // in one provider's memory
)

func (p *Params) check() error {
	switch p.Ordered {
	case "", "false", "true", "lock":
	default:
		return fmt.Errorf("ordered=%s: want true, false or lock", p.Ordered)
	}
	if p.Key != "" {
		if _, err := protocol.ParseArgPath(p.Key); err != nil {
			return fmt.Errorf("ordered.key=%s: %w", p.Key, err)
		}
	}
	return nil
}

func (p *HostParams) check() error {
	const longest = 24 * time.Hour
	switch {
	case p.Policy != "atmostonce" && p.Policy != "reexecutable":
		return fmt.Errorf("ordered.policy=%s: want atmostonce or reexecutable", p.Policy)
	case p.Move <= 0 || p.Move > 1<<20:
		return fmt.Errorf("ordered.move=%d: want 1 to %d buckets per second", p.Move, 1<<20)
	case p.Drain <= 0 || p.Drain > longest:
		return fmt.Errorf("ordered.drain=%s: want a time over 0 and up to %s", p.Drain, longest)
	case p.Replay < time.Second || p.Replay > longest:
		return fmt.Errorf("ordered.replay=%s: want 1s to %s", p.Replay, longest)
	case p.Gap < 10*time.Millisecond || p.Gap > longest:
		return fmt.Errorf("ordered.gap=%s: want 10ms to %s", p.Gap, longest)
	case p.Result <= 0 || p.Result > 64<<20:
		return fmt.Errorf("ordered.result=%d: want 1 byte to 64 MiB", p.Result)
	}
	return nil
}

func (p *ClusterParams) check() error {
	switch {
	case p.Window < 1 || p.Window > mostWindow:
		return fmt.Errorf("ordered.window=%d: want 1 to %d", p.Window, mostWindow)
	case p.Wait <= 0:
		return fmt.Errorf("ordered.wait=%s: want a time over 0", p.Wait)
	}
	return nil
}

// A Setup is what a server's ordered services are made of. Fill it before the first Export.
type Setup struct {
	// Formats are those in which answers are kept for repeats.
	Formats *extension.Point[serialize.Serializer]
	// Stores are the stores by the name that the parameter ordered.store gives, beside memory and zookeeper.
	Stores extension.Point[Store]

	weak weakness
}

// A weakness switches a protection off. Only the negative controls of the tests have any.
type weakness struct {
	order    bool // calls run as they come
	replay   bool // calls that ran run again
	deadline bool // tenures do not end with their session
}

type keyOf struct{}

// WithKey returns a context whose ordered calls have this key, whatever their arguments are. The service must not name an argument
// itself (ordered.key).
func WithKey(ctx context.Context, key string) context.Context {
	return context.WithValue(ctx, keyOf{}, key)
}

// A Turn is what a handler may know about the ordered call that it runs.
type Turn struct {
	Key    string
	Client string     // of the consumer; empty for one that does not number its calls
	Seq    uint64     // of the client and key
	Fence  lock.Fence // the owner's epoch: resources refuse smaller ones (lock.Gate), on the first read of a call as on each write
}

// From returns the turn that ctx, a handler's context, is in, and whether it is in one.
func From(ctx context.Context) (Turn, bool) {
	t, ok := ctx.Value(turnKey{}).(*turn)
	if !ok {
		return Turn{}, false
	}
	return t.Turn, true
}
