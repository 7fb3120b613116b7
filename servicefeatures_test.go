package ferry_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/proxy"
)

// A gate is a service whose calls wait until they are let go, and are counted.
type gate struct {
	open              chan struct{}
	calls, now, most  atomic.Int64
	next              func(ctx context.Context) error // what Relay calls
	relayed, answered atomic.Int64
}

func (g *gate) Pass(ctx context.Context) error {
	g.calls.Add(1)
	n := g.now.Add(1)
	defer g.now.Add(-1)
	for m := g.most.Load(); n > m && !g.most.CompareAndSwap(m, n); m = g.most.Load() {
	}
	if g.open == nil {
		return nil
	}
	select {
	case <-g.open:
	case <-ctx.Done():
	}
	return ctx.Err()
}

func (g *gate) Relay(ctx context.Context) error {
	g.relayed.Add(1)
	return g.next(ctx)
}

type gateClient struct {
	Pass  func(ctx context.Context) error
	Relay func(ctx context.Context) error
	in    *ferry.Reference
}

const gateService = "com.example.Gate"

func gated(t *testing.T, registry, provider string, g *gate) *ferry.Server {
	s := ferry.NewServer(registry, options(provider)...)
	require.NoError(t, s.ExportValue(gateService, g))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		require.NoError(t, s.Close(ctx))
	})
	return s
}

func toGate(t *testing.T, registry, consumer string) *gateClient {
	c := ferry.NewClient(registry, options("timeout=20s")...)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	ref, err := c.Refer(&protocol.Interface{Name: gateService}, options(consumer)...)
	require.NoError(t, err)
	out := &gateClient{in: ref}
	require.NoError(t, proxy.Fill(ref, gateService, out))
	return out
}

// TestOneLayerRepeats: a call that may have run is repeated by the one who made it. The calls that its repeats cause
// further down are not repeated again, or three layers of two retries each would make 27 calls of one.
func TestOneLayerRepeats(t *testing.T) {
	reg := "memory://" + t.Name()
	last := &gate{open: make(chan struct{})}
	gated(t, reg+"-c", "", last)
	middle := &gate{}
	inner := toGate(t, reg+"-c", "timeout=100ms&retries=2&outlier.failures=0")
	middle.next = func(ctx context.Context) error {
		_ = inner.Pass(ctx)
		middle.answered.Add(1)
		<-ctx.Done() // so that the one above does not know either
		return ctx.Err()
	}
	gated(t, reg+"-b", "", middle)
	outer := toGate(t, reg+"-b", "timeout=1500ms&retries=2&outlier.failures=0")
	err := outer.Relay(context.Background())
	require.Equal(t, protocol.OutcomeUnknown, protocol.OutcomeOf(err), "%v", err)
	require.EqualValues(t, 3, middle.relayed.Load())
	require.Eventually(t, func() bool { return middle.answered.Load() == 3 }, patience, time.Millisecond)
	require.EqualValues(t, 3+1+1, last.calls.Load(), "the first may repeat, the repeats may not")
	close(last.open)
}

// TestLimits: actives makes a consumer's calls wait, executes refuses them before they run.
func TestLimits(t *testing.T) {
	many := func(c *gateClient, n int) (failed []error) {
		var mu sync.Mutex
		var all sync.WaitGroup
		for range n {
			all.Go(func() {
				if err := c.Pass(context.Background()); err != nil {
					mu.Lock()
					failed = append(failed, err)
					mu.Unlock()
				}
			})
		}
		all.Wait()
		return failed
	}
	t.Run("actives", func(t *testing.T) {
		g := &gate{open: make(chan struct{})}
		gated(t, "memory://actives", "", g)
		c := toGate(t, "memory://actives", "actives=2")
		go func() {
			for g.now.Load() < 2 {
				time.Sleep(time.Millisecond)
			}
			close(g.open)
		}()
		require.Empty(t, many(c, 12))
		require.EqualValues(t, 12, g.calls.Load())
		require.LessOrEqual(t, g.most.Load(), int64(2))
	})
	t.Run("executes", func(t *testing.T) {
		g := &gate{open: make(chan struct{})}
		gated(t, "memory://executes", "executes=2&pass.executes=3", g)
		c := toGate(t, "memory://executes", "retries=0")
		go func() { // the others are refused while three run
			for c.in.Directory().Providers()[0].Failed < 9 {
				time.Sleep(time.Millisecond)
			}
			close(g.open)
		}()
		failed := many(c, 12)
		require.Len(t, failed, 9)
		for _, err := range failed {
			require.Equal(t, protocol.NotStarted, protocol.OutcomeOf(err))
			require.Equal(t, protocol.LimitExceeded, protocol.CodeOf(err))
		}
		require.EqualValues(t, 3, g.most.Load(), "the method's own limit")
		require.EqualValues(t, 3, g.calls.Load())
	})
}

