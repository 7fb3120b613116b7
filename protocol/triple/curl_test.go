package triple_test

import (
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/internal/gen/gentest/prototest"
	"github.com/ferryrpc/ferry/internal/gen/gentest/streamtest"
)

// TestCurl runs the commands of docs/triple.md: one port has a service of a Go interface and one of a .proto file.
func TestCurl(t *testing.T) {
	s := ferry.NewServer("", ferry.Param("protocol", "tri"), ferry.Param("host", "127.0.0.1"))
	t.Cleanup(func() { _ = s.Close(within(t, 0)) })
	require.NoError(t, streamtest.ExportStreamer(s, newStreamer()))
	require.NoError(t, prototest.ExportChat(s, chat{}))
	at := "http://" + s.URLs()[0].Address()
	for _, k := range []struct{ body, path, want string }{
		{`{"name":"x"}`, "/com.example.Streamer/greet", `"hello x"`},
		{`["x"]`, "/com.example.Streamer/greet", `"hello x"`},
		{`{"a":40,"b":2}`, "/com.example.Streamer/add", `42`},
		{`{"name":"x"}`, "/ferry.test.Chat/Greet", `{"text":"hello x"}`},
		{`"status"`, "/com.example.Streamer/greet", `{"code":"not_found","message":"nobody ☺\n"}`},
	} {
		out, err := exec.CommandContext(t.Context(), "curl", "-sS", "--noproxy", "*", "--max-time", "60", "-d", k.body, at+k.path).CombinedOutput()
		require.NoError(t, err, "%s: %s", k.path, out)
		require.JSONEq(t, k.want, string(out), k.path)
	}
}

// TestTwoProtocols has one server with the same service at dubbo:// and tri://; a consumer of either is answered.
func TestTwoProtocols(t *testing.T) {
	s := ferry.NewServer("", ferry.Param("host", "127.0.0.1"))
	t.Cleanup(func() { _ = s.Close(within(t, 0)) })
	impl := newStreamer()
	schemes := []string{"dubbo", "tri"}
	for _, scheme := range schemes {
		require.NoError(t, streamtest.ExportStreamer(s, impl, ferry.Param("protocol", scheme), ferry.Param("port", "0")))
	}
	urls := s.URLs()
	require.Len(t, urls, len(schemes))
	require.NotEqual(t, urls[0].Address(), urls[1].Address())
	for i, scheme := range schemes {
		require.Equal(t, scheme, urls[i].Scheme())
		c := &ferry.Client{}
		t.Cleanup(func() { require.NoError(t, c.Close()) })
		streamer, err := streamtest.ReferStreamer(c, ferry.Direct(scheme+"://"+urls[i].Address()))
		require.NoError(t, err)
		got, err := streamer.Greet(within(t, 20*time.Second), scheme)
		require.NoError(t, err, scheme)
		require.Equal(t, "hello "+scheme, got)
	}
}
