package storetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/coordination/idempotent"
	"github.com/ferryrpc/ferry/internal/zktest"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/zkembed"
)

const tick = 5 * time.Millisecond

// A scene is two providers over one database: the first is a process of its own that takes all calls while it lives.
type scene struct {
	first  *provider
	second *ledger
	client *customer
	ctx    context.Context
	said   *string // outcome
}

func play(t *testing.T, d database, policy, lease string, resolve idempotent.Resolver) *scene {
	t.Helper()
	z, err := zkembed.Start(zkembed.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, z.Close()) })
	d.store(t) // makes the table
	db := d.open(t)
	_, err = db.Exec("CREATE TABLE " + d.table + "_effects (ord VARCHAR(50), who VARCHAR(50))")
	require.NoError(t, err)
	j := job{DSN: d.dsn, Table: d.table, Registry: "zookeeper://" + z.Addr() + "?cache=false", Policy: policy, Lease: lease, Dialect: d.dialect, Weight: 100}
	s := &scene{first: startChild(t, j), second: &ledger{db: db, table: d.table}, said: new(string)}
	j.Weight = 0 // nobody comes while the first is there
	server, err := j.serve("second", db, nil, resolve)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close(canceled())) })
	s.client = refer(t, j.Registry, 2)
	s.ctx = ferry.WithIdempotencyOutcome(ferry.WithIdempotencyKey(t.Context(), "key"), s.said)
	return s
}

func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

type answer struct {
	text string
	err  error
}

// call makes the call at the first provider and returns where its answer comes.
func (s *scene) call(t *testing.T) <-chan answer {
	out := make(chan answer, 1)
	go func() {
		text, err := s.client.Pay(s.ctx, "o1")
		out <- answer{text, err}
	}()
	s.first.says(t, "ran")
	return out
}

// TestProviderKilledBetweenEffectAndRecord: the client goes to the other provider with the same key by itself, and what it
// is told is what the policy promises.
func TestProviderKilledBetweenEffectAndRecord(t *testing.T) {
	const first, second = "first", "second"
	for name, c := range map[string]struct {
		policy  string
		resolve func(*ledger) idempotent.Resolver
		effects []string
		text    string // empty: the outcome is unknown
		said    string
	}{
		"reexecutable":  {"reexecutable", nil, []string{first, second}, "paid by second", "executed"},
		"atmostonce":    {"atmostonce", nil, []string{first}, "", "unknown"},
		"resolved":      {"atmostonce", asksTheLedger, []string{first}, "paid by first", "replayed"},
		"transactional": {"transactional", nil, []string{second}, "paid by second", "executed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, d := range databases(t) {
				t.Run(d.name, func(t *testing.T) {
					t.Parallel()
					var resolve idempotent.Resolver
					if c.resolve != nil {
						resolve = c.resolve(&ledger{db: d.open(t), table: d.table})
					}
					s := play(t, d, c.policy, "2000", resolve)
					got := s.call(t)
					s.first.kill()
					a := <-got
					check := func(a answer, said string) {
						t.Helper()
						require.Equal(t, said, *s.said)
						if c.text == "" {
							require.ErrorIs(t, a.err, protocol.ErrOutcomeUnknown)
							require.Equal(t, protocol.OutcomeUnknown, protocol.OutcomeOf(a.err))
							return
						}
						require.NoError(t, a.err)
						require.Equal(t, c.text, a.text)
					}
					check(a, c.said)
					a.text, a.err = s.client.Pay(s.ctx, "o1") // and the same for ever
					check(a, map[bool]string{true: "unknown", false: "replayed"}[c.text == ""])
					who := s.second.who(t, "o1")
					slices.Sort(who)
					require.Equal(t, c.effects, who)
				})
			}
		})
	}
}

// asksTheLedger knows from the business data whether the call ran.
func asksTheLedger(l *ledger) idempotent.Resolver {
	return func(_ context.Context, c *protocol.Invocation, key string) (idempotent.Resolved, error) {
		var who string
		order := *c.Args.At(0).(*string)
		if err := l.db.QueryRow(fmt.Sprintf("SELECT who FROM %s_effects WHERE ord = '%s'", l.table, order)).Scan(&who); err != nil {
			return idempotent.StillUnknown, err
		}
		*c.Reply.At(0).(*string) = "paid by " + who
		return idempotent.DidRun, nil
	}
}

