package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/loadbalance"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/serialize"
	"github.com/ferryrpc/ferry/url"
	"github.com/ferryrpc/ferry/zkembed"

	"example.com/extension/audit"
	"example.com/extension/nearest"
	"example.com/extension/shop"
	"example.com/extension/tsv"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, // gnet's worker pool starts these with the program
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).purgeStaleWorkers"),
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).ticktock"))
}

func TestProgram(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(&out))
	for _, line := range []string{"with both providers there: berlin sold 6 of 6\n", "without the one in Berlin: hangzhou sold 6 of 6\n",
		"unicorns are not for sale", "outcome: executed", `unknown parameter "zonne", did you mean "zone"?`, "audit on both sides: 13 calls, 1 failed"} {
		require.Contains(t, out.String(), line)
	}
}

// TestGeneratedCodeIsCurrent generates the code of the service again, in a copy of its folder.
func TestGeneratedCodeIsCurrent(t *testing.T) {
	const file = "shop_ferry.go"
	dir, err := os.MkdirTemp(".", "generated")
	require.NoError(t, err)
	defer os.RemoveAll(dir)
	source, err := os.ReadFile(filepath.Join("shop", "shop.go"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "shop.go"), source, 0o644))
	gen := exec.Command("go", "run", "./cmd/ferry", "gen", "./examples/extension/"+dir)
	gen.Dir = filepath.Join("..", "..")
	text, err := gen.CombinedOutput()
	require.NoError(t, err, "%s", text)
	want, err := os.ReadFile(filepath.Join(dir, file))
	require.NoError(t, err)
	got, err := os.ReadFile(filepath.Join("shop", file))
	require.NoError(t, err)
	require.Equal(t, string(want), string(got), "run go run ./cmd/ferry gen ./examples/extension/shop")
}

// set returns the extensions of this module with a log of their own.
func set(t *testing.T) (*ferry.Extensions, *audit.Log) {
	t.Helper()
	log := new(audit.Log)
	x, err := extensions(log)
	require.NoError(t, err)
	return x, log
}

// counter is a service that shows what reaches it.
type counter struct{ name string }

func (c counter) Quote(_ context.Context, item string, n int32) (float64, error) {
	if item == "unicorn" {
		return 0, errors.New("a\ttab")
	}
	return float64(n) / 2, nil
}

func (c counter) Buy(ctx context.Context, item string, _ int32) (string, error) {
	switch item {
	case "trace":
		ferry.ReplyAttachment(ctx, "seller", c.name)
		return ferry.Attachments(ctx).Value("trace"), nil
	case "peer":
		return ferry.Peer(ctx).String(), nil
	}
	return c.name, nil
}

func export(t *testing.T, registry string, x *ferry.Extensions, name string, options ...ferry.Option) *ferry.Server {
	t.Helper()
	s := ferry.NewServer(registry, options...)
	s.Extensions = x
	require.NoError(t, shop.ExportShop(s, counter{name}))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		require.NoError(t, s.Close(ctx))
	})
	return s
}

func client(t *testing.T, registry string, x *ferry.Extensions) *ferry.Client {
	t.Helper()
	c := ferry.NewClient(registry, ferry.Param("scope", "remote")) // a server with the same extensions is in this process
	c.Extensions = x
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

// TestEveryCombination sends calls through each registry, protocol and format, foreign ones and Ferry's.
func TestEveryCombination(t *testing.T) {
	zk, err := zkembed.Start(zkembed.Options{})
	require.NoError(t, err)
	defer zk.Close()
	for _, registry := range []string{"memory://combinations?", "zookeeper://" + zk.Addr() + "?cache=false&"} {
		for _, protocol := range []string{"post", "dubbo"} {
			for _, format := range []string{"tsv", "hessian2", "json"} {
				scheme, _, _ := strings.Cut(registry, ":")
				t.Run(scheme+" "+protocol+" "+format, func(t *testing.T) {
					registry := strings.TrimRight(registry, "?&")
					x, served := set(t)
					own := []ferry.Option{ferry.Group(strings.ReplaceAll(t.Name(), "/", "-")), ferry.Version("1.2")}
					export(t, registry, x, "ann", append(own, ferry.Param("protocol", protocol), ferry.Serialization(format),
						ferry.Param("service.filter", "audit"), ferry.Param("token", "true"), ferry.Param("zone", "a&b=ü"))...)
					y, called := set(t)
					c := client(t, registry, y)
					ref, err := c.Refer(shop.ShopService, append(own, ferry.LoadBalance("nearest"), ferry.Param("filter", "audit"))...)
					require.NoError(t, err)
					everything(t, ref)
					for _, log := range []*audit.Log{served, called} {
						calls, failed := log.Counts()
						require.Equal(t, []int{4, 1}, []int{calls, failed})
					}
					require.Contains(t, served.Records()[0].Peer, "127.0.0.1:")
				})
			}
		}
	}
}

// everything makes four calls: a reply, an error, attachments both ways, the caller's address.
func everything(t *testing.T, ref *ferry.Reference) {
	t.Helper()
	ctx := t.Context()
	s := shop.NewShop(ref)
	price, err := s.Quote(ctx, "bolt", 3)
	require.NoError(t, err)
	require.Equal(t, 1.5, price)
	_, err = s.Quote(ctx, "unicorn", 1)
	var e *ferry.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, "a\ttab", e.Message)
	require.Equal(t, protocol.Executed, e.Outcome)
	buy := shop.ShopService.FindMethod("buy", nil).New()
	*buy.Args.At(0).(*string) = "trace"
	require.NoError(t, ref.Invoke(ferry.WithAttachment(ctx, "trace", "t 1\n2"), buy))
	require.Equal(t, "t 1\n2", *buy.Reply.At(0).(*string))
	require.Equal(t, "ann", buy.ReplyAttachments.Value("seller"))
	peer, err := s.Buy(ctx, "peer", 1)
	require.NoError(t, err)
	require.Contains(t, peer, "127.0.0.1:")
}

