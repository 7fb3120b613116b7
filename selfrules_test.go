package ferry_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/internal/zk"
	"github.com/ferryrpc/ferry/internal/zktest"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/url"
)

// published is what a consumer that applies no rules itself finds in the registry for a provider.
func (w *town) published(who string) *url.URL {
	for _, u := range w.in.Directory().State().URLs {
		if u.Scheme() == "dubbo" && u.Address() == w.at[who] {
			return u
		}
	}
	return &url.URL{}
}

// TestProvidersApplyOverridesToThemselves: the entry in the registry is replaced by the changed one under load, within a
// second, and what protects the service stays.
func TestProvidersApplyOverridesToThemselves(t *testing.T) {
	everywhere(t, nil, func(t *testing.T, w *town) {
		var took []time.Duration
		becomes := func(key, want string, who ...string) {
			t.Helper()
			begun := time.Now()
			for _, name := range who {
				require.Eventually(t, func() bool { return w.published(name).Param(key) == want }, patience, time.Millisecond, "%s of %s is %q", key, name,
					w.published(name).Param(key))
			}
			took = append(took, time.Since(begun))
		}
		rule := func(item string) string {
			return "configVersion: v2.7\nscope: service\nkey: x\nconfigs:\n- side: provider\n" + item
		}
		// By text: all providers of the service.
		w.text(t, w.key("configurators"), rule("  parameters: {weight: 70, timeout: 20000, tps: 1000000, token: '', threads: 1, accesslog: /tmp/x, validation: 'false', buy.retries: 1}\n"))
		becomes("weight", "70", "ann", "bob", "eve")
		require.Equal(t, "20000", w.published("ann").Param("timeout"))
		require.Equal(t, "1", w.published("ann").Param("buy.retries"))
		for _, key := range []string{"token", "threads", "accesslog", "validation"} {
			_, there := w.published("ann").Lookup(key)
			require.False(t, there, key)
		}
		require.ElementsMatch(t, []string{"token", "threads", "accesslog", "validation"}, w.servers["ann"].Rules()[0].Refused)

		// A bad version is reported, and the one before it stays.
		for _, bad := range []string{"configs: [", rule("  parameters: {tps: lots}\n"), rule("  parameters: {disabled: perhaps}\n")} {
			w.text(t, w.key("configurators"), bad)
			require.Eventually(t, func() bool { return w.servers["ann"].Rules()[0].Err != nil }, patience, time.Millisecond, bad)
			require.True(t, w.servers["ann"].Rules()[0].InForce)
			require.Equal(t, "70", w.published("ann").Param("weight"))
			w.text(t, w.key("configurators"), rule("  parameters: {weight: 70}\n"))
			require.Eventually(t, func() bool { return w.servers["ann"].Rules()[0].Err == nil }, patience, time.Millisecond)
		}

		w.text(t, w.key("configurators"), "")
		becomes("weight", "", "ann", "bob", "eve")

		// By URL, for one provider; and back.
		off := w.rule(w.at["bob"], "override", "side=provider&weight=0")
		w.add(t, off)
		becomes("weight", "0", "bob")
		require.Empty(t, w.published("ann").Param("weight"))
		w.becomes(t, t.Context(), "apple", "ann")
		w.remove(t, off)
		becomes("weight", "", "bob")
		w.becomes(t, t.Context(), "apple", "ann", "bob")

		// For the application.
		w.text(t, "shop-"+w.group+".configurators", rule("  parameters: {warmup: 1}\n"))
		becomes("warmup", "1", "ann", "bob", "eve")
		w.text(t, "shop-"+w.group+".configurators", "")
		becomes("warmup", "", "ann", "bob", "eve")
		require.Eventually(t, func() bool {
			n := 0
			for _, u := range w.in.Directory().State().URLs {
				if u.Scheme() == "dubbo" {
					n++
				}
			}
			return n == 3
		}, patience, time.Millisecond, "old entries are gone")
		// From the rule to the consumer that applies none itself: most take a second at most, however busy the machine is now and then.
		slices.Sort(took)
		t.Logf("changes took %v", took)
		require.Less(t, took[(len(took)-1)/2], time.Second)
	})
}

