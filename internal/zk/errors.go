package zk

import (
	"errors"
	"fmt"

	gozk "github.com/go-zookeeper/zk"
)

// An opError says what was asked of which node. Registry nodes have long names, so that only their ends are shown.
type opError struct {
	op, path string
	err      error
}

func (e *opError) Error() string {
	if e.path == "" {
		return "zk: " + e.op + ": " + e.err.Error()
	}
	return "zk: " + e.op + " " + shorten(e.path) + ": " + e.err.Error()
}

func shorten(path string) string {
	if len(path) > 160 {
		return path[:100] + "…" + path[len(path)-40:]
	}
	return path
}

func (e *opError) Unwrap() error { return e.err }

// translate turns the library's errors into ours.
func translate(l *link, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, gozk.ErrNoNode):
		return ErrNoNode
	case errors.Is(err, gozk.ErrNodeExists):
		return ErrNodeExists
	case errors.Is(err, gozk.ErrNotEmpty):
		return ErrNotEmpty
	case errors.Is(err, gozk.ErrBadVersion):
		return ErrBadVersion
	case errors.Is(err, gozk.ErrNoAuth), errors.Is(err, gozk.ErrAuthFailed), errors.Is(err, gozk.ErrInvalidACL):
		return ErrNoAuth
	case errors.Is(err, gozk.ErrInvalidPath), errors.Is(err, gozk.ErrBadArguments), errors.Is(err, gozk.ErrShortBuffer),
		errors.Is(err, gozk.ErrNoChildrenForEphemerals), errors.Is(err, gozk.ErrInvalidFlags):
		return fmt.Errorf("%w: %w", ErrBadPath, err)
	case errors.Is(err, gozk.ErrAPIError):
		return ErrTooLarge
	case errors.Is(err, gozk.ErrConnectionClosed), errors.Is(err, gozk.ErrClosing), errors.Is(err, gozk.ErrNoServer),
		errors.Is(err, gozk.ErrSessionExpired), errors.Is(err, gozk.ErrSessionMoved):
		if l.ending.Load() { // the library refuses requests while it closes the session
			return fmt.Errorf("%w: %w", ErrConnectionLost, err)
		}
		l.fail(err) // an answer of this kind means that the connection is of no more use
		return fmt.Errorf("%w: %w", ErrConnectionLost, l.err)
	}
	return err
}
