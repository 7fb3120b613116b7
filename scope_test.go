package ferry_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/internal/zktest"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/proxy"
	"github.com/ferryrpc/ferry/url"
)

// peerNoter is a service that knows whether a call came over a network.
type peerNoter struct{ name string }

func (p peerNoter) Buy(ctx context.Context, item string, _ int32) (string, error) {
	if item == "own call failed" {
		return "", &protocol.Error{Code: protocol.Network, Outcome: protocol.NotSent, Message: "nobody there"}
	}
	if ferry.Peer(ctx) == nil {
		return p.name + " inside", nil
	}
	return p.name + " outside", nil
}

// together exports in one application, whose extensions are returned.
func together(t *testing.T, registry string, options ...ferry.Option) (*ferry.Extensions, *ferry.Server) {
	x := ferry.Builtin()
	s := &ferry.Server{Registry: registry, Extensions: x, Options: options}
	require.NoError(t, s.ExportValue(service, peerNoter{"own"}))
	t.Cleanup(func() { require.NoError(t, s.Close(canceled())) })
	return x, s
}

func consumerWith(t *testing.T, x *ferry.Extensions, registry string, options ...ferry.Option) (*client, error) {
	c := &ferry.Client{Registry: registry, Extensions: x, Options: []ferry.Option{ferry.Timeout(patience)}}
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return fill(c, options...)
}

