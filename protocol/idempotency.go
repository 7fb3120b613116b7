package protocol

import (
	"context"
	"errors"
)

// The attachments of calls that providers record, so that a repeat gets the first call's answer.
const (
	IdempotencyKey     = "idem-key"     // names the call, over all of its attempts
	IdempotencyTTL     = "idem-ttl"     // how long the consumer wants the record kept, in milliseconds
	IdempotencyAttempt = "idem-attempt" // grows with every attempt
	IdempotencyOutcome = "idem-outcome" // of the answer: executed, replayed or unknown
	IdempotencyError   = "idem-error"   // of an answer that is no answer of the service: which of the errors below
)

// The values of IdempotencyOutcome.
const (
	IdempotencyExecuted = "executed" // this attempt ran the call
	IdempotencyReplayed = "replayed" // the call ran before: this is the answer that it gave then
	IdempotencyUnknown  = "unknown"  // it may have run, and nobody can say
)

// LongestIdempotencyKey is how long a key may be, in bytes.
const LongestIdempotencyKey = 1 << 10

var (
	// ErrOutcomeUnknown means that an executor of the call died or was overtaken: it may have run, and repeating it with the
	// same key gives the same answer.
	ErrOutcomeUnknown = errors.New("OUTCOME_UNKNOWN")
	// ErrKeyReused means that the key belongs to a call with other arguments. Nothing was run.
	ErrKeyReused = errors.New("IDEMPOTENCY_KEY_REUSED")
	// ErrKeyInvalid means that a call's idempotency key is empty, too long or not to be found in its arguments.
	ErrKeyInvalid = errors.New("IDEMPOTENCY_KEY_INVALID")
	// ErrInProgress means that the call still runs, for an earlier attempt: a repeat with the same key gets its answer.
	ErrInProgress = errors.New("IN_PROGRESS")
	// ErrAnswerDropped means that the call ran, and that its answer was too large to be kept.
	ErrAnswerDropped = errors.New("ANSWER_DROPPED")
)

type idempotencyKey struct{}

// idempotency is what a caller's context says about its calls.
type idempotency struct {
	key     string
	outcome *string
}

// WithIdempotencyKey returns a context whose calls are recorded under key by providers that record the method: a call with the
// same key, of the same application to the same method, gets the first one's answer. Without it each call has a key of its own.
func WithIdempotencyKey(ctx context.Context, key string) context.Context {
	v, _ := ctx.Value(idempotencyKey{}).(idempotency)
	v.key = key
	return context.WithValue(ctx, idempotencyKey{}, v)
}

// WithIdempotencyOutcome returns a context whose call stores in outcome what its answer was: IdempotencyExecuted, …Replayed or
// …Unknown, and the empty string when the provider kept no record. It is for one call at a time.
func WithIdempotencyOutcome(ctx context.Context, outcome *string) context.Context {
	v, _ := ctx.Value(idempotencyKey{}).(idempotency)
	v.outcome = outcome
	return context.WithValue(ctx, idempotencyKey{}, v)
}

// IdempotencyFrom returns the key that WithIdempotencyKey put into ctx, or the empty string, and where WithIdempotencyOutcome wants
// the outcome, or nil.
func IdempotencyFrom(ctx context.Context) (key string, outcome *string) {
	v, _ := ctx.Value(idempotencyKey{}).(idempotency)
	return v.key, v.outcome
}

// IdempotencyFailure returns the error that an answer's attachments speak of, or nil.
func IdempotencyFailure(reply Attachments) error {
	switch reply.Value(IdempotencyError) {
	case ErrOutcomeUnknown.Error():
		return ErrOutcomeUnknown
	case ErrKeyReused.Error():
		return ErrKeyReused
	case ErrKeyInvalid.Error():
		return ErrKeyInvalid
	case ErrInProgress.Error():
		return ErrInProgress
	case ErrAnswerDropped.Error():
		return ErrAnswerDropped
	}
	return nil
}
