package idempotent

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/ferryrpc/ferry/coordination/lock"
	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/serialize"
	"github.com/ferryrpc/ferry/url"
)

// NewFilter returns the provider's filter that records calls. It is the innermost of the built-in ones: what others refuse is
// not recorded. Stores are opened here, so that a bad parameter or a missing client is an error of Export.
func (s *Setup) NewFilter(e extension.Env, u *url.URL) (protocol.Filter, error) {
	params, err := protocol.DecodePerMethod(u, (*Params).check)
	if err != nil {
		return nil, fmt.Errorf("idempotent: %w", err)
	}
	if !params.Any((*Params).stored) {
		return func(next protocol.Invoker) protocol.Invoker { return next }, nil
	}
	b := builder{setup: s, env: e, url: u}
	if b.codec, err = s.newCodec(e, u); err != nil {
		return nil, fmt.Errorf("idempotent: %w", err)
	}
	recorders := map[*Params]*recorder{}
	params.Any(func(p *Params) bool {
		recorders[p], err = b.kept(p)
		return err != nil
	})
	if err != nil {
		return nil, fmt.Errorf("idempotent: %w", err)
	}
	slots := protocol.NewSlots(func(m *protocol.Method) *recorder { return recorders[params.For(m)] })
	return func(next protocol.Invoker) protocol.Invoker {
		return protocol.InvokerFunc(func(ctx context.Context, c *protocol.Invocation) error {
			r := slots.Get(c.Method)
			if r.executor == nil {
				return next.Invoke(ctx, c)
			}
			return r.invoke(ctx, next, c)
		})
	}, nil
}

// newCodec finds the format of a service, and all others for answers that other providers of it wrote.
func (s *Setup) newCodec(e extension.Env, u *url.URL) (codec, error) {
	if s.Formats == nil {
		return codec{}, errors.New("no formats to keep answers in (Setup.Formats)")
	}
	known := map[byte]serialize.Serializer{}
	for _, name := range s.Formats.Names() {
		if f, err := s.Formats.OpenNamed(e, name, u); err == nil { // others say so when they are used
			known[f.ID()] = f
		}
	}
	own, err := s.Formats.Open(e, u)
	return codec{format: own, formats: func(id byte) serialize.Serializer { return known[id] }}, err
}

// A builder makes the recorders of a service. They are kept while the service is on the air: filters are opened anew when other
// parameters change, and calls that run meanwhile must stay known.
type builder struct {
	setup *Setup
	env   extension.Env
	url   *url.URL
	codec codec
}

func (b *builder) key(kind string, more any) string {
	return fmt.Sprintf("idempotent %s of %s: %+v", kind, b.url.Service(), more)
}

// kept returns the recorder of methods with these parameters, with what it needs.
func (b *builder) kept(p *Params) (*recorder, error) {
	if !p.stored() {
		return &recorder{}, nil
	}
	name := p.Idempotent
	var locks *lock.Client
	if name == "lock" {
		name = p.Records
		v, err := b.env.Kept.Open(b.key("locks", p.ZooKeeper), func() (any, error) { return openLocks(b.env, b.url) })
		if err != nil {
			return nil, err
		}
		locks = v.(*lock.Client)
	}
	store, err := b.env.Kept.Open(b.key("store "+name, p.ZooKeeper+" "+b.url.Param("idempotent.bytes")), func() (any, error) {
		return b.setup.open(b.env, name, b.url)
	})
	if err != nil {
		return nil, err
	}
	v, err := b.env.Kept.Open(b.key("recorder", *p), func() (any, error) { return b.recorder(p, name, store.(Store), locks) })
	if err != nil {
		return nil, err
	}
	return v.(*recorder), nil
}

func (b *builder) recorder(p *Params, name string, store Store, locks *lock.Client) (*recorder, error) {
	x := &Executor{Store: store, Lease: p.Lease, TTL: p.TTL}
	if locks != nil {
		x.Lock = LockKeys(locks)
	}
	x.Policy, _ = p.policy() // checked
	r := &recorder{setup: b.setup, codec: b.codec, executor: x, service: b.url.Service(), most: p.Result}
	caps := store.Caps()
	if caps.Largest > 0 {
		r.most = min(r.most, caps.Largest)
	}
	if s, ok := store.(interface {
		Accepts(lease, ttl time.Duration) error
	}); ok {
		if err := s.Accepts(p.Lease, p.TTL); err != nil {
			return nil, err
		}
	}
	if x.Policy == Transactional {
		t, ok := store.(Transactor)
		if !ok || !caps.Transactional {
			return nil, fmt.Errorf("idempotent.policy=transactional needs a store of SQL records, %s is none", name)
		}
		r.transactor = t
	}
	if p.Key != "" {
		path, err := protocol.ParseArgPath(p.Key)
		if err != nil {
			return nil, err
		}
		r.path = &path
	}
	return r, nil
}

// A recorder runs the calls of the methods that have the same parameters.
type recorder struct {
	setup      *Setup
	codec      codec
	executor   *Executor // nil: these methods are not recorded
	transactor Transactor
	service    string
	path       *protocol.ArgPath // of the key; nil when only callers give it
	most       int               // bytes of an answer
}

