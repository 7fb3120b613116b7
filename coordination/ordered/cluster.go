package ordered

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ferryrpc/ferry/cluster"
	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/loadbalance"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/url"
)

// Asked says whether a URL, a consumer's or a provider's, asks for ordered calls of a service or a method.
func Asked(u *url.URL) bool {
	for key, value := range u.All {
		if (key == "ordered" || strings.HasSuffix(key, ".ordered")) && value != "" && value != "false" {
			return true
		}
	}
	return false
}

// NewCluster returns the cluster for services with ordered methods. Calls of other methods go to inner.
//
// A client numbers the calls of each key and sends them to the owner of the key's bucket, which it works out from the list of providers
// and learns from those that are asked in vain. When one of them fails, nothing new is sent for the key: the first call that has no answer
// is repeated until an owner answers it, and then all others are sent again.
func NewCluster(e extension.Env, u *url.URL, inner cluster.Cluster) (cluster.Cluster, error) {
	if _, err := protocol.DecodePerMethod(u, (*Params).check); err != nil {
		return nil, fmt.Errorf("ordered: %w", err)
	}
	params, err := protocol.DecodePerMethod(u, (*ClusterParams).check)
	if err != nil {
		return nil, fmt.Errorf("ordered: %w", err)
	}
	return joiner{e, u, params, inner}, nil
}

type joiner struct {
	env    extension.Env
	url    *url.URL
	params *protocol.PerMethod[ClusterParams]
	inner  cluster.Cluster
}

// Join implements cluster.Cluster.
func (j joiner) Join(d cluster.Directory, b loadbalance.Balancer) protocol.Invoker {
	x := &invoker{env: j.env, url: j.url, params: j.params, directory: d, inner: j.inner.Join(d, b)}
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	x.id = base64.RawURLEncoding.EncodeToString(id[:])
	x.floor.Store(1)
	for i := range x.shards {
		x.shards[i].lines = map[string]*line{}
	}
	return x
}

// An invoker is the consumer's side of one service.
type invoker struct {
	env       extension.Env
	url       *url.URL
	params    *protocol.PerMethod[ClusterParams]
	directory cluster.Directory
	inner     protocol.Invoker
	id        string
	floor     atomic.Uint64 // where the numbers of a key begin that is new or was forgotten
	views     [4]atomic.Pointer[view]
	turn      atomic.Uint32
	routes    [Buckets]atomic.Pointer[route]
	shards    [64]shard
}

