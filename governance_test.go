package ferry_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/examples/greeter"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/proxy"
	"github.com/ferryrpc/ferry/url"
)

func TestOverridesTakeEffectUnderLoad(t *testing.T) {
	everywhere(t, nil, func(t *testing.T, w *town) {
		ctx := t.Context()
		w.becomes(t, ctx, "apple", "ann", "bob") // eve has a tag

		// The weight of one provider, by YAML for the service.
		weight := func(n int) string {
			return fmt.Sprintf("configVersion: v2.7\nscope: service\nkey: %s/%s\nenabled: true\nconfigs:\n- side: consumer\n  addresses: [0.0.0.0]\n"+
				"  providerAddresses: [\"%s\"]\n  parameters: {weight: %d}\n", w.group, service, w.at["ann"], n)
		}
		w.text(t, w.key("configurators"), weight(0))
		w.becomes(t, ctx, "apple", "bob")
		w.text(t, w.key("configurators"), weight(100))
		w.becomes(t, ctx, "apple", "ann", "bob")

		// A bad version is reported, and the one before it stays.
		w.text(t, w.key("configurators"), weight(0))
		w.becomes(t, ctx, "apple", "bob")
		for _, bad := range []string{"configs: [", "a: &a [1]\nb: *a", strings.Replace(weight(1), "weight: 1", "timeout: soon", 1),
			strings.Replace(weight(1), "weight: 1", "loadbalance: nearest", 1), strings.Replace(weight(1), "weight: 1", "mock: 'return {'", 1),
			strings.Replace(weight(1), "weight: 1", "buy.retries: two", 1), strings.Repeat("#", 70<<10)} {
			w.text(t, w.key("configurators"), bad)
			require.Eventually(t, func() bool { return w.ruleState(w.key("configurators")).Err != nil }, patience, time.Millisecond, bad)
			require.True(t, w.ruleState(w.key("configurators")).InForce)
			require.Equal(t, []string{"bob"}, w.served(ctx, "apple"))
			w.text(t, w.key("configurators"), weight(0))
			require.Eventually(t, func() bool { return w.ruleState(w.key("configurators")).Err == nil }, patience, time.Millisecond)
		}
		w.text(t, w.key("configurators"), "")
		w.becomes(t, ctx, "apple", "ann", "bob")

		// A provider that is taken out, by a URL.
		off := w.rule(w.at["bob"], "override", "disabled=true")
		w.add(t, off)
		w.becomes(t, ctx, "apple", "ann")
		w.remove(t, off)
		w.becomes(t, ctx, "apple", "ann", "bob")

		// Parameters that keep calls safe cannot be set; the rest of the rule counts.
		w.text(t, w.app+".configurators", fmt.Sprintf("scope: application\nconfigs:\n- side: consumer\n  services: [\"%s\"]\n"+
			"  parameters: {token: stolen, serialization: msgpack, cluster: failover, buy.retries: 1}\n", w.group+"/"+service))
		require.Eventually(t, func() bool {
			u := w.in.Directory().Snapshot().Targets[0].Ref.URL()
			return u.Param("buy.retries") == "1" && u.Param("token") == "" && u.Param("serialization") == ""
		}, patience, time.Millisecond)
		require.ElementsMatch(t, []string{"token", "serialization"}, w.ruleState(w.app).Refused)
		w.becomes(t, ctx, "apple", "ann", "bob")
		w.text(t, w.app+".configurators", "")
	})
}

