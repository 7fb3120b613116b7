package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/protocol"
)

// A way is how one attempt ends. ran is what really happened at the provider, which the consumer cannot always know.
type way struct {
	name string
	err  error
	ran  bool
}

// ways are all of DESIGN.md section 3, those with outcome Unknown twice: the provider ran the call, or it did not.
func ways() []way {
	failure := func(code protocol.Code, o protocol.Outcome) error { return &protocol.Error{Code: code, Outcome: o} }
	return []way{
		{"ok", nil, true},
		{"refused dial", failure(protocol.Network, protocol.NotSent), false},
		{"refused by the provider", failure(protocol.LimitExceeded, protocol.NotStarted), false},
		{"lost and not run", failure(protocol.Network, protocol.OutcomeUnknown), false},
		{"timeout and run", failure(protocol.Timeout, protocol.OutcomeUnknown), true},
		{"answered with an error", failure(protocol.Application, protocol.Executed), true},
		{"reply lost", failure(protocol.Serialization, protocol.Executed), true},
		{"foreign error", errors.New("an answer"), true},
		{"cannot be encoded", failure(protocol.Serialization, protocol.NotSent), false},
		{"canceled after sending", failure(protocol.Canceled, protocol.OutcomeUnknown), true},
	}
}

// A tale is what came of a call at three providers that end it in the given ways.
type tale struct {
	err             error
	ran, maybe, all int // attempts that ran, that may have run as far as the consumer knows, and all
	afterAnswer     int // attempts begun after a provider had answered
}

func tell(t *testing.T, open opener, params string, idempotent bool, trio [3]way) tale {
	d, refs := fakes(3, "")
	var out tale
	answered := false
	for i, w := range trio {
		refs[i].does(func(context.Context, *protocol.Invocation) error {
			out.all++
			if answered {
				out.afterAnswer++
			}
			if w.ran {
				out.ran++
			}
			if o := protocol.OutcomeOf(w.err); w.err == nil || o == protocol.Executed || o == protocol.OutcomeUnknown {
				out.maybe++
			}
			answered = answered || w.err == nil || protocol.OutcomeOf(w.err) == protocol.Executed
			return w.err
		})
	}
	m := method("sayHello", 0)
	m.Idempotent = idempotent
	x := join(t, open, params, d)
	out.err = x.Invoke(t.Context(), call(m, "a"))
	time.Sleep(time.Minute) // failback's repeats
	synctest.Wait()
	if c, ok := x.(io.Closer); ok {
		require.NoError(t, c.Close())
	}
	return out
}

// TestOutcomesAreTrue goes through all combinations of three ways, for each cluster that makes attempts one after the
// other: what the error says of the call is true of it, and a call that must not run twice does not.
func TestOutcomesAreTrue(t *testing.T) {
	clusters := []struct {
		name    string
		open    opener
		params  string
		swallow bool // a failure may be answered with nil
		many    bool // one call is meant to run at several providers
	}{
		{"failover", NewFailover, "", false, false},
		{"failover retries=2", NewFailover, "retries=2", false, false},
		{"failover retries=0", NewFailover, "retries=0", false, false},
		{"failfast", NewFailfast, "", false, false},
		{"failsafe", NewFailsafe, "", true, false},
		{"failback", NewFailback, "", true, false},
		{"failback retries=2", NewFailback, "retries=2", true, false},
		{"available", NewAvailable, "", false, false},
		{"broadcast", NewBroadcast, "", false, true},
		{"broadcast stops early", NewBroadcast, "broadcast.fail.percent=34", false, true},
	}
	for _, cl := range clusters {
		t.Run(cl.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for _, idempotent := range []bool{false, true} {
					everyTrio(func(trio [3]way) {
						got := tell(t, cl.open, cl.params, idempotent, trio)
						about := fmt.Sprintf("%v idempotent %v: %v %+v", names(trio), idempotent, got.err, got)
						mayRepeat := idempotent || cl.params == "retries=2"
						if !cl.many {
							require.Zero(t, got.afterAnswer, "attempts after an answer: %s", about)
						}
						if !cl.many && !mayRepeat {
							require.LessOrEqual(t, got.maybe, 1, "ran twice: %s", about)
						}
						if got.err == nil {
							require.True(t, got.ran > 0 || cl.swallow, "success without a run: %s", about)
							return
						}
						switch protocol.OutcomeOf(got.err) {
						case protocol.NotSent, protocol.NotStarted:
							require.Zero(t, got.maybe, "said not to have run: %s", about)
						case protocol.OutcomeUnknown:
							require.Positive(t, got.maybe, "nothing can have run: %s", about)
						case protocol.Executed:
							require.Positive(t, got.ran, "said to have run: %s", about)
						}
					})
				}
			})
		})
	}
}

