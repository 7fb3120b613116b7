package rule

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/url"
)

// Dubbo's own examples, as in its documentation.
const (
	configText = `configVersion: v2.7
scope: service
key: com.x.Demo
enabled: true
configs:
- side: consumer
  addresses: [0.0.0.0]
  providerAddresses: [10.0.0.1:20880]
  applications: [a]
  parameters: {timeout: 6000, retries: 0, weight: 007}
- side: provider
  addresses: [0.0.0.0]
  parameters: {weight: 1}
- type: weight
  enabled: false
  parameters: {weight: 2}
`
	conditionText = `scope: service
force: true
runtime: true
enabled: true
priority: 1
key: com.x.Demo::
conditions:
- host=1.2.3.4 => host=5.6.*
- method=find* => address=10.0.0.1:20880
`
	tagText = `force: false
runtime: true
enabled: true
priority: 1
key: provider-app
tags:
- name: gray
  addresses: [10.0.0.1:20880, 10.0.1.*, 10.2.0.0/16, "0.0.0.0:99"]
- name: blue
  match:
  - {key: env, value: {prefix: blue}}
`
)

const merged = "dubbo://10.0.0.1:20880/com.x.Demo?application=a&side=consumer&interface=com.x.Demo&timeout=100"

func TestConfigurators(t *testing.T) {
	list, err := ParseConfigurators([]byte(configText))
	require.NoError(t, err)
	require.Len(t, list, 2)
	apply := func(u string) *url.URL {
		out := url.MustParse(u)
		for _, c := range list {
			out = c.Apply(out, "10.9.9.9")
		}
		return out
	}
	u := apply(merged)
	require.Equal(t, "6000", u.Param("timeout"))
	require.Equal(t, "007", u.Param("weight"), "values are as written, and those for providers are not ours")
	require.Equal(t, "10.0.0.1:20880", u.Address())
	for _, other := range []string{strings.Replace(merged, "10.0.0.1", "10.0.0.2", 1), strings.Replace(merged, "application=a", "application=b", 1)} {
		require.True(t, url.MustParse(other).Equal(apply(other)), other)
	}
}

func TestOverrideMatches(t *testing.T) {
	for _, c := range []struct {
		override string
		want     bool
	}{
		{"override://0.0.0.0/com.x.Demo?k=v", true},
		{"absent://0.0.0.0/com.x.Demo?k=v", true},
		{"absent://0.0.0.0/com.x.Demo?timeout=9", false},
		{"override://10.0.0.1:20880/com.x.Demo?k=v", true},
		{"override://0.0.0.0:20880/com.x.Demo?k=v", true},
		{"override://10.0.0.1:20881/com.x.Demo?k=v", false},
		{"override://10.0.0.2:20880/com.x.Demo?k=v", false},
		{"override://10.9.9.9/com.x.Demo?k=v", true}, // the consumer's host
		{"override://10.0.0.1/com.x.Demo?k=v", false},
		{"override://0.0.0.0/com.x.Demo?k=v&application=a", true},
		{"override://0.0.0.0/com.x.Demo?k=v&application=b", false},
		{"override://0.0.0.0/com.x.Demo?k=v&application=*", true},
		{"override://0.0.0.0/com.x.Demo?k=v&side=provider", false},
		{"override://0.0.0.0/com.x.Demo?k=v&~timeout=100", true},
		{"override://0.0.0.0/com.x.Demo?k=v&~timeout=200", false},
		{"override://0.0.0.0/com.x.Demo?k=v&~timeout=*", true},
		{"override://0.0.0.0/com.x.Demo?k=v&enabled=false", false},
		{"override://0.0.0.0/com.x.Demo?k=v&configVersion=v2.7&side=consumer&providerAddresses=10.0.0.1:20880", true},
		{"override://0.0.0.0/com.x.Demo?k=v&configVersion=v2.7&side=consumer&providerAddresses=10.0.0.2", false},
		{"override://0.0.0.0/com.x.Demo?category=configurators&dynamic=false&group=g&version=1&priority=2", false}, // sets nothing
	} {
		o, err := ParseOverride(url.MustParse(c.override))
		require.NoError(t, err, c.override)
		u := url.MustParse(merged)
		changed := o != nil && !o.Apply(u, "10.9.9.9").Equal(u)
		require.Equal(t, c.want, changed, c.override)
	}
}

