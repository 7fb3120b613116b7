package ordered

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/ferryrpc/ferry/coordination/lock"
	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/serialize"
	"github.com/ferryrpc/ferry/url"
)

// NewFilter returns the provider's filter that runs ordered calls in their turn. It lies behind those that may refuse a call, and before
// the one that records calls.
func (s *Setup) NewFilter(e extension.Env, u *url.URL) (protocol.Filter, error) {
	params, err := protocol.DecodePerMethod(u, (*Params).check)
	if err != nil {
		return nil, fmt.Errorf("ordered: %w", err)
	}
	if !params.Any(func(p *Params) bool { return p.on() }) {
		return func(next protocol.Invoker) protocol.Invoker { return next }, nil
	}
	if e.Attach == nil {
		return nil, errors.New("ordered: only services of a Server can be ordered")
	}
	part, err := e.Attach("ordered", func() (extension.Part, error) { return s.newHost(e, u) })
	if err != nil {
		return nil, fmt.Errorf("ordered: %w", err)
	}
	h := part.(*host)
	methods := protocol.NewSlots(func(m *protocol.Method) *method { return newMethod(h, params.For(m)) })
	return func(next protocol.Invoker) protocol.Invoker {
		return protocol.InvokerFunc(func(ctx context.Context, c *protocol.Invocation) error {
			m := methods.Get(c.Method)
			if m.mode == "" || c.Method.Kind != protocol.Unary {
				return next.Invoke(ctx, c)
			}
			return m.invoke(ctx, next, c)
		})
	}, nil
}

func (p *Params) on() bool { return p.Ordered == "true" || p.Ordered == "lock" }

func (s *Setup) newHost(e extension.Env, u *url.URL) (extension.Part, error) {
	var p HostParams
	if err := u.Decode(&p); err != nil {
		return nil, err
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	if s.Formats == nil {
		return nil, errors.New("no formats to keep answers in (Setup.Formats)")
	}
	var named Store
	if p.Store != "memory" && p.Store != "zookeeper" {
		var err error
		if named, err = s.Stores.OpenNamed(e, p.Store, u); err != nil {
			return nil, err
		}
	}
	own, err := s.Formats.Open(e, u)
	if err != nil {
		return nil, err
	}
	known := map[byte]serialize.Serializer{own.ID(): own}
	for _, name := range s.Formats.Names() {
		if f, err := s.Formats.OpenNamed(e, name, u); err == nil { // others say so when they are used
			known[f.ID()] = f
		}
	}
	h := newHost(e, p, codec{format: own, others: func(id byte) serialize.Serializer { return known[id] }}, named)
	h.weak = s.weak
	return h, nil
}

// Use makes a store known under the name that the parameter ordered.store gives.
func (s *Setup) Use(name string, store Store) error {
	return s.Stores.Add(name, nil, func(extension.Env, *url.URL) (Store, error) { return store, nil })
}

// A method is what the filter knows about one method.
type method struct {
	h    *host
	mode string // empty, true or lock
	path *protocol.ArgPath
}

func newMethod(h *host, p *Params) *method {
	m := &method{h: h}
	if p.on() {
		m.mode = p.Ordered
	}
	if path, err := protocol.ParseArgPath(p.Key); err == nil { // checked; empty for calls that bring their key
		m.path = &path
	}
	return m
}

func (m *method) invoke(ctx context.Context, next protocol.Invoker, c *protocol.Invocation) error {
	a, err := m.arrival(c)
	if err != nil {
		return m.h.refused(c, a, err)
	}
	if m.mode == "lock" {
		return m.h.locked(ctx, next, c, a)
	}
	a.deadline, _ = ctx.Deadline()
	return m.h.call(ctx, next, c, a)
}

// arrival reads what a call says of itself.
func (m *method) arrival(c *protocol.Invocation) (a arrival, err error) {
	for i, pairs := 0, c.Attachments; i+1 < len(pairs); i += 2 {
		switch pairs[i] {
		case attachCall:
			if a, err = readTicket(pairs[i+1]); err != nil {
				return a, err
			}
		case attachKey:
			if a.client == "" {
				a.key = pairs[i+1]
			}
		}
	}
	if m.path != nil {
		key, err := m.path.Text(c.Args)
		if err != nil {
			return a, fmt.Errorf("%w: %w", ErrKey, err)
		}
		if a.key != "" && a.key != key {
			return a, fmt.Errorf("%w: the consumer orders by %q, the service by argument %s, which is %q", ErrKey, shown(a.key), m.path, shown(key))
		}
		a.key = key
	}
	return a, checkKey(a.key)
}

func checkKey(key string) error {
	if n := len(key); n == 0 || n > LongestKey {
		return fmt.Errorf("%w: it has %d bytes, want 1 to %d", ErrKey, n, LongestKey)
	}
	return nil
}

func shown(text string) string {
	const most = 64
	if len(text) > most {
		return strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}

// locked runs a call under the ZooKeeper lock of its key.
func (h *host) locked(ctx context.Context, next protocol.Invoker, c *protocol.Invocation, a arrival) error {
	locks := h.locks.Load()
	if locks == nil {
		return h.refused(c, arrival{}, errors.New("ordered: the service is not published yet"))
	}
	mutex, err := locks.Mutex(h.path+"/locks/"+lockName(a.key), lock.Options{})
	if err != nil {
		return h.refused(c, arrival{}, err)
	}
	lease, err := mutex.Lock(ctx)
	if err != nil {
		return h.refused(c, arrival{}, err)
	}
	lc := &leased{Context: ctx, lease: lease, turn: turn{Turn: Turn{Key: a.key, Fence: lease.Fence()}}}
	inner, cancel := context.WithCancelCause(lc)
	defer context.AfterFunc(lease.Context(), func() { cancel(ErrLost) })()
	err = serve(inner, next, c)
	cancel(context.Canceled)
	held := lease.Held()
	// The lock is given back also when the caller's time is over; what cannot be deleted is left to the sweeper.
	done, stop := context.WithTimeout(context.WithoutCancel(ctx), unlocking)
	defer stop()
	if lost := lease.Unlock(done); errors.Is(lost, lock.ErrLost) || !held {
		if c.Started {
			return h.refused(c, a, fmt.Errorf("%w: the lock of the key was lost while the call ran", ErrOutcomeUnknown))
		}
	}
	return err
}
