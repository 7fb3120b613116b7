package cluster

import (
	"fmt"

	"github.com/ferryrpc/ferry/protocol"
)

// A verdict puts the outcomes of several attempts of one call together: a call that ran somewhere has run, and one that
// may have run somewhere may have.
type verdict struct {
	ran     bool // an attempt ran, for certain
	unknown bool // an attempt may have run
}

// note takes the end of an attempt.
func (v *verdict) note(err error) {
	e := errorOf(err)
	switch {
	case e == nil || e.Outcome == protocol.Executed:
		v.ran = true
	case e.Outcome == protocol.OutcomeUnknown:
		v.unknown = true
	}
}

// apply corrects the last attempt's error, which says that it did not run, where another one did or may have.
func (v verdict) apply(err error) error {
	e := errorOf(err)
	if e == nil || e.Outcome == protocol.Executed || !v.ran && !v.unknown {
		return err
	}
	d := *e
	if error(e) != err {
		d.Message, d.Cause = err.Error(), err
	}
	switch {
	case e.Outcome == protocol.OutcomeUnknown:
		return err
	case v.ran:
		d.Outcome = protocol.Executed
		d.Message = joined(d.Message, "another provider ran the call")
	default:
		d.Outcome = protocol.OutcomeUnknown
		d.Message = joined(d.Message, "another provider may have run the call")
	}
	return &d
}

// outOf adds how many providers of a call to all failed.
func outOf(err error, failed, all int) error {
	e := errorOf(err)
	if e == nil || failed >= all {
		return err
	}
	d := *e
	if error(e) != err {
		d.Message, d.Cause = err.Error(), err
	}
	d.Message = joined(d.Message, fmt.Sprintf("%d of %d providers failed", failed, all))
	return &d
}

func joined(message, more string) string {
	if message == "" {
		return more
	}
	return message + ", " + more
}
