package dubbo

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ferryrpc/ferry/exchange"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/serialize"
	"github.com/ferryrpc/ferry/transport"
)

func (r *reference) failure(c *protocol.Invocation, start time.Time, code protocol.Code, outcome protocol.Outcome, message string, cause error) error {
	return &protocol.Error{Code: code, Outcome: outcome, Service: c.Method.Service, Method: c.Method.Name, Address: r.address,
		Attempt: c.Attempt, Attempts: c.Attempts, Elapsed: time.Since(start), Message: message, Cause: cause}
}

// lost says what became of a call that got no answer.
func (r *reference) lost(ctx context.Context, c *protocol.Invocation, start time.Time, timeout time.Duration, err error) error {
	outcome := protocol.NotSent
	var f *exchange.Failure
	if errors.As(err, &f) && f.Sent {
		outcome = protocol.OutcomeUnknown
		if errors.Is(err, exchange.ErrParted) {
			outcome = protocol.NotStarted
		}
	}
	code, message := protocol.Network, ""
	switch {
	case errors.Is(err, exchange.ErrTooLarge):
		code, message = protocol.Serialization, "the request is too large"
		if outcome == protocol.OutcomeUnknown {
			outcome, message = protocol.Executed, "the reply is too large"
		}
	case errors.Is(err, exchange.ErrBusy), errors.Is(err, transport.ErrFull):
		code = protocol.LimitExceeded
	case errors.Is(err, exchange.ErrTimeout):
		code, message = protocol.Timeout, fmt.Sprintf("no reply within %v", timeout)
		if d, ok := ctx.Deadline(); ok && !time.Now().Before(d) {
			message, err = "no reply before the caller's deadline", context.DeadlineExceeded
		}
		if outcome == protocol.NotSent {
			message = ""
		}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(ctx.Err(), context.DeadlineExceeded):
		code = protocol.Timeout
		if outcome == protocol.NotSent {
			code, message = protocol.DeadlineExceeded, "the caller's deadline passed before the call was sent"
		}
	case ctx.Err() != nil:
		code = protocol.Canceled
	case errors.Is(err, exchange.ErrClosed):
		code = protocol.Closed
	}
	if code == protocol.Timeout && message != "" && !errors.Is(err, context.DeadlineExceeded) {
		return r.failure(c, start, code, outcome, message, nil)
	}
	return r.failure(c, start, code, outcome, message, err)
}

// refused reads an answer whose status is not 20: one string.
func (r *reference) refused(c *protocol.Invocation, start time.Time, m exchange.Message) error {
	reason := ""
	if s := r.protocol.byID(m.Serialization()); s != nil {
		rd := s.Reader(m.Body.B, r.limits)
		reason, _ = rd.ReadString()
		rd.Free()
	}
	reason = fmt.Sprintf("the provider answered with status %d: %s", m.Status, firstLine(reason))
	switch m.Status {
	case exchange.BadRequest:
		return r.failure(c, start, protocol.Network, protocol.NotStarted, reason, nil)
	case exchange.Exhausted:
		return r.failure(c, start, protocol.LimitExceeded, protocol.NotStarted, reason, nil)
	case exchange.BadResponse, exchange.SerializationError:
		return r.failure(c, start, protocol.Serialization, protocol.Executed, reason, nil)
	case exchange.ClientTimeout, exchange.ServerTimeout:
		return r.failure(c, start, protocol.Timeout, protocol.OutcomeUnknown, reason, nil)
	}
	return r.failure(c, start, protocol.Network, protocol.OutcomeUnknown, reason, nil)
}

// applicationError is the service's own answer. An error of a registered type is the cause, where errors.As finds it.
func (r *reference) applicationError(c *protocol.Invocation, start time.Time, x *serialize.Exception) error {
	cause, _ := x.Value.(error)
	e := r.failure(c, start, protocol.Application, protocol.Executed, x.Message, cause).(*protocol.Error)
	e.Class = x.Class
	return e
}

// firstLine shortens a peer's text, which may be a whole stack trace, to what fits a line.
func firstLine(s string) string { return shorten(s, 512) }

// name shortens what a peer calls something, to be quoted.
func name(s string) string { return shorten(s, 128) }

func shorten(s string, most int) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return strings.TrimSpace(s)
}