// TestStaleExecutorIsFenced: the first provider is frozen for longer than its lease, the second one takes over, and the first
// one's record and answer are refused when it wakes up. In a transaction its effect is refused with them.
func TestStaleExecutorIsFenced(t *testing.T) {
	for policy, effects := range map[string][]string{"reexecutable": {"first", "second"}, "transactional": {"second"}} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			d := postgres(t) // SQLite has one writer: nobody could take over from one who sleeps in his transaction
			s := play(t, d, policy, "1000", nil)
			got := s.call(t)
			require.NoError(t, zktest.Halt(s.first.cmd.Process))
			said := new(string)
			store, err := idempotent.NewSQL(d.open(t), d.dialect, idempotent.SQLOptions{Table: d.table})
			require.NoError(t, err)
			other := directly(t, d, policy, store)
			text, err := other.Pay(ferry.WithIdempotencyOutcome(ferry.WithIdempotencyKey(t.Context(), "key"), said), "o1")
			require.NoError(t, err)
			require.Equal(t, "paid by second", text)
			require.Equal(t, "executed", *said)
			require.NoError(t, s.first.cmd.Process.Signal(syscall.SIGCONT))
			_, err = fmt.Fprintln(s.first.in, "go on")
			require.NoError(t, err)
			a := <-got
			require.ErrorIs(t, a.err, protocol.ErrOutcomeUnknown, "a stale executor's answer is not given: %v", a)
			text, err = other.Pay(ferry.WithIdempotencyKey(t.Context(), "key"), "o1")
			require.NoError(t, err)
			require.Equal(t, "paid by second", text)
			who := s.second.who(t, "o1")
			slices.Sort(who)
			require.Equal(t, effects, who)
		})
	}
}

// directly serves and refers to a second provider alone.
func directly(t *testing.T, d database, policy string, store *idempotent.SQL) *customer {
	t.Helper()
	j := job{Table: d.table, Registry: "memory://" + strings.ReplaceAll(t.Name(), "/", "-"), Policy: policy, Lease: "60000", Dialect: d.dialect, Weight: 100}
	server, err := j.serve("second", store.DB(), nil, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close(canceled())) })
	return refer(t, j.Registry, 1)
}

// TestRedisKilledAndRestarted: while it is away nothing runs and the error says so; what it acknowledged is there again.
func TestRedisKilledAndRestarted(t *testing.T) {
	s := startRedis(t)
	store := idempotent.NewRedis(redisClient(t, s), idempotent.RedisOptions{Prefix: "x:"})
	ran := 0
	x := &idempotent.Executor{Store: store}
	do := func(text string) (idempotent.Answer, error) {
		return x.Do(t.Context(), idempotent.Call{Key: idempotent.Key{Text: text}, Run: func(context.Context) idempotent.Ran {
			ran++
			return idempotent.Ran{Result: []byte(fmt.Sprint("run ", ran))}
		}})
	}
	a, err := do("a")
	require.NoError(t, err)
	require.Equal(t, "run 1", string(a.Result))
	s.kill()
	_, err = do("b")
	require.ErrorIs(t, err, idempotent.ErrStore)
	require.Equal(t, 1, ran)
	require.NoError(t, s.start())
	require.Eventually(t, func() bool { _, err = do("b"); return err == nil }, patience, tick)
	require.Equal(t, 2, ran)
	a, err = do("a")
	require.NoError(t, err)
	require.True(t, a.Replayed)
	require.Equal(t, "run 1", string(a.Result))
}

// TestTransactionsOfOtherDatabases: an effect that cannot be recorded with its call is refused.
func TestTransactionsOfOtherDatabases(t *testing.T) {
	d := sqlite(t)
	j := job{DSN: d.dsn, Table: d.table, Registry: "memory://" + strings.ReplaceAll(t.Name(), "/", "-"), Policy: "transactional", Lease: "60000", Dialect: d.dialect, Weight: 100}
	store := d.store(t)
	server, err := j.serve("first", store.DB(), nil, nil)
	require.NoError(t, err)
	defer server.Close(canceled())
	c := refer(t, j.Registry, 1)
	_, err = c.Pay(ferry.WithIdempotencyKey(t.Context(), "k"), "o1")
	require.ErrorContains(t, err, "effects", "there is no such table: the call failed, and its transaction with it")
	other := sqlite(t).open(t)
	require.NoError(t, idempotent.RunTx(t.Context(), other, nothing), "outside of a call RunTx is a transaction of its own")
}
