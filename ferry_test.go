package ferry_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/internal/leak"
	"github.com/ferryrpc/ferry/internal/zktest"
	"github.com/ferryrpc/ferry/monitor"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/proxy"
)

var real zktest.Shared

func TestMain(m *testing.M) {
	if registry := os.Getenv("FERRY_TEST_PROVIDER"); registry != "" {
		if err := provideToParent(registry); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	real.Main(m, leak.Known()...)
}

const patience = 20 * time.Second

// shop is a service by reflection, with what generated code would have.
type shop struct{ name string }

// outOfStock is an error that keeps its type over the wire.
type outOfStock struct {
	Item string
	Left int32
}

func (e *outOfStock) Error() string       { return "out of stock: " + e.Item }
func (*outOfStock) JavaClassName() string { return "com.example.OutOfStock" }

func (s shop) Buy(ctx context.Context, item string, n int32) (string, error) {
	switch item {
	case "unicorn":
		return "", &outOfStock{item, 0}
	case "dragon":
		return "", errors.New("dragons are not for sale")
	case "bomb":
		panic("boom")
	case "huge":
		return strings.Repeat("x", 200<<10), nil
	case "slow":
		<-ctx.Done()
		return "", ctx.Err()
	case "echo":
		a := ferry.Attachments(ctx)
		ferry.ReplyAttachment(ctx, "served-by", s.name)
		return a.Value("trace"), nil
	}
	return s.name + " sold " + item, nil
}

// client is the other side of shop.
type client struct {
	Buy func(ctx context.Context, item string, n int32) (string, error)
	in  *ferry.Reference
}

const service = "com.example.Shop"

func export(t *testing.T, registry, name string, options ...ferry.Option) *ferry.Server {
	t.Helper()
	s := ferry.NewServer(registry, options...)
	require.NoError(t, s.Types().Add("com.example.OutOfStock", &outOfStock{}))
	require.NoError(t, s.ExportValue(service, shop{name}))
	t.Cleanup(func() { require.NoError(t, s.Close(canceled())) })
	return s
}

func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func refer(t *testing.T, registry string, options ...ferry.Option) *client {
	t.Helper()
	c := ferry.NewClient(registry, ferry.Param("cache", "false"))
	if !strings.HasPrefix(registry, "zookeeper") {
		c.Options = nil
	}
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	require.NoError(t, c.Types().Add("com.example.OutOfStock", &outOfStock{}))
	out, err := fill(c, options...)
	require.NoError(t, err)
	return out
}

func fill(c *ferry.Client, options ...ferry.Option) (*client, error) {
	i := &protocol.Interface{Name: service}
	ref, err := c.Refer(i, options...)
	if err != nil {
		return nil, err
	}
	out := &client{in: ref}
	return out, proxy.Fill(ref, service, out)
}

// TestCallThroughEachRegistry is the first call: proxy, cluster, balancer, protocol, exchange, transport and back.
func TestCallThroughEachRegistry(t *testing.T) {
	run := func(t *testing.T, registry string) {
		for _, transport := range []string{"net", "gnet"} {
			t.Run(transport, func(t *testing.T) {
				group := ferry.Group(strings.ReplaceAll(t.Name(), "/", "-"))
				s := export(t, registry, "ann", group, ferry.Param("transport", transport))
				require.Len(t, s.URLs(), 1)
				c := refer(t, registry, group)
				got, err := c.Buy(context.Background(), "apple", 1)
				require.NoError(t, err)
				require.Equal(t, "ann sold apple", got)
			})
		}
	}
	t.Run("memory", func(t *testing.T) { run(t, "memory://first-call") })
	real.Both(t, func(t *testing.T, z zktest.Target) { run(t, "zookeeper://"+z.Addr()+"?cache=false") })
}

func TestErrorsKeepTheirTypeAndText(t *testing.T) {
	for _, format := range []string{"hessian2", "msgpack", "json"} {
		t.Run(format, func(t *testing.T) {
			export(t, "memory://"+t.Name(), "ann", ferry.Serialization(format))
			c := refer(t, "memory://"+t.Name())
			_, err := c.Buy(context.Background(), "dragon", 1)
			var e *ferry.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, protocol.Application, e.Code)
			require.Equal(t, protocol.Executed, e.Outcome)
			require.Equal(t, "java.lang.RuntimeException", e.Class)
			require.Equal(t, "dragons are not for sale", e.Message)
			_, err = c.Buy(context.Background(), "unicorn", 1)
			var typed *outOfStock
			require.ErrorAs(t, err, &typed)
			require.Equal(t, "unicorn", typed.Item)
			_, err = c.Buy(context.Background(), "bomb", 1)
			require.ErrorContains(t, err, "panic")
			require.NotContains(t, err.Error(), ".go:", "no stack crosses the wire")
			got, err := c.Buy(context.Background(), "apple", 1)
			require.NoError(t, err)
			require.Equal(t, "ann sold apple", got)
		})
	}
}

