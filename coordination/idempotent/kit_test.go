package idempotent_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/coordination/idempotent"
	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/proxy"
	"github.com/ferryrpc/ferry/url"
)

const (
	service  = "com.example.Bank"
	patience = 30 * time.Second
	tick     = time.Millisecond
)

// A bank counts effects. do, if set, is what a payment does, behind the count.
type bank struct {
	name string
	do   func(ctx context.Context, order string) error

	mu      sync.Mutex // guards the following
	effects map[string]int
}

// Order is an argument with a key in it.
type Order struct {
	OrderID string
	Amount  int64
	Tags    map[string]string
}

// JavaClassName names the class on the wire.
func (Order) JavaClassName() string { return "com.example.Order" }

// A refusal is a business error with fields.
type refusal struct {
	Order string
	Left  int64
}

func (e *refusal) Error() string       { return "no money left for " + e.Order }
func (*refusal) JavaClassName() string { return "com.example.Refusal" }

func (b *bank) note(order string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.effects == nil {
		b.effects = map[string]int{}
	}
	b.effects[order]++
	return b.effects[order]
}

func (b *bank) count(order string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.effects[order]
}

// Pay answers who ran it, and the how manieth time that was.
func (b *bank) Pay(ctx context.Context, order string, amount int64) (string, error) {
	n := b.note(order)
	if b.do != nil {
		if err := b.do(ctx, order); err != nil {
			return "", err
		}
	}
	ferry.ReplyAttachment(ctx, "receipt", order)
	return fmt.Sprintf("%s paid %s, run %d", b.name, order, n), nil
}

// Place is a payment with a structure as argument.
func (b *bank) Place(_ context.Context, o Order) (Order, error) {
	o.Amount += int64(b.note(o.OrderID))
	return o, nil
}

// Notify has no reply.
func (b *bank) Notify(_ context.Context, order string) error {
	b.note(order)
	return nil
}

// customer is the other side of bank.
type customer struct {
	Pay    func(ctx context.Context, order string, amount int64) (string, error)
	Place  func(ctx context.Context, o Order) (Order, error)
	Notify func(ctx context.Context, order string) error
	in     *ferry.Reference
}

// sees waits until the customer is connected to n providers.
func (c *customer) sees(t *testing.T, n int) *customer {
	t.Helper()
	require.Eventually(t, func() bool {
		open := 0
		for _, p := range c.in.Directory().Providers() {
			if p.Available {
				open++
			}
		}
		return open == n && len(c.in.Directory().Snapshot().Targets) == n
	}, patience, tick)
	return c
}

type param = [2]string

func options(params []param) []ferry.Option {
	out := make([]ferry.Option, len(params))
	for i, p := range params {
		out[i] = ferry.Param(p[0], p[1])
	}
	return out
}

// registry is a test's own.
func registry(t *testing.T) string { return "memory://" + strings.ReplaceAll(t.Name(), "/", "-") }

// serve exports a bank in a registry of the test.
func serve(t *testing.T, b *bank, x *ferry.Extensions, params ...param) *ferry.Server {
	t.Helper()
	s := ferry.NewServer(registry(t))
	s.Extensions = x
	s.Options = []ferry.Option{ferry.Host("127.0.0.1")}
	require.NoError(t, s.Types().Add("com.example.Order", Order{}))
	require.NoError(t, s.Types().Add("com.example.Refusal", &refusal{}))
	require.NoError(t, s.ExportValue(service, b, options(params)...))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		require.NoError(t, s.Close(ctx))
	})
	return s
}

// refer returns a customer of the test's registry.
func refer(t *testing.T, params ...param) *customer {
	t.Helper()
	return referWith(t, nil, params...)
}

func referWith(t *testing.T, x *ferry.Extensions, params ...param) *customer {
	t.Helper()
	c := ferry.NewClient(registry(t), ferry.Param("application", "shop"), ferry.Timeout(patience))
	c.Extensions = x
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	require.NoError(t, c.Types().Add("com.example.Order", Order{}))
	require.NoError(t, c.Types().Add("com.example.Refusal", &refusal{}))
	ref, err := c.Refer(&protocol.Interface{Name: service}, options(params)...)
	require.NoError(t, err)
	out := &customer{in: ref}
	require.NoError(t, proxy.Fill(ref, service, out))
	return out
}

// with returns the built-in extensions with a store that all who share it see.
func with(t *testing.T, name string, s idempotent.Store) *ferry.Extensions {
	t.Helper()
	x := ferry.Builtin()
	require.NoError(t, x.Idempotent.Use(name, s))
	return x
}

// shared is a memory store that plays one of several processes' common stores.
type shared struct{ *idempotent.Memory }

func (shared) Caps() idempotent.Caps { return idempotent.Caps{Durable: true, Shared: true} }

// keyed returns a context with a key and the place of the outcome.
func keyed(ctx context.Context, key string) (context.Context, *string) {
	outcome := new(string)
	return ferry.WithIdempotencyOutcome(ferry.WithIdempotencyKey(ctx, key), outcome), outcome
}

// dropReplies adds a reference filter that loses the answers which lose says; the call itself has run.
func dropReplies(t *testing.T, x *ferry.Extensions, lose func(c *protocol.Invocation) bool) *ferry.Extensions {
	t.Helper()
	require.NoError(t, x.ReferenceFilters.Add("lossy", nil, func(extension.Env, *url.URL) (protocol.Filter, error) {
		return func(next protocol.Invoker) protocol.Invoker {
			return protocol.InvokerFunc(func(ctx context.Context, c *protocol.Invocation) error {
				err := next.Invoke(ctx, c)
				if lose(c) {
					return &protocol.Error{Code: protocol.Network, Outcome: protocol.OutcomeUnknown, Message: "the answer was lost",
						Cause: errors.New("dropped by the test")}
				}
				return err
			})
		}, nil
	}))
	return x
}
