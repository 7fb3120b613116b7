package ferry_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/proxy"
)

// This file holds what an error says about a call against what really happened: every way in which a call can fail, at
// three providers that all fail in the same way, for every cluster and retry setting.

const ledgerService = "com.example.Ledger"

// A book is what the providers wrote down: how often a call ran, or for peers that only play a provider, how often they
// saw one.
type book struct {
	ran    atomic.Int64
	cancel atomic.Pointer[func()] // ends the caller's context
	free   chan struct{}          // lets handlers that hang go
}

// ledger is a service that ends a call as its argument says, and always writes it down first.
type ledger struct {
	*book
	cut func() // breaks the provider's connections
}

func (l ledger) Do(ctx context.Context, how string) (string, error) {
	l.ran.Add(1)
	downstream := &protocol.Error{Code: protocol.Network, Outcome: protocol.NotSent, Service: "other", Method: "m", Message: "nobody there"}
	switch how {
	case "error":
		return "", errors.New("no")
	case "typed error":
		return "", &outOfStock{Item: "x"}
	case "panic":
		panic("boom")
	case "own call failed":
		return "", downstream
	case "own call failed, wrapped":
		return "", fmt.Errorf("shop: %w", downstream)
	case "silent":
		<-l.free
	case "cut":
		l.cut()
		<-l.free
	case "caller gives up":
		(*l.cancel.Load())()
		<-l.free
	case "reply over the limit":
		return strings.Repeat("x", 200<<10), nil
	}
	return "done", nil
}

// ledgerClient calls Do in the forms that differ.
type ledgerClient struct {
	Do     func(ctx context.Context, how string) (string, error) `ferry:"do"`
	Again  func(ctx context.Context, how string) (string, error) `ferry:"do,idempotent"`
	Number func(ctx context.Context, how string) (int32, error)  `ferry:"do"`
	Bad    func(ctx context.Context, how any) (string, error)    `ferry:"do"`
}

// A failing is a way to fail.
type failing struct {
	name    string
	how     string // what the real providers do; empty for peer
	peer    func(seen *atomic.Int64, c net.Conn)
	refused bool   // nothing listens
	params  string // of the consumer
	server  string // of the real providers
	call    func(c *ledgerClient, ctx context.Context, idempotent bool, how string) error
	begun   func(ctx context.Context) (context.Context, context.CancelFunc) // the caller's context
	code    protocol.Code
	outcome protocol.Outcome
	runs    bool // an attempt runs, or is seen by a peer that plays a provider
	final   bool // not even what did not run is tried again
}

func do(c *ledgerClient, ctx context.Context, idempotent bool, how string) error {
	if idempotent {
		_, err := c.Again(ctx, how)
		return err
	}
	_, err := c.Do(ctx, how)
	return err
}

