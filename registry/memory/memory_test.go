package memory

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

func open(t testing.TB, e extension.Env, text string) registry.Registry {
	r, err := New(e, url.MustParse(text))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	return r
}

func TestConformance(t *testing.T) {
	registrytest.Run(t, func(t testing.TB) registrytest.Pair {
		e := extension.Env{Shared: &extension.Shared{}}
		return registrytest.Pair{A: open(t, e, "memory://here"), B: open(t, e, "memory://here")}
	})
}

func TestNamesAndProcessesAreApart(t *testing.T) {
	e := extension.Env{Shared: &extension.Shared{}}
	a := open(t, e, "memory://a")
	require.NoError(t, a.Register(context.Background(), registrytest.Provider(1, "Apart", "")))
	for _, r := range []registry.Registry{open(t, e, "memory://b"), open(t, extension.Env{}, "memory://a")} {
		s, _ := registrytest.Subscribe(t, r, registrytest.Consumer("Apart", ""))
		s.Live(t)
	}
}

func TestRules(t *testing.T) {
	r := open(t, extension.Env{}, "memory://rules").(*Registry)
	texts := make(chan []byte, 10)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	require.NoError(t, r.Watch(ctx, "k", func(text []byte) { texts <- text }))
	require.Nil(t, <-texts)
	r.SetRule("k", []byte("one"))
	require.Equal(t, "one", string(<-texts))
	r.SetRule("other", []byte("x"))
	r.SetRule("k", []byte{})
	text := <-texts
	require.NotNil(t, text)
	require.Empty(t, text)
	r.SetRule("k", nil)
	require.Nil(t, <-texts)
}
