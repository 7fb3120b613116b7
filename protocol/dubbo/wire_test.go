package dubbo_test

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/exchange"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/serialize"
	"github.com/ferryrpc/ferry/url"
)

// A walker reads Hessian by hand: the few forms that a plain request is made of.
type walker struct {
	t testing.TB
	b []byte
}

func (w *walker) next() byte {
	require.NotEmpty(w.t, w.b)
	b := w.b[0]
	w.b = w.b[1:]
	return b
}

// text reads a string of up to 1023 ASCII bytes.
func (w *walker) text() string {
	n := int(w.next())
	if n >= 0x30 && n <= 0x33 {
		n = (n-0x30)<<8 + int(w.next())
	} else {
		require.Less(w.t, n, 0x20)
	}
	require.GreaterOrEqual(w.t, len(w.b), n)
	s := string(w.b[:n])
	w.b = w.b[n:]
	return s
}

// attachments reads an untyped map of strings to the end of the body.
func (w *walker) attachments() map[string]string {
	require.EqualValues(w.t, 'H', w.next())
	m := map[string]string{}
	for w.b[0] != 'Z' {
		k := w.text()
		require.NotContains(w.t, m, k)
		m[k] = w.text()
	}
	require.Len(w.t, w.b, 1, "nothing behind the map")
	return m
}

// capture returns a provider that keeps the frames it gets and answers two-way ones with null.
func capture(t testing.TB) (*scripted, <-chan exchange.Header, <-chan []byte) {
	heads, bodies := make(chan exchange.Header, 10), make(chan []byte, 10)
	return play(t, func(h exchange.Header, body []byte) []byte {
		if h.Event() {
			return nil
		}
		heads <- h
		bodies <- body
		if !h.TwoWay() {
			return nil
		}
		return reply(h, exchange.OK, []byte("\x92"))
	}), heads, bodies
}

// TestOurRequests: the bytes of a request, read by the rules and not by our own decoder.
func TestOurRequests(t *testing.T) {
	const iface = "com.example.DemoService"
	two := protocol.Attachments{"trace", "t1", "path", "/etc/passwd", "token", "mine", "timeout", "9"}
	soon, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	for name, c := range map[string]struct {
		params, path string
		ctx          context.Context
		timeout      time.Duration
		user         protocol.Attachments
		version      string
		oneway       bool
		want         map[string]string // besides path, interface, version
		atMost       int               // ms that timeout may say, when it is not exact
	}{
		"plain":         {want: map[string]string{"timeout": "1000"}},
		"all of it":     {params: "version=1.2.3&group=g&token=secret&timeout=3000&application=app&side=consumer&remote.application=theirs", version: "1.2.3", want: map[string]string{"group": "g", "token": "secret", "timeout": "3000", "remote.application": "app"}},
		"of the method": {params: "timeout=3000&sayHello.timeout=5s", want: map[string]string{"timeout": "5000"}},
		"of the call":   {timeout: 250 * time.Millisecond, want: map[string]string{"timeout": "250"}},
		"zero":          {params: "timeout=0", want: map[string]string{"timeout": "1000"}},
		"deadline":      {ctx: soon, params: "timeout=60000", atMost: 500},
		"of the user":   {user: two, params: "token=secret", want: map[string]string{"timeout": "1000", "token": "secret", "trace": "t1"}},
		"context path":  {path: "shop/" + iface, params: "interface=" + iface, want: map[string]string{"timeout": "1000"}},
		"any group":     {params: "group=*", want: map[string]string{"timeout": "1000"}},
		"one way":       {params: "sayHello.return=false", oneway: true, want: map[string]string{"timeout": "1000", "return": "false"}},
	} {
		t.Run(name, func(t *testing.T) {
			server, heads, bodies := capture(t)
			m := method("sayHello", "Ljava/lang/String;I", nil, "", int32(0))
			i := service(iface, m)
			path := or(c.path, iface)
			h := open(t)
			ref, err := h.Refer(t.Context(), i, url.MustParse("dubbo://"+server.address()+"/"+path+"?"+c.params))
			require.NoError(t, err)
			inv := invocation(m, "world", int32(7))
			inv.Timeout, inv.Attachments = c.timeout, c.user
			ctx := c.ctx
			if ctx == nil {
				ctx = t.Context()
			}
			require.NoError(t, ref.Invoke(ctx, inv))

			head := receive(t, heads)
			w := &walker{t, receive(t, bodies)}
			require.EqualValues(t, len(w.b), head.Length)
			require.Zero(t, head.Status)
			if c.oneway {
				require.EqualValues(t, 0x82, head.Flags)
			} else {
				require.EqualValues(t, 0xc2, head.Flags)
			}
			version := or(c.version, "0.0.0")
			for _, want := range []string{"2.0.2", iface, version, "sayHello", "Ljava/lang/String;I", "world"} {
				require.Equal(t, want, w.text())
			}
			require.EqualValues(t, 0x97, w.next(), "the int 7")
			got := w.attachments()
			if c.atMost > 0 {
				ms, err := strconv.Atoi(got["timeout"])
				require.NoError(t, err)
				require.Positive(t, ms)
				require.LessOrEqual(t, ms, c.atMost)
				return
			}
			c.want["path"], c.want["interface"], c.want["version"] = path, iface, version
			require.Equal(t, c.want, got)
		})
	}
}