// TestForkingOutcomesAreTrue does the same for copies that run at the same time, in every order of their ends.
func TestForkingOutcomesAreTrue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		everyTrio(func(trio [3]way) {
			d, refs := fakes(3, "")
			ran, maybe := 0, 0
			for i, w := range trio {
				if w.ran {
					ran++
				}
				if o := protocol.OutcomeOf(w.err); w.err == nil || o == protocol.Executed || o == protocol.OutcomeUnknown {
					maybe++
				}
				refs[i].does(func(context.Context, *protocol.Invocation) error {
					time.Sleep(time.Duration(i+1) * time.Millisecond)
					return w.err
				})
			}
			x := join(t, NewForking, "forks=3", d)
			err := x.Invoke(t.Context(), call(method("sayHello", 0), "a"))
			require.NoError(t, x.(io.Closer).Close())
			about := fmt.Sprintf("%v: %v", names(trio), err)
			if err == nil {
				require.Positive(t, ran, about)
				return
			}
			switch protocol.OutcomeOf(err) {
			case protocol.NotSent, protocol.NotStarted:
				require.Zero(t, maybe, about)
			case protocol.OutcomeUnknown:
				require.Positive(t, maybe, about)
			case protocol.Executed:
				require.Positive(t, ran, about)
			}
		})
	})
}

func everyTrio(f func([3]way)) {
	for _, a := range ways() {
		for _, b := range ways() {
			for _, c := range ways() {
				f([3]way{a, b, c})
			}
		}
	}
}

func names(trio [3]way) []string { return []string{trio[0].name, trio[1].name, trio[2].name} }

// TestChangeOfTheListIsNoFailure: providers that are replaced between choice and call, as an override does it, are
// called under their new parameters at once, whatever the cluster.
func TestChangeOfTheListIsNoFailure(t *testing.T) {
	for name, open := range map[string]opener{"failover": NewFailover, "failfast": NewFailfast, "failsafe": NewFailsafe, "failback": NewFailback,
		"forking": NewForking, "broadcast": NewBroadcast, "available": NewAvailable} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, old := fakes(3, "")
				next, refs := fakes(3, "timeout=7")
				for i := range old {
					old[i].does(func(context.Context, *protocol.Invocation) error {
						d.list.Store(next.list.Load())
						return &protocol.Error{Code: protocol.Closed, Outcome: protocol.NotSent}
					})
					refs[i].does(func(_ context.Context, c *protocol.Invocation) error {
						*c.Reply.At(0).(*string) = "served"
						return nil
					})
				}
				x := join(t, open, "retries=0", d)
				c := call(method("sayHello", 0), "a")
				require.NoError(t, x.Invoke(t.Context(), c))
				require.Equal(t, "served", *c.Reply.At(0).(*string))
				if c, ok := x.(io.Closer); ok {
					require.NoError(t, c.Close())
				}
				if name == "broadcast" {
					require.Equal(t, []int64{1, 1, 1}, counts(refs))
				}
			})
		})
	}
}