func TestMockSwitchedAtRunTime(t *testing.T) {
	everywhere(t, nil, func(t *testing.T, w *town) {
		ctx := t.Context()
		mocked := func(value string) string {
			return "configVersion: v2.7\nscope: service\nkey: x\nconfigs:\n- side: consumer\n  parameters: {mock: '" + value + "'}\n"
		}
		refs := w.in.Directory().Snapshot().Targets
		w.text(t, w.key("configurators"), mocked("force:return mocked by rule"))
		w.becomes(t, ctx, "apple", "mocked")
		w.text(t, w.key("configurators"), mocked("false"))
		w.becomes(t, ctx, "apple", "ann", "bob")
		w.text(t, w.key("configurators"), "")
		require.Equal(t, refs, w.in.Directory().Snapshot().Targets, "a mock needs no new connections")

		// By a URL, encoded twice as Dubbo does it, for one method.
		on := w.rule("0.0.0.0", "override", "buy.mock=force%3Areturn+double")
		w.add(t, on)
		w.becomes(t, ctx, "apple", "double")
		bad := w.rule("0.0.0.0", "override", "buy.mock=force%3Areturn+%7B") // a worse version of the same entry
		w.add(t, bad)
		w.remove(t, on)
		require.Eventually(t, func() bool { s := w.ruleState(bad); return s.Err != nil && s.InForce && len(w.in.Rules()) == 1 }, patience, time.Millisecond)
		require.Equal(t, []string{"double"}, w.served(ctx, "apple"))
		w.remove(t, bad)
		w.becomes(t, ctx, "apple", "ann", "bob")
	})
}

func TestConditionRoutes(t *testing.T) {
	everywhere(t, nil, func(t *testing.T, w *town) {
		ctx := t.Context()
		rules := func(force bool, lines ...string) string {
			return fmt.Sprintf("scope: service\nforce: %v\nruntime: true\nenabled: true\nkey: x\nconditions:\n- \"%s\"\n", force, strings.Join(lines, "\"\n- \""))
		}
		w.text(t, w.key("condition-router"), rules(false, "host = 127.0.0.* => host = 127.0.0.2"))
		w.becomes(t, ctx, "apple", "ann")
		w.text(t, w.key("condition-router"), rules(false, "method = sell => host = 127.0.0.2", "method = b*y => host = 127.0.0.3"))
		w.becomes(t, ctx, "apple", "bob")
		w.text(t, w.key("condition-router"), rules(true, "arguments[0] = apple & arguments[1]=1~5 => host = 127.0.0.2", "arguments[0]=fig => host=127.0.0.3",
			"arguments[0]=plum => false", "attachments[who]=me => address=$wanted"))
		w.becomes(t, ctx, "apple", "ann")
		w.becomes(t, ctx, "fig", "bob")
		w.becomes(t, ctx, "kiwi", "ann", "bob")
		_, err := w.Buy(ctx, "plum", 1)
		require.ErrorContains(t, err, "router condition removed")
		require.Equal(t, protocol.NotSent, protocol.OutcomeOf(err))
		_, err = w.Buy(ferry.WithAttachment(ctx, "who", "me"), "kiwi", 1)
		require.Error(t, err, "the consumer has no parameter called wanted, and the rule is forced")

		// A bad version changes nothing.
		w.text(t, w.key("condition-router"), rules(true, "host = => ,"))
		require.Eventually(t, func() bool { return w.ruleState(w.key("condition-router")).Err != nil }, patience, time.Millisecond)
		require.Equal(t, []string{"bob"}, w.served(ctx, "fig"))
		w.text(t, w.key("condition-router"), "")
		w.becomes(t, ctx, "apple", "ann", "bob")

		// A rule that leaves nobody is passed over unless it is forced; the application's, and one in the lists.
		w.text(t, w.app+".condition-router", rules(false, "=> host = 10.9.9.9"))
		require.Eventually(t, func() bool { return w.ruleState(w.app + ".condition").InForce }, patience, time.Millisecond)
		require.Equal(t, []string{"ann", "bob"}, w.served(ctx, "apple"))
		w.text(t, w.app+".condition-router", rules(false, "application = "+w.app+" => host != 127.0.0.2"))
		w.becomes(t, ctx, "apple", "bob")
		w.text(t, w.app+".condition-router", "")
		w.becomes(t, ctx, "apple", "ann", "bob")

		// All places together: each narrows what the one before it left.
		first := w.rule("0.0.0.0", "condition", "rule="+url.Encode("=> host = 127.0.0.*"))
		w.add(t, first)
		w.text(t, w.app+".condition-router", rules(false, "=> host != 127.0.0.9"))
		w.text(t, w.key("condition-router"), rules(false, "=> host = 127.0.0.3"))
		w.becomes(t, ctx, "apple", "bob")
		w.remove(t, first)
		w.text(t, w.app+".condition-router", "")
		w.text(t, w.key("condition-router"), "")
		w.becomes(t, ctx, "apple", "ann", "bob")
		route := w.rule("0.0.0.0", "route", "router=condition&force=true&priority=2&rule="+url.Encode("=> address = "+w.at["ann"]))
		w.add(t, route)
		w.becomes(t, ctx, "apple", "ann")
		script := w.rule("0.0.0.0", "route", "router=script&rule=x")
		w.add(t, script)
		require.Eventually(t, func() bool { return w.ruleState(script).Err != nil }, patience, time.Millisecond)
		w.remove(t, route)
		w.becomes(t, ctx, "apple", "ann", "bob")
		w.remove(t, script)
	})
}