func failings() []failing {
	const short = "timeout=400ms"
	number := func(c *ledgerClient, ctx context.Context, _ bool, how string) error {
		_, err := c.Number(ctx, how)
		return err
	}
	bad := func(c *ledgerClient, ctx context.Context, _ bool, _ string) error {
		_, err := c.Bad(ctx, func() {})
		return err
	}
	ended := func(ctx context.Context) (context.Context, context.CancelFunc) {
		ctx, cancel := context.WithCancel(ctx)
		cancel()
		return ctx, cancel
	}
	late := func(ctx context.Context) (context.Context, context.CancelFunc) {
		return context.WithDeadline(ctx, time.Now().Add(-time.Second))
	}
	soon := func(ctx context.Context) (context.Context, context.CancelFunc) {
		return context.WithTimeout(ctx, 400*time.Millisecond)
	}
	const (
		notSent, notStarted = protocol.NotSent, protocol.NotStarted
		unknown, executed   = protocol.OutcomeUnknown, protocol.Executed
	)
	return []failing{
		// Nothing left this process.
		{name: "nothing listens", refused: true, code: protocol.Network, outcome: notSent},
		{name: "arguments cannot be encoded", how: "ok", call: bad, code: protocol.Serialization, outcome: notSent, final: true},
		{name: "canceled before", how: "ok", begun: ended, code: protocol.Canceled, outcome: notSent, final: true},
		{name: "deadline passed before", how: "ok", begun: late, code: protocol.DeadlineExceeded, outcome: notSent, final: true},
		// The provider proves that it did not run the call.
		{name: "token missing", how: "ok", server: "token=secret", code: protocol.Network, outcome: notStarted},
		{name: "too many calls", how: "ok", server: "tps=1&tps.interval=3600000", code: protocol.LimitExceeded, outcome: notStarted},
		{name: "status 40", peer: status(40, text("bad")), code: protocol.Network, outcome: notStarted, runs: true},
		{name: "status 100", peer: status(100, text("busy")), code: protocol.LimitExceeded, outcome: notStarted, runs: true},
		{name: "closed in good order", peer: lastWord, code: protocol.Network, outcome: notStarted, runs: true},
		// It may have run.
		{name: "status 70", peer: status(70, text("oops")), code: protocol.Network, outcome: unknown, runs: true},
		{name: "status 80", peer: status(80, text("oops")), code: protocol.Network, outcome: unknown, runs: true},
		{name: "status 31", peer: status(31, text("late")), code: protocol.Timeout, outcome: unknown, runs: true},
		{name: "unknown status", peer: status(99, text("?")), code: protocol.Network, outcome: unknown, runs: true},
		{name: "died with the call, not run", peer: hangUp, code: protocol.Network, outcome: unknown, runs: true},
		{name: "died half-way", how: "cut", code: protocol.Network, outcome: unknown, runs: true},
		{name: "broken answer", peer: brokenAnswer, code: protocol.Network, outcome: unknown, runs: true},
		{name: "timed out while running", how: "silent", params: short, code: protocol.Timeout, outcome: unknown, runs: true},
		{name: "timed out, never run", peer: neverAnswer, params: short, code: protocol.Timeout, outcome: unknown, runs: true},
		{name: "caller's deadline", how: "silent", begun: soon, code: protocol.Timeout, outcome: unknown, runs: true, final: true},
		{name: "caller gives up", how: "caller gives up", code: protocol.Canceled, outcome: unknown, runs: true, final: true},
		// It ran.
		{name: "error", how: "error", code: protocol.Application, outcome: executed, runs: true},
		{name: "typed error", how: "typed error", code: protocol.Application, outcome: executed, runs: true},
		{name: "panic", how: "panic", code: protocol.Application, outcome: executed, runs: true},
		{name: "its own call failed", how: "own call failed", code: protocol.Application, outcome: executed, runs: true},
		{name: "its own call failed, wrapped", how: "own call failed, wrapped", code: protocol.Application, outcome: executed, runs: true},
		{name: "reply over the limit", how: "reply over the limit", params: "payload=100000", code: protocol.Serialization, outcome: executed, runs: true},
		{name: "reply of another type", how: "ok", call: number, code: protocol.Serialization, outcome: executed, runs: true},
		{name: "status 50", peer: status(50, text("oops")), code: protocol.Serialization, outcome: executed, runs: true},
		{name: "status 25", peer: status(25, text("oops")), code: protocol.Serialization, outcome: executed, runs: true},
		{name: "garbage", peer: status(20, "\xff\xfe garbage"), code: protocol.Serialization, outcome: executed, runs: true},
	}
}

// A mode is how the consumer treats failures.
type mode struct {
	name       string
	params     string
	idempotent bool
	below      bool // the call is made while serving a repeat of one that may have run
}

func modes() []mode {
	return []mode{
		{"failover", "", false, false},
		{"failover, retries set", "retries=2", false, false},
		{"failover, method's retries set", "retries=0&do.retries=2", false, false},
		{"failover, idempotent", "", true, false},
		{"failover, below a retry", "retries=2", true, true},
		{"no retries", "retries=0", true, false},
		{"failfast", "cluster=failfast&retries=2", true, false},
		{"failsafe", "cluster=failsafe", false, false},
		{"failback", "cluster=failback", false, false},
		{"failback, idempotent", "cluster=failback", true, false},
		{"available", "cluster=available", true, false},
		{"broadcast", "cluster=broadcast&broadcast.fail.percent=0", false, false},
		{"forking", "cluster=forking&forks=2", false, false},
	}
}

// attempts is how often a call is made that fails in one way everywhere; DESIGN.md section 3 as a function.
func (m mode) attempts(f failing) int64 {
	repeatable := f.outcome == protocol.NotSent || f.outcome == protocol.NotStarted ||
		f.outcome == protocol.OutcomeUnknown && !m.below && (m.idempotent || strings.Contains(m.name, "set"))
	switch {
	case strings.HasPrefix(m.name, "failover") && repeatable && !f.final:
		return 3
	case m.name == "broadcast" && f.code != protocol.Canceled && f.code != protocol.DeadlineExceeded && !f.final:
		return 3
	case m.name == "forking":
		return 2
	}
	return 1
}

