package triple_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/internal/gen/gentest/prototest"
)

type chat struct{ prototest.Chat }

func (chat) Greet(_ context.Context, in *prototest.GreetRequest) (*prototest.GreetReply, error) {
	return &prototest.GreetReply{Text: "hello " + in.Name}, nil
}

// TestJSON: what curl -d does, over HTTP/1.1 and HTTP/2.
func TestJSON(t *testing.T) {
	impl := newStreamer()
	s := ferry.NewServer("", ferry.Param("protocol", "tri"), ferry.Param("host", "127.0.0.1"), ferry.Param("payload", "4096"))
	require.NoError(t, prototest.ExportChat(s, chat{}))
	address := s.URLs()[0].Address()
	t.Cleanup(func() { _ = s.Close(within(t, 0)) })
	own := serve(t, impl, ferry.Param("payload", "4096"))
	closed := serve(t, impl, ferry.Param("json", "false"))
	var h2c http.Protocols
	h2c.SetUnencryptedHTTP2(true)
	for name, transport := range map[string]*http.Transport{"HTTP/1.1": {}, "HTTP/2": {Protocols: &h2c}} {
		client := &http.Client{Transport: transport}
		for _, k := range []struct {
			address, path, kind, body string
			status                    int
			want                      string
		}{
			{own, "com.example.Streamer/greet", "application/x-www-form-urlencoded", `{"name":"x"}`, 200, `"hello x"`},
			{own, "com.example.Streamer/greet", "application/json; charset=utf-8", `["x"]`, 200, `"hello x"`},
			{own, "com.example.Streamer/greet", "", ` "x" `, 200, `"hello x"`},
			{own, "com.example.Streamer/add", "", `{"b":2,"a":40}`, 200, `42`},
			{own, "com.example.Streamer/add", "", `{"b":2}`, 200, `2`},
			{own, "com.example.Streamer/add", "", `[1, 2]`, 200, `3`},
			{own, "com.example.Streamer/put", "", `{"item":{"Name":"x","Count":3}}`, 200, `null`},
			{own, "com.example.Streamer/put", "", `{"name":"x"}`, 200, `null`},
			{address, "ferry.test.Chat/Greet", "", `{"name":"x"}`, 200, `{"text":"hello x"}`},
			{address, "ferry.test.Chat/greet", "", ``, 200, `{"text":"hello "}`},
			{own, "com.example.Streamer/greet", "", `"status"`, 404, `{"code":"not_found","message":"nobody ☺\n"}`},
			{own, "com.example.Streamer/greet", "", `"fail"`, 500, `{"code":"unknown","message":"no such name"}`},
			{own, "com.example.Streamer/nothing", "", `{}`, 404, `no method \"nothing\"`},
			{own, "com.example.Nobody/greet", "", `{}`, 404, `service \"com.example.Nobody\" is not here`},
			{own, "", "", `{}`, 404, `no /service/method`},
			{own, "com.example.Streamer/$invoke", "", `["greet",[],[]]`, 400, `invalid_argument`},
			{own, "com.example.Streamer/add", "", `[1]`, 400, `it takes 2 arguments, the body has 1`},
			{own, "com.example.Streamer/add", "", `{"c":1}`, 400, `members [\"a\" \"b\"]`},
			{own, "com.example.Streamer/add", "", `["x",1]`, 400, `cannot be decoded`},
			{own, "com.example.Streamer/greet", "", `{"name"`, 400, `no JSON`},
			{own, "com.example.Streamer/ticks", "", `{}`, 400, `streams`},
			{own, "com.example.Streamer/greet", "text/plain", `{}`, 415, `content type`},
			{own, "com.example.Streamer/greet", "", `"` + strings.Repeat("x", 5000) + `"`, 429, `the limit is 4096`},
			{own, "com.example.Streamer/greet", "", strings.Repeat("[", 3000) + strings.Repeat("]", 1000), 400, `no JSON`},
			{own, "com.example.Streamer/greet", "", strings.Repeat("[", 1000) + strings.Repeat("]", 1000), 400, `nesting`},
			{closed, "com.example.Streamer/greet", "", `"x"`, 404, `parameter json`},
		} {
			r, err := http.NewRequest(http.MethodPost, "http://"+k.address+"/"+k.path, strings.NewReader(k.body))
			require.NoError(t, err)
			if k.kind != "" {
				r.Header.Set("Content-Type", k.kind)
			}
			status, text := do(t, client, r)
			require.Equal(t, k.status, status, "%s %s: %s", name, k.path, text)
			require.Contains(t, text, k.want, "%s %s", name, k.path)
		}
		r, err := http.NewRequest(http.MethodGet, "http://"+own+"/com.example.Streamer/ticks", nil)
		require.NoError(t, err)
		status, _ := do(t, client, r)
		require.Equal(t, 405, status)
		r, err = http.NewRequest(http.MethodPost, "http://"+own+"/com.example.Streamer/greet", strings.NewReader(`"x"`))
		require.NoError(t, err)
		r.Header.Set("Origin", "https://evil.example")
		status, text := do(t, client, r)
		require.Equal(t, 403, status, "a page in somebody's browser: %s", text)
		client.CloseIdleConnections()
	}
}

func do(t *testing.T, c *http.Client, r *http.Request) (int, string) {
	resp, err := c.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(b)
}