func TestProtectedParametersAreLeftOut(t *testing.T) {
	o, err := ParseOverride(url.MustParse("override://0.0.0.0/s?timeout=5&token=x&sayHello.prefer.serialization=y&filter=-sendtoken&tls.insecure=1&weight=3&url=evil"))
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"token", "sayHello.prefer.serialization", "filter", "tls.insecure", "url"}, o.Refused)
	require.Equal(t, []string{"timeout", "weight"}, o.Params().Keys())
	for _, free := range []string{"timeout", "sayHello.timeout", "weight", "disabled", "mock", "loadbalance", "cluster", "retries", "sticky", "dubbo.tag", "actives", "hash.nodes"} {
		require.False(t, Protected(free), free)
	}
	for _, held := range []string{"idempotent", "idempotent.policy", "sayHello.idempotent.ttl", "validation", "sayHello.validation", "scope", "injvm", "cache",
		"registry.zone", "threads", "accesslog", "service.filter"} {
		require.True(t, Protected(held), held)
	}
}

func TestVersion3Match(t *testing.T) {
	text := `configVersion: v3.0
scope: application
key: a
configs:
- side: consumer
  parameters: {k: v}
  match:
    %s
`
	for m, want := range map[string]bool{
		"address: {wildcard: '10.9.*'}":                       true,
		"address: {wildcard: '10.8.*'}":                       false,
		"providerAddress: {cidr: 10.0.0.0/24}":                true,
		"providerAddress: {exact: 10.0.0.2:20880}":            false,
		"service: {oneof: [{exact: x}, {regex: 'com\\..*'}]}": true,
		"service: {oneof: [{exact: x}]}":                      false,
		"app: {oneof: [{prefix: a}]}":                         true,
		"param: [{key: timeout, value: {exact: 100}}]":        true,
		"param: [{key: none, value: {noempty: t}}]":           false,
		"param: [{key: none, value: {empty: t}}]":             true,
	} {
		list, err := ParseConfigurators([]byte(fmt.Sprintf(text, m)))
		require.NoError(t, err, m)
		u := url.MustParse(merged)
		require.Equal(t, want, !list[0].Apply(u, "10.9.9.9").Equal(u), m)
	}
	for _, m := range []string{"service: {oneof: [{regex: '('}]}", "param: [{key: a}]", "address: {cidr: 1.2.3/99}", "param: [{value: {exact: 1}}]"} {
		_, err := ParseConfigurators([]byte(fmt.Sprintf(text, m)))
		require.ErrorIs(t, err, ErrRule, m)
	}
}

func TestArrayOfOverrides(t *testing.T) {
	list, err := ParseConfigurators([]byte(`["override://10.0.0.1:20880/s?weight=2&priority=1", "override://0.0.0.0/s?weight=1", "absent://0.0.0.0/s?enabled=false"]`))
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.Equal(t, "1", list[0].Params().Param("weight"), "0.0.0.0 comes first, so that what is about one host wins")
	for _, bad := range []string{`["override://0.0.0.0/s?x=1", 5]`, `["dubbo://a/s"]`, `["nonsense"]`, `[`, `["override:///s?a=b"]`} {
		_, err := ParseConfigurators([]byte(bad))
		require.ErrorIs(t, err, ErrRule, bad)
	}
}

func TestConditionsAndTags(t *testing.T) {
	s, err := ParseConditions([]byte(conditionText))
	require.NoError(t, err)
	require.True(t, s.Force)
	require.Len(t, s.List, 2)
	tags, err := ParseTags([]byte(tagText))
	require.NoError(t, err)
	require.True(t, tags.Names("gray"))
	require.False(t, tags.Names("red"))
	for address, want := range map[string]bool{"10.0.0.1:20880": true, "10.0.0.1:1": false, "10.0.1.77:1": true, "10.2.3.4:1": true, "10.3.0.1:1": false, "1.1.1.1:99": true} {
		u := url.MustParse("dubbo://" + address + "/s?env=bluegreen")
		require.Equal(t, want, tags.Has("gray", u), address)
		require.True(t, tags.Has("blue", u))
		require.True(t, tags.Any(u))
	}
	require.False(t, tags.Any(url.MustParse("dubbo://1.1.1.1:1/s")))
	for _, off := range []string{"", "# nothing\n", "---\n", "null", "enabled: false\nconditions: [x]\n"} {
		s, err := ParseConditions([]byte(off))
		require.NoError(t, err, off)
		require.Nil(t, s, off)
	}
}

