package dubbo_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/exchange"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/serialize"
	"github.com/ferryrpc/ferry/url"
)

const everything = "telnet=ls,cd,pwd,invoke,exit"

// A terminal is a person who types.
type terminal struct {
	t    testing.TB
	conn net.Conn
	in   *bufio.Reader
}

func sit(t testing.TB, address string) *terminal {
	c, err := net.Dial("tcp", address)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
	return &terminal{t, c, bufio.NewReader(c)}
}

// types sends a line and returns what comes up to the prompt.
func (x *terminal) types(line string) string {
	x.t.Helper()
	got, err := x.tries(line)
	require.NoError(x.t, err, "after %q", got)
	return got
}

// tries is types of a terminal that may be turned away.
func (x *terminal) tries(line string) (string, error) {
	if _, err := io.WriteString(x.conn, line+"\r\n"); err != nil {
		return "", err
	}
	var got strings.Builder
	for !strings.HasSuffix(got.String(), "dubbo>") {
		b, err := x.in.ReadByte()
		if err != nil {
			return got.String(), err
		}
		got.WriteByte(b)
	}
	return strings.TrimSuffix(strings.TrimSuffix(got.String(), "dubbo>"), "\r\n"), nil
}

// ended says that the server hung up, and returns what it said before.
func (x *terminal) ended() string {
	x.t.Helper()
	b, err := io.ReadAll(x.in)
	if err != nil {
		require.ErrorContains(x.t, err, "reset")
	}
	return string(b)
}

func TestTelnetListsAndInvokes(t *testing.T) {
	h := open(t, &User{}, &Team{})
	e := h.export(people(), everything)
	h.exportAt(e.URL().Address(), people(), everything+"&group=g&version=1.0.0")
	x := sit(t, e.URL().Address())
	require.Equal(t, "PROVIDER:\r\ncom.example.People\r\ng/com.example.People:1.0.0", x.types("ls"))
	require.Contains(t, x.types("ls people"), "com.example.People (as provider):\r\n\tsave\r\n\tpromote")
	require.Equal(t, "No such service: Nobody", x.types("ls Nobody"))
	for typed, want := range map[string]string{
		"invoke com.example.People.count()":         "result: 7",
		"invoke People.add(1, 2, 0.5)":              "result: 3.5",
		`invoke People.find("中😀")`:                  `result: "中😀"`,
		`invoke People.names(["a", "b"])`:           `result: ["a","b"]`,
		`invoke People.forget("x")`:                 "result: null",
		`invoke g/com.example.People:1.0.0.count()`: "result: 7",
		"invoke People.fail()":                      "Failed to invoke method fail, cause: boom",
		"invoke People.nowhere()":                   "No such method nowhere in service People",
		"invoke People.count(1)":                    "No such method count",
		"invoke Nobody.count()":                     "No such service Nobody",
		"invoke People.count(":                      "Invalid parameters",
		"invoke People.count(])":                    "Invalid json argument",
		"invoke count()":                            "please execute cd command first",
		`invoke People.save({"class":"com.example.User","id":1,"name":"A","age":2})`: `"name":"A"`,
	} {
		got := x.types(typed)
		require.Contains(t, got, want, "%s", typed)
		require.Equal(t, strings.HasPrefix(want, "result"), strings.Contains(got, "\r\nelapsed: ") && !strings.Contains(want, `"name"`), "%s: %s", typed, got)
	}
	require.Contains(t, x.types("cd People"), "Used the People as default.")
	require.Equal(t, "/People", x.types("pwd"))
	require.Contains(t, x.types("invoke count()"), "result: 7")
	require.Contains(t, x.types("cd /"), "Cancelled default service People.")
	require.Equal(t, "Unsupported command: reboot", x.types("reboot"), "a slip does not end what has begun well")
	require.Equal(t, "", x.types(""))
	require.Contains(t, x.types("\xff\xfb\x1finvokk\b\x7fke People.count()"), "result: 7", "negotiations and backspaces")
	_, err := io.WriteString(x.conn, "exit\n")
	require.NoError(t, err)
	require.Empty(t, x.ended())

	r := h.refer(e.URL().Address(), people(), "")
	v, err := call(context.Background(), r, named(people(), "count"))
	require.NoError(t, err)
	require.EqualValues(t, 7, v, "messages go on beside the text")
}

// TestTelnetIsOff: without the parameter nothing but messages is understood; with it each service says what may be done.
func TestTelnetIsOff(t *testing.T) {
	h := open(t)
	x := sit(t, h.export(people(), "").URL().Address())
	_, err := io.WriteString(x.conn, "invoke People.count()\r\n")
	require.NoError(t, err)
	require.Empty(t, x.ended())

	h = open(t) // whose port is another
	e := h.export(people(), "telnet=ls")
	h.exportAt(e.URL().Address(), people(), "group=hidden")
	x = sit(t, e.URL().Address())
	require.Equal(t, "PROVIDER:\r\ncom.example.People", x.types("ls"))
	require.Contains(t, x.types("invoke People.count()"), "disabled for security reasons")

	_, err = h.Export(&protocol.Service{Interface: people(), Invoker: protocol.Implementation(nil)}, url.MustParse("dubbo://127.0.0.1:0/p?telnet=shutdown"))
	require.ErrorContains(t, err, `"shutdown" is no command`)
}