func TestTagRoutes(t *testing.T) {
	everywhere(t, nil, func(t *testing.T, w *town) {
		ctx := t.Context()
		gray := ferry.WithAttachment(ctx, "dubbo.tag", "gray")
		blue := ferry.WithAttachment(ctx, "dubbo.tag", "blue")
		forced := ferry.WithAttachment(blue, "dubbo.force.tag", "true")
		w.becomes(t, gray, "apple", "eve")
		w.becomes(t, blue, "apple", "ann", "bob") // nobody is blue: those without a tag
		_, err := w.Buy(forced, "apple", 1)
		require.ErrorContains(t, err, "router tag removed 3")

		key := strings.Replace(w.app, "app-", "shop-", 1) + ".tag-router"
		tags := func(force bool, name, who string) string {
			return fmt.Sprintf("force: %v\nruntime: true\nenabled: true\npriority: 1\nkey: x\ntags:\n- name: %s\n  addresses: [\"%s\"]\n", force, name, who)
		}
		w.text(t, key, tags(false, "blue", w.at["bob"]))
		w.becomes(t, blue, "apple", "bob")
		w.becomes(t, ctx, "apple", "ann")
		w.becomes(t, gray, "apple", "eve") // the route does not know gray
		w.text(t, key, tags(false, "blue", "127.0.0.9:1"))
		w.becomes(t, blue, "apple", "ann", "bob")
		w.text(t, key, tags(true, "blue", "127.0.0.9:1"))
		require.Eventually(t, func() bool { _, err := w.Buy(blue, "apple", 1); return err != nil }, time.Second, time.Millisecond)
		w.text(t, key, "tags: [{name: blue}, {name: blue}]")
		require.Eventually(t, func() bool { return w.ruleState(key).Err != nil }, patience, time.Millisecond)
		_, err = w.Buy(blue, "apple", 1)
		require.Error(t, err, "the rule before the bad one stays")
		w.text(t, key, "")
		w.becomes(t, blue, "apple", "ann", "bob")

		// The provider's application has conditions too.
		key = strings.Replace(key, "tag", "condition", 1)
		w.text(t, key, "scope: application\nconditions: ['=> host = 127.0.0.3']")
		w.becomes(t, ctx, "apple", "bob")
		w.text(t, key, "")
		w.becomes(t, ctx, "apple", "ann", "bob")
	})
}

// TestRulesAreThereWhenReferReturns: the first call of a new consumer obeys.
func TestRulesAreThereWhenReferReturns(t *testing.T) {
	everywhere(t, nil, func(t *testing.T, w *town) {
		w.text(t, w.key("configurators"), "configs:\n- side: consumer\n  parameters: {mock: 'force:return early'}\n")
		c := &ferry.Client{Registry: w.registry, Extensions: w.x, Options: []ferry.Option{ferry.Group(w.group)}}
		defer c.Close()
		for range 5 {
			in, err := fill(c)
			require.NoError(t, err)
			got, err := in.Buy(t.Context(), "apple", 1)
			require.NoError(t, err)
			require.Equal(t, "early", got)
			require.NoError(t, in.in.Close())
		}
		w.text(t, w.key("configurators"), "")
	})
}

