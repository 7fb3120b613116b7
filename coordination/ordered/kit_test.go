package ordered_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/coordination/ordered"
	"github.com/ferryrpc/ferry/internal/leak"
	"github.com/ferryrpc/ferry/internal/zktest"
	"github.com/ferryrpc/ferry/proxy"
)

var real zktest.Shared

func TestMain(m *testing.M) { real.Main(m, leak.Known()...) }

const (
	service  = "com.example.Journal"
	patience = 30 * time.Second
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
	hold     func(key string) // called inside, if set
}

func newJournal() *journal { return &journal{events: map[string][]event{}, inside: map[string]int{}} }

// A desk is one provider's service.
type desk struct {
	j *journal
}

// Append writes a line and returns its position.
func (d desk) Append(ctx context.Context, key, caller string) (int64, error) {
	turn, _ := ordered.From(ctx)
	j := d.j
	j.mu.Lock()
	if j.inside[key]++; j.inside[key] > 1 {
		j.overlaps++
	}
	j.events[key] = append(j.events[key], event{turn.Client, turn.Seq, caller, turn.Fence.Token})
	n := int64(len(j.events[key]))
	hold := j.hold
	j.mu.Unlock()
	if hold != nil {
		hold(key)
	}
	j.mu.Lock()
	j.inside[key]--
	j.mu.Unlock()
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	return n, nil
}

// Plain is not ordered.
func (d desk) Plain(_ context.Context, text string) (string, error) { return text, nil }

// sessions makes registry URLs of one server that have sessions of their own in this process.
type sessions struct {
	address string
	session time.Duration
	n       atomic.Int64
}

func (s *sessions) url() string {
	return fmt.Sprintf("zookeeper://%s?session=%d&timeout=%d", s.address, s.session.Milliseconds(), 30000+s.n.Add(1))
}

func serve(t *testing.T, registry string, j *journal, options ...ferry.Option) *ferry.Server {
	t.Helper()
	s := ferry.NewServer(registry, append([]ferry.Option{ferry.Host("127.0.0.1"), ferry.Param("append.ordered", "true"), ferry.Param("append.ordered.key", "0")}, options...)...)
	require.NoError(t, s.ExportValue(service, desk{j}))
	t.Cleanup(func() { require.NoError(t, s.Close(ended())) })
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

func consume(t *testing.T, registry string, options ...ferry.Option) *consumer {
	t.Helper()
	c := &consumer{Client: ferry.NewClient(registry, options...)}
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	ref, err := c.Refer(&ferryInterface, ferry.Param("check.timeout", "20000"))
	require.NoError(t, err)
	require.NoError(t, proxy.Fill(ref, service, c))
	return c
}

// requireOrder checks what is promised of each client and key: no call before its predecessor, none twice unless again is
// allowed, and then never an earlier one after a later one that an owner of the same epoch ran.
func (j *journal) requireOrder(t *testing.T, again bool) {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	require.Zero(t, j.overlaps, "two calls of one key ran at once")
	for key, list := range j.events {
		last, epoch := map[string]uint64{}, int64(0)
		for i, e := range list {
			require.GreaterOrEqual(t, e.epoch, epoch, "key %s, position %d: an earlier owner ran a call after a later one", key, i)
			if e.epoch > epoch && again {
				for c := range last {
					last[c] = min(last[c], rewind(list, i, c))
				}
			}
			epoch = e.epoch
			if before, known := last[e.client]; known {
				require.Equal(t, before+1, e.seq, "key %s, position %d, client %s", key, i, e.client)
			}
			last[e.client] = e.seq
		}
	}
}

// rewind is the number before the first call of a client that the owner from position i on ran.
func rewind(list []event, i int, client string) uint64 {
	for _, e := range list[i:] {
		if e.client == client {
			return e.seq - 1
		}
	}
	return 1 << 62
}
