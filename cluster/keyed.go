package cluster

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/ferryrpc/ferry/loadbalance"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/url"
)

// keyedParams are what a consumer says about calls that providers record.
type keyedParams struct {
	Key string        `url:"idempotent.key"`
	TTL time.Duration `url:"idempotent.ttl"`
}

func (p *keyedParams) check() error {
	if p.Key == "" {
		return nil
	}
	_, err := protocol.ParseArgPath(p.Key)
	return err
}

// keys says which key a method's calls get. A nil one leaves them alone.
type keys struct {
	path *protocol.ArgPath // the consumer's own choice
	ttl  string            // of the attachment; "" leaves it to the provider
	none bool              // the provider takes the key from the arguments
}

// newKeys returns nil for a method that no provider of the list records. Only what the consumer says himself is put into
// practice here: a provider's idempotent.key is looked up by the provider.
func (x *core) newKeys(targets []*loadbalance.Target, m *protocol.Method) *keys {
	any, byProvider := false, true
	for _, t := range targets {
		if u := t.Ref.URL(); u != nil && stored(ofMethod(u, m, "idempotent")) {
			any = true
			byProvider = byProvider && ofMethod(u, m, "idempotent.key") != ""
		}
	}
	if !any {
		return nil
	}
	var own keyedParams
	if err := x.url.ForMethod(m.Key()).Decode(&own); err != nil {
		return &keys{none: byProvider} // it was checked when the cluster was made
	}
	k := &keys{none: byProvider}
	if own.TTL > 0 {
		k.ttl = strconv.FormatInt(max(own.TTL.Milliseconds(), 1), 10)
	}
	if path, err := protocol.ParseArgPath(own.Key); own.Key != "" && err == nil {
		k.path = &path
	}
	return k
}

// ofMethod reads a parameter as ForMethod would, without a copy of the URL: lists are long.
func ofMethod(u *url.URL, m *protocol.Method, key string) string {
	if v := u.Param(m.Key() + "." + key); v != "" {
		return v
	}
	return u.Param(key)
}

// stored says whether a value of the parameter idempotent names a store.
func stored(v string) bool { return v != "" && v != "true" && v != "false" }

// keyed makes a call that providers record through next, under a key which stays the same over all attempts. The caller's
// attachments are his own again afterwards.
func (x *core) keyed(ctx context.Context, k *keys, c *protocol.Invocation, next func(context.Context, *protocol.Invocation) error) error {
	key, outcome := protocol.IdempotencyFrom(ctx)
	var err error
	switch {
	case key != "":
	case k.path != nil:
		key, err = k.path.Text(called(c.Args))
	case k.none:
	default:
		key = rand.Text() // 130 bits
	}
	if err == nil && len(key) > protocol.LongestIdempotencyKey {
		err = fmt.Errorf("%d bytes, at most %d are allowed", len(key), protocol.LongestIdempotencyKey)
	}
	if err != nil {
		return &protocol.Error{Code: protocol.Serialization, Outcome: protocol.NotSent, Service: c.Method.Service, Method: c.Method.Name,
			Message: "idempotency key: " + err.Error(), Cause: protocol.ErrKeyInvalid}
	}
	own := c.Attachments
	defer func() { c.Attachments = own }()
	if key != "" {
		c.Attachments.Set(protocol.IdempotencyKey, key)
	}
	if k.ttl != "" {
		c.Attachments.Set(protocol.IdempotencyTTL, k.ttl)
	}
	c.Attachments.Set(protocol.IdempotencyAttempt, "1")
	err = next(ctx, c)
	if outcome != nil {
		*outcome = c.ReplyAttachments.Value(protocol.IdempotencyOutcome)
	}
	return err
}

// called returns the arguments of the method that a generic call is of.
func called(args protocol.Row) protocol.Row {
	if g, ok := args.(*protocol.GenericArgs); ok {
		return plainRow(g.Args)
	}
	return args
}

type plainRow []any

func (r plainRow) Len() int     { return len(r) }
func (r plainRow) At(i int) any { return r[i] }

// again marks a further attempt of a recorded call.
func again(c *protocol.Invocation) {
	if marked(c) {
		c.Attachments.Set(protocol.IdempotencyAttempt, strconv.Itoa(c.Attempt))
	}
}

// marked says whether a call goes to providers that record it, under a key.
func marked(c *protocol.Invocation) bool {
	_, ok := c.Attachments.Get(protocol.IdempotencyAttempt)
	return ok
}

// judged returns the error of an attempt with what the provider's record says about it: an answer that speaks of the record is
// none of the service.
func judged(c *protocol.Invocation, e *protocol.Error) *protocol.Error {
	cause := protocol.IdempotencyFailure(c.ReplyAttachments)
	if cause == nil {
		return e
	}
	d := *e
	d.Cause, d.Class = cause, ""
	switch cause {
	case protocol.ErrOutcomeUnknown:
		d.Code, d.Outcome = protocol.Unknown, protocol.OutcomeUnknown
	case protocol.ErrInProgress:
		d.Code, d.Outcome = protocol.Timeout, protocol.OutcomeUnknown
	case protocol.ErrAnswerDropped:
		d.Code = protocol.Serialization
	default:
		d.Outcome = protocol.NotStarted
	}
	return &d
}

// settled says whether a record has had the last word: every provider would say the same.
func settled(e *protocol.Error) bool {
	return errors.Is(e.Cause, protocol.ErrOutcomeUnknown) || errors.Is(e.Cause, protocol.ErrKeyReused) || errors.Is(e.Cause, protocol.ErrKeyInvalid)
}
