package triple

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ferryrpc/ferry/exchange"
	"github.com/ferryrpc/ferry/protocol"
)

func (k *call) failure(code protocol.Code, outcome protocol.Outcome, message string, cause error) error {
	return &protocol.Error{Code: code, Outcome: outcome, Service: k.Method.Service, Method: k.Method.Name, Address: k.address,
		Attempt: k.Attempt, Attempts: k.Attempts, Elapsed: time.Since(k.start), Message: message, Cause: cause}
}

// lost says what became of a call whose answer did not begin. a is nil when there was no connection.
func (k *call) lost(a *attempt, err error) error {
	outcome := protocol.NotSent
	if a != nil && a.wrote.Load() {
		outcome = protocol.OutcomeUnknown
		if k.ctx.Err() == nil && a.notStarted(err) {
			outcome = protocol.NotStarted
		}
	}
	return k.gone(outcome, err)
}

// gone is a call that ended without the provider's word.
func (k *call) gone(outcome protocol.Outcome, err error) error {
	// The provider knows the deadline too, and may end the stream before the timer here has run.
	late := errors.Is(err, context.DeadlineExceeded) || k.ctx.Err() == context.DeadlineExceeded || passed(k.ctx)
	deadline, limited := k.caller.Deadline()
	switch {
	case errors.Is(k.caller.Err(), context.Canceled):
		return k.failure(protocol.Canceled, outcome, "", context.Cause(k.caller))
	case late && limited && !time.Now().Before(deadline) && outcome == protocol.NotSent:
		return k.failure(protocol.DeadlineExceeded, outcome, "the caller's deadline passed before the call was sent", context.DeadlineExceeded)
	case late && limited && !time.Now().Before(deadline):
		return k.failure(protocol.Timeout, outcome, "no reply before the caller's deadline", context.DeadlineExceeded)
	case late && outcome == protocol.NotSent:
		return k.failure(protocol.Timeout, outcome, "", err)
	case late:
		return k.failure(protocol.Timeout, outcome, fmt.Sprintf("no reply within %v", k.timeout), nil)
	case errors.Is(err, errLineClosed):
		return k.failure(protocol.Closed, outcome, "", err)
	}
	return k.failure(protocol.Network, outcome, "", err)
}

func passed(ctx context.Context) bool {
	d, ok := ctx.Deadline()
	return ok && !time.Now().Before(d)
}

// unreadable says what became of a call whose answer has begun and cannot be read.
func (k *call) unreadable(a *attempt, err error) error {
	switch {
	case errors.Is(err, exchange.ErrTooLarge):
		return k.failure(protocol.Serialization, protocol.Executed, "the reply is too large", err)
	case errors.Is(err, errCompressed), errors.Is(err, errFlag), errors.Is(err, errMore):
		return k.failure(protocol.Serialization, protocol.Executed, "the reply cannot be read", err)
	}
	return k.lost(a, err)
}