// TestEmptyDescriptor: a method without arguments has the empty descriptor, and no version is 0.0.0.
func TestEmptyDescriptor(t *testing.T) {
	server, _, bodies := capture(t)
	m := method("ping", "", nil)
	_, err := call(t.Context(), open(t).refer(server.address(), service(demo, m), ""), m)
	require.NoError(t, err)
	require.Equal(t, "\x052.0.2\x17"+demo+"\x050.0.0\x04ping\x00H", string(receive(t, bodies)[:43]))
}

// TestOurAnswers: which flag an answer has depends on what it holds and on the caller's protocol version.
func TestOurAnswers(t *testing.T) {
	h := open(t)
	i := service(demo,
		method("value", "", func(context.Context, serialize.Row) (any, error) { return "v", nil }),
		method("null", "", func(context.Context, serialize.Row) (any, error) { return nil, nil }),
		void(method("none", "", func(context.Context, serialize.Row) (any, error) { return nil, nil })),
		method("fail", "", func(context.Context, serialize.Row) (any, error) { return nil, errors.New("boom") }))
	peer := dial(t, h.export(i, "").URL().Address())
	for version, attached := range map[string]bool{"2.0.2": true, "2.0.10": true, "2.0.99": true, "2.0.1": false, "2.0.100": false, "2.1.0": false,
		"2.5.3": false, "2.6.2": false, "2.0": false, "2.0.2.1": false, "": false, "x": false, "2.0.x": false, "2.0.-2": false,
		"99999999999999999999.0.0": false, "3.3.1": false} {
		for method, flag := range map[string]int32{"value": 1, "null": 2, "none": 2, "fail": 0} {
			body := request{dubbo: "2.0.2", path: demo, method: method}.body(t)
			body = append(words(version), body[len("\x052.0.2"):]...)
			status, got := peer.ask(body)
			require.Equal(t, exchange.OK, status, "%q", got)
			var pairs []string
			if attached {
				flag += 3
				pairs = []string{"dubbo", "2.0.2"}
			}
			require.Equal(t, byte(0x90+flag), got[0], "%s %s", version, method)
			a := readAnswer(t, got)
			require.Equal(t, pairs, a.pairs, version)
			switch method {
			case "value":
				require.Equal(t, "v", a.value)
			case "fail":
				require.Equal(t, serialize.Exception{Class: "java.lang.RuntimeException", Message: "boom"}, a.exception)
			default:
				require.Nil(t, a.value)
			}
		}
	}
}
