package dubbo_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/exchange"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/serialize"
)

const demo = "com.example.DemoService"

// A record is one call as a handler saw it.
type record struct {
	method string
	args   []any
	pairs  protocol.Attachments
}

// recorder is the service of the vectors; every call goes to the channel and is answered with "done".
func recorder() (*protocol.Interface, <-chan record) {
	calls := make(chan record, 100)
	record := func(name, descriptor string, samples ...any) *protocol.Method {
		return method(name, descriptor, func(ctx context.Context, args serialize.Row) (any, error) {
			c := record{method: name, pairs: protocol.IncomingAttachments(ctx)}
			for i := range args.Len() {
				c.args = append(c.args, deref(args.At(i)))
			}
			calls <- c
			return "done", nil
		}, samples...)
	}
	const str = "Ljava/lang/String;"
	return service(demo, record("sayHello", str, ""), record("notifyAll", str, ""), record("ping", ""),
		record("calc", "IJDZBSCF", int32(0), int64(0), float64(0), false, int8(0), int16(0), "", float32(0)),
		record("save", "Lcom/example/User;", &User{}), record("two", "Lcom/example/User;Lcom/example/User;", &User{}, &User{}),
		record("mix", "Ljava/util/List;Ljava/util/Map;[B[Ljava/lang/String;Ljava/util/Date;",
			[]string{}, map[string]string{}, []byte{}, []string{}, time.Time{})), calls
}

func deref(p any) any {
	switch p := p.(type) {
	case *int32:
		return *p
	case *int64:
		return *p
	case *float64:
		return *p
	case *float32:
		return *p
	case *bool:
		return *p
	case *int8:
		return *p
	case *int16:
		return *p
	case *string:
		return *p
	case **User:
		return *p
	case *[]string:
		return *p
	case *map[string]string:
		return *p
	case *[]byte:
		return *p
	case *time.Time:
		return p.UTC()
	}
	return p
}

// TestRequestsOfOthers: what Java and dubbo-go send reaches the handler with all its parts.
func TestRequestsOfOthers(t *testing.T) {
	ann := &User{1, "Ann", 30}
	mix := []any{[]string{"a"}, map[string]string{"k": "v"}, []byte{1, 2}, []string{"s"}, time.Date(1998, 5, 8, 9, 51, 0, 0, time.UTC)}
	cases := map[string]record{
		"req_sayHello":                       {method: "sayHello", args: []any{"world"}},
		"req_sayHello_noversion":             {method: "sayHello", args: []any{"world"}},
		"req_oneway":                         {method: "notifyAll", args: []any{"x"}},
		"req_noargs":                         {method: "ping"},
		"req_negative_id":                    {method: "ping"},
		"req_primitives":                     {method: "calc", args: []any{int32(1), int64(2), 3.5, true, int8(5), int16(6), "c", float32(7.5)}},
		"req_pojo":                           {method: "save", args: []any{ann}},
		"req_containers":                     {method: "mix", args: mix},
		"req_shared_ref_args":                {method: "two", args: []any{ann, ann}},
		"req_generic_invoke":                 {method: "sayHello", args: []any{"world"}},
		"req_generic_pojo":                   {method: "save", args: []any{&User{Name: "Ann"}}},
		"req_echo":                           {},
		"jreq_sayHello":                      {method: "sayHello", args: []any{"world"}},
		"jreq_pojo":                          {method: "save", args: []any{ann}},
		"jreq_containers":                    {method: "mix", args: mix},
		"jreq_containers@hessian-lite-4.0.3": {method: "mix", args: mix},
		"jreq_generic":                       {method: "sayHello", args: []any{"world"}},
		"jreq_generic_pojo":                  {method: "save", args: []any{ann}},
	}
	for _, transport := range []string{"net", "gnet"} {
		t.Run(transport, func(t *testing.T) {
			h := open(t, &User{})
			i, calls := recorder()
			e := h.exportAt("127.0.0.1:0", i, "version=1.0.0&transport="+transport)
			h.exportAt("127.0.0.1:0", i, "transport="+transport)
			peer := dial(t, e.URL().Address())
			all := vectors(t)
			for name := range all {
				if strings.HasPrefix(name, "req_") || strings.HasPrefix(name, "jreq_") {
					require.Contains(t, cases, name, "every request has a case")
				}
			}
			for name, want := range cases {
				sent := unhex(t, all[name].Hex)
				peer.send(sent)
				if want.method != "" {
					got := receive(t, calls)
					require.Equal(t, want.method, got.method, name)
					require.Equal(t, want.args, got.args, name)
					require.Equal(t, demo, got.pairs.Value("path"), name)
				}
				if name == "req_oneway" {
					continue // an answer to it would meet the next request
				}
				head, body := peer.read()
				require.Equal(t, sent[4:12], frame(0, 0, head.ID, nil)[4:12], name)
				require.Equal(t, serialize.Hessian2ID, head.Flags, name)
				require.Equal(t, exchange.OK, head.Status, "%s: %s", name, body)
				reply := readAnswer(t, body)
				require.EqualValues(t, 4, reply.flag, name)
				require.Equal(t, []string{"dubbo", "2.0.2"}, reply.pairs)
				if name == "req_echo" {
					require.Equal(t, "OK", reply.value)
				} else {
					require.Equal(t, "done", reply.value, name)
				}
			}
			require.Empty(t, calls)
		})
	}
}

// TestVersionsOfNone: 0.0.0, the empty string and null all mean that there is no version.
func TestVersionsOfNone(t *testing.T) {
	h := open(t)
	i, calls := recorder()
	peer := dial(t, h.export(i, "").URL().Address())
	for _, version := range []string{"\x050.0.0", "\x00", "N"} {
		body := "\x052.0.2\x17" + demo + version + "\x04ping\x00" + "H\x04path\x17" + demo + "\x01n\x91\x04null\x4eZ"
		status, reply := peer.ask([]byte(body))
		require.Equal(t, exchange.OK, status, "%q", reply)
		require.Equal(t, protocol.Attachments{"path", demo, "n", "1"}, receive(t, calls).pairs, "null values are left out, numbers are text")
	}
	for _, pairs := range []string{"", "N", "HZ", "M\x17java.util.LinkedHashMapZ"} {
		status, reply := peer.ask([]byte("\x052.0.2\x17" + demo + "N\x04ping\x00" + pairs))
		require.Equal(t, exchange.OK, status, "%q", reply)
		require.Empty(t, receive(t, calls).pairs)
	}
}

// TestEventsOfOthers: a server answers heartbeats and nothing else that is an event or an answer.
func TestEventsOfOthers(t *testing.T) {
	h := open(t)
	i, _ := recorder()
	peer := dial(t, h.export(i, "version=1.0.0").URL().Address())
	all := vectors(t)
	for name := range all {
		if !strings.Contains(name, "req") {
			peer.send(unhex(t, all[name].Hex))
		}
	}
	peer.send(unhex(t, all["heartbeat_req"].Hex), unhex(t, all["req_noargs"].Hex))
	head, body := peer.read()
	require.Equal(t, all["heartbeat_resp"].Hex, hexOf(frame(head.Flags, head.Status, head.ID, body)))
	head, _ = peer.read()
	require.EqualValues(t, 3, head.ID)
}
