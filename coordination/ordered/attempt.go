package ordered

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/ferryrpc/ferry/cluster"
	"github.com/ferryrpc/ferry/protocol"
)

// An attempt is one call on its way to the owner of its key, over all repeats.
type attempt struct {
	*invoker
	c      *protocol.Invocation
	bucket int
	key    string
	seq    uint64
	given  protocol.Attachments

	number  int
	again   bool // the last one was in vain
	unknown bool // one of them may have run
	last    error
	sent    int    // how often it was sent to another owner
	vain    int    // in a row, without news of the owner
	avoid   string // the address of the last one that could not be reached
}

// redirects is how often a call follows what providers say about the owner without a pause.
const redirects = 3

// send makes one attempt. again says afterwards whether it has to be repeated.
func (a *attempt) send(ctx context.Context, base uint64) error {
	c := a.c
	r, s := a.target()
	if r == nil {
		none := s.NoProvider(c)
		if a.number == 0 || none.Code == protocol.Closed {
			a.again = false
			return none
		}
		a.vain++
		return a.retry(none)
	}
	const pairs = 4
	out := append(make(protocol.Attachments, 0, len(a.given)+pairs), a.given...)
	c.Attachments = append(out, attachCall, ticket(r.epoch, a.id, a.seq, base, a.key))
	if a.unknown {
		c.Attachments = append(c.Attachments, protocol.RetryOfUnknown, "true")
	}
	a.number++
	c.Attempt, c.Attempts, c.ReplyAttachments = a.number, a.number, nil
	start := time.Now()
	r.target.Load.Begin(start.UnixNano())
	err := r.target.Ref.Invoke(ctx, c)
	r.target.Load.End(time.Since(start), err == nil || protocol.OutcomeOf(err) == protocol.Executed)
	a.again = false
	if err == nil {
		return nil
	}
	return a.judge(r, err)
}

// target finds the owner as far as it is known, and the list that was looked at.
func (a *attempt) target() (*route, *cluster.Snapshot) {
	s := a.directory.List(a.c)
	r := a.routes[a.bucket].Load()
	if r != nil && r.list == s && a.avoid == "" {
		return r, s
	}
	epoch := ""
	if r != nil {
		epoch = r.epoch
		if t := s.Address(r.address); t != nil && r.address != a.avoid {
			n := &route{r.address, r.epoch, s, t}
			if a.routes[a.bucket].CompareAndSwap(r, n) {
				return n, s
			}
			return a.target()
		}
	}
	m := a.view(s).members
	address := m.of(a.bucket)
	if a.avoid != "" && address == a.avoid { // somebody else may know more
		address = m.without(a.bucket, a.avoid)
	}
	t := s.Address(address)
	if t == nil {
		t = s.Address(m.of(a.bucket))
	}
	if t == nil {
		return nil, s
	}
	return &route{addressOf(t), epoch, s, t}, s // not kept: its epoch is not known
}

// retry notes a failure after which the call has to be sent again.
func (a *attempt) retry(err error) error {
	a.again, a.last = true, err
	return err
}

// judge decides what a failed attempt means.
func (a *attempt) judge(r *route, err error) error {
	c := a.c
	switch c.ReplyAttachments.Value(attachError) {
	case ErrNotOwner.Error():
		if a.sent++; a.sent > redirects {
			a.vain++ // it may be on its way from one to the other
		}
		a.note(r, strings.Clone(c.ReplyAttachments.Value(attachOwner)), strings.Clone(c.ReplyAttachments.Value(attachEpoch)))
		return a.retry(failure(c, protocol.Network, protocol.NotStarted, ErrNotOwner, err))
	case ErrGap.Error():
		a.vain++
		return a.retry(failure(c, protocol.Network, protocol.NotStarted, ErrGap, err))
	case ErrKey.Error():
		return failure(c, protocol.Serialization, protocol.NotStarted, ErrKey, err)
	case ErrOutcomeUnknown.Error():
		a.unknown = true
		unknown := failure(c, protocol.Network, protocol.OutcomeUnknown, ErrOutcomeUnknown, err)
		if c.ReplyAttachments.Value(attachFinal) != "" {
			return unknown
		}
		a.vain++
		return a.retry(unknown)
	}
	var e *protocol.Error
	if !errors.As(err, &e) || e.Outcome == protocol.Executed {
		return err
	}
	switch e.Code {
	case protocol.Serialization, protocol.Canceled, protocol.DeadlineExceeded:
		return err
	case protocol.Forbidden:
		if e.Outcome == protocol.NotStarted {
			return err // the next attempt would meet the same
		}
	}
	if e.Outcome == protocol.OutcomeUnknown {
		a.unknown = true
	}
	a.vain++
	if a.avoid == "" && e.Code != protocol.LimitExceeded {
		a.avoid = r.address // ask another one who owns the bucket, by turns with this one
	} else {
		a.avoid = ""
	}
	return a.retry(err)
}

// note takes what a provider says about the owner. A client never goes back to an epoch before the one that it knows.
func (a *attempt) note(r *route, owner, epoch string) {
	a.avoid = ""
	slot := &a.routes[a.bucket]
	for {
		old := slot.Load()
		if old != nil && old.epoch != r.epoch && old.epoch != "" && !laterEpoch(epoch, old.epoch) {
			return // another call has learned of a later owner meanwhile: that one is asked next
		}
		if owner == "" || old != nil && laterEpoch(old.epoch, epoch) && epoch != "" {
			a.vain++
			return
		}
		s := a.directory.List(a.c)
		t := s.Address(owner)
		if t == nil { // routers leave it out, or the list is behind
			a.vain++
			return
		}
		n := &route{owner, epoch, s, t}
		if epoch == "" {
			if old != nil {
				n.epoch = old.epoch
			}
			if old != nil && old.address == owner || old == nil && r.address == owner {
				a.vain++ // it does not own it yet
			}
		} else if old != nil && old.epoch == epoch && old.address == owner {
			a.vain++
		} else {
			a.vain = max(0, min(a.vain, a.sent-redirects))
		}
		if slot.CompareAndSwap(old, n) {
			return
		}
	}
}

// delay is how long to wait before the next attempt: not at all after news of the owner, longer each time without.
func (a *attempt) delay() time.Duration {
	const first, most = 2 * time.Millisecond, 100 * time.Millisecond
	if a.vain == 0 {
		return 0
	}
	d := min(first<<min(a.vain-1, 10), most)
	return d/2 + rand.N(d/2+1)
}

// result is what the caller gets: an error says what is true of all attempts together.
func (a *attempt) result(err error, began time.Time) error {
	if err == nil {
		return nil
	}
	var e *protocol.Error
	if !errors.As(err, &e) {
		return err
	}
	d := *e
	if error(e) != err {
		d.Message, d.Cause = err.Error(), err
	}
	switch {
	case a.unknown && d.Outcome != protocol.Executed:
		d.Outcome = protocol.OutcomeUnknown
	case a.number > 0 && d.Outcome == protocol.NotSent:
		d.Outcome = protocol.NotStarted
	}
	d.Attempt, d.Attempts, d.Elapsed = a.number, a.number, time.Since(began)
	return &d
}