func TestAttachmentsTravelBothWays(t *testing.T) {
	export(t, "memory://"+t.Name(), "ann")
	c := refer(t, "memory://"+t.Name())
	got, err := c.Buy(ferry.WithAttachment(context.Background(), "trace", "t-1"), "echo", 1)
	require.NoError(t, err)
	require.Equal(t, "t-1", got)
	inv := newCall("echo")
	require.NoError(t, c.in.Invoke(context.Background(), inv))
	require.Equal(t, "ann", inv.ReplyAttachments.Value("served-by"))
	_, err = c.Buy(ferry.WithAttachment(context.Background(), "token", "stolen"), "echo", 1)
	require.ErrorContains(t, err, "token")
}

func newCall(item string) *protocol.Invocation {
	i, err := proxy.Reflect(service, shop{})
	if err != nil {
		return nil
	}
	c := i.Methods[0].New()
	*c.Args.At(0).(*string) = item
	return c
}

func TestTimeoutsEndOnTimeWithTheirOutcome(t *testing.T) {
	export(t, "memory://"+t.Name(), "ann")
	c := refer(t, "memory://"+t.Name(), ferry.Timeout(60*time.Millisecond))
	start := time.Now()
	_, err := c.Buy(context.Background(), "slow", 1)
	require.Less(t, time.Since(start), 5*time.Second)
	var e *ferry.Error
	require.ErrorAs(t, err, &e)
	require.NotEqual(t, protocol.NotSent, e.Outcome)
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Millisecond)
	defer cancel()
	_, err = c.Buy(ctx, "slow", 1)
	require.Error(t, err)
	got, err := c.Buy(context.Background(), "apple", 1)
	require.NoError(t, err)
	require.Equal(t, "ann sold apple", got)
}

func TestGenericCallsByName(t *testing.T) {
	export(t, "memory://"+t.Name(), "ann")
	c := ferry.NewClient("memory://" + t.Name())
	defer c.Close()
	g, err := c.Generic(service)
	require.NoError(t, err)
	got, err := g.Call(context.Background(), "buy", []string{"java.lang.String", "int"}, "apple", int32(1))
	require.NoError(t, err)
	require.Equal(t, "ann sold apple", got)
	got, err = g.Call(context.Background(), "buy", nil, "pear", int32(1))
	require.NoError(t, err)
	require.Equal(t, "ann sold pear", got)
	_, err = g.Call(context.Background(), "steal", nil)
	require.ErrorContains(t, err, `no method "steal"`)
}

func TestDirectAndInproc(t *testing.T) {
	s := export(t, "", "ann")
	c := refer(t, "", ferry.Direct("dubbo://"+s.URLs()[0].Address()))
	got, err := c.Buy(context.Background(), "apple", 1)
	require.NoError(t, err)
	require.Equal(t, "ann sold apple", got)

	x := ferry.Builtin()
	local := &ferry.Server{Extensions: x, Options: []ferry.Option{ferry.Param("protocol", "inproc")}}
	require.NoError(t, local.ExportValue(service, shop{"bob"}))
	defer local.Close(context.Background())
	lc := &ferry.Client{Extensions: x}
	defer lc.Close()
	in, err := fill(lc, ferry.Direct("inproc://127.0.0.1"))
	require.NoError(t, err)
	got, err = in.Buy(context.Background(), "apple", 1)
	require.NoError(t, err)
	require.Equal(t, "bob sold apple", got)
}

