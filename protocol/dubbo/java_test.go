package dubbo_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/exchange"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/serialize"
)

// What the real Java programs of interop/ taught.

// Hue is an enum.
type Hue string

// JavaClassName is the class of Hue in Java.
func (*Hue) JavaClassName() string { return "com.example.Hue" }

// painted is a service with an enum in its reply.
func painted() *protocol.Interface {
	return service("com.example.Paint",
		method("pick", "", func(context.Context, serialize.Row) (any, error) {
			red := Hue("RED")
			return map[any]any{"hue": &red, "user": &User{Name: "Ann"}}, nil
		}))
}

// TestGenericCallShowsAnEnumAsItsName, as Java's PojoUtils does; other objects are maps with their class.
func TestGenericCallShowsAnEnumAsItsName(t *testing.T) {
	red := Hue("RED")
	i := painted()
	ref := open(t, &red, &User{}).pair(i, "")
	got, err := generic(ref, i.Name, "true", "pick", nil)
	require.NoError(t, err)
	reply := got.(map[any]any)
	require.Equal(t, "RED", reply["hue"])
	require.Equal(t, "com.example.User", reply["user"].(map[any]any)["class"])
}

// TestGenericFailureIsAGenericException: a generic caller has no other class, and the error of another Ferry is still what
// the service said.
func TestGenericFailureIsAGenericException(t *testing.T) {
	h := open(t)
	i := people()
	address := h.export(i, "").URL().Address()
	status, body := dial(t, address).ask(request{path: i.Name, method: protocol.GenericInvoke, descriptor: protocol.GenericDescriptor,
		args: []any{"fail", []string{}, []any{}}}.body(t))
	require.Equal(t, exchange.OK, status)
	r := plain.Reader(body, serialize.Limits{})
	defer r.Free()
	var flag, thrown any
	require.NoError(t, r.Read(&flag))
	require.NoError(t, r.Read(&thrown))
	x := thrown.(*serialize.Object)
	require.Equal(t, "org.apache.dubbo.rpc.service.GenericException", x.Class)
	for name, want := range map[string]any{"exceptionClass": "java.lang.RuntimeException", "exceptionMessage": "boom", "detailMessage": "boom"} {
		got, ok := x.Field(name)
		require.True(t, ok, name)
		require.Equal(t, want, got, name)
	}
	_, err := generic(h.refer(address, i, ""), i.Name, "true", "fail", []string{})
	e := failure(t, err)
	require.Equal(t, "java.lang.RuntimeException", e.Class)
	require.Equal(t, "boom", e.Message)
}

// TestServicesOfAPortServeUntilItIsQuiet: a server withdraws several services of one port, and calls that are on their way
// to any of them are served. Java consumers hear of the end late.
func TestServicesOfAPortServeUntilItIsQuiet(t *testing.T) {
	h := open(t)
	one, two := people(), painted()
	e := h.export(one, "")
	address := e.URL().Address()
	other := h.exportAt(address, two, "")
	ref := open(t).refer(address, one, "timeout=10000")
	count := named(one, "count")
	_, err := call(t.Context(), ref, count)
	require.NoError(t, err)
	closed := make(chan error, 1)
	go func() { closed <- e.Close(context.Background()) }()
	for range 60 {
		_, err := call(t.Context(), ref, count)
		require.NoError(t, err, "a call before the service is quiet")
		time.Sleep(2 * time.Millisecond) // the pace of a caller, not a wait for anything
	}
	require.Empty(t, closed, "not closed while calls come")
	require.NoError(t, receive(t, closed))
	_, err = call(t.Context(), ref, count)
	require.Equal(t, protocol.NotStarted, failure(t, err).Outcome)
	require.NoError(t, other.Close(context.Background()))
}

