package rule

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/url"
)

func none(string) string { return "" }

func TestConditionGrammar(t *testing.T) {
	for text, want := range map[string]string{
		"host = 1.2.3.4 => host = 5.6.*":                      "[host] -> [host]",
		"=> host != 10.0.0.1,10.0.0.2":                        "[] -> [host]",
		"host=1.1.1.1":                                        "[] -> [host]",
		"true => false":                                       "[] -> nobody",
		"consumer.host=a&method!=get*,find* =>":               "[host method] -> nobody",
		"a=1&a=2 & b != 3 = 4 => provider.region = $region":   "[a b] -> [region]",
		"arguments[0]=a & attachments[user-id]=7~ => env=x":   "[arguments[0] attachments[user-id]] -> [env]",
		"  methods = getFoo  =>  address = 10.0.0.1:20880   ": "[method] -> [address]",
	} {
		c, err := ParseCondition(text)
		require.NoError(t, err, text)
		names := func(terms []Term) string {
			out := []string{}
			for i := range terms {
				out = append(out, terms[i].name())
			}
			return fmt.Sprint(out)
		}
		got := names(c.When) + " -> " + names(c.Then)
		if c.Nobody {
			got = names(c.When) + " -> nobody"
		}
		require.Equal(t, want, got, text)
	}
}

func TestBadConditions(t *testing.T) {
	for text, want := range map[string]string{
		"":                                 "empty",
		" \t ":                             "empty",
		"host":                             "want = or !=",
		"host = => x=1":                    "want a name or value",
		"=a => b=c":                        "want a name or value",
		"a = 1 b => c = 1":                 "want = or !=",
		"a = 1,,2 => c = 1":                "want a name or value",
		"a = 1 & => c = 1":                 "want a name or value",
		"a = 1~x => c=1":                   "range",
		"a = ~ => c=1":                     "range",
		"a = 9~1 => c=1":                   "range",
		"a = $ => c=1":                     "$ without a name",
		"arguments[x]=1 => c=1":            "arguments[0]",
		"arguments[0=1 => c=1":             "arguments[0]",
		"arguments[-1]=1 => c=1":           "arguments[0]",
		"headers[a]=1 => c=1":              "arguments[0]",
		"=> arguments[0]=1":                "behind =>",
		"=> a=1 => b=2":                    "want",
		"a=" + strings.Repeat("b,", 300):   "more than",
		strings.Repeat("x", MaxSize+1):     "at most",
		"a == b => c=d":                    "want a name or value",
		"a ! b => c=d":                     "want = or !=",
		"host = 1.2.3.4 => host = \x00 = ": "want",
	} {
		_, err := ParseCondition(text)
		require.ErrorIs(t, err, ErrRule, "%.40q", text)
		require.ErrorContains(t, err, want, "%.40q", text)
		require.NotContains(t, err.Error(), "\n")
		require.Less(t, len(err.Error()), 400)
	}
}

func TestTermMatch(t *testing.T) {
	for _, c := range []struct {
		rule, value string
		want        bool
	}{
		{"k=a", "a", true}, {"k=a", "b", false}, {"k=a,b", "b", true}, {"k!=a", "b", true}, {"k!=a,b", "b", false},
		{"k=a* & k!=ab*", "ac", true}, {"k=a* & k!=ab*", "abc", false}, {"k=a*", "a", true}, {"k=*a", "ba", true}, {"k=a*c", "abc", true},
		{"k=ab*bc", "abc", false}, {"k=*", "", true}, {"k=1~5", "5", true}, {"k=1~5", "6", false}, {"k=1~", "77", true}, {"k=~3", "-4", true},
		{"k=1~5", "x", false}, {"k=1~5", "", false}, {"k=$env", "prod", true}, {"k=$env", "test", false}, {"k=$none", "x", false},
	} {
		p, err := ParseCondition("=> " + c.rule)
		require.NoError(t, err, c.rule)
		got := p.Then[0].Match(c.value, func(key string) string { return map[string]string{"env": "prod"}[key] })
		require.Equal(t, c.want, got, "%s with %q", c.rule, c.value)
	}
}

func TestParseRoute(t *testing.T) {
	rule := url.Encode("host = 10.20.153.10 => host = 10.20.153.11")
	s, err := ParseRoute(url.MustParse("condition://0.0.0.0/com.x?category=routers&dynamic=false&force=true&priority=3&rule=" + rule))
	require.NoError(t, err)
	require.True(t, s.Force)
	require.Equal(t, 3, s.Priority)
	require.True(t, s.List[0].When[0].Match("10.20.153.10", none))
	s, err = ParseRoute(url.MustParse("route://0.0.0.0/com.x?enabled=false&rule=nonsense"))
	require.NoError(t, err)
	require.Nil(t, s)
	for _, bad := range []string{"script://0.0.0.0/x?rule=a", "route://0.0.0.0/x?router=script&rule=a", "condition://h/x", "condition://h/x?rule=%zz",
		"condition://h/x?force=maybe&rule=" + rule, "condition://h/x?priority=high&rule=" + rule} {
		_, err := ParseRoute(url.MustParse(bad))
		require.ErrorIs(t, err, ErrRule, bad)
	}
}

func FuzzCondition(f *testing.F) {
	for _, s := range []string{"host = 1.2.3.4 => host = 5.6.*", "true => false", "arguments[0]=1~5 & attachments[a]!=b,c => region=$region", "=>", "a=b&a!=c"} {
		f.Add(s, "1.2.3.4")
	}
	f.Fuzz(func(t *testing.T, text, value string) {
		c, err := ParseCondition(text)
		if err != nil {
			require.ErrorIs(t, err, ErrRule)
			return
		}
		require.Equal(t, c.Nobody, len(c.Then) == 0)
		for _, terms := range [][]Term{c.When, c.Then} {
			for i := range terms {
				require.NotEmpty(t, terms[i].name())
				terms[i].Match(value, none)
			}
		}
	})
}
