package triple

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/serialize"
)

func TestTimeouts(t *testing.T) {
	for d, want := range map[time.Duration]string{1: "1n", time.Second: "1000000u", 99_999_999: "99999999n", 100_000_001: "100001u", 0: "1n", -5: "1n",
		100 * time.Hour: "360000S", math.MaxInt64: "2562048H"} {
		require.Equal(t, want, string(appendTimeout(nil, d)), d.String())
	}
	for text, want := range map[string]time.Duration{"1n": 1, "5u": 5000, "7m": 7e6, "1S": time.Second, "2M": 2 * time.Minute, "3H": 3 * time.Hour, "99999999H": maxTimeout} {
		d, err := parseTimeout(text)
		require.NoError(t, err)
		require.Equal(t, want, d, text)
	}
	for _, bad := range []string{"", "1", "m", "1x", "-1m", "+1m", "123456789m", "1.5S", " 1m"} {
		_, err := parseTimeout(bad)
		require.ErrorIs(t, err, errTimeout, bad)
	}
}

func TestClassNames(t *testing.T) {
	require.Equal(t, []string{"java.lang.String", "int", "[B", "[[Ljava.lang.String;", "long"}, classNames("Ljava/lang/String;I[B[[Ljava/lang/String;J"))
	for _, bad := range []string{"L", "Lx", "[", "[L"} {
		require.Empty(t, classNames(bad))
	}
}

// TestFind: a call reaches the service that it names, and * names the one that has none; nothing else is a way around a group.
func TestFind(t *testing.T) {
	list := func(names ...[2]string) *table {
		x := &table{services: map[string][]*exporter{}}
		for _, n := range names {
			x.services["S"] = append(x.services["S"], &exporter{path: "S", version: n[0], group: n[1]})
		}
		return x
	}
	all := list([2]string{"", ""}, [2]string{"1.0.0", "a"}, [2]string{"", "a"}, [2]string{"1.0.0", ""})
	for _, c := range []struct {
		table          *table
		version, group string
		want           string
	}{
		{all, "", "", " in "}, {all, "0.0.0", "", " in "}, {all, "1.0.0", "a", "1.0.0 in a"}, {all, "0.0.0", "a", " in a"},
		{all, "*", "*", " in "}, {all, "1.0.0", "*", "1.0.0 in "}, {all, "*", "a", " in a"},
		{all, "2.0.0", "", "nothing"}, {all, "1.0.0", "b", "nothing"}, {all, "", "0.0.0", "nothing"}, {all, "", "a*", "nothing"},
		{list([2]string{"1.0.0", "a"}), "", "", "1.0.0 in a"}, {list([2]string{"1.0.0", "a"}), "", "b", "nothing"},
		{list([2]string{"1.0.0", "a"}, [2]string{"1.0.0", "b"}), "*", "*", "nothing"},
	} {
		got := "nothing"
		if e, f := c.table.find("S", c.version, c.group); f == nil {
			got = e.version + " in " + e.group
		}
		require.Equal(t, c.want, got, "%q in %q", c.version, c.group)
	}
}

func TestAttachments(t *testing.T) {
	h := http.Header{}
	in := protocol.Attachments{"plain", "v", "userId", "7", "raw-bin", "\x00\n", "empty", ""}
	require.NoError(t, putAttachments(h, "", in))
	out := attachments(nil, h)
	require.Len(t, out, len(in))
	for i := 0; i < len(in); i += 2 {
		require.Equal(t, in[i+1], out.Value(in[i]), in[i])
	}
	for _, bad := range []protocol.Attachments{{"a b", "x"}, {"", "x"}, {"k", "a\nb"}, {"k", " x"}, {"grpc-status", "0"}, {"Content-Type", "x"}, {"tri-service-group", "x"}} {
		h := http.Header{}
		require.Error(t, putAttachments(h, "", append(bad, "good", "1")))
		require.Equal(t, http.Header{"Good": {"1"}}, h)
	}
	require.Empty(t, attachments(nil, http.Header{"Bad-Bin": {"!"}, triConvert: {"{"}}))
	require.Equal(t, protocol.Attachments{"a", "1"}, attachments(nil, http.Header{"A": {"1"}, triConvert: {`{"a":"other"}`}}))
}

func FuzzTimeout(f *testing.F) {
	f.Add("1000m")
	f.Fuzz(func(t *testing.T, s string) {
		d, err := parseTimeout(s)
		if err == nil {
			again, err := parseTimeout(string(appendTimeout(nil, max(d, 1))))
			require.NoError(t, err)
			require.GreaterOrEqual(t, again, d)
		}
	})
}

func FuzzMessageText(f *testing.F) {
	f.Add("a%20\xff%")
	f.Fuzz(func(t *testing.T, s string) {
		require.True(t, utf8.ValidString(decodeMessage(s)))
		if utf8.ValidString(s) {
			e := encodeMessage(s)
			require.True(t, text(strings.TrimSpace(e)))
			require.Equal(t, s, decodeMessage(e))
		}
	})
}

func FuzzFrame(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x00\x01x"), "")
	f.Add([]byte("\x01\x00\x00\x00\x01x"), "gzip")
	f.Fuzz(func(t *testing.T, b []byte, encoding string) {
		const limit = 1 << 16
		r := bytes.NewReader(b)
		for {
			m, err := readMessage(r, room, limit, encoding)
			if err != nil {
				require.NotErrorIs(t, err, io.ErrShortWrite)
				return
			}
			require.LessOrEqual(t, len(m), room+limit)
		}
	})
}

func FuzzWrapper(f *testing.F) {
	b, err := appendRequest(nil, format{name: "hessian2"}, nil, &shape{argTypes: []string{"int"}, wireTypes: []string{"int"}}, serialize.Limits{})
	require.NoError(f, err)
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		w, err := parseWrapper(b)
		if err == nil {
			require.LessOrEqual(t, len(w.args), maxArgs)
			require.LessOrEqual(t, len(w.types), maxArgs)
		}
	})
}

func FuzzJSONArguments(f *testing.F) {
	f.Add([]byte(`{"a":1}`), 2)
	m := &method{Method: &protocol.Method{Params: []string{"a", "b"}}, shape: shape{argTypes: []string{"int", "int"}}}
	one := &method{Method: &protocol.Method{Params: []string{"a"}}, shape: shape{argTypes: []string{"int"}}}
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		b = bytes.TrimSpace(b)
		if len(b) > 0 && !json.Valid(b) {
			return
		}
		for _, m := range []*method{m, one} {
			if list, err := m.arguments(b); err == nil {
				require.Len(t, list, len(m.argTypes))
				for _, v := range list {
					require.True(t, json.Valid(v))
				}
			}
		}
	})
}
