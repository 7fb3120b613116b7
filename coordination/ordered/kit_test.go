package ordered_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/coordination/lock"
	"github.com/ferryrpc/ferry/coordination/ordered"
	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/internal/leak"
	"github.com/ferryrpc/ferry/internal/zktest"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/proxy"
	"github.com/ferryrpc/ferry/url"
)

var real zktest.Shared

func TestMain(m *testing.M) {
	if os.Getenv(childRegistry) != "" {
		child()
		return
	}
	real.Main(m, leak.Known()...)
}

const (
	service  = "com.example.Journal"
	patience = 60 * time.Second
)

// An event is one execution, as the journal saw it.
type event struct {
	client string
	seq    uint64
	caller string // who made the call, and its number there
	epoch  int64
}

// A journal is what all providers of a test write into: the executions of each key in their order.
type journal struct {
	mu       sync.Mutex // guards the following
	events   map[string][]event
	inside   map[string]int
	overlaps int
	epochs   map[string]int // how many each key had
	most     int            // of them
	written  int
	fenced   int
	fences   bool             // refuse epochs smaller than one that was there
	hold     func(key string) // called inside, if set
}

func newJournal() *journal {
	return &journal{events: map[string][]event{}, inside: map[string]int{}, epochs: map[string]int{}}
}

var errFenced = errors.New("journal: fenced off")

// write adds an event and returns its position.
func (j *journal) write(key string, e event) (int64, error) {
	j.mu.Lock()
	list := j.events[key]
	if n := len(list); j.fences && n > 0 && list[n-1].epoch > e.epoch {
		j.fenced++
		j.mu.Unlock()
		return 0, errFenced
	}
	if j.inside[key]++; j.inside[key] > 1 {
		j.overlaps++
	}
	if n := len(list); n == 0 || list[n-1].epoch != e.epoch {
		j.epochs[key]++
		j.most = max(j.most, j.epochs[key])
	}
	j.events[key] = append(list, e)
	j.written++
	n := int64(len(j.events[key]))
	hold := j.hold
	j.mu.Unlock()
	if hold != nil {
		hold(key)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.inside[key]--
	return n, nil
}

func (j *journal) total() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.written
}

// lengths is how often each key has been written to.
func (j *journal) lengths() map[string]int {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := make(map[string]int, len(j.events))
	for key, list := range j.events {
		n[key] = len(list)
	}
	return n
}

// owners is the largest number of owners, one after the other, that a key had.
func (j *journal) owners() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.most
}

// disorder says what is wrong with the order of executions: no call before its predecessor, none twice. With again, a later owner
// may begin with calls that an earlier one ran. gaps are calls that never ran: those whose outcome is unknown.
func (j *journal) disorder(again bool) (wrong []string, gaps int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.overlaps > 0 {
		wrong = append(wrong, fmt.Sprintf("%d times two calls of one key ran at once", j.overlaps))
	}
	for key, list := range j.events {
		last, epochs, epoch := map[string]uint64{}, map[string]int64{}, int64(0)
		for i, e := range list {
			if e.epoch < epoch {
				wrong = append(wrong, fmt.Sprintf("%s[%d]: an earlier owner ran a call after a later one", key, i))
			}
			epoch = e.epoch
			before, known := last[e.client]
			fresh := again && epochs[e.client] < e.epoch && e.seq <= before+1
			if known && e.seq > before+1 {
				gaps += int(e.seq - before - 1)
			}
			if known && e.seq <= before && !fresh {
				wrong = append(wrong, fmt.Sprintf("%s[%d]: client %s call %d after %d", key, i, e.client, e.seq, before))
			}
			last[e.client], epochs[e.client] = e.seq, e.epoch
		}
	}
	return wrong, gaps
}

// requireOrder checks that there is no disorder, and at most so many gaps.
func (j *journal) requireOrder(t *testing.T, again bool, most int) {
	t.Helper()
	wrong, gaps := j.disorder(again)
	require.Empty(t, wrong)
	require.LessOrEqual(t, gaps, most, "calls that never ran")
}

// A desk is one provider's service.
type desk struct{ j *journal }

// Append writes a line and returns its position.
func (d desk) Append(ctx context.Context, key, caller string) (int64, error) {
	turn, _ := ordered.From(ctx)
	if f := lock.FenceFrom(ctx); f != turn.Fence {
		return 0, fmt.Errorf("the context's fence is %s, the turn's %s", f, turn.Fence)
	}
	return d.j.write(key, event{turn.Client, turn.Seq, caller, turn.Fence.Token})
}

// Plain is not ordered.
func (d desk) Plain(_ context.Context, text string) (string, error) { return text, nil }

// sessions makes registry URLs of one server that have sessions of their own in this process.
type sessions struct {
	address string
	session time.Duration
	n       atomic.Int64
}

func (s *sessions) url() string { return s.at(s.address) }

func (s *sessions) at(address string) string {
	return fmt.Sprintf("zookeeper://%s?session=%d&timeout=%d", address, s.session.Milliseconds(), 30000+s.n.Add(1))
}

func serve(t *testing.T, registry string, j *journal, options ...ferry.Option) *ferry.Server {
	t.Helper()
	return serveWith(t, ferry.Builtin(), registry, desk{j}, options...)
}

func serveWith(t *testing.T, x *ferry.Extensions, registry string, d any, options ...ferry.Option) *ferry.Server {
	t.Helper()
	s := &ferry.Server{Registry: registry, Extensions: x}
	s.Options = append([]ferry.Option{ferry.Host("127.0.0.1"), ferry.Param("append.ordered", "true"), ferry.Param("append.ordered.key", "0")}, options...)
	t.Cleanup(func() { require.NoError(t, s.Close(ended())) })
	require.NoError(t, s.ExportValue(service, d))
	return s
}