// invoke runs a call under its key. A call without one is not recorded: its caller does not count on it.
func (r *recorder) invoke(ctx context.Context, next protocol.Invoker, c *protocol.Invocation) error {
	text, given := c.Attachments.Get(protocol.IdempotencyKey)
	if !given && r.path == nil {
		return next.Invoke(ctx, c)
	}
	if !given {
		var err error
		if text, err = r.path.Text(c.Args); err != nil {
			return refused(c, fmt.Errorf("%w: %w", ErrKeyInvalid, err))
		}
	}
	digest, err := DigestOf(c.Args)
	if err != nil {
		return refused(c, fmt.Errorf("%w: %w", ErrKeyInvalid, err))
	}
	call := Call{Key: Key{r.setup.caller(ctx, c), r.service, c.Method.Name, text}, Args: digest, Fence: lock.FenceFrom(ctx), TTL: r.ttl(c)}
	call.Run = func(ctx context.Context) Ran { return r.run(ctx, next, c) }
	if ask := r.setup.resolver(c.Method.Service, c.Method.Name); ask != nil {
		call.Resolve = func(ctx context.Context) (Resolved, Ran, error) { return r.resolve(ctx, ask, c, text) }
	}
	a, err := r.executor.Do(ctx, call)
	return r.answer(c, a, err)
}

// ttl is what the caller asks for, within what the provider allows; 0 for the provider's.
func (r *recorder) ttl(c *protocol.Invocation) time.Duration {
	ms, err := strconv.ParseInt(c.Attachments.Value(protocol.IdempotencyTTL), 10, 64)
	if err != nil || ms <= 0 || ms > int64(r.executor.ttl()/time.Millisecond) {
		return 0
	}
	return time.Duration(ms) * time.Millisecond
}

// run calls the service and says what its end means for the record.
func (r *recorder) run(ctx context.Context, next protocol.Invoker, c *protocol.Invocation) Ran {
	var t *transaction
	if r.transactor != nil {
		t = &transaction{store: r.transactor}
		ctx = context.WithValue(ctx, transactionKey{}, t)
		defer t.end() // also when the service panics
	}
	err := next.Invoke(ctx, c)
	ran := Ran{Err: err}
	switch {
	case err != nil && !c.Started:
		ran.End = DidNotStart
	case err != nil && !final(ctx, err):
		ran.End = GaveUp
	default:
		ran.Result = r.codec.encode(c, err, r.most)
		if t != nil && err == nil {
			ran.Commit = t.take()
		}
	}
	return ran
}

// final says whether a service's error is its answer, and not that it could not finish.
func final(ctx context.Context, err error) bool {
	var gaveUp *notFinal
	if errors.As(err, &gaveUp) {
		return false
	}
	if ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
		return false
	}
	var e *protocol.Error
	return !errors.As(err, &e) || e.Outcome == protocol.Executed
}

type notFinal struct{ error }

// Unwrap returns the error that was marked.
func (e *notFinal) Unwrap() error { return e.error }

// NotFinal marks an error of a handler as no answer to be kept: the call gave up, and a repeat shall try again. So are the end of
// the call's context, and failures of calls below it whose outcome is not Executed. With the policy atmostonce the outcome is
// then unknown.
func NotFinal(err error) error {
	if err == nil {
		return nil
	}
	return &notFinal{err}
}

func (r *recorder) resolve(ctx context.Context, ask Resolver, c *protocol.Invocation, key string) (verdict Resolved, ran Ran, err error) {
	defer func() {
		if v := recover(); v != nil {
			verdict, err = StillUnknown, fmt.Errorf("panic: %v", v)
		}
	}()
	verdict, err = ask(ctx, c, key)
	if verdict == DidRun {
		return DidRun, Ran{Result: r.codec.encode(c, err, r.most)}, nil
	}
	return verdict, ran, err
}

// answer turns what the executor says into the call's answer.
func (r *recorder) answer(c *protocol.Invocation, a Answer, err error) error {
	var gaveUp *NotRecordedError
	switch {
	case err == nil && a.Ran != nil:
		c.ReplyAttachments.Set(protocol.IdempotencyOutcome, protocol.IdempotencyExecuted)
		return a.Ran.Err
	case err == nil:
		c.Started = true // it has run
		answer, broken := r.codec.decode(c, a.Result)
		c.ReplyAttachments.Set(protocol.IdempotencyOutcome, protocol.IdempotencyReplayed)
		if broken != nil {
			return refused(c, broken)
		}
		return answer
	case errors.As(err, &gaveUp):
		return gaveUp.Ran.Err
	}
	return refused(c, err)
}

// refused answers in the place of the service. What tells the caller about the record travels as an answer with a mark,
// since the wire has no status for it; a store that is away is a refusal, after which the call may go to another provider.
func refused(c *protocol.Invocation, err error) error {
	for _, known := range []error{protocol.ErrOutcomeUnknown, protocol.ErrInProgress, protocol.ErrKeyReused, protocol.ErrKeyInvalid, protocol.ErrAnswerDropped} {
		if !errors.Is(err, known) {
			continue
		}
		c.Started = true
		c.ReplyAttachments.Set(protocol.IdempotencyError, known.Error())
		if known == protocol.ErrOutcomeUnknown || known == protocol.ErrInProgress {
			c.ReplyAttachments.Set(protocol.IdempotencyOutcome, protocol.IdempotencyUnknown)
		}
		return &protocol.Error{Code: protocol.Application, Outcome: protocol.Executed, Service: c.Method.Service, Method: c.Method.Name, Message: err.Error()}
	}
	code := protocol.Network
	if errors.Is(err, ErrFull) {
		code = protocol.LimitExceeded
	}
	return &protocol.Error{Code: code, Outcome: protocol.NotStarted, Service: c.Method.Service, Method: c.Method.Name,
		Message: "not run: " + err.Error()}
}