// TestNames: what a third party adds is checked and suggested like what comes with Ferry.
func TestNames(t *testing.T) {
	const registry = "memory://names"
	x, _ := set(t)
	export(t, registry, x, "ann", ferry.Param("zone", "berlin"))
	c := client(t, registry, x)
	for name, o := range map[string]struct {
		option ferry.Option
		want   string
	}{
		"parameter":          {ferry.Param("zonne", "berlin"), `unknown parameter "zonne", did you mean "zone"?`},
		"dotted parameter":   {ferry.Param("audit.kep", "5"), `"audit.keep"`},
		"balancer":           {ferry.LoadBalance("neerest"), `"nearest"`},
		"method's balancer":  {ferry.Param("buy.loadbalance", "neerest"), `"nearest"`},
		"format":             {ferry.Serialization("tvs"), `"tsv"`},
		"filter":             {ferry.Param("filter", "audti"), `"audit"`},
		"method's parameter": {ferry.Param("by.zone", "berlin"), `unknown method "by", did you mean "buy"?`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := shop.ReferShop(c, o.option)
			require.ErrorContains(t, err, o.want)
			require.NotContains(t, err.Error(), "\n")
		})
	}
	s := ferry.NewServer("", ferry.Param("protocol", "pots"))
	s.Extensions = x
	require.ErrorContains(t, shop.ExportShop(s, counter{}), `"post"`)
	s.Options = []ferry.Option{ferry.Param("service.filter", "audit"), ferry.Param("audit.keep", "-1")}
	require.ErrorContains(t, shop.ExportShop(s, counter{}), "filter audit: audit.keep=-1")
	require.NoError(t, s.Close(t.Context()))

	for _, good := range []ferry.Option{ferry.Param("buy.zone", "hangzhou"), ferry.Param("buy.loadbalance", "nearest"),
		ferry.Param("prefer.serialization", "tsv,hessian2"), ferry.Param("audit.keep", "5")} {
		_, err := shop.ReferShop(c, good)
		require.NoError(t, err)
	}
	names := map[string]bool{}
	for _, p := range x.Parameters() {
		names[p.Name] = true
	}
	require.True(t, names["zone"] && names["audit.keep"] && names["post.probe"], "they are in the table of parameters")
}

// TestTwoSetsDoNotDisturbEachOther: in one process two programs may mean different things by one name, and a third knows
// none of them.
func TestTwoSetsDoNotDisturbEachOther(t *testing.T) {
	const registry, rounds = "memory://two", 50
	x, xlog := set(t)
	y, ylog := set(t)
	for zone, s := range map[string]*ferry.Extensions{"x": x, "y": y} {
		require.NoError(t, s.Balancers.Add("mine", nearest.Params{}, only(zone)))
		require.ErrorContains(t, s.Balancers.Add("mine", nil, nil), "already")
		export(t, registry, s, zone, ferry.Param("zone", zone), ferry.Param("protocol", "post"), ferry.Serialization("tsv"))
	}
	var wg sync.WaitGroup
	for zone, s := range map[string]*ferry.Extensions{"x": x, "y": y} {
		ref, err := client(t, registry, s).Refer(shop.ShopService, ferry.LoadBalance("mine"), ferry.Param("filter", "audit"))
		require.NoError(t, err)
		require.NoError(t, connected(t.Context(), ref, 2))
		wg.Go(func() {
			for range rounds {
				sold, err := shop.NewShop(ref).Buy(t.Context(), "bolt", 1)
				if err != nil || sold != zone {
					t.Errorf("%s sold, %v", sold, err)
				}
			}
		})
	}
	wg.Wait()
	for _, log := range []*audit.Log{xlog, ylog} {
		calls, failed := log.Counts()
		require.Equal(t, []int{rounds, 0}, []int{calls, failed})
	}

	plain := client(t, registry, nil)
	_, err := shop.ReferShop(plain, ferry.LoadBalance("mine"))
	require.ErrorContains(t, err, `unknown value "mine"`)
	_, err = shop.ReferShop(plain, ferry.Param("zone", "x"))
	require.ErrorContains(t, err, `unknown parameter "zone"`)
	_, err = shop.ReferShop(plain, ferry.Param("check.timeout", "100"))
	require.ErrorContains(t, err, `no protocol is called "post"`)
}

