package static

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/registry"
	"github.com/ferryrpc/ferry/registry/registrytest"
	"github.com/ferryrpc/ferry/url"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, text string) registry.Registry {
	r, err := New(extension.Env{}, url.MustParse(text))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	return r
}

func TestEveryServiceIsAtEveryAddress(t *testing.T) {
	r := open(t, "static://me:pw@b:2,a:1?serialization=json")
	s, _ := registrytest.Subscribe(t, r, registrytest.Consumer("S", "group=blue&version=1.0"))
	s.Live(t,
		url.MustParse("dubbo://a:1/com.example.S?group=blue&interface=com.example.S&serialization=json&side=provider&version=1.0"),
		url.MustParse("dubbo://b:2/com.example.S?group=blue&interface=com.example.S&serialization=json&side=provider&version=1.0"))
}

func TestPatternsAndProtocol(t *testing.T) {
	r := open(t, "static://a:1?protocol=tri")
	s, _ := registrytest.Subscribe(t, r, registrytest.Consumer("S", "group=x,y&version=*"))
	s.Live(t, url.MustParse("tri://a:1/com.example.S?group=x&interface=com.example.S&side=provider"))
	s, _ = registrytest.Subscribe(t, r, registrytest.Consumer("S", "category=configurators"))
	s.Live(t)
	s, _ = registrytest.Subscribe(t, open(t, "static://a:1?group=only"), registrytest.Consumer("S", "group=other"))
	s.Live(t)
}

func TestRegisterDoesNothingAndCloseEnds(t *testing.T) {
	r := open(t, "static://a:1")
	ctx := context.Background()
	require.NoError(t, r.Register(ctx, registrytest.Provider(1, "S", "")))
	require.NoError(t, r.Unregister(ctx, registrytest.Provider(1, "S", "")))
	require.NoError(t, r.Close())
	require.ErrorIs(t, r.Register(ctx, registrytest.Provider(1, "S", "")), ErrClosed)
	require.ErrorIs(t, r.Subscribe(ctx, registrytest.Consumer("S", ""), func(registry.State) {}), ErrClosed)
}

func TestNoAddress(t *testing.T) {
	_, err := New(extension.Env{}, url.MustParse("static:///?a=b"))
	require.Error(t, err)
}
