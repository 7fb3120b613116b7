package triple

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/serialize"
	"github.com/ferryrpc/ferry/serialize/hessian2"
	"github.com/ferryrpc/ferry/serialize/protobuf"
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
				if strings.HasPrefix(m.Path, "/com.ferry.interop.ProtoApi/") {
					readCapturedProto(t, m, b)
				} else {
					readCaptured(t, m, b)
				}
				_, method, _ := strings.Cut(m.Path[1:], "/")
				seen[m.Kind+" "+method]++
			})
		}
		for _, one := range []string{"request overload", "request attachment", "request oneWay", "request nothing", "response fail", "response $echo", "response $invoke",
			"response nothing", "request talk", "response count", "request greet", "response greet", "request people"} {
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
		if n := len(w.types); n > 0 && w.types[n-1] == observer { // of a server stream
			w.types = w.types[:n-1]
		}
		require.Len(t, w.types, len(w.args))
		return
	}
	require.LessOrEqual(t, len(w.args), 1)
	require.Len(t, w.types, 1)
}

// TestServerStreamAsJavaAsksForIt writes the request of a server stream as Java does, with the observer among the types.
func TestServerStreamAsJavaAsksForIt(t *testing.T) {
	text, err := os.ReadFile("testdata/captured/java33.json")
	require.NoError(t, err)
	var messages []capturedMessage
	require.NoError(t, json.Unmarshal(text, &messages))
	p := &Protocol{}
	s := newShape(&protocol.Method{Name: "count", Kind: protocol.ServerStream, Descriptor: "Ljava/lang/String;"})
	var want []string
	for _, m := range messages {
		if m.Kind == "request" && m.Path == "/com.ferry.interop.StreamApi/count" {
			want = append(want, m.Hex)
		}
	}
	word := "3"
	b, err := p.request(&s, format{name: "hessian2", Serializer: hessian2.New(nil)}, serialize.Values{&word})
	require.NoError(t, err)
	require.Contains(t, want, hex.EncodeToString(b[prefixLen:]))
}

// readCapturedProto is for one that is the message itself.
func readCapturedProto(t *testing.T, m capturedMessage, b []byte) {
	var message proto.Message = new(wrapperspb.StringValue)
	if m.Kind == "request" && strings.HasSuffix(m.Path, "/count") {
		message = new(wrapperspb.Int32Value)
	}
	p := &Protocol{proto: protobuf.New(nil)}
	require.NoError(t, p.readMessage(append(make([]byte, room), b...), message))
	again, err := p.appendMessage(message)
	require.NoError(t, err)
	require.Equal(t, b, again[prefixLen:])
}
