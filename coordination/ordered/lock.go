package ordered

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"time"

	"github.com/ferryrpc/ferry/coordination/lock"
)

// unlocking bounds how long a call that is over waits for its lock to be given back.
const unlocking = 2 * time.Second

func lockName(key string) string {
	h := sha256.Sum256([]byte(key))
	return base64.RawURLEncoding.EncodeToString(h[:])
}

// leased is the context of a call under a lock.
type leased struct {
	context.Context
	lease *lock.Lease
	turn  turn
}

// Err implements context.Context. It is right also when no timer has fired in a process that was stopped.
func (l *leased) Err() error {
	if err := l.Context.Err(); err != nil {
		return err
	}
	if !l.lease.Held() {
		return context.Canceled
	}
	return nil
}

// Value implements context.Context.
func (l *leased) Value(key any) any {
	switch key.(type) {
	case turnKey:
		return &l.turn
	case lock.FenceKey:
		return &l.turn.Fence
	}
	return l.Context.Value(key)
}