func TestProxyParameterChoosesGenericCalls(t *testing.T) {
	export(t, "memory://"+t.Name(), "ann")
	c := refer(t, "memory://"+t.Name(), ferry.Param("proxy", "generic"))
	got, err := c.Buy(context.Background(), "apple", 1)
	require.NoError(t, err)
	require.Equal(t, "ann sold apple", got)
	_, err = c.Buy(context.Background(), "dragon", 1)
	require.ErrorContains(t, err, "dragons are not for sale")
	require.ErrorContains(t, err, "$invoke", "the call went as a generic one")
	cl := ferry.NewClient("memory://" + t.Name())
	defer cl.Close()
	_, err = fill(cl, ferry.Param("proxy", "generik"))
	require.ErrorContains(t, err, `"generic"`)
}

// collector is a Monitor that keeps the last report.
type collector struct{ reports chan []monitor.Sample }

func (c collector) Collect(_ context.Context, samples []monitor.Sample) error {
	c.reports <- samples
	return nil
}

func TestMonitorGetsReports(t *testing.T) {
	export(t, "memory://"+t.Name(), "ann")
	reports := make(chan []monitor.Sample, 100)
	c := ferry.NewClient("memory://"+t.Name(), ferry.Param("monitor.interval", "1h"))
	c.Reports = collector{reports}
	in, err := fill(c)
	require.NoError(t, err)
	for range 3 {
		_, err = in.Buy(context.Background(), "apple", 1)
		require.NoError(t, err)
	}
	require.Contains(t, c.Monitor().String(), "buy")
	require.NoError(t, c.Close())
	last := <-reports
	require.Len(t, last, 1)
	require.EqualValues(t, 3, last[0].Calls)
	require.Equal(t, service, last[0].Service)
}

func TestPublishedURLIsDubbos(t *testing.T) {
	s := ferry.NewServer("memory://"+t.Name(), ferry.Param("timeout", "800ms"), ferry.Param("threads", "7"), ferry.Version("1.0.0"),
		ferry.Param("buy.timeout", "2s"), ferry.Param("application", "shop"))
	require.NoError(t, s.ExportValue(service, shop{}))
	defer s.Close(canceled())
	u := s.URLs()[0]
	require.Equal(t, "dubbo", u.Scheme())
	require.Equal(t, service, u.Path())
	require.NotZero(t, u.Port())
	for key, want := range map[string]string{"timeout": "800", "buy.timeout": "2000", "interface": service, "side": "provider", "generic": "false",
		"dubbo": "2.0.2", "methods": "buy", "version": "1.0.0", "application": "shop"} {
		require.Equal(t, want, u.Param(key), key)
	}
	for _, key := range []string{"threads", "group", "port", "host", "register"} {
		_, there := u.Lookup(key)
		require.False(t, there, key)
	}
}

func TestHostRule(t *testing.T) {
	t.Setenv("FERRY_HOST", "192.0.2.7")
	s := ferry.NewServer("memory://" + t.Name())
	require.NoError(t, s.ExportValue(service, shop{}))
	defer s.Close(canceled())
	require.Equal(t, "192.0.2.7", s.URLs()[0].Host())
	named := ferry.NewServer("memory://"+t.Name()+"2", ferry.Host("127.0.0.1"))
	require.NoError(t, named.ExportValue(service, shop{}))
	defer named.Close(canceled())
	require.Equal(t, "127.0.0.1", named.URLs()[0].Host(), "the parameter wins")
}

// TestGenericCallsHaveTheirMethodsParameters: a generic call of buy is made with buy.timeout, buy.retries and buy.mock.
func TestGenericCallsHaveTheirMethodsParameters(t *testing.T) {
	export(t, "memory://"+t.Name(), "ann")
	c := ferry.NewClient("memory://"+t.Name(), ferry.Param("timeout", "60s"), ferry.Param("buy.timeout", "30ms"))
	defer c.Close()
	g, err := c.Generic(service)
	require.NoError(t, err)
	_, err = g.Call(context.Background(), "buy", nil, "slow", int32(1))
	require.Equal(t, protocol.Timeout, protocol.CodeOf(err), "%v", err)
	got, err := g.Call(context.Background(), "buy", nil, "apple", int32(1))
	require.NoError(t, err)
	require.Equal(t, "ann sold apple", got)
	require.Contains(t, c.Monitor().String(), "buy", "counted under its own name")

	typed, err := fill(c, ferry.Param("proxy", "generic"))
	require.NoError(t, err)
	_, err = typed.Buy(context.Background(), "slow", 1)
	require.Equal(t, protocol.Timeout, protocol.CodeOf(err), "%v", err)
}