// TestCallsStayInTheProcess: who may call inside the process, and who does.
func TestCallsStayInTheProcess(t *testing.T) {
	for _, c := range []struct{ name, provider, consumer, want string }{
		{"by default", "", "", "own inside"},
		{"injvm=false", "", "injvm=false", "own outside"},
		{"scope=remote", "", "scope=remote", "own outside"},
		{"injvm=true", "", "injvm=true", "own inside"},
		{"scope=local", "", "scope=local", "own inside"},
		{"broadcast", "", "cluster=broadcast", "own outside"},
		{"the provider's scope=remote", "scope=remote", "", "own outside"},
		{"the provider's injvm=false", "injvm=false", "", "own outside"},
		{"the provider's scope=local", "scope=local", "", "own inside"},
		{"any group and version", "group=g&version=1.0", "group=*&version=*", "own inside"},
		{"one of several groups", "group=g", "group=f,g", "own inside"},
		{"with a token", "token=true", "", "own inside"},
		{"with failback", "", "cluster=failback", "own inside"},
		{"with forking", "", "cluster=forking", "own inside"},
	} {
		t.Run(c.name, func(t *testing.T) {
			reg := "memory://" + strings.NewReplacer("/", "-", "=", "-", "'", "").Replace(t.Name())
			x, _ := together(t, reg, options(c.provider)...)
			in, err := consumerWith(t, x, reg, options(c.consumer)...)
			require.NoError(t, err)
			got, err := in.Buy(context.Background(), "apple", 1)
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
	t.Run("strangers", func(t *testing.T) {
		export(t, "memory://strangers", "ann")
		_, _ = together(t, "memory://strangers2")
		in := refer(t, "memory://strangers")
		got, err := in.Buy(context.Background(), "apple", 1)
		require.NoError(t, err)
		require.Equal(t, "ann sold apple", got, "a client that shares nothing with a server is another application")
	})
	t.Run("another group", func(t *testing.T) {
		x, _ := together(t, "memory://another", ferry.Group("g"))
		_, err := consumerWith(t, x, "memory://another", ferry.Group("h"), ferry.Param("check.timeout", "50ms"))
		require.ErrorContains(t, err, "no provider")
	})
	t.Run("generic", func(t *testing.T) {
		x, _ := together(t, "memory://gen")
		cl := &ferry.Client{Registry: "memory://gen", Extensions: x}
		defer cl.Close()
		g, err := cl.Generic(service)
		require.NoError(t, err)
		got, err := g.Call(context.Background(), "buy", nil, "apple", int32(1))
		require.NoError(t, err)
		require.Equal(t, "own outside", got, "as in Dubbo")
	})
	t.Run("nowhere", func(t *testing.T) {
		x := ferry.Builtin()
		s := &ferry.Server{Registry: "memory://nowhere", Extensions: x, Options: options("scope=none")}
		require.NoError(t, s.ExportValue(service, peerNoter{"own"}))
		require.Empty(t, s.URLs())
		require.NoError(t, s.Close(canceled()))
	})
	for _, bad := range []string{"scope=lokal", "injvm=perhaps"} {
		c := ferry.NewClient("memory://bad-scope")
		_, err := fill(c, options(bad+"&check=false")...)
		require.Error(t, err, bad)
		require.NoError(t, c.Close())
	}
}

// TestProviderInTheProcessComesAndGoes: calls turn to the registry's providers and back under load, and none fails, whichever
// way the registry finds them.
func TestProviderInTheProcessComesAndGoes(t *testing.T) {
	t.Run("memory", func(t *testing.T) { comesAndGoes(t, "memory://"+t.Name()) })
	real.Both(t, func(t *testing.T, z zktest.Target) {
		for _, kind := range []string{"interface", "service", "all"} {
			t.Run("registry-type="+kind, func(t *testing.T) {
				comesAndGoes(t, "zookeeper://"+z.Addr()+"?cache=false&registry-type="+kind+"&group="+url.Encode(t.Name()))
			})
		}
	})
}

func comesAndGoes(t *testing.T, reg string) {
	export(t, reg, "ann", ferry.Param("application", "others"))
	x, own := together(t, reg, ferry.Param("application", "ours"))
	in, err := consumerWith(t, x, reg, ferry.Param("application", "ours"))
	require.NoError(t, err)
	is := func(want string) {
		t.Helper()
		require.Eventually(t, func() bool {
			got, err := in.Buy(context.Background(), "apple", 1)
			return err == nil && got == want
		}, patience, time.Millisecond, want)
	}
	is("own inside")
	require.Eventually(t, func() bool { return len(in.in.Directory().Snapshot().Targets) == 2 }, patience, time.Millisecond, "the others are known as well")
	stop := load(in, 4)
	require.NoError(t, own.Close(context.Background()))
	is("ann sold apple")
	again := &ferry.Server{Registry: reg, Extensions: x, Options: []ferry.Option{ferry.Param("application", "ours")}}
	require.NoError(t, again.ExportValue(service, peerNoter{"new"}))
	is("new inside")
	require.NoError(t, again.Close(context.Background()))
	is("ann sold apple")
	calls, err := stop()
	require.NoError(t, err, "of %d calls", calls)
}

// TestFiltersInTheProcess: all filters of both sides are around a call that stays inside.
func TestFiltersInTheProcess(t *testing.T) {
	x := ferry.Builtin()
	var cluster, reference, served atomic.Int64
	count := func(n *atomic.Int64) func(protocol.Invoker) protocol.Invoker {
		return func(next protocol.Invoker) protocol.Invoker {
			return protocol.InvokerFunc(func(ctx context.Context, c *protocol.Invocation) error { n.Add(1); return next.Invoke(ctx, c) })
		}
	}
	addFilter(t, &x.ClusterFilters, "cf", count(&cluster))
	addFilter(t, &x.ReferenceFilters, "rf", count(&reference))
	addFilter(t, &x.ServiceFilters, "sf", count(&served))
	reg := "memory://" + t.Name()
	s := &ferry.Server{Registry: reg, Extensions: x, Options: options("service.filter=sf&tps=2&tps.interval=3600000")}
	require.NoError(t, s.ExportValue(service, peerNoter{"own"}))
	defer s.Close(canceled())
	in, err := consumerWith(t, x, reg, options("filter=cf&reference.filter=rf")...)
	require.NoError(t, err)
	_, err = in.Buy(context.Background(), "apple", 1)
	require.NoError(t, err)
	require.Equal(t, []int64{1, 1, 1}, []int64{cluster.Load(), reference.Load(), served.Load()})

	// What the service answers is Executed, even when it is the error of a call of its own; what a filter refuses did not run.
	_, err = in.Buy(context.Background(), "own call failed", 1)
	require.Equal(t, protocol.Executed, protocol.OutcomeOf(err), "%v", err)
	_, err = in.Buy(context.Background(), "apple", 1)
	require.Equal(t, protocol.NotStarted, protocol.OutcomeOf(err), "%v", err)
	require.ErrorContains(t, err, "tps")
}

// TestOutcomesInTheProcess: the same table as over a network, as far as it applies.
func TestOutcomesInTheProcess(t *testing.T) {
	for _, f := range failings() {
		if f.how == "" || f.how == "cut" || f.call != nil || strings.Contains(f.params, "payload") {
			continue // these need bytes
		}
		t.Run(f.name, func(t *testing.T) {
			for _, m := range modes() {
				if m.name == "broadcast" || m.name == "forking" {
					continue // several providers
				}
				t.Run(m.name, func(t *testing.T) {
					b := &book{free: make(chan struct{})}
					x := ferry.Builtin()
					s := &ferry.Server{Extensions: x, Options: options(f.server + "&scope=local")}
					require.NoError(t, s.ExportValue(ledgerService, ledger{b, nil}))
					defer func() {
						close(b.free)
						ctx, cancel := context.WithTimeout(context.Background(), patience)
						defer cancel()
						require.NoError(t, s.Close(ctx))
					}()
					c := &ferry.Client{Extensions: x, Options: options("injvm=true&timeout=20s&" + f.params + "&" + m.params)}
					defer c.Close()
					ref, err := c.Refer(&protocol.Interface{Name: ledgerService})
					require.NoError(t, err)
					var in ledgerClient
					require.NoError(t, proxy.Fill(ref, ledgerService, &in))
					if f.name == "too many calls" {
						_, err = in.Do(context.Background(), "ok")
						require.NoError(t, err)
						b.ran.Store(0)
					}
					if f.name == "token missing" {
						return // a consumer in the process knows the token
					}
					err = callOnce(&in, f, m, b)
					if m.swallowed(f) {
						require.NoError(t, err)
						return
					}
					require.Equal(t, f.outcome, protocol.OutcomeOf(err), "%v", err)
					require.Equal(t, f.code, protocol.CodeOf(err), "%v", err)
					want := int64(0)
					if f.runs {
						want = m.attempts(f)
					}
					require.Eventually(t, func() bool { return b.ran.Load() >= want }, patience, time.Millisecond, "%v", err)
					require.Equal(t, want, b.ran.Load(), "%v", err)
				})
			}
		})
	}
}

func addFilter(t *testing.T, p *extension.Point[protocol.Filter], name string, f protocol.Filter) {
	require.NoError(t, p.Add(name, nil, func(extension.Env, *url.URL) (protocol.Filter, error) { return f, nil }))
}
