package cluster

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/cluster/rule"
	"github.com/ferryrpc/ferry/loadbalance"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/url"
)

// routed makes a list of providers 10.0.0.1 …, one for each text of parameters.
func routed(params ...string) *Snapshot {
	var targets []*loadbalance.Target
	for i, p := range params {
		f := newFake(i, p)
		published := f.url
		f.url = published.With("application", "consumer-app") // as Merge leaves it
		targets = append(targets, &loadbalance.Target{Ref: f, Published: published, Weight: 100})
	}
	return NewSnapshot("com.example.Greeter", targets...)
}

func hosts(s *Snapshot) (out []string) {
	for _, t := range s.Targets {
		out = append(out, t.Ref.URL().Host()[len("10.0.0."):])
	}
	return out
}

func conditions(t testing.TB, force bool, lines ...string) *rule.Conditions {
	s := &rule.Conditions{Force: force}
	for _, line := range lines {
		c, err := rule.ParseCondition(line)
		require.NoError(t, err, line)
		s.List = append(s.List, c)
	}
	return s
}

func TestConditionRouter(t *testing.T) {
	s := routed("region=a&application=one", "region=b&application=one", "region=b&application=two")
	who := consumer("region=b&application=me&side=consumer")
	for _, c := range []struct {
		rules []string
		force bool
		want  []string
	}{
		{[]string{"=> region = $region"}, false, []string{"2", "3"}},
		{[]string{"=> application = two"}, false, []string{"3"}}, // the provider's, not the consumer's
		{[]string{"=> region != b"}, false, []string{"1"}},
		{[]string{"=> none != b"}, true, nil}, // a key that is not there never matches
		{[]string{"=> none = b"}, false, []string{"1", "2", "3"}},
		{[]string{"=> port = 20880 & protocol = dubbo & host = *.2"}, false, []string{"2"}},
		{[]string{"host = 10.9.9.9 => address = 10.0.0.3:20880"}, true, []string{"3"}},
		{[]string{"host = 10.9.9.8 => address = 10.0.0.3:20880"}, true, []string{"1", "2", "3"}},
		{[]string{"application != me => false"}, false, []string{"1", "2", "3"}},
		{[]string{"application = me => false"}, false, nil}, // nobody, forced or not
		{[]string{"=> region = b", "=> host != 10.0.0.2"}, false, []string{"3"}},
		{[]string{"=> region = c", "=> host = 10.0.0.2"}, false, []string{"2"}},
		{[]string{"method = sayBye => false", "method = say* & arguments[0] = x* => host = 10.0.0.1"}, false, []string{"1"}},
		{[]string{"arguments[1] = x => false", "attachments[a] = 1 => false"}, false, []string{"1", "2", "3"}},
	} {
		r := NewConditionRouter("a", who, conditions(t, c.force, c.rules...))
		got := s
		if r != nil {
			got = r.Route(call(method("sayHello", 0), "xyz"), s)
		}
		require.Equal(t, c.want, hosts(got), "%v", c.rules)
		s = routed("region=a&application=one", "region=b&application=one", "region=b&application=two")
	}
	require.Nil(t, NewConditionRouter("a", who, conditions(t, true, "application = other => false")), "what can never apply costs nothing")

	// Two routers look at the same list when the first takes nobody out.
	all, one := NewConditionRouter("a", who, conditions(t, false, "=> host = 10.*")), NewConditionRouter("b", who, conditions(t, false, "=> host = 10.0.0.2"))
	c := call(method("sayHello", 0), "")
	require.Equal(t, []string{"2"}, hosts(one.Route(c, all.Route(c, s))))

	generic := &protocol.Invocation{Method: protocol.NewGenericMethod("s"), Args: &protocol.GenericArgs{Method: "sayHello", Args: []any{int32(7)}}}
	r := NewConditionRouter("c", who, conditions(t, true, "method = sayHello & arguments[0] = 5~9 => host = 10.0.0.1"))
	require.Equal(t, []string{"1"}, hosts(r.Route(generic, s)))
}

func TestTagRouter(t *testing.T) {
	route, err := rule.ParseTags([]byte("tags: [{name: blue, addresses: [\"10.0.0.2:20880\"]}, {name: red, addresses: [10.9.9.9]}]"))
	require.NoError(t, err)
	strict, err := rule.ParseTags([]byte("force: true\ntags: [{name: red, addresses: [10.9.9.9]}]"))
	require.NoError(t, err)
	for _, c := range []struct {
		params string
		tags   protocol.Attachments
		route  *rule.Tags
		want   []string
	}{
		{"", nil, nil, []string{"1", "2"}},
		{"", protocol.Attachments{"dubbo.tag", "gray"}, nil, []string{"3"}},
		{"dubbo.tag=gray", nil, nil, []string{"3"}},
		{"dubbo.tag=gray", protocol.Attachments{"dubbo.tag", "pink"}, nil, []string{"1", "2"}},
		{"", protocol.Attachments{"dubbo.tag", "pink", "dubbo.force.tag", "true"}, nil, nil},
		{"dubbo.tag=pink&dubbo.force.tag=true", nil, nil, nil},
		{"", nil, route, []string{"1"}},
		{"dubbo.tag=blue", nil, route, []string{"2"}},
		{"dubbo.tag=gray", nil, route, []string{"3"}},
		{"dubbo.tag=red", nil, route, []string{"1"}},
		{"dubbo.tag=red", nil, strict, nil},
		{"dubbo.tag=pink", nil, strict, []string{"1", "2"}},
	} {
		s := routed("", "", "dubbo.tag=gray")
		r, err := NewTagRouter(consumer(c.params), c.route)
		require.NoError(t, err)
		in := call(method("sayHello", 0), "")
		in.Attachments = c.tags
		for range 2 { // the second time from the cache
			require.Equal(t, c.want, hosts(r.Route(in, s)), "%+v", c)
		}
	}
	untagged := routed("", "")
	r, err := NewTagRouter(consumer(""), nil)
	require.NoError(t, err)
	require.Same(t, untagged, r.Route(call(method("sayHello", 0), ""), untagged))
	in := call(method("sayHello", 0), "")
	in.Attachments = protocol.Attachments{"dubbo.tag", "gray", "dubbo.force.tag", "true"}
	require.Empty(t, hosts(r.Route(in, untagged)), "force counts where nobody has a tag too")
	_, err = NewTagRouter(consumer("dubbo.force.tag=perhaps"), nil)
	require.ErrorContains(t, err, "dubbo.force.tag=perhaps")
}

