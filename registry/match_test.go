package registry

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/ferryrpc/ferry/url"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMatch(t *testing.T) {
	const consumer, provider = "consumer://c/x.S?", "dubbo://p:1/x.S?"
	tests := []struct {
		consumer, provider string
		want               bool
	}{
		{consumer, provider, true},
		{consumer, "dubbo://p:1/other.S", false},
		{consumer, "dubbo://p:1/context/x.S?interface=x.S", true},
		{"consumer://c/*?interface=*", provider, true},
		{consumer, provider + "enabled=false", false},
		{consumer, provider + "disabled=true", false},
		{consumer, "override://0.0.0.0/x.S?disabled=true", true},
		{consumer, "override://0.0.0.0/x.S?enabled=false", false},
		{consumer, provider + "group=a", false},
		{consumer + "group=a", provider, false},
		{consumer + "group=a", provider + "group=a", true},
		{consumer + "group=b,a", provider + "group=a", true},
		{consumer + "group=b,a", provider, false},
		{consumer + "group=*", provider + "group=a", true},
		{consumer + "group=*", provider, true},
		{consumer + "version=1", provider, false},
		{consumer, provider + "version=1", false},
		{consumer + "version=*", provider + "version=1", true},
		{consumer + "version=0.0.0", provider, true},
		{consumer, provider + "version=0.0.0", true},
	}
	for _, test := range tests {
		require.Equal(t, test.want, Match(url.MustParse(test.consumer), url.MustParse(test.provider)), "%v", test)
	}
}

func TestCategories(t *testing.T) {
	require.Equal(t, []string{Providers, Configurators, Routers}, Categories(url.MustParse("consumer://c/x.S")))
	require.Equal(t, []string{Configurators}, Categories(url.MustParse("provider://c/x.S?category=configurators&check=false")))
	require.Equal(t, []string{Consumers, Providers}, Categories(url.MustParse("consumer://c/x.S?category=providers,consumers,providers")))
	require.Len(t, Categories(url.MustParse("consumer://c/x.S?category=*")), 4)
}

func TestCategoryOfAnEntry(t *testing.T) {
	for text, want := range map[string]string{
		"dubbo://p:1/x.S": Providers, "tri://p:1/x.S": Providers, "consumer://c/x.S": Consumers,
		"override://h/x.S": Configurators, "absent://h/x.S": Configurators, "condition://h/x.S": Routers,
		"route://h/x.S": Routers, "dubbo://p:1/x.S?category=routers": Routers,
	} {
		require.Equal(t, want, Category(url.MustParse(text)), text)
	}
}

func TestWants(t *testing.T) {
	service := url.MustParse("consumer://c/x.S?category=configurators")
	require.True(t, Wants(service, url.MustParse("override://0.0.0.0/x.S?weight=1")))
	require.False(t, Wants(service, url.MustParse("dubbo://p:1/x.S")))
}

func TestSource(t *testing.T) {
	require.Equal(t, "live memory file", Live.String()+" "+Memory.String()+" "+File.String())
}
