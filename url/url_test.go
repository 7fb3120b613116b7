package url

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParseTakesAllParts(t *testing.T) {
	u, err := Parse("zookeeper://ann:s3cret@10.0.0.1:2181,10.0.0.2:2182/root/x?timeout=800ms&group=a,b&empty=&check")
	require.NoError(t, err)
	require.Equal(t, "zookeeper", u.Scheme())
	require.Equal(t, "ann", u.User())
	require.Equal(t, "s3cret", u.Password())
	require.Equal(t, []string{"10.0.0.1:2181", "10.0.0.2:2182"}, u.Addresses())
	require.Equal(t, "10.0.0.1:2181", u.Address())
	require.Equal(t, "10.0.0.1", u.Host())
	require.Equal(t, 2181, u.Port())
	require.Equal(t, "root/x", u.Path())
	require.Equal(t, "a,b", u.Param("group"))
	require.Equal(t, []string{"check", "empty", "group", "timeout"}, u.Keys())
	_, there := u.Lookup("absent")
	require.False(t, there)
}

func TestStringIsReadBackEqualButForThePassword(t *testing.T) {
	for _, s := range []string{
		"dubbo://10.0.0.7:20880/com.example.Greeter?application=demo&timeout=800",
		"dubbo://[::1]:20880/com.example.Greeter",
		"memory://shop",
		"override://0.0.0.0/com.example.Greeter?category=configurators&weight=5",
		"consumer://10.0.0.1/com.example.Greeter?mock=return {\"a\":\"b=c\"}",
		"static://127.0.0.1:1,127.0.0.1:2",
	} {
		u := MustParse(s)
		require.Equal(t, s, u.String())
		require.True(t, u.Equal(MustParse(u.String())), s)
	}
	require.NotContains(t, MustParse("zookeeper://ann:s3cret@h:1").String(), "s3cret")
}

func TestParseRefusesWhatIsNoURL(t *testing.T) {
	for _, s := range []string{"", "10.0.0.1:2181", "://h:1", "1x://h:1", "dubbo://h:99999/x", "dubbo://h:abc/x", "dubbo://a,,b/x",
		"dubbo://h:1/x?a=\x00", "dubbo://h:1/x\n", "dubbo://::1:20880/x", "dubbo://h/" + strings.Repeat("x", MaxLength)} {
		_, err := Parse(s)
		require.ErrorIs(t, err, ErrInvalid, "%.40q", s)
		require.Less(t, len(err.Error()), 400, "an error must fit a line")
	}
}

func TestCopiesLeaveTheOriginalAlone(t *testing.T) {
	u := MustParse("dubbo://h:1/p?a=1&b=2")
	require.Equal(t, "dubbo://h:1/p?a=9&b=2", u.With("a", "9").String())
	require.Equal(t, "dubbo://h:1/p?a=1&b=2&c=3", u.With("c", "3").String())
	require.Equal(t, "dubbo://h:1/p?b=2", u.Without("a").String())
	require.Equal(t, "tri://h:1/p?a=1&b=2", u.WithScheme("tri").String())
	require.Equal(t, "dubbo://k:2/p?a=1&b=2", u.WithAddress("k:2").String())
	require.Equal(t, "dubbo://h:1/q?a=1&b=2", u.WithPath("/q").String())
	require.Equal(t, "dubbo://h:1/p?a=1&b=7&d=4", u.WithAll(MustParse("x://?b=7&d=4")).String())
	require.Equal(t, "dubbo://h:1/p?a=1&b=2", u.String())
}

func TestForMethodLetsTheMethodWin(t *testing.T) {
	u := MustParse("dubbo://h:1/p?retries=2&sayHello.retries=0&sayHello.timeout=50ms&other.retries=7")
	require.Equal(t, "0", u.ForMethod("sayHello").Param("retries"))
	require.Equal(t, "50ms", u.ForMethod("sayHello").Param("timeout"))
	require.Equal(t, "2", u.ForMethod("ping").Param("retries"))
	require.Same(t, u, u.ForMethod("ping"), "a method without parameters costs nothing")
}

func TestServiceKey(t *testing.T) {
	require.Equal(t, "com.example.G", MustParse("dubbo://h:1/com.example.G").Service())
	require.Equal(t, "blue/com.example.G:1.0.0", MustParse("dubbo://h:1/x?interface=com.example.G&group=blue&version=1.0.0").Service())
	require.Equal(t, "com.example.G", MustParse("dubbo://h:1/com.example.G?version=0.0.0").Service())
}