// TestProviderLimitsByRule: a limit that a rule sets holds in the provider itself, also for consumers that know no rules.
func TestProviderLimitsByRule(t *testing.T) {
	x := ferry.Builtin()
	o := inMemory(t, x)
	s := &ferry.Server{Registry: "office://x", Extensions: x, Options: []ferry.Option{ferry.Param("application", "shop"), ferry.Param("scope", "remote")}}
	require.NoError(t, s.ExportValue(service, shop{"ann"}))
	defer s.Close(canceled())
	direct := refer(t, "", ferry.Direct("dubbo://"+s.URLs()[0].Address()), ferry.Cluster("failfast"))
	_, err := direct.Buy(context.Background(), "apple", 1)
	require.NoError(t, err)
	o.text(t, service+"::.configurators", "configs:\n- side: provider\n  parameters: {tps: 1, tps.interval: 3600000}\nconfigVersion: v2.7\n")
	require.Eventually(t, func() bool { _, err = direct.Buy(context.Background(), "apple", 1); return err != nil }, patience, time.Millisecond)
	require.Equal(t, protocol.NotStarted, protocol.OutcomeOf(err))
	require.ErrorContains(t, err, "tps")
	o.text(t, service+"::.configurators", "")
	require.Eventually(t, func() bool { _, err = direct.Buy(context.Background(), "apple", 1); return err == nil }, patience, time.Millisecond)
}

// TestOverridesAreThereWhenExportReturns: a provider that a rule keeps out of service never shows up in it.
func TestOverridesAreThereWhenExportReturns(t *testing.T) {
	run := func(t *testing.T, o office, registry string, x *ferry.Extensions) {
		o.text(t, service+"::.configurators", "configVersion: v2.7\nconfigs:\n- side: provider\n  parameters: {weight: 3}\n")
		s := &ferry.Server{Registry: registry, Extensions: x}
		defer s.Close(canceled())
		require.NoError(t, s.ExportValue(service, shop{"ann"}))
		require.Equal(t, "3", s.URLs()[0].Param("weight"))
	}
	t.Run("memory", func(t *testing.T) {
		x := ferry.Builtin()
		run(t, inMemory(t, x), "office://x", x)
	})
	real.Both(t, func(t *testing.T, z zktest.Target) {
		c, err := zk.Open(zk.Config{Addresses: []string{z.Addr()}})
		require.NoError(t, err)
		defer func() { require.NoError(t, c.Close()) }()
		run(t, zkOffice{c}, "zookeeper://"+z.Addr()+"?cache=false", nil)
	})
}