func TestHostileTexts(t *testing.T) {
	deep := strings.Repeat("[", 5000) + strings.Repeat("]", 5000)
	for name, text := range map[string]string{
		"huge":               "# " + strings.Repeat("x", MaxSize),
		"deep":               "conditions: " + deep,
		"open":               strings.Repeat("[", 60000),
		"many":               "conditions: [" + strings.Repeat("a,", MaxNodes) + "]",
		"bomb":               "a: &a [x,x,x]\nb: &b [*a,*a,*a]\nconditions: [*b]",
		"merge":              "base: &base {a: 1}\nconfigs: [{<<: *base}]",
		"list":               "- a\n- b\n",
		"scalar":             "hello",
		"twice":              "force: true\nforce: false\n",
		"type":               "enabled: perhaps\n",
		"tab":                "a:\n\t- b",
		"binary":             "\x00\x01\x02",
		"two documents":      conditionText + "---\n" + conditionText,
		"bad scope":          "scope: galaxy\nconditions: [a=>b=c]",
		"version":            "configVersion: v3.1\nconditions:\n- from: {match: region=$region}\n",
		"conditions of maps": "conditions:\n- {a: b}\n",
		"no condition":       "conditions: []\n",
		"too many":           "conditions: [" + strings.Repeat("'=>a=b',", MaxRules+1) + "]",
		"bad condition":      "conditions: ['=>a=b', 'nonsense']",
	} {
		_, err := ParseConditions([]byte(text))
		require.ErrorIs(t, err, ErrRule, name)
		require.NotContains(t, err.Error(), "\n", name)
		require.Less(t, len(err.Error()), 400, name)
	}
	for name, text := range map[string]string{
		"side":       "configs: [{side: both, parameters: {a: b}}]",
		"empty":      "configs: [{side: consumer}]",
		"key":        "configs: [{parameters: {'a b': c}}]",
		"value":      "configs: [{parameters: {a: 'b&c=d'}}]",
		"nested":     "configs: [{parameters: {a: {b: c}}}]",
		"address":    "configs: [{addresses: ['1.2.3.4/24?x=y'], parameters: {a: b}}]",
		"addresses":  "configs: [{addresses: ['a,b'], parameters: {a: b}}]",
		"providers":  "configs: [{providerAddresses: [''], parameters: {a: b}}]",
		"cartesian":  "configs: [{addresses: [" + strings.Repeat("a,", 100) + "], applications: [" + strings.Repeat("b,", 100) + "], parameters: {a: b}}]",
		"parameters": "configs: [{parameters: {" + manyParameters() + "}}]",
	} {
		_, err := ParseConfigurators([]byte(text))
		require.ErrorIs(t, err, ErrRule, name)
	}
	for name, text := range map[string]string{
		"no name": "tags: [{addresses: [a]}]", "same": "tags: [{name: a}, {name: a}]", "network": "tags: [{name: a, addresses: [1.2.3.4/99]}]",
	} {
		_, err := ParseTags([]byte(text))
		require.ErrorIs(t, err, ErrRule, name)
	}
}

func manyParameters() string {
	var b strings.Builder
	for i := range MaxTerms + 1 {
		fmt.Fprintf(&b, "k%d: v, ", i)
	}
	return b.String()
}

func FuzzYAML(f *testing.F) {
	for _, s := range []string{configText, conditionText, tagText, `["override://0.0.0.0/s?x=1"]`, "a: &a [*a]", "{", "configs: [{match: {param: [{key: a, value: {regex: x}}]}}]"} {
		f.Add([]byte(s))
	}
	u := url.MustParse(merged)
	f.Fuzz(func(t *testing.T, text []byte) {
		if s, err := ParseConditions(text); err == nil && s != nil {
			require.NotEmpty(t, s.List)
		}
		if list, err := ParseConfigurators(text); err == nil {
			for _, c := range list {
				out := c.Apply(u, "10.9.9.9")
				require.Equal(t, u.Address(), out.Address())
				require.Equal(t, u.Scheme(), out.Scheme())
				require.Empty(t, out.Param("token"))
				require.Empty(t, out.Param("serialization"))
				_, err := url.Parse(out.String())
				require.NoError(t, err)
			}
		}
		if tags, err := ParseTags(text); err == nil && tags != nil {
			tags.Any(u)
		}
	})
}