func TestClusterSwitchedUnderLoad(t *testing.T) {
	everywhere(t, nil, func(t *testing.T, w *town) {
		ctx := t.Context()
		parameters := func(list string) string { return "configs:\n- side: consumer\n  parameters: {" + list + "}\n" }
		for range 2 { // the second time the clusters of the first are there
			w.text(t, w.key("configurators"), parameters("cluster: available"))
			require.Eventually(t, func() bool { return len(w.served(ctx, "apple")) == 1 }, time.Second, time.Millisecond)
			for _, c := range []string{"forking", "failback", "failsafe"} {
				w.text(t, w.key("configurators"), parameters("cluster: "+c+", loadbalance: roundrobin, timeout: 15000, buy.sticky: false"))
				w.becomes(t, ctx, "apple", "ann", "bob")
			}
			w.text(t, w.key("configurators"), parameters("sticky: true"))
			require.Eventually(t, func() bool { return len(w.served(ctx, "apple")) == 1 }, time.Second, time.Millisecond)
			w.text(t, w.key("configurators"), "")
			w.becomes(t, ctx, "apple", "ann", "bob")
		}
	})
}

// greeterMock is what "ferry gen -mock" gives a start for.
type greeterMock struct{}

func (greeterMock) SayHello(_ context.Context, name string) (string, error) {
	return "mocked hello, " + name, nil
}

func TestMocks(t *testing.T) {
	x := ferry.Builtin()
	require.NoError(t, x.Mock("GreeterMock", greeterMock{}))
	require.NoError(t, x.Mock("com.example.ShopMock", shop{"mock"}))
	require.ErrorContains(t, x.Mock("GreeterMock", greeterMock{}), "already")
	c := &ferry.Client{Registry: "memory://" + t.Name(), Extensions: x, Options: []ferry.Option{ferry.Check(false)}}
	defer c.Close()
	g, err := greeter.ReferGreeter(c, ferry.Param("mock", "true"))
	require.NoError(t, err)
	got, err := g.SayHello(t.Context(), "ann")
	require.NoError(t, err, "nobody is there, which is a failure of the framework")
	require.Equal(t, "mocked hello, ann", got)

	for mock, want := range map[string]string{"force:default": "mock sold fig", "return fig": "fig", "fail:return `fig`": "fig"} {
		in, err := fill(c, ferry.Param("mock", mock))
		require.NoError(t, err, mock)
		got, err := in.Buy(t.Context(), "fig", 1)
		require.NoError(t, err, mock)
		require.Equal(t, want, got, mock)
	}
	in, err := fill(c, ferry.Param("mock", "throw com.example.OutOfStock"))
	require.NoError(t, err)
	require.NoError(t, c.Types().Add("com.example.OutOfStock", &outOfStock{}))
	_, err = in.Buy(t.Context(), "fig", 1)
	var typed *outOfStock
	require.ErrorAs(t, err, &typed)

	type stock struct {
		Item  string
		Left  int32
		Price *float64
	}
	ref, err := c.Refer(&protocol.Interface{Name: service}, ferry.Param("look.mock", `return [{"item":"fig","left":7,"price":1.5}]`))
	require.NoError(t, err)
	look, err := proxy.Unary[string, []stock](ref, service, "look")
	require.NoError(t, err)
	all, err := look(t.Context(), "fig")
	require.NoError(t, err)
	price := 1.5
	require.Equal(t, []stock{{"fig", 7, &price}}, all, "by the names that Java would use")

	// A mock does not hide what the service itself answers, and does not stand in for a call that works.
	export(t, "memory://"+t.Name(), "ann")
	in, err = fill(c, ferry.Param("mock", "return mocked"), ferry.Check(true))
	require.NoError(t, err)
	got, err = in.Buy(t.Context(), "apple", 1)
	require.NoError(t, err)
	require.Equal(t, "ann sold apple", got)
	_, err = in.Buy(t.Context(), "dragon", 1)
	require.ErrorContains(t, err, "dragons are not for sale")

	for mock, want := range map[string]string{"return {": "bad JSON", "nobody": "no mock is registered as nobody"} {
		_, err := fill(c, ferry.Param("mock", mock))
		requireLine(t, err, service, "mock="+mock, want)
	}
}

