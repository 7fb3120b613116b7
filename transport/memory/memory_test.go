package memory_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/transport"
	"github.com/ferryrpc/ferry/transport/memory"
	"github.com/ferryrpc/ferry/transport/transporttest"
	"github.com/ferryrpc/ferry/url"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB) (server, client transport.Transport, base *url.URL) {
	base = url.MustParse("memory://127.0.0.1:0")
	server, err := memory.New(extension.Env{}, base)
	require.NoError(t, err)
	return server, server, base
}

func TestConformance(t *testing.T) { transporttest.Run(t, open, 1000) }

func BenchmarkEcho(b *testing.B) { transporttest.Bench(b, open) }