// TestTelnetPassesFilters: what refuses a call refuses one that is typed.
func TestTelnetPassesFilters(t *testing.T) {
	h := open(t)
	e := h.exportInvoker("127.0.0.1:0", people(), everything, protocol.InvokerFunc(func(_ context.Context, c *protocol.Invocation) error {
		return &protocol.Error{Code: protocol.Forbidden, Cause: io.ErrNoProgress}
	}))
	require.Contains(t, sit(t, e.URL().Address()).types("invoke People.count()"), "Failed to invoke method count, cause: ")
}

// TestTelnetEndsWhatNobodyTypes: browsers that were led here, endless lines, floods, and Ctrl-C.
func TestTelnetEndsWhatNobodyTypes(t *testing.T) {
	h := open(t)
	begun, goOn := make(chan struct{}), make(chan struct{})
	i := service("com.example.Slow", method("wait", "", func(context.Context, serialize.Row) (any, error) {
		begun <- struct{}{}
		<-goOn
		return nil, nil
	}))
	address := h.export(i, everything).URL().Address()
	h.exportAt(address, people(), everything)
	for _, sent := range []string{
		"POST / HTTP/1.1\r\nHost: x\r\n\r\ninvoke People.count()\r\n",
		strings.Repeat("x", 9<<10),
		"ls\r\n\x03",
		"ls\r\n\xff\xf4\xff\xfd\x06",
	} {
		x := sit(t, address)
		_, err := io.WriteString(x.conn, sent)
		require.NoError(t, err)
		require.NotContains(t, x.ended(), "result")
	}
	flood := sit(t, address)
	_, err := io.WriteString(flood.conn, "invoke Slow.wait()\r\n")
	require.NoError(t, err)
	receive(t, begun)
	_, err = flood.conn.Write(bytes.Repeat([]byte("ls\n"), 100))
	require.NoError(t, err)
	require.Empty(t, flood.ended())
	close(goOn)

	var many []*terminal
	// The place of a terminal that was hung up on is free a moment later, once what it asked for has ended.
	for start := time.Now(); len(many) < 8; {
		x := sit(t, address)
		if got, err := x.tries("pwd"); err == nil {
			require.Equal(t, "/", got)
			many = append(many, x)
		}
		require.Less(t, time.Since(start), patience, "%d terminals sit", len(many))
	}
	x := sit(t, address)
	_, _ = io.WriteString(x.conn, "pwd\n")
	require.Empty(t, x.ended(), "the ninth")
	require.Equal(t, "/", many[0].types("pwd"))
}

// TestTelnetAndReadonly: a person's terminal gets no message when the server goes, and the server waits for what runs.
func TestTelnetAndReadonly(t *testing.T) {
	h := open(t)
	begun, goOn := make(chan struct{}), make(chan struct{})
	e := h.export(service("com.example.Slow", method("wait", "", func(context.Context, serialize.Row) (any, error) {
		close(begun)
		<-goOn
		return "done", nil
	})), everything)
	x := sit(t, e.URL().Address())
	_, err := io.WriteString(x.conn, "invoke Slow.wait() --no-prompt\n")
	require.NoError(t, err)
	receive(t, begun)
	closed := make(chan error, 1)
	go func() { closed <- e.Close(context.Background()) }()
	close(goOn)
	require.NoError(t, receive(t, closed))
	got := x.ended()
	require.Contains(t, got, `result: "done"`)
	require.NotContains(t, got, "\xda\xbb")
}

// FuzzTelnet: whatever is typed, the server lives and hangs up when it is told to.
func FuzzTelnet(f *testing.F) {
	for _, s := range []string{"ls -l", "cd People\npwd\ninvoke add(1,2,3.5)", `invoke People.save({"id":1})`, "\xff\xfb\x01ls", "a\b\b\b", "invoke People.names([[[[[", "\x03"} {
		f.Add([]byte(s))
	}
	h := open(f, &User{}, &Team{})
	address := h.export(people(), everything).URL().Address()
	f.Fuzz(func(t *testing.T, typed []byte) {
		if len(typed) > 0 && typed[0] == 0xda {
			return // a message
		}
		c, err := net.Dial("tcp", address)
		require.NoError(t, err)
		defer c.Close()
		require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
		_, _ = c.Write(append([]byte("ls --no-prompt\n"), typed...))
		_, _ = io.WriteString(c, "\nexit\n")
		b, err := io.ReadAll(c)
		if err != nil {
			require.NotErrorIs(t, err, exchange.ErrTalk)
			require.NotContains(t, err.Error(), "timeout")
		}
		require.NotContains(t, string(b), "panic")
	})
}