// only is a balancer that knows one zone.
func only(zone string) func(extension.Env, *url.URL) (loadbalance.Balancer, error) {
	return func(extension.Env, *url.URL) (loadbalance.Balancer, error) { return one(zone), nil }
}

type one string

func (o one) Prepare(_ *protocol.Method, targets []*loadbalance.Target) loadbalance.Picker {
	for _, t := range targets {
		if t.Published.Param("zone") == string(o) {
			return fixed{t}
		}
	}
	return fixed{}
}

type fixed struct{ target *loadbalance.Target }

func (f fixed) Pick(_ *protocol.Invocation, tried loadbalance.Tried) *loadbalance.Target {
	if tried.Has(f.target) {
		return nil
	}
	return f.target
}

// foreign is a format with an id of its own choice.
type foreign struct {
	tsv.Serializer
	id byte
}

// ID implements serialize.Serializer.
func (f foreign) ID() byte { return f.id }

// TestFormatIDs: frames know formats by five bits, so a set in which they clash is refused before anything goes wrong.
func TestFormatIDs(t *testing.T) {
	for id, want := range map[byte]string{tsv.ID: "serializations foreign and tsv have the same id 29", 32: "serialization foreign has the id 32"} {
		x, _ := set(t)
		require.NoError(t, x.Serializers.Add("foreign", nil, func(extension.Env, *url.URL) (serialize.Serializer, error) {
			return foreign{id: id}, nil
		}))
		s := &ferry.Server{Extensions: x}
		require.ErrorContains(t, shop.ExportShop(s, counter{}), want)
		require.NoError(t, s.Close(t.Context()))
		_, err := shop.ReferShop(client(t, "memory://ids", x))
		require.ErrorContains(t, err, want)
	}
}

func TestNearestSpreadsWithoutAZoneAndFallsBackWithin(t *testing.T) {
	const registry, calls = "memory://zones", 60
	x, _ := set(t)
	for _, zone := range []string{"a", "a", "b"} {
		export(t, registry, x, zone, ferry.Param("zone", zone), ferry.Param("warmup", "0"))
	}
	for zone, want := range map[string][]string{"a": {"a"}, "b": {"b"}, "": {"a", "b"}, "c": {"a", "b"}} {
		t.Run("zone "+zone, func(t *testing.T) {
			options := []ferry.Option{ferry.LoadBalance("nearest")}
			if zone != "" {
				options = append(options, ferry.Param("zone", zone))
			}
			ref, err := client(t, registry, x).Refer(shop.ShopService, options...)
			require.NoError(t, err)
			require.NoError(t, connected(t.Context(), ref, 3))
			sold := map[string]int{}
			for range calls {
				s, err := shop.NewShop(ref).Buy(t.Context(), "bolt", 1)
				require.NoError(t, err)
				sold[s]++
			}
			require.Len(t, sold, len(want), fmt.Sprint(sold))
			for _, s := range want {
				require.Positive(t, sold[s])
			}
		})
	}
}

func TestAuditForgetsWhatIsTooOld(t *testing.T) {
	log := new(audit.Log)
	f, err := log.New(extension.Env{}, url.MustParse("dubbo://h:1/s?audit.keep=2"))
	require.NoError(t, err)
	refuse := f(protocol.InvokerFunc(func(context.Context, *protocol.Invocation) error {
		return &protocol.Error{Outcome: protocol.NotStarted}
	}))
	for _, name := range []string{"a", "b", "c"} {
		require.Error(t, refuse.Invoke(t.Context(), &protocol.Invocation{Method: &protocol.Method{Name: name}}))
	}
	require.Equal(t, []audit.Record{{Method: "b", Outcome: "not started"}, {Method: "c", Outcome: "not started"}}, log.Records())
	calls, failed := log.Counts()
	require.Equal(t, []int{3, 3}, []int{calls, failed})
}
