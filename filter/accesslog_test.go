package filter

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/url"
)

func logged(t *testing.T, e extension.Env, params string, args ...any) {
	t.Helper()
	f, err := NewAccessLog(e, url.MustParse("dubbo://h:1/com.example.Greeter?group=g&version=1.0&"+params))
	require.NoError(t, err)
	ctx := context.WithValue(t.Context(), protocol.PeerKey{}, net.Addr(&net.TCPAddr{IP: net.IPv4(10, 0, 0, 9), Port: 5}))
	m := method("sayHello", 0)
	m.Descriptor = "Ljava/lang/String;I"
	require.NoError(t, f(protocol.InvokerFunc(ok)).Invoke(ctx, &protocol.Invocation{Method: m, Args: row(args)}))
}

func TestAccessLogToTheLogger(t *testing.T) {
	var log strings.Builder
	text, number, nothing := "a\nb", 5, (*string)(nil)
	at := time.Date(2026, 1, 2, 3, 4, 5, 678_900_000, time.UTC)
	e := extension.Env{Logger: slog.New(slog.NewTextHandler(&log, nil)), Now: func() time.Time { return at }}
	logged(t, e, "accesslog=true", &text, &number, &nothing)
	require.Contains(t, log.String(), `[2026-01-02 03:04:05.67890] -> [2026-01-02 03:04:05.67890] 10.0.0.9:5 -> h:1 - g/com.example.Greeter:1.0 sayHello(Ljava/lang/String;I) [`)
	require.Contains(t, log.String(), `a\\nb`, "an argument cannot add lines: %s", log.String())
	require.Contains(t, log.String(), `,5,<nil>]`)
	require.Equal(t, 1, strings.Count(log.String(), "\n"))

	log.Reset()
	text = strings.Repeat("x", 1<<20)
	logged(t, e, "accesslog=default", &text)
	require.Less(t, len(log.String()), 2*longestEntry)
}

func TestAccessLogFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	now := time.Date(2026, 1, 2, 23, 59, 0, 0, time.Local)
	var mu sync.Mutex
	e := extension.Env{Now: func() time.Time { mu.Lock(); defer mu.Unlock(); return now }}
	open := func() protocol.Invoker {
		f, err := NewAccessLog(e, url.MustParse("dubbo://h:1/s?accesslog="+path))
		require.NoError(t, err)
		return f(protocol.InvokerFunc(ok))
	}
	one, two := open(), open() // two services share the file
	for range 3 {
		require.NoError(t, one.Invoke(t.Context(), call("a")))
		require.NoError(t, two.Invoke(t.Context(), call("b")))
	}
	mu.Lock()
	now = now.Add(time.Hour)
	mu.Unlock()
	for range 2 {
		require.NoError(t, one.Invoke(t.Context(), call("a")))
		require.NoError(t, two.Invoke(t.Context(), call("b")))
	}
	lines := func(p string) int {
		text, err := os.ReadFile(p)
		require.NoError(t, err)
		return strings.Count(string(text), "\n")
	}
	require.Equal(t, 6, lines(path+".20260102"))
	require.Equal(t, 4, lines(path))

	_, err := NewAccessLog(e, url.MustParse("dubbo://h:1/s?accesslog="+filepath.Join(path, "below", "a", "file")))
	require.Error(t, err, "a path that cannot be written is an error at start")
}