// TestSmallFeatures goes through parameters of one line each.
func TestSmallFeatures(t *testing.T) {
	ctx := context.Background()
	t.Run("token", func(t *testing.T) {
		g := &gate{}
		s := gated(t, "memory://token", "token=true", g)
		require.NotEqual(t, "true", s.URLs()[0].Param("token"))
		require.NoError(t, toGate(t, "memory://token", "").Pass(ctx), "who reads the registry has it")
		direct := ferry.NewClient("", ferry.Direct("dubbo://"+s.URLs()[0].Address()), ferry.Param("token", "guess"), ferry.Timeout(patience))
		defer direct.Close()
		ref, err := direct.Refer(&protocol.Interface{Name: gateService})
		require.NoError(t, err)
		var c gateClient
		require.NoError(t, proxy.Fill(ref, gateService, &c))
		require.ErrorContains(t, c.Pass(ctx), "token missing or wrong")
		require.EqualValues(t, 1, g.calls.Load())
	})
	t.Run("lazy and connections", func(t *testing.T) {
		g := &gate{}
		s := gated(t, "", "", g)
		r := &relay{}
		address := r.listen(t, s.URLs()[0].Address())
		c := ferry.NewClient("", ferry.Direct("dubbo://"+address), ferry.Timeout(patience), ferry.Param("lazy", "true"), ferry.Param("connections", "3"))
		defer c.Close()
		ref, err := c.Refer(&protocol.Interface{Name: gateService})
		require.NoError(t, err)
		require.Zero(t, r.count(), "nobody connects before the first call")
		var in gateClient
		require.NoError(t, proxy.Fill(ref, gateService, &in))
		for range 9 {
			require.NoError(t, in.Pass(ctx))
		}
		require.Eventually(t, func() bool { return r.count() == 3 }, patience, time.Millisecond, "three connections for this service alone")
	})
	t.Run("return=false", func(t *testing.T) {
		g := &gate{open: make(chan struct{})}
		gated(t, "memory://oneway", "", g)
		c := toGate(t, "memory://oneway", "return=false")
		require.NoError(t, c.Pass(ctx), "it does not wait")
		require.Eventually(t, func() bool { return g.calls.Load() == 1 }, patience, time.Millisecond)
		close(g.open)
	})
	t.Run("check", func(t *testing.T) {
		c := toGate(t, "memory://check", "check=false")
		require.ErrorContains(t, c.Pass(ctx), "no provider")
		strict := ferry.NewClient("memory://check")
		defer strict.Close()
		_, err := strict.Refer(&protocol.Interface{Name: gateService}, ferry.Param("check.timeout", "20ms"))
		require.ErrorContains(t, err, "check=false starts without")
	})
	t.Run("accesslog", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "access.log")
		s := ferry.NewServer("memory://accesslog", ferry.Param("accesslog", file))
		require.NoError(t, s.ExportValue(gateService, &gate{}))
		require.NoError(t, toGate(t, "memory://accesslog", "").Pass(ctx))
		require.NoError(t, s.Close(canceled()))
		require.Eventually(t, func() bool { b, _ := os.ReadFile(file); return strings.Contains(string(b), gateService) }, patience, 10*time.Millisecond)
	})
	t.Run("group and version", func(t *testing.T) {
		one, two := &gate{}, &gate{}
		gated(t, "memory://groups", "group=a&version=1.0", one)
		gated(t, "memory://groups", "group=b&version=2.0", two)
		for params, want := range map[string][2]bool{
			"group=a&version=1.0": {true, false}, "group=b&version=*": {false, true}, "group=*&version=*": {true, true}, "group=c,a&version=*": {true, false},
			"group=*&version=2.0": {false, true},
		} {
			one.calls.Store(0)
			two.calls.Store(0)
			c := toGate(t, "memory://groups", params+"&loadbalance=roundrobin")
			n := 0
			for _, is := range want {
				if is {
					n++
				}
			}
			require.Eventually(t, func() bool { return len(c.in.Directory().Snapshot().Targets) == n }, patience, time.Millisecond, params)
			for range 10 {
				require.NoError(t, c.Pass(ctx))
			}
			require.Equal(t, want, [2]bool{one.calls.Load() > 0, two.calls.Load() > 0}, params)
		}
	})
	t.Run("draining by weight", func(t *testing.T) {
		stays, drained := &gate{}, &gate{}
		gated(t, "memory://drain", "weight=100", stays)
		gated(t, "memory://drain", "weight=0", drained)
		c := toGate(t, "memory://drain", "")
		require.Eventually(t, func() bool { return len(c.in.Directory().Snapshot().Targets) == 2 }, patience, time.Millisecond)
		for range 200 {
			require.NoError(t, c.Pass(ctx))
		}
		require.Zero(t, drained.calls.Load())
		require.EqualValues(t, 200, stays.calls.Load())
	})
}

// TestNothingRunsAfterClose: what failback has in store ends with the reference, and the circuit's and the budget's states
// can be seen before.
func TestNothingRunsAfterClose(t *testing.T) {
	c := toGate(t, "memory://"+t.Name(), "cluster=failback&check=false")
	require.NoError(t, c.Pass(context.Background()), "taken over for later")
	g := &gate{}
	gated(t, "memory://"+t.Name(), "", g)
	require.NoError(t, c.in.Close())
	require.Zero(t, g.calls.Load())
	require.Error(t, c.Pass(context.Background()))

	failing := toGate(t, "memory://"+t.Name(), "retries=3&timeout=20s&mock=false")
	require.Positive(t, failing.in.Directory().Budget().State().Left)
	require.False(t, failing.in.Directory().Providers()[0].SetAside)
}