// TestSeveralRegistries: a service is published in all of them, and a call goes to the preferred one, to one of the
// caller's zone, or by weight, always to one that has a provider.
func TestSeveralRegistries(t *testing.T) {
	run := func(t *testing.T, east, west string) {
		start := func(name, where string) *ferry.Server {
			s := ferry.NewServer(where)
			require.NoError(t, s.ExportValue(service, shop{name}))
			t.Cleanup(func() { require.NoError(t, s.Close(canceled())) })
			return s
		}
		ann, bob := start("ann", east), start("bob", west)
		with := func(where, params string) string {
			if strings.Contains(where, "?") {
				return where + "&" + params
			}
			return where + "?" + params
		}
		consumer := func(list string, options ...ferry.Option) *client {
			c := ferry.NewClient(list, append(options, ferry.Timeout(patience))...)
			t.Cleanup(func() { require.NoError(t, c.Close()) })
			in, err := fill(c)
			require.NoError(t, err)
			for _, d := range in.in.Directories() {
				require.NoError(t, d.Ready(t.Context()))
			}
			return in
		}
		share := func(c *client, ctx context.Context) map[string]int {
			n := map[string]int{}
			for range 400 {
				got, err := c.Buy(ctx, "apple", 1)
				require.NoError(t, err)
				name, _, _ := strings.Cut(got, " ")
				n[name]++
			}
			return n
		}
		ctx := context.Background()
		require.Equal(t, map[string]int{"bob": 400}, share(consumer(east+";"+with(west, "preferred=true")), ctx))
		require.Equal(t, map[string]int{"ann": 400}, share(consumer(with(east, "zone=e")+";"+with(west, "zone=w"), ferry.Param("registry.zone", "e")), ctx))
		zoned := consumer(with(east, "zone=e") + " | " + with(west, "zone=w"))
		require.Equal(t, map[string]int{"bob": 400}, share(zoned, ferry.WithAttachment(ctx, "registry_zone", "w")))
		both := share(consumer(with(east, "weight=300")+";"+west), ctx)
		require.InDelta(t, 300, both["ann"], 60, "6.9 standard deviations")
		require.Equal(t, map[string]int{"ann": 400}, share(consumer(east+";"+with(west, "weight=0")), ctx))

		// One registry loses its last provider under load: the other one's take over without a failed call.
		c := consumer(with(east, "preferred=true") + ";" + west)
		stop := load(c, 4)
		served(t, c, "ann")
		require.NoError(t, ann.Close(ctx))
		served(t, c, "bob")
		calls, err := stop()
		require.NoError(t, err, "of %d calls", calls)
		forced := ferry.WithAttachment(ferry.WithAttachment(ctx, "registry_zone", "e"), "registry_zone_force", "true")
		_, err = zoned.Buy(forced, "apple", 1)
		require.ErrorContains(t, err, "no provider in zone e")
		require.Equal(t, protocol.NotSent, protocol.OutcomeOf(err))

		everywhere := start("eve", east+";"+west)
		require.Len(t, everywhere.URLs(), 1, "the same URL in both")
		require.NoError(t, bob.Close(ctx))
		served(t, c, "eve")
	}
	t.Run("memory", func(t *testing.T) { run(t, "memory://several-e", "memory://several-w") })
	real.Both(t, func(t *testing.T, z zktest.Target) {
		root := "zookeeper://" + z.Addr() + "?cache=false&group=" + strings.ReplaceAll(t.Name(), "/", "-")
		run(t, root+"-e", root+"-w")
	})
}

// TestMockWithSeveralRegistries: degradation works when no registry has a provider, and starts need only one of them.
func TestMockWithSeveralRegistries(t *testing.T) {
	list := "memory://" + t.Name() + "-1;memory://" + t.Name() + "-2"
	c := refer(t, list, ferry.Check(false), ferry.Param("mock", "return nobody is here"))
	got, err := c.Buy(context.Background(), "apple", 1)
	require.NoError(t, err)
	require.Equal(t, "nobody is here", got)
	forced := refer(t, list, ferry.Check(false), ferry.Param("mock", "force:return forced"))
	got, err = forced.Buy(context.Background(), "apple", 1)
	require.NoError(t, err)
	require.Equal(t, "forced", got)
	plain := refer(t, list, ferry.Check(false))
	_, err = plain.Buy(context.Background(), "apple", 1)
	require.ErrorContains(t, err, "no provider in any of the registries memory://")
	require.ErrorContains(t, err, "the registry", "what the last one said")
	export(t, "memory://"+t.Name()+"-2", "ann")
	_ = refer(t, list) // check=true finds one
	var calls atomic.Int64
	require.Eventually(t, func() bool { calls.Add(1); _, err := plain.Buy(context.Background(), "apple", 1); return err == nil }, patience, time.Millisecond)
}

func TestBadRegistryLists(t *testing.T) {
	for list, want := range map[string]string{
		"memory://a;memory://a": "named twice", "memory://a;nowhere": "want scheme", ";": "want scheme", "memory://a?zoone=x": `did you mean "zone"`,
		"memory://a;memory://b?weight=much": "weight",
	} {
		c := ferry.NewClient(list)
		_, err := fill(c, ferry.Check(false))
		require.ErrorContains(t, err, want, list)
		require.NoError(t, c.Close())
		s := ferry.NewServer(list)
		if err := s.ExportValue(service, shop{}); !strings.Contains(list, "weight") {
			require.ErrorContains(t, err, want, list)
		}
		require.NoError(t, s.Close(canceled()))
	}
	many := make([]string, 64)
	for i := range many {
		many[i] = fmt.Sprintf("memory://%d", i)
	}
	_, err := fill(ferry.NewClient(strings.Join(many, ";")))
	require.ErrorContains(t, err, "at most 63")
}