// Close implements io.Closer.
func (x *invoker) Close() error {
	if c, ok := x.inner.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// A view is what is prepared for one list of providers.
type view struct {
	list    *cluster.Snapshot
	members *membership
	methods *protocol.Slots[plan]
}

// A plan says what is known about a method.
type plan struct {
	Params
	path *protocol.ArgPath
}

// A route is where the calls of a bucket go. The target is the one of a list, which may be another one by now.
type route struct {
	address string
	epoch   string
	list    *cluster.Snapshot
	target  *loadbalance.Target
}

func (x *invoker) view(s *cluster.Snapshot) *view {
	for i := range x.views {
		if v := x.views[i].Load(); v != nil && v.list == s {
			return v
		}
	}
	v := &view{list: s}
	var addresses []string
	u := x.url
	for _, t := range s.All() {
		addresses = append(addresses, addressOf(t))
	}
	if all := s.All(); len(all) > 0 && all[0].Ref.URL() != nil {
		u = u.WithAll(all[0].Ref.URL())
	}
	v.members = newMembership(addresses)
	v.methods = protocol.NewSlots(func(m *protocol.Method) *plan {
		p := &plan{}
		if err := u.ForMethod(m.Name).Decode(&p.Params); err != nil || p.check() != nil {
			p.Params = Params{}
		}
		if path, err := protocol.ParseArgPath(p.Key); err == nil {
			p.path = &path
		}
		return p
	})
	x.views[x.turn.Add(1)%uint32(len(x.views))].Store(v)
	return v
}

func addressOf(t *loadbalance.Target) string {
	if t.Published != nil {
		return t.Published.Address()
	}
	if u := t.Ref.URL(); u != nil {
		return u.Address()
	}
	return ""
}

// Invoke implements protocol.Invoker.
func (x *invoker) Invoke(ctx context.Context, c *protocol.Invocation) error {
	p := x.view(x.directory.List(c)).methods.Get(c.Method)
	switch {
	case !p.on() || c.Method.Kind != protocol.Unary:
		return x.inner.Invoke(ctx, c)
	case p.Ordered == "lock":
		if key, _ := ctx.Value(keyOf{}).(string); key != "" && p.path == nil {
			given := c.Attachments
			defer func() { c.Attachments = given }()
			c.Attachments = append(given[:len(given):len(given)], attachKey, key)
		}
		err := x.inner.Invoke(ctx, c)
		if err != nil && c.ReplyAttachments.Value(attachError) == ErrOutcomeUnknown.Error() {
			err = failure(c, protocol.Network, protocol.OutcomeUnknown, ErrOutcomeUnknown, err)
		}
		return err
	}
	key, err := p.keyOf(ctx, c)
	if err != nil {
		return failure(c, protocol.Serialization, protocol.NotSent, err, nil)
	}
	if err := ctx.Err(); err != nil {
		return ended(ctx, c, protocol.NotSent, nil)
	}
	return x.ordered(ctx, c, key)
}

func (p *plan) keyOf(ctx context.Context, c *protocol.Invocation) (string, error) {
	key, _ := ctx.Value(keyOf{}).(string)
	if p.path != nil {
		text, err := p.path.Text(c.Args)
		if err != nil {
			return "", fmt.Errorf("%w: %w", ErrKey, err)
		}
		if key != "" && key != text {
			return "", fmt.Errorf("%w: the context has %q, argument %s is %q", ErrKey, shown(key), p.path, shown(text))
		}
		key = text
	}
	return key, checkKey(key)
}

// ordered makes one numbered call.
func (x *invoker) ordered(ctx context.Context, c *protocol.Invocation, key string) error {
	p := x.params.For(c.Method)
	attachments := c.Attachments
	defer func() { c.Attachments = attachments }()
	began := time.Now()
	until := began.Add(p.Wait)
	if d, ok := ctx.Deadline(); ok && d.Before(until) {
		until = d
	}
	l := x.line(key)
	seq, base, err := l.enter(ctx, until, uint64(p.Window))
	if err != nil {
		return ended(ctx, c, protocol.NotSent, err)
	}
	a := attempt{invoker: x, c: c, bucket: bucketOf(key), key: key, seq: seq, given: attachments}
	for {
		err := a.send(ctx, base)
		if !a.again {
			l.leave(seq, true)
			return a.result(err, began)
		}
		if base, err = l.repair(ctx, until, seq, a.delay()); err != nil {
			l.leave(seq, false)
			return a.result(ended(ctx, c, protocol.NotSent, errors.Join(a.last, err)), began)
		}
	}
}

// ended is the error of a call whose time is over.
func ended(ctx context.Context, c *protocol.Invocation, o protocol.Outcome, cause error) error {
	code := protocol.Timeout
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		code = protocol.Canceled
	case o == protocol.NotSent:
		code = protocol.DeadlineExceeded
	}
	if cause == nil {
		cause = context.Cause(ctx)
	}
	return &protocol.Error{Code: code, Outcome: o, Service: c.Method.Service, Method: c.Method.Name, Cause: cause}
}

func failure(c *protocol.Invocation, code protocol.Code, o protocol.Outcome, cause, more error) error {
	e := &protocol.Error{Code: code, Outcome: o, Service: c.Method.Service, Method: c.Method.Name, Cause: cause}
	var far *protocol.Error
	if errors.As(more, &far) {
		e.Message, e.Address = far.Message, far.Address
	}
	return e
}
