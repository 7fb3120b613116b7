package protocol

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// Code says what kind of failure a call met. The numbers up to 8 are those of Dubbo's RpcException.
type Code uint8

// The codes. See Outcome for what a failure says about the call itself.
const (
	Unknown          Code = 0  // cause not known
	Network          Code = 1  // connection refused, lost, or a framework error of the peer
	Timeout          Code = 2  // no answer within the timeout
	Application      Code = 3  // the service itself answered with an error
	Forbidden        Code = 4  // no provider at all, or the caller is not allowed
	Serialization    Code = 5  // arguments or reply cannot be encoded or decoded, or are over the limit
	NoProvider       Code = 6  // providers exist, but none was left to call
	LimitExceeded    Code = 7  // actives, executes, tps, or a full queue
	DeadlineExceeded Code = 8  // the caller's own deadline had passed before anything was sent
	Canceled         Code = 9  // the caller gave up
	Closed           Code = 10 // reference, client or server is closed
)

var codeNames = [...]string{"unknown", "network", "timeout", "application", "forbidden", "serialization", "no provider",
	"limit exceeded", "deadline exceeded", "canceled", "closed"}

// String returns the name of the code.
func (c Code) String() string {
	if int(c) < len(codeNames) {
		return codeNames[c]
	}
	return "code " + strconv.Itoa(int(c))
}

// Outcome answers the question that matters after a failure: did my call run?
type Outcome uint8

// The outcomes.
const (
	OutcomeUnknown Outcome = iota // it may have run
	NotSent                       // it never left this process
	NotStarted                    // the provider proved that it did not run it
	Executed                      // the service ran and answered, with an error or with a reply that was lost
)

// String returns the outcome's name.
func (o Outcome) String() string {
	switch o {
	case NotSent:
		return "not sent"
	case NotStarted:
		return "not started"
	case Executed:
		return "executed"
	}
	return "unknown"
}

// Error is what a failed call returns. It alone crosses the wire. Find it with errors.As; Cause is reached by errors.Is and errors.As.
type Error struct {
	Code              Code
	Outcome           Outcome
	Service, Method   string
	Address           string // of the provider, host:port; empty when none was chosen
	Attempt, Attempts int
	Elapsed           time.Duration
	Class             string // Java class of an application error
	Message           string
	Cause             error
}

// Error puts everything in one line: what, where, attempt, time, cause, outcome.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("ferry: ")
	if e.Service != "" {
		b.WriteString(e.Service)
		b.WriteByte('.')
		b.WriteString(e.Method)
		if e.Address != "" {
			b.WriteString(" at ")
			b.WriteString(e.Address)
		}
		b.WriteString(": ")
	}
	b.WriteString(e.Code.String())
	if e.Message != "" {
		b.WriteString(": ")
		b.WriteString(oneLine(e.Message))
	}
	if e.Cause != nil && (e.Message == "" || !strings.Contains(e.Message, e.Cause.Error())) {
		b.WriteString(": ")
		b.WriteString(oneLine(e.Cause.Error()))
	}
	b.WriteString(" (")
	if e.Attempts > 1 {
		b.WriteString("attempt " + strconv.Itoa(e.Attempt) + " of " + strconv.Itoa(e.Attempts) + ", ")
	}
	if e.Elapsed > 0 {
		b.WriteString("after " + e.Elapsed.Round(time.Microsecond).String() + ", ")
	}
	b.WriteString("outcome: " + e.Outcome.String() + ")")
	return b.String()
}

// oneLine joins the lines of a text; those of a Java stack trace that name a place are left out.
func oneLine(s string) string {
	if !strings.ContainsAny(s, "\r\n") {
		return s
	}
	var lines []string
	for line := range strings.FieldsFuncSeq(s, func(r rune) bool { return r == '\r' || r == '\n' }) {
		if text := strings.TrimSpace(line); text != "" && !strings.HasPrefix(line, "\tat ") && !strings.HasPrefix(line, "\t... ") {
			lines = append(lines, text)
		}
	}
	return strings.Join(lines, "; ")
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// CodeOf returns the code of a call's error; an error that is no *Error is an answer of the service.
func CodeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return Application
}

// OutcomeOf returns the outcome of a call's error; an error that is no *Error is an answer of the service.
func OutcomeOf(err error) Outcome {
	var e *Error
	if errors.As(err, &e) {
		return e.Outcome
	}
	return Executed
}