func FuzzOverride(f *testing.F) {
	for _, s := range []string{"override://0.0.0.0/s?k=v&~a=b&mock=return%201", "absent://1.2.3.4:5/s?weight=3", "route://0.0.0.0/s?rule=a%3Db", "override://h"} {
		f.Add(s)
	}
	target := url.MustParse(merged)
	f.Fuzz(func(t *testing.T, text string) {
		u, err := url.Parse(text)
		if err != nil {
			return
		}
		if c, err := ParseOverride(u); err == nil && c != nil {
			out := c.Apply(target, "10.9.9.9")
			require.Equal(t, target.Address(), out.Address())
			require.Empty(t, out.Param("token"))
		}
		_, _ = ParseRoute(u)
	})
}

// TestOverridesOfProviders: what Dubbo's AbstractConfigurator.configure does with a provider's own URL.
func TestOverridesOfProviders(t *testing.T) {
	own := url.MustParse("dubbo://10.0.0.1:20880/com.x.Demo?side=provider&application=shop&weight=100")
	cases := map[string]bool{
		"override://0.0.0.0/com.x.Demo?category=configurators&weight=7":                                  true,
		"override://0.0.0.0/com.x.Demo?category=configurators&side=provider&weight=7":                    true,
		"override://0.0.0.0/com.x.Demo?category=configurators&side=consumer&weight=7":                    false,
		"override://10.0.0.1:20880/com.x.Demo?category=configurators&weight=7":                           true,
		"override://0.0.0.0:20880/com.x.Demo?category=configurators&weight=7":                            true,
		"override://10.0.0.1:20881/com.x.Demo?category=configurators&weight=7":                           false,
		"override://10.0.0.2:20880/com.x.Demo?category=configurators&weight=7":                           false,
		"override://10.0.0.1/com.x.Demo?category=configurators&weight=7":                                 false, // a consumer's address
		"override://0.0.0.0/com.x.Demo?category=configurators&application=shop&weight=7":                 true,
		"override://0.0.0.0/com.x.Demo?category=configurators&application=other&weight=7":                false,
		"override://0.0.0.0/com.x.Demo?category=configurators&~weight=100&weight=7":                      true,
		"override://0.0.0.0/com.x.Demo?category=configurators&~weight=50&weight=7":                       false,
		"override://0.0.0.0/com.x.Demo?category=configurators&enabled=false&weight=7":                    false,
		"override://0.0.0.0/com.x.Demo?category=configurators&configVersion=v2.7&side=provider&weight=7": true,
		"override://0.0.0.0/com.x.Demo?category=configurators&configVersion=v2.7&weight=7":               false,
		"absent://0.0.0.0/com.x.Demo?category=configurators&weight=7":                                    false,
	}
	for text, want := range cases {
		c, err := ParseOverride(url.MustParse(text))
		require.NoError(t, err, text)
		got := "100"
		if c != nil {
			got = c.ApplyToProvider(own).Param("weight")
		}
		require.Equal(t, want, got == "7", text)
	}
	yaml := func(item string) string {
		list, err := ParseConfigurators([]byte("configVersion: v2.7\nscope: service\nkey: com.x.Demo\nconfigs:\n- " + item + "\n  parameters: {weight: 7}\n"))
		require.NoError(t, err, item)
		u := own
		for _, c := range list {
			u = c.ApplyToProvider(u)
		}
		return u.Param("weight")
	}
	for item, want := range map[string]string{
		"side: provider": "7", "side: consumer": "100", "addresses: [0.0.0.0]": "100",
		"side: provider\n  addresses: ['10.0.0.1']": "7", "side: provider\n  addresses: ['10.0.0.1:20880']": "7",
		"side: provider\n  addresses: ['10.0.0.1:20881']": "100", "side: provider\n  applications: [shop]": "7",
		"side: provider\n  applications: [other]": "100", "side: provider\n  providerAddresses: ['10.0.0.1:20880']": "7",
		"side: provider\n  providerAddresses: ['10.0.0.2:20880']": "100",
	} {
		require.Equal(t, want, yaml(item), item)
	}
	consumer, err := ParseConfigurators([]byte("configVersion: v2.7\nscope: service\nkey: com.x.Demo\nconfigs:\n- side: provider\n  parameters: {weight: 7}\n"))
	require.NoError(t, err)
	require.Equal(t, "100", consumer[0].Apply(own, "10.9.9.9").Param("weight"), "consumers leave it to the provider")
}
