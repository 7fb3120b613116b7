package transport

import (
	"context"
	"fmt"
	"time"
)

// DialError says in one line that no connection to address came about: because ctx ended, because limit passed, or else
// because of err.
func DialError(ctx context.Context, address string, limit time.Duration, err error) error {
	switch {
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case isTimeout(err):
		return fmt.Errorf("transport: dial %s: no connection within %v: %w", address, limit, context.DeadlineExceeded)
	}
	return fmt.Errorf("transport: dial %s: %w", address, err)
}

func isTimeout(err error) bool {
	t, ok := err.(interface{ Timeout() bool })
	return ok && t.Timeout()
}
