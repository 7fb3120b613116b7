package idempotent

import (
	"context"
	"crypto/sha1" //nolint:gosec // Redis names scripts so
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ferryrpc/ferry/coordination/lock"
)

// RedisCommand is the answer to a command. go-redis' *Cmd is one.
type RedisCommand interface{ Result() (any, error) }

// RedisClient is the one method that records need of a Redis client. Those of go-redis (Client, ClusterClient, Ring) have it;
// any other takes a line.
type RedisClient[C RedisCommand] interface {
	Do(ctx context.Context, args ...any) C
}

// RedisOptions are what NewRedis may be told. The zero value works.
type RedisOptions struct {
	Prefix string // of all keys; ferry:idempotent:
}

// Redis is a Store in Redis, for many calls a second whose record may be lost in a failover: replicas follow the master with a
// delay, and one that becomes master may not have a record that was acknowledged. Each operation is one script on one key, by
// the server's clock; outdated records leave by themselves.
type Redis struct {
	do     func(ctx context.Context, args ...any) (any, error)
	prefix string
}

var _ Store = (*Redis)(nil)

// NewRedis returns a store that uses the application's client: NewRedis(redis.NewClient(…), RedisOptions{}).
func NewRedis[C RedisCommand](client RedisClient[C], o RedisOptions) *Redis {
	if o.Prefix == "" {
		o.Prefix = "ferry:idempotent:"
	}
	return &Redis{prefix: o.Prefix, do: func(ctx context.Context, args ...any) (any, error) { return client.Do(ctx, args...).Result() }}
}

// Caps implements Store.
func (s *Redis) Caps() Caps { return Caps{Durable: true, Shared: true, Largest: 64 << 20} }

// run runs the script; the server is told its text when it does not know it by its sum.
func (s *Redis) run(ctx context.Context, k Key, args ...any) (Begun, string, error) {
	if err := ctx.Err(); err != nil {
		return Begun{}, "", err
	}
	sum := sha1.Sum([]byte(redisScript)) //nolint:gosec // no secret
	key := s.prefix + k.ID()
	v, err := s.do(ctx, append([]any{"EVALSHA", hex.EncodeToString(sum[:]), 1, key}, args...)...)
	if err != nil && strings.Contains(err.Error(), "NOSCRIPT") { // Redis tells errors by their first word
		v, err = s.do(ctx, append([]any{"EVAL", redisScript, 1, key}, args...)...)
	}
	if err != nil {
		return Begun{}, "", fmt.Errorf("idempotent: redis: %v: %w: %w", args[0], ErrStore, err)
	}
	b, word, err := readRedis(v)
	if err != nil {
		return Begun{}, "", fmt.Errorf("idempotent: redis: %v: %w", args[0], err)
	}
	return b, word, nil
}

// readRedis reads what the script returned: a word, attempt, age, left, incarnation, token, result.
func readRedis(v any) (b Begun, word string, err error) {
	list, ok := v.([]any)
	if !ok || len(list) != 7 {
		return b, "", fmt.Errorf("the script returned %T, want a list of 7", v)
	}
	var n [4]int64
	for i, at := range []int{1, 2, 3, 5} {
		if n[i], ok = list[at].(int64); !ok {
			return b, "", fmt.Errorf("the script returned %T, want a number", list[at])
		}
	}
	word, ok = list[0].(string)
	life, ok2 := list[4].(string)
	result, ok3 := list[6].(string)
	if !ok || !ok2 || !ok3 {
		return b, "", errors.New("the script returned no strings")
	}
	b = Begun{Attempt: int(n[0]), Age: time.Duration(n[1]) * time.Millisecond, Left: time.Duration(n[2]) * time.Millisecond, Fence: lock.Fence{Token: n[3]}}
	if _, err := hex.Decode(b.Fence.Incarnation[:], []byte(life)); err != nil {
		return b, "", fmt.Errorf("the record holds the incarnation %q", life)
	}
	switch word {
	case "started":
		b.State = Started
	case "progress":
		b.State = InProgress
	case "done":
		b.State, b.Result = Done, []byte(result)
	case "unknown":
		b.State = Unknown
	case "mismatch":
		b = Begun{State: Mismatch}
	case "life":
		return b, word, fmt.Errorf("%w: the record is of %s", ErrIncarnation, life)
	}
	return b, word, nil
}

func (s *Redis) ask(ctx context.Context, op string, q Request) (Begun, error) {
	reopen := 0
	if q.Reopen {
		reopen = 1
	}
	b, _, err := s.run(ctx, q.Key, op, q.Owner, lifeOf(q.Fence), q.Fence.Token, hex.EncodeToString(q.Args[:]), q.Lease.Milliseconds(),
		max(q.TTL.Milliseconds(), 1), reopen)
	return b, err
}

// Begin implements Store.
func (s *Redis) Begin(ctx context.Context, q Request) (Begun, error) { return s.ask(ctx, "begin", q) }

// TakeOver implements Store.
func (s *Redis) TakeOver(ctx context.Context, q Request) (Begun, error) { return s.ask(ctx, "take", q) }

// Finish implements Store.
func (s *Redis) Finish(ctx context.Context, t Ticket, f Final) error {
	_, word, err := s.run(ctx, t.Key, "finish", t.Owner, lifeOf(t.Fence), t.Fence.Token, letter(f.State), max(f.TTL.Milliseconds(), 1), string(f.Result))
	if err == nil && word == "fenced" {
		return fmt.Errorf("idempotent: redis: %w", ErrFenced)
	}
	return err
}

// Abandon implements Store.
func (s *Redis) Abandon(ctx context.Context, t Ticket) error {
	_, _, err := s.run(ctx, t.Key, "abandon", t.Owner, "", 0)
	return err
}

// Wait implements Store; it looks again and again.
func (s *Redis) Wait(ctx context.Context, k Key) (Begun, error) {
	return poll(ctx, func() (Begun, error) {
		b, _, err := s.run(ctx, k, "look", "", "", 0)
		return b, err
	})
}