// TestRulesOfProvidersDoNotReachConsumers: what a provider publishes as mock counts for nobody.
func TestRulesOfProvidersDoNotReachConsumers(t *testing.T) {
	export(t, "memory://"+t.Name(), "ann", ferry.Param("mock", "force:return provider"))
	c := refer(t, "memory://"+t.Name())
	got, err := c.Buy(t.Context(), "apple", 1)
	require.NoError(t, err)
	require.Equal(t, "ann sold apple", got)
}

// TestTimeoutOverride: what is read from the merged URL follows.
func TestTimeoutOverride(t *testing.T) {
	x := ferry.Builtin()
	o := inMemory(t, x)
	s := &ferry.Server{Registry: "office://x", Extensions: x}
	require.NoError(t, s.ExportValue(service, shop{"ann"}))
	defer s.Close(canceled())
	c := &ferry.Client{Registry: "office://x", Extensions: x, Options: []ferry.Option{ferry.Timeout(patience)}}
	defer c.Close()
	in, err := fill(c)
	require.NoError(t, err)
	o.text(t, service+"::.configurators", "configs:\n- side: consumer\n  parameters: {buy.timeout: 40}\n")
	start := time.Now()
	require.Eventually(t, func() bool {
		targets := in.in.Directory().Snapshot().Targets
		return len(targets) == 1 && targets[0].Ref.URL().Param("buy.timeout") == "40"
	}, time.Second, time.Millisecond)
	_, err = in.Buy(t.Context(), "slow", 1)
	require.Equal(t, protocol.Timeout, protocol.CodeOf(err))
	require.Less(t, time.Since(start), patience/2)
}

// TestHostileEntries: more rules than anybody needs, and bad ones of all kinds, neither stop calls nor hide a good rule.
func TestHostileEntries(t *testing.T) {
	x := ferry.Builtin()
	o := inMemory(t, x)
	inTown(t, o, "office://x", x, nil, func(t *testing.T, w *town) {
		ctx := t.Context()
		for _, bad := range []string{w.rule("0.0.0.0", "override", "timeout=soon"), w.rule("0.0.0.0", "override", "priority=x&weight=1"),
			w.rule("0.0.0.0", "override", "retries=two"), w.rule("0.0.0.0", "override", "connections=1.5"), w.rule("0.0.0.0", "override", "cluster=nothing"),
			w.rule("0.0.0.0", "override", "a b=c"), w.rule("0.0.0.0", "override", "buy.loadbalance=nearest"), w.rule("0.0.0.0", "override", "disabled=perhaps"),
			w.rule("0.0.0.0", "override", "enabled=perhaps"), w.rule("0.0.0.0", "override", "mock=force:nobody"), w.rule("0.0.0.0", "condition", "rule=x"),
			w.rule("0.0.0.0", "route", "router=script&rule=x"), w.rule("0.0.0.0", "condition", "rule="+strings.Repeat("a", 60000))} {
			w.add(t, bad)
			require.Eventually(t, func() bool { return w.ruleState(bad).Err != nil }, patience, time.Millisecond, bad)
			require.False(t, w.ruleState(bad).InForce)
		}
		require.Equal(t, []string{"ann", "bob"}, w.served(ctx, "apple"))
		for i := range 1100 {
			w.add(t, w.rule("127.9.9.9", "override", fmt.Sprintf("weight=%d", i)))
		}
		w.add(t, w.rule("0.0.0.0", "condition", "rule="+url.Encode("=> host = 127.0.0.2"))) // sorted before the overrides
		require.Eventually(t, func() bool { return slices.Equal(w.served(ctx, "apple"), []string{"ann"}) }, patience, time.Millisecond)
		refused := 0
		for _, s := range w.in.Rules() {
			if s.Err != nil && strings.Contains(s.Err.Error(), "more than") {
				refused++
			}
		}
		require.Positive(t, refused)
	})
}
