package cluster

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/url"
)

func TestMergePrecedence(t *testing.T) {
	m := Merge(consumer("timeout=3000&sayHello.retries=0"), url.MustParse("dubbo://10.0.0.1:1/s?timeout=1000&sayHello.timeout=500&sayHello.retries=7&retries=5"))
	hello, other := m.ForMethod("sayHello"), m.ForMethod("other")
	require.Equal(t, "500", hello.Param("timeout"), "the provider's for the method before the consumer's for the service")
	require.Equal(t, "0", hello.Param("retries"), "the consumer's for the method before the provider's for the method")
	require.Equal(t, "3000", other.Param("timeout"), "the consumer's before the provider's")
	require.Equal(t, "5", other.Param("retries"))
	require.Equal(t, "dubbo", m.Scheme())
	require.Equal(t, "10.0.0.1:1", m.Address())
	require.Equal(t, "s", m.Path())
}

func TestMergeExceptions(t *testing.T) {
	c := consumer("group=a,b&version=*&generic=true&release=1&dubbo=9&methods=x&timestamp=5&dubbo.tag=t&interface=*&application=shop&threads=4&reference.filter=mine&invoker.listener=l2&idempotent=redis&m.idempotent=true&pid=1")
	p := url.MustParse("dubbo://10.0.0.1:1/s?group=a&generic=false&release=3.2&dubbo=2.0.2&methods=y&timestamp=7&interface=s&application=stock&threads=200&default.threads=9&threadpool=fixed&queues=1&mock=true&sayHello.mock=return+null&reference.filter=theirs&x=1")
	m := Merge(c, p)
	for key, want := range map[string]string{"group": "a", "version": "", "generic": "false", "release": "3.2", "dubbo": "2.0.2", "methods": "y",
		"timestamp": "7", "dubbo.tag": "", "interface": "s", "application": "shop", "remote.application": "stock", "threads": "4",
		"default.threads": "", "threadpool": "", "queues": "", "mock": "", "sayHello.mock": "", "reference.filter": "theirs,mine",
		"invoker.listener": "l2", "idempotent": "", "m.idempotent": "true", "x": "1"} {
		require.Equal(t, want, m.Param(key), key)
	}
	require.Equal(t, "true", Merge(c, url.MustParse("dubbo://h:1/s")).Param("generic"), "the provider says nothing")
	require.Equal(t, "redis", Merge(consumer("idempotent=sql"), url.MustParse("dubbo://h:1/s?idempotent=redis")).Param("idempotent"))
	minus := url.MustParse("dubbo://h:1/s?reference.filter=-sign,-default,x&invoker.listener=-l")
	require.Equal(t, "x,mine", Merge(c, minus).Param("reference.filter"), "a provider cannot switch filters off")
	require.Equal(t, "l2", Merge(c, minus).Param("invoker.listener"))
	require.Empty(t, Merge(consumer(""), minus).Param("invoker.listener"))
	require.Equal(t, "x", Merge(consumer(""), minus).Param("reference.filter"))
}

func TestShape(t *testing.T) {
	s := shape(url.MustParse("dubbo://h:1/s?weight=x&warmup=60s&timestamp=1700000000&sayHello.weight=-5&a.weight=9999999999"))
	require.Equal(t, 100, s.Weight)
	require.Equal(t, time.Minute, s.Warmup)
	require.Equal(t, int64(1700000000), s.Started.Unix(), "dubbo-go writes seconds")
	require.Equal(t, map[string]int{"sayHello": 0, "a": 1 << 30}, s.Weights)
	require.Zero(t, shape(url.MustParse("dubbo://h:1/s?weight=0")).Weight)
	require.True(t, shape(url.MustParse("dubbo://h:1/s?timestamp=x")).Started.IsZero())
}

// FuzzMerge: whatever a registry lists, merging keeps address and identity, and never takes what is the consumer's.
func FuzzMerge(f *testing.F) {
	for _, s := range []string{provider(1, "timeout=1&weight=5&sayHello.weight=7&timestamp=1"), "a://h?reference.filter=-,,-x&mock=1&.weight=1&generic=",
		"dubbo://u:p@h:1/s?group=*&threads=1&default.threads=&warmup=-1&timestamp=99999999999999999999"} {
		f.Add(s)
	}
	c := consumer("timeout=300&reference.filter=sign&idempotent=redis&sayHello.retries=0")
	f.Fuzz(func(t *testing.T, text string) {
		u, err := url.Parse(text)
		if err != nil {
			return
		}
		m := Merge(c, u)
		require.Equal(t, u.Address(), m.Address())
		require.Equal(t, u.Param("group"), m.Param("group"))
		require.Equal(t, "300", m.Param("timeout"))
		require.Equal(t, "0", m.ForMethod("sayHello").Param("retries"))
		require.NotContains(t, m.Param("reference.filter"), "-sign")
		require.Contains(t, url.SplitList(m.Param("reference.filter")), "sign")
		require.Equal(t, u.Param("idempotent"), m.Param("idempotent"))
		s := shape(m)
		require.GreaterOrEqual(t, s.Weight, 0)
		require.True(t, sameProvider(m, m) && sameShape(s, shape(m)))
	})
}
