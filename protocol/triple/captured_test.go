package triple

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/serialize"
	"github.com/ferryrpc/ferry/serialize/hessian2"
)

// A capturedMessage is one that a Java program sent over tri; interop writes them.
type capturedMessage struct{ From, Kind, Path, Type, Hex string }

// TestCapturedMessages takes every message apart that the Java programs sent, to its last byte, and puts it together again as they did.
func TestCapturedMessages(t *testing.T) {
	files, err := filepath.Glob("testdata/captured/java*.json")
	require.NoError(t, err)
	require.Len(t, files, 2, "Dubbo 3.2 and 3.3")
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		var messages []capturedMessage
		require.NoError(t, json.Unmarshal(text, &messages))
		seen := map[string]int{}
		for _, m := range messages {
			t.Run(strings.Join([]string{m.From, m.Kind, m.Path}, " "), func(t *testing.T) {
				b, err := hex.DecodeString(m.Hex)
				require.NoError(t, err)
				require.True(t, strings.HasPrefix(m.Type, "application/grpc"), m.Type)
				readCaptured(t, m, b)
				_, method, _ := strings.Cut(m.Path[1:], "/")
				seen[m.Kind+" "+method]++
			})
		}
		for _, one := range []string{"request overload", "request attachment", "request oneWay", "request nothing", "response fail", "response $echo", "response $invoke",
			"response nothing"} {
			require.NotZero(t, seen[one], "%s has no %s", file, one)
		}
	}
}

// readCaptured is for one message, which is a wrapper.
func readCaptured(t *testing.T, m capturedMessage, b []byte) {
	w, err := parseWrapper(b)
	require.NoError(t, err)
	require.Equal(t, hessian4, w.format)
	again := appendString(nil, tagField1, w.format)
	for i, arg := range w.args {
		again = appendString(again, tagField2, string(arg))
		rd := serialize.Plain(hessian2.New(nil)).Reader(arg, serialize.Limits{})
		var v any
		require.NoError(t, rd.Read(&v), "value %d", i)
		require.Zero(t, rd.Rest(), "value %d", i)
		rd.Free()
	}
	for _, name := range w.types {
		again = appendString(again, tagField3, name)
	}
	require.Equal(t, b, again)
	if m.Kind == "request" {
		require.Len(t, w.types, len(w.args))
		return
	}
	require.LessOrEqual(t, len(w.args), 1)
	require.Len(t, w.types, 1)
}