func TestRoutersAllocateNothing(t *testing.T) {
	if raceEnabled {
		return
	}
	s := routed("region=a", "region=b", "dubbo.tag=gray")
	tags, err := NewTagRouter(consumer(""), nil)
	require.NoError(t, err)
	in := call(method("sayHello", 0), "x")
	in.Attachments = protocol.Attachments{"dubbo.tag", "gray"}
	for name, r := range map[string]Router{"tags": tags, "conditions": NewConditionRouter("a", consumer(""), conditions(t, false, "method = say* & attachments[dubbo.tag]=g* => host = 10.0.0.1"))} {
		require.Zero(t, testing.AllocsPerRun(100, func() { r.Route(in, s) }), name)
	}
}

// BenchmarkTagRouterWithoutTags is what every call pays for tags that nobody uses.
func BenchmarkTagRouterWithoutTags(b *testing.B) {
	s := routed("", "", "")
	r, _ := NewTagRouter(consumer(""), nil)
	in := call(method("sayHello", 0), "x")
	b.ReportAllocs()
	for b.Loop() {
		r.Route(in, s)
	}
}

func TestConfigureTakesProvidersOutAndBack(t *testing.T) {
	in(t, "", func(t *testing.T, d *Roster, w *world) {
		set := func(address, key, value string) func(*url.URL) *url.URL {
			return func(u *url.URL) *url.URL {
				if u.Address() == address {
					return u.With(key, value)
				}
				return u
			}
		}
		d.Update(live(provider(1, ""), provider(2, "")))
		synctest.Wait()
		first := d.List(nil).Targets[0].Ref
		d.Configure(set("10.0.0.2:20880", "disabled", "true"))
		require.Equal(t, []string{"10.0.0.1:20880"}, addresses(d))
		require.Contains(t, d.Snapshot().String(), "a configurator removed 1")
		require.Same(t, first, d.List(nil).Targets[0].Ref)
		synctest.Wait()
		require.False(t, w.of("10.0.0.2:20880")[0].closed.Load(), "calls that chose it a moment ago may still begin")
		time.Sleep(closeAfter)
		synctest.Wait()
		require.True(t, w.of("10.0.0.2:20880")[0].closed.Load())
		d.Configure(set("10.0.0.1:20880", "weight", "7"))
		synctest.Wait()
		require.Equal(t, []string{"10.0.0.1:20880", "10.0.0.2:20880"}, addresses(d))
		require.Equal(t, 7, d.List(nil).Targets[0].Weight)
		require.Same(t, first, d.List(nil).Targets[0].Ref, "a weight needs no new connection")

		// The last provider can be taken out as well, and a list that is kept obeys too.
		d.Configure(func(u *url.URL) *url.URL { return u.With("enabled", "false") })
		require.Empty(t, addresses(d))
		d.Configure(nil)
		synctest.Wait()
		d.Update(live())
		require.Len(t, addresses(d), 2)
		d.Configure(set("10.0.0.1:20880", "timeout", "77"))
		synctest.Wait()
		require.Equal(t, "77", d.List(nil).Targets[0].Ref.URL().Param("timeout"))

		// Parameters with which a provider cannot be opened leave it with those it had.
		d.Update(live(provider(1, ""), provider(2, "")))
		synctest.Wait()
		w.fails("10.0.0.1:20880", protocol.ErrGeneric)
		d.Configure(set("10.0.0.1:20880", "timeout", "bad"))
		synctest.Wait()
		require.Len(t, addresses(d), 2)
		require.Equal(t, "77", d.List(nil).Targets[0].Ref.URL().Param("timeout"))
	})
}

// TestReplacedProviderIsNoFailure: a call whose provider was replaced between choice and call is made at the new one.
func TestReplacedProviderIsNoFailure(t *testing.T) {
	for name, open := range map[string]opener{"failfast": NewFailfast, "failover": NewFailover} {
		d, refs := fakes(1, "")
		next, others := fakes(1, "")
		refs[0].does(func(ctx context.Context, c *protocol.Invocation) error {
			d.list.Store(next.list.Load())
			return fails(protocol.Closed, protocol.NotSent)(ctx, c)
		})
		require.NoError(t, join(t, open, "retries=0", d).Invoke(t.Context(), call(method("sayHello", 0), "")), name)
		require.EqualValues(t, 1, others[0].calls.Load())
		others[0].does(fails(protocol.Closed, protocol.NotSent))
		require.Error(t, join(t, open, "retries=0", d).Invoke(t.Context(), call(method("sayHello", 0), "")), "the list did not change: that is a failure")
	}
}