type nested struct {
	Depth int `url:"depth" default:"3"`
}

type sample struct {
	nested
	Retries int           `url:"retries" default:"2" doc:"repeats"`
	Timeout time.Duration `url:"timeout" default:"1000"`
	Names   []string      `url:"names"`
	Check   bool          `url:"check" default:"true"`
	Ratio   float64       `url:"ratio" default:"0.5"`
	Plain   string
}

func TestDecodeFillsFieldsAndDefaults(t *testing.T) {
	var s sample
	require.NoError(t, MustParse("x://?retries=7&timeout=800ms&names=a,%20b&check=false").Decode(&s))
	require.Equal(t, sample{nested{3}, 7, 800 * time.Millisecond, []string{"a", "%20b"}, false, 0.5, ""}, s)
	s = sample{}
	require.NoError(t, MustParse("x://?retries=").Decode(&s))
	require.Equal(t, 2, s.Retries, "an empty value counts as absent")
	require.Equal(t, time.Second, s.Timeout, "a plain number is milliseconds")
}

func TestDecodeNamesTheParameterThatDoesNotFit(t *testing.T) {
	for s, want := range map[string]string{
		"x://?retries=two":              "parameter retries=two: want a whole number",
		"x://?timeout=soon":             "parameter timeout=soon: want milliseconds",
		"x://?check=maybe":              "parameter check=maybe: want true or false",
		"x://?ratio=half":               "parameter ratio=half: want a number",
		"x://?timeout=9999999999999999": "out of range",
	} {
		require.ErrorContains(t, MustParse(s).Decode(new(sample)), want)
	}
	require.Error(t, MustParse("x://").Decode(sample{}))
}

func TestPublishedWritesDurationsAsMilliseconds(t *testing.T) {
	u := MustParse("dubbo://h:1/p?timeout=1500us&sayHello.timeout=2s&name=2s&heartbeat=60000")
	got := u.Published(map[string]bool{"timeout": true, "heartbeat": true})
	require.Equal(t, "dubbo://h:1/p?heartbeat=60000&name=2s&sayHello.timeout=2000&timeout=2", got.String())
}

func TestDeclaredListsTagsWithEmbeddedOnes(t *testing.T) {
	keys := Declared(sample{})
	require.Equal(t, Key{"depth", "3", "", "number"}, keys[0])
	require.Equal(t, Key{"retries", "2", "repeats", "number"}, keys[1])
	require.Equal(t, "duration", keys[2].Kind)
	require.Nil(t, Declared(nil))
}

func TestEncodeIsJavas(t *testing.T) {
	var golden struct {
		Nodes []struct{ Name, URL, Node string }
	}
	b, err := os.ReadFile("testdata/registry.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &golden))
	require.NotEmpty(t, golden.Nodes)
	for _, n := range golden.Nodes {
		node := n.Node[strings.LastIndexByte(n.Node, '/')+1:]
		require.Equal(t, node, Encode(n.URL), n.Name)
		text, err := Decode(node)
		require.NoError(t, err)
		require.Equal(t, n.URL, text)
	}
	require.Equal(t, "a+b*%7E%E4%BD%A0", Encode("a b*~你"))
	for _, bad := range []string{"%", "%4", "%zz", "a%G0"} {
		_, err := Decode(bad)
		require.Error(t, err, bad)
	}
}

func TestNearest(t *testing.T) {
	known := []string{"timeout", "retries", "loadbalance"}
	n, ok := Nearest("timeot", known)
	require.True(t, ok)
	require.Equal(t, "timeout", n)
	n, ok = Nearest("loadBalance", known)
	require.True(t, ok)
	require.Equal(t, "loadbalance", n)
	_, ok = Nearest("xyz", known)
	require.False(t, ok)
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"dubbo://10.0.0.7:20880/com.example.Greeter?timeout=800", "zookeeper://a:b@h:1,i:2?x", "://", "x://[::1]:2/%"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := Parse(s)
		if err != nil {
			return
		}
		if u.User() == "" && u.Password() == "" {
			v, err := Parse(u.String())
			if err == nil && !u.Equal(v) {
				t.Fatalf("%q is read back as %q", u, v)
			}
		}
		_ = u.ForMethod("m").Service()
		if d, err := Decode(Encode(s)); err != nil || d != s {
			t.Fatalf("%q is decoded as %q: %v", s, d, err)
		}
	})
}