// swallowed says whether the caller gets nil: the cluster takes the failure upon itself.
func (m mode) swallowed(f failing) bool {
	switch {
	case m.name == "failsafe":
		return f.code != protocol.Application
	case strings.HasPrefix(m.name, "failback"):
		return (!f.final || f.code == protocol.Timeout) && (f.outcome == protocol.NotSent || f.outcome == protocol.NotStarted || f.outcome == protocol.OutcomeUnknown && m.idempotent)
	}
	return false
}

func TestOutcomeOfEveryFailure(t *testing.T) {
	for _, f := range failings() {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			for _, m := range modes() {
				t.Run(m.name, func(t *testing.T) { holdsWhatItSays(t, f, m) })
			}
		})
	}
}

func holdsWhatItSays(t *testing.T, f failing, m mode) {
	b := &book{free: make(chan struct{})}
	addresses := failingProviders(t, f, b)
	defer close(b.free)
	c := ferry.NewClient("", ferry.Direct("dubbo://"+strings.Join(addresses, ",")), ferry.Timeout(patience), ferry.Check(false),
		ferry.Param("outlier.failures", "0"), ferry.Param("shutdown", "1ms"))
	defer c.Close()
	require.NoError(t, c.Types().Add("com.example.OutOfStock", &outOfStock{}))
	ref, err := c.Refer(&protocol.Interface{Name: ledgerService}, options(f.params+"&"+m.params)...)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(ref.Directory().Snapshot().Targets) == len(addresses) }, patience, time.Millisecond)
	var in ledgerClient
	require.NoError(t, proxy.Fill(ref, ledgerService, &in))
	if f.name == "too many calls" { // the one that is allowed
		for _, a := range addresses {
			use(t, a)
		}
		b.ran.Store(0)
	}

	err = callOnce(&in, f, m, b)
	if m.swallowed(f) {
		require.NoError(t, err)
		return
	}
	require.Error(t, err)
	require.Equal(t, f.outcome, protocol.OutcomeOf(err), "%v", err)
	if f.refused && m.name == "available" {
		f.code = protocol.NoProvider // it looks for a connection first
	}
	require.Equal(t, f.code, protocol.CodeOf(err), "%v", err)
	want := int64(0)
	if f.runs {
		want = m.attempts(f)
	}
	if m.name == "forking" && f.runs { // the first answer ends the others, maybe before they arrive
		require.LessOrEqual(t, b.ran.Load(), want)
		require.Positive(t, b.ran.Load())
		return
	}
	// A provider may be slower than the timeout to see a call.
	require.Eventually(t, func() bool { return b.ran.Load() >= want }, patience, time.Millisecond, "runs; %v", err)
	require.Equal(t, want, b.ran.Load(), "runs; %v", err)
	var e *protocol.Error
	require.ErrorAs(t, err, &e)
	if strings.HasPrefix(m.name, "failover") {
		require.EqualValues(t, m.attempts(f), e.Attempt, "%v", err)
	}
}

// callOnce makes the call.
func callOnce(in *ledgerClient, f failing, m mode, b *book) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	giveUp := func() { cancel() }
	b.cancel.Store(&giveUp)
	if m.below {
		ctx = protocol.WithServing(ctx, &protocol.Invocation{Attachments: protocol.Attachments{protocol.RetryOfUnknown, "true"}})
	}
	if f.begun != nil {
		var end context.CancelFunc
		ctx, end = f.begun(ctx)
		defer end()
	}
	invoke := f.call
	if invoke == nil {
		invoke = do
	}
	return invoke(in, ctx, m.idempotent, f.how)
}

func options(query string) (out []ferry.Option) {
	for p := range strings.SplitSeq(query, "&") {
		if key, value, ok := strings.Cut(p, "="); ok {
			out = append(out, ferry.Param(key, value))
		}
	}
	return out
}

// use calls a provider once.
func use(t *testing.T, address string) {
	c := ferry.NewClient("", ferry.Direct("dubbo://"+address), ferry.Timeout(patience))
	defer c.Close()
	ref, err := c.Refer(&protocol.Interface{Name: ledgerService})
	require.NoError(t, err)
	var in ledgerClient
	require.NoError(t, proxy.Fill(ref, ledgerService, &in))
	_, err = in.Do(context.Background(), "ok")
	require.NoError(t, err)
}
