package dubbo_test

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/exchange"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/serialize"
)

// TestCapturedCalls reads every frame that the Java programs sent for the kinds of calls, and when they shut down, to its last
// byte.
func TestCapturedCalls(t *testing.T) {
	files, err := filepath.Glob("testdata/captured/calls*.json")
	require.NoError(t, err)
	require.Len(t, files, 3, "Dubbo 2.7, 3.2 and 3.3")
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		var frames []capturedFrame
		require.NoError(t, json.Unmarshal(text, &frames))
		seen := map[string]int{}
		for _, f := range frames {
			t.Run(strings.Join([]string{f.From, f.Kind, f.Method}, "/"), func(t *testing.T) {
				b, err := hex.DecodeString(f.Hex)
				require.NoError(t, err)
				h, ok := exchange.ParseHeader(b)
				require.True(t, ok)
				require.Equal(t, serialize.Hessian2ID, h.Serialization())
				body := b[exchange.HeaderLen:]
				require.Len(t, body, int(h.Length))
				rd := plain.Reader(body, serialize.Limits{})
				defer rd.Free()
				switch {
				case h.Event():
					seen[readCapturedEvent(t, h, rd)]++
				case h.Request():
					seen[readCapturedCall(t, h, rd, f)]++
				default:
					seen[readCapturedAnswer(t, h, rd)]++
				}
				require.Zero(t, rd.Rest())
			})
		}
		for _, kind := range []string{"READONLY", "two-way", "one-way", protocol.Echo, protocol.GenericInvoke, "value", "null", "exception", "refusal"} {
			require.NotZero(t, seen[kind], "%s has no %s", file, kind)
		}
	}
}

func readCapturedEvent(t *testing.T, h exchange.Header, rd serialize.Reader) string {
	var v any
	require.NoError(t, rd.Read(&v))
	switch v {
	case nil:
		return "heartbeat"
	case "R":
		require.True(t, h.Request())
		require.False(t, h.TwoWay(), "nobody answers it")
		return "READONLY"
	}
	require.Fail(t, "unknown event", "%v", v)
	return ""
}

func readCapturedCall(t *testing.T, h exchange.Header, rd serialize.Reader, f capturedFrame) string {
	var head [5]string
	for i := range head {
		var err error
		head[i], err = rd.ReadString()
		require.NoError(t, err)
	}
	require.Equal(t, "2.0.2", head[0])
	require.Equal(t, "com.ferry.interop.Calls", head[1])
	require.Equal(t, f.Method, head[3])
	for range arguments(head[4]) {
		var v any
		require.NoError(t, rd.Read(&v))
	}
	pairs, err := rd.ReadMap(nil)
	require.NoError(t, err)
	require.Equal(t, "com.ferry.interop.Calls", protocol.Attachments(pairs).Value("path"))
	switch {
	case head[3] == protocol.Echo || head[3] == protocol.GenericInvoke:
		return head[3]
	case h.TwoWay():
		return "two-way"
	}
	return "one-way"
}

// arguments counts the types of a descriptor.
func arguments(descriptor string) (n int) {
	for i := 0; i < len(descriptor); i++ {
		switch descriptor[i] {
		case '[':
			continue
		case 'L':
			i += strings.IndexByte(descriptor[i:], ';')
		}
		n++
	}
	return n
}

func readCapturedAnswer(t *testing.T, h exchange.Header, rd serialize.Reader) string {
	if h.Status != exchange.OK {
		reason, err := rd.ReadString()
		require.NoError(t, err)
		require.NotEmpty(t, reason)
		return "refusal"
	}
	var flag int32
	require.NoError(t, rd.Read(&flag))
	kind := map[int32]string{3: "exception", 4: "value", 5: "null"}[flag]
	require.NotEmpty(t, kind, "flag %d", flag)
	if kind != "null" {
		var v any
		require.NoError(t, rd.Read(&v))
		require.NotNil(t, v)
	}
	pairs, err := rd.ReadMap(nil)
	require.NoError(t, err)
	require.Equal(t, "2.0.2", protocol.Attachments(pairs).Value("dubbo"))
	return kind
}