func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// A consumer is a client with its stub.
type consumer struct {
	*ferry.Client
	Append func(ctx context.Context, key, caller string) (int64, error)
	Plain  func(ctx context.Context, text string) (string, error)
}

func consume(t testing.TB, registry string, options ...ferry.Option) *consumer {
	t.Helper()
	return consumeWith(t, ferry.Builtin(), registry, options...)
}

func consumeWith(t testing.TB, x *ferry.Extensions, registry string, options ...ferry.Option) *consumer {
	t.Helper()
	c := &consumer{Client: &ferry.Client{Registry: registry, Extensions: x, Options: options}}
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	ref, err := c.Refer(&protocol.Interface{Name: service}, ferry.Param("check.timeout", "30000"))
	require.NoError(t, err)
	require.NoError(t, proxy.Fill(ref, service, c))
	return c
}

// lossy returns extensions with a reference filter that loses requests and answers, each with a chance of one in n.
func lossy(t *testing.T, n int) *ferry.Extensions {
	t.Helper()
	x := ferry.Builtin()
	lost := func(c *protocol.Invocation) error {
		return &protocol.Error{Code: protocol.Timeout, Outcome: protocol.OutcomeUnknown, Service: c.Method.Service, Method: c.Method.Name, Message: "lost"}
	}
	require.NoError(t, x.ReferenceFilters.Add("lossy", nil, func(extension.Env, *url.URL) (protocol.Filter, error) {
		return func(next protocol.Invoker) protocol.Invoker {
			return protocol.InvokerFunc(func(ctx context.Context, c *protocol.Invocation) error {
				if rand.N(n) == 0 {
					return lost(c)
				}
				err := next.Invoke(ctx, c)
				if rand.N(n) == 0 {
					c.ReplyAttachments = nil
					return lost(c)
				}
				return err
			})
		}, nil
	}))
	return x
}

// A workload is calls of several consumers and goroutines over some keys, with the history that they saw.
type workload struct {
	t     *testing.T
	start time.Time
	keys  int
	wg    sync.WaitGroup
	stop  chan struct{}

	mu      sync.Mutex // guards the following
	history map[string][]porcupine.Operation
	acked   map[string]bool // key and caller
	failed  []error
	ids     int
	longest time.Duration // that a call took
}

func newWorkload(t *testing.T, keys int) *workload {
	return &workload{t: t, start: time.Now(), keys: keys, stop: make(chan struct{}), history: map[string][]porcupine.Operation{}, acked: map[string]bool{}}
}

type appended struct {
	caller string
	n      int
}

// run makes calls from some goroutines until the workload ends, or each has made so many.
func (w *workload) run(c *consumer, goroutines, calls int) {
	for range goroutines {
		w.mu.Lock()
		w.ids++
		id := w.ids
		w.mu.Unlock()
		w.wg.Go(func() {
			pace := time.NewTicker(2 * time.Millisecond) // histories must stay short enough to be checked
			defer pace.Stop()
			for n := range calls {
				select {
				case <-w.stop:
					return
				case <-pace.C:
				}
				w.call(c, id, fmt.Sprint("key", n%w.keys), n)
			}
		})
	}
}

func (w *workload) call(c *consumer, id int, key string, n int) {
	caller := fmt.Sprintf("%d/%d", id, n)
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	began := time.Now()
	at, err := c.Append(ctx, key, caller)
	took := time.Since(began)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.longest = max(w.longest, took)
	op := porcupine.Operation{ClientId: id, Input: appended{fmt.Sprint(id), n}, Call: int64(began.Sub(w.start)), Output: at, Return: int64(time.Since(w.start))}
	if err != nil {
		w.failed = append(w.failed, err)
		if protocol.OutcomeOf(err) != protocol.OutcomeUnknown {
			return
		}
		op.Output, op.Return = int64(0), int64(time.Hour) // it may have run, at any time from then on
	} else {
		w.acked[key+" "+caller] = true
	}
	w.history[key] = append(w.history[key], op)
}

// finish ends the workload and returns how many calls were answered.
func (w *workload) finish() int {
	close(w.stop)
	w.wg.Wait()
	return len(w.acked)
}

// logModel is a log in which each append gets the next position, and those of one caller are in their order.
func logModel() porcupine.Model {
	type state struct {
		length int64
		last   string
	}
	return (&porcupine.NondeterministicModel{
		Init: func() []any { return []any{state{}} },
		Step: func(s, input, output any) []any {
			st, at := s.(state), output.(int64)
			switch {
			case at == 0: // unknown: it ran now, or never
				return []any{state{st.length + 1, ""}, st}
			case at == st.length+1:
				return []any{state{at, ""}}
			}
			return nil
		},
	}).ToModel()
}

// requireLinear checks the histories of all keys against the model.
func (w *workload) requireLinear(t *testing.T) {
	t.Helper()
	for key, h := range w.history {
		require.Equal(t, porcupine.Ok, porcupine.CheckOperationsTimeout(logModel(), h, patience), "history of %s", key)
	}
}

// doubles is how many calls ran more than once.
func (j *journal) doubles() (n int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, list := range j.events {
		callers := make([]string, 0, len(list))
		for _, e := range list {
			callers = append(callers, e.caller)
		}
		slices.Sort(callers)
		n += len(callers) - len(slices.Compact(callers))
	}
	return n
}
