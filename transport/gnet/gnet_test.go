package gnet_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/transport"
	"github.com/ferryrpc/ferry/transport/gnet"
	"github.com/ferryrpc/ferry/transport/transporttest"
	"github.com/ferryrpc/ferry/url"
)

func TestMain(m *testing.M) {
	// gnet's worker pool lives as long as the process.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).purgeStaleWorkers"),
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).ticktock"))
}

func open(t testing.TB) (server, client transport.Transport, base *url.URL) {
	base = url.MustParse("gnet://127.0.0.1:0")
	server, err := gnet.New(extension.Env{}, base)
	require.NoError(t, err)
	client, err = gnet.New(extension.Env{}, base)
	require.NoError(t, err)
	return server, client, base
}

func TestConformance(t *testing.T) { transporttest.Run(t, open, 1000) }

func BenchmarkEcho(b *testing.B) { transporttest.Bench(b, open) }

func BenchmarkIdle(b *testing.B) { transporttest.BenchIdle(b, open) }