// TestServiceOfAClosingPortStaysUntilThePortEnds: a caller that stood still for longer than the quiet time is not told that
// the service is not here while the others on its port still have to be served.
func TestServiceOfAClosingPortStaysUntilThePortEnds(t *testing.T) {
	h := open(t)
	one, two, three := people(), painted(), painted()
	three.Name = "com.example.Draw"
	e := h.export(one, "")
	address := e.URL().Address()
	client := open(t)
	all := []protocol.Exporter{e, h.exportAt(address, two, ""), h.exportAt(address, three, "")}
	ref, busy, draw := client.refer(address, one, ""), client.refer(address, two, ""), client.refer(address, three, "")
	count := named(two, "pick")
	_, err := call(t.Context(), busy, count)
	require.NoError(t, err)
	closed := make(chan error, len(all))
	for _, x := range all {
		go func() { closed <- x.Close(context.Background()) }()
	}
	for began := time.Now(); time.Since(began) < 1500*time.Millisecond; time.Sleep(20 * time.Millisecond) { // the pace of a caller
		_, err := call(t.Context(), busy, count)
		require.NoError(t, err)
	}
	_, err = call(t.Context(), ref, named(one, "count"))
	require.NoError(t, err, "after a silence, on a port that others keep busy")
	_, err = call(t.Context(), draw, named(three, "pick"))
	require.NoError(t, err, "whichever was closed last")
	for range all {
		require.NoError(t, receive(t, closed))
	}
}

// A capturedFrame is one message of a Java program; interop writes them.
type capturedFrame struct{ From, Kind, Method, Sample, Hex string }

// TestCapturedFrames reads every frame that the Java programs sent, to its last byte.
func TestCapturedFrames(t *testing.T) {
	files, err := filepath.Glob("testdata/captured/java*.json")
	require.NoError(t, err)
	require.Len(t, files, 3, "Dubbo 2.7, 3.2 and 3.3")
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		var frames []capturedFrame
		require.NoError(t, json.Unmarshal(text, &frames))
		require.NotEmpty(t, frames)
		for _, f := range frames {
			t.Run(strings.Join([]string{f.From, f.Kind, f.Method, f.Sample}, "/"), func(t *testing.T) {
				b, err := hex.DecodeString(f.Hex)
				require.NoError(t, err)
				h, ok := exchange.ParseHeader(b)
				require.True(t, ok)
				require.Equal(t, serialize.Hessian2ID, h.Serialization())
				body := b[exchange.HeaderLen:]
				require.Len(t, body, int(h.Length))
				if f.Kind == "request" {
					readCapturedRequest(t, h, body, f)
				} else {
					readCapturedResponse(t, h, body)
				}
			})
		}
	}
}

func readCapturedRequest(t *testing.T, h exchange.Header, body []byte, f capturedFrame) {
	require.True(t, h.Request())
	require.True(t, h.TwoWay())
	r := plain.Reader(body, serialize.Limits{})
	defer r.Free()
	for _, want := range []string{"2.0.2", "com.ferry.interop.Types", "0.0.0", f.Method, ""} {
		got, err := r.ReadString()
		require.NoError(t, err)
		if want == "" {
			require.True(t, strings.HasPrefix(got, "Ljava/lang/String;"), got)
		} else {
			require.Equal(t, want, got)
		}
	}
	var sample, value any
	require.NoError(t, r.Read(&sample))
	require.Equal(t, f.Sample, sample)
	require.NoError(t, r.Read(&value))
	pairs, err := r.ReadMap(nil)
	require.NoError(t, err)
	require.Equal(t, "com.ferry.interop.Types", protocol.Attachments(pairs).Value("path"))
	require.Zero(t, r.Rest())
}

func readCapturedResponse(t *testing.T, h exchange.Header, body []byte) {
	require.False(t, h.Request())
	require.Equal(t, exchange.OK, h.Status)
	r := plain.Reader(body, serialize.Limits{})
	defer r.Free()
	var flag int32
	require.NoError(t, r.Read(&flag))
	const value, null = 4, 5
	require.Contains(t, []int32{value, null}, flag)
	if flag == value {
		var v any
		require.NoError(t, r.Read(&v))
	}
	pairs, err := r.ReadMap(nil)
	require.NoError(t, err)
	require.Equal(t, "2.0.2", protocol.Attachments(pairs).Value("dubbo"))
	require.Zero(t, r.Rest())
}
