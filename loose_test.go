package ferry_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/benchmarks/echo"
	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/registry"
	"github.com/ferryrpc/ferry/url"
)

// loose is a registry whose value cannot be a key of a map.
type loose struct {
	registry.Registry
	urls []*url.URL
}

func (l loose) Subscribe(_ context.Context, _ *url.URL, notify func(registry.State)) error {
	go notify(registry.State{URLs: l.urls, Source: registry.Live, At: time.Now()})
	return nil
}

func (loose) Register(context.Context, *url.URL) error   { return nil }
func (loose) Unregister(context.Context, *url.URL) error { return nil }
func (loose) Watch(_ context.Context, _ string, notify func([]byte)) error {
	go notify(nil)
	return nil
}
func (loose) Close() error { return nil }

func TestRegistryThatIsNoKey(t *testing.T) {
	reg := loose{urls: []*url.URL{}}
	x := ferry.Builtin()
	require.NoError(t, x.Registries.Add("loose", nil, func(extension.Env, *url.URL) (registry.Registry, error) { return reg, nil }))
	s := &ferry.Server{Registry: "loose://here", Extensions: x, Options: []ferry.Option{ferry.Param("host", "127.0.0.1")}}
	defer s.Close(context.Background())
	require.NoError(t, echo.ExportEcho(s, echo.Server{}))
	reg.urls = s.URLs()
	c := &ferry.Client{Registry: "loose://here", Extensions: x}
	defer c.Close()
	e, err := echo.ReferEcho(c)
	require.NoError(t, err)
	got, err := e.Echo(t.Context(), &echo.Message{ID: 7})
	require.NoError(t, err)
	require.EqualValues(t, 7, got.ID)
}
