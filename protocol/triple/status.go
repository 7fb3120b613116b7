package triple

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/ferryrpc/ferry/protocol"
)

// Code is gRPC's number for what went wrong.
type Code uint32

// The codes of gRPC.
const (
	OK                 Code = 0
	Canceled           Code = 1
	Unknown            Code = 2
	InvalidArgument    Code = 3
	DeadlineExceeded   Code = 4
	NotFound           Code = 5
	AlreadyExists      Code = 6
	PermissionDenied   Code = 7
	ResourceExhausted  Code = 8
	FailedPrecondition Code = 9
	Aborted            Code = 10
	OutOfRange         Code = 11
	Unimplemented      Code = 12
	Internal           Code = 13
	Unavailable        Code = 14
	DataLoss           Code = 15
	Unauthenticated    Code = 16
)

var codeNames = [...]string{"ok", "canceled", "unknown", "invalid_argument", "deadline_exceeded", "not_found", "already_exists", "permission_denied",
	"resource_exhausted", "failed_precondition", "aborted", "out_of_range", "unimplemented", "internal", "unavailable", "data_loss", "unauthenticated"}

// String returns the code's name, as JSON answers carry it.
func (c Code) String() string {
	if int(c) < len(codeNames) {
		return codeNames[c]
	}
	return "code_" + strconv.FormatUint(uint64(c), 10)
}

// Status is an error with a code of gRPC. A handler returns one to choose what its caller sees; a consumer finds it with
// errors.As in the error of a call whose provider answered with one.
type Status struct {
	Code    Code
	Message string
	// Details are the bytes of a google.rpc.Status message, which may say more; mostly there are none.
	Details []byte
}

// Error returns the message, with the code's name in front.
func (s *Status) Error() string {
	if s.Message == "" {
		return s.Code.String()
	}
	return s.Code.String() + ": " + s.Message
}

// outcomes as a Ferry provider names them in a trailer.
const (
	outcomeExecuted   = "executed"
	outcomeNotStarted = "not-started"
	outcomeUnknown    = "unknown"
)

// A failure is how a provider's error crosses the wire.
type failure struct {
	Status
	outcome string
}

// refusal is a call that did not reach its handler.
func refusal(code Code, message string) *failure {
	return &failure{Status{Code: code, Message: message}, outcomeNotStarted}
}

// failed turns a service's error into what its caller is told. late says that the caller's own time was over, and gone
// that it went away.
func failed(err error, c *protocol.Invocation, late, gone bool) *failure {
	var own *failure
	if errors.As(err, &own) {
		return own
	}
	if !c.Started {
		return notStarted(err)
	}
	var s *Status
	switch {
	case errors.As(err, &s) && s.Code != OK:
		return &failure{*s, outcomeExecuted}
	case late && errors.Is(err, context.DeadlineExceeded):
		return &failure{Status{Code: DeadlineExceeded, Message: err.Error()}, outcomeUnknown}
	case gone && errors.Is(err, context.Canceled):
		return &failure{Status{Code: Canceled, Message: err.Error()}, outcomeUnknown}
	}
	return &failure{Status{Code: Unknown, Message: ownMessage(err, c.Method)}, outcomeExecuted}
}

// ownMessage is an error's text; of a filter's about this very call only the message.
func ownMessage(err error, m *protocol.Method) string {
	var e *protocol.Error
	if errors.As(err, &e) && e.Message != "" && e.Address == "" && e.Service == m.Service && e.Method == m.Name {
		return e.Message
	}
	return err.Error()
}

// notStarted is what a filter refused.
func notStarted(err error) *failure {
	var e *protocol.Error
	if !errors.As(err, &e) {
		return refusal(Unknown, err.Error())
	}
	text := e.Message
	if text == "" {
		text = err.Error()
	}
	switch e.Code {
	case protocol.LimitExceeded:
		return refusal(ResourceExhausted, text)
	case protocol.Forbidden:
		return refusal(PermissionDenied, text)
	case protocol.Timeout, protocol.DeadlineExceeded:
		return refusal(DeadlineExceeded, text)
	case protocol.Canceled:
		return refusal(Canceled, text)
	case protocol.Serialization:
		return refusal(InvalidArgument, text)
	case protocol.Network, protocol.NoProvider, protocol.Closed:
		return refusal(Unavailable, text)
	}
	return refusal(Unknown, text)
}

// codeOf is the Ferry code of a status that came as an answer.
func codeOf(c Code) protocol.Code {
	switch c {
	case Canceled:
		return protocol.Canceled
	case DeadlineExceeded:
		return protocol.Timeout
	case PermissionDenied, Unauthenticated:
		return protocol.Forbidden
	case ResourceExhausted:
		return protocol.LimitExceeded
	case Unimplemented, Unavailable, Internal:
		return protocol.Network
	}
	return protocol.Application
}

// outcomeOf is what a status proves. A Ferry provider says it itself. Others do not, and their libraries answer with some
// codes before a handler runs, or after it has run, or in its place: only unimplemented proves that nothing ran.
func outcomeOf(c Code, said string) protocol.Outcome {
	switch said {
	case outcomeExecuted:
		return protocol.Executed
	case outcomeNotStarted:
		return protocol.NotStarted
	case outcomeUnknown:
		return protocol.OutcomeUnknown
	}
	switch c {
	case Unimplemented:
		return protocol.NotStarted
	case Canceled, DeadlineExceeded, Unavailable, ResourceExhausted, Internal:
		return protocol.OutcomeUnknown
	}
	return protocol.Executed
}

// httpCode is the HTTP status of an answer in JSON.
func httpCode(c Code) int {
	switch c {
	case OK:
		return http.StatusOK
	case Canceled:
		return 499 // the client closed the request
	case InvalidArgument, FailedPrecondition, OutOfRange:
		return http.StatusBadRequest
	case DeadlineExceeded:
		return http.StatusGatewayTimeout
	case NotFound, Unimplemented:
		return http.StatusNotFound
	case AlreadyExists, Aborted:
		return http.StatusConflict
	case PermissionDenied:
		return http.StatusForbidden
	case Unauthenticated:
		return http.StatusUnauthorized
	case ResourceExhausted:
		return http.StatusTooManyRequests
	case Unavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// fromHTTP is the code of an answer that is no gRPC: a proxy's, or of a server of another kind (gRPC, http-grpc-status-mapping).
func fromHTTP(status int) Code {
	switch status {
	case http.StatusBadRequest:
		return Internal
	case http.StatusUnauthorized:
		return Unauthenticated
	case http.StatusForbidden:
		return PermissionDenied
	case http.StatusNotFound, http.StatusUnsupportedMediaType, http.StatusMethodNotAllowed:
		return Unimplemented
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return Unavailable
	}
	return Unknown
}
