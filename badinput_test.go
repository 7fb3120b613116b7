package ferry_test

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/proxy"
)

// requireLine checks that an error is one line that says all of what.
func requireLine(t *testing.T, err error, what ...string) {
	t.Helper()
	require.Error(t, err)
	require.NotContains(t, err.Error(), "\n")
	for _, w := range what {
		require.ErrorContains(t, err, w)
	}
}

func TestMisspeltNamesAreToldTheNearestOnes(t *testing.T) {
	export(t, "memory://"+t.Name(), "ann")
	i := &protocol.Interface{Name: service, Methods: []*protocol.Method{{Service: service, Name: "buy"}}}
	for name, c := range map[string]struct {
		option ferry.Option
		want   []string
	}{
		"parameter":        {ferry.Param("timeot", "5"), []string{`unknown parameter "timeot"`, `"timeout"`}},
		"balancer":         {ferry.LoadBalance("roundrobbin"), []string{`"roundrobbin"`, `"roundrobin"`, "loadbalance"}},
		"cluster":          {ferry.Cluster("failoverr"), []string{`"failover"`}},
		"serialization":    {ferry.Serialization("hesian2"), []string{`"hessian2"`}},
		"filter":           {ferry.Param("filter", "metrix"), []string{"metrix", `"metrics"`}},
		"method":           {ferry.Param("bui.timeout", "5"), []string{`unknown method "bui"`, `"buy"`}},
		"method parameter": {ferry.Param("buy.timeot", "5"), []string{"timeot"}},
		"number":           {ferry.Param("retries", "two"), []string{"retries=two", "whole number"}},
		"duration":         {ferry.Param("timeout", "soon"), []string{"timeout=soon"}},
	} {
		t.Run(name, func(t *testing.T) {
			client := ferry.NewClient("memory://TestMisspeltNamesAreToldTheNearestOnes")
			defer client.Close()
			_, err := client.Refer(i, c.option)
			requireLine(t, err, append(c.want, service)...)
			s := ferry.NewServer("memory://other", c.option)
			defer s.Close(context.Background())
			if name != "method" && name != "method parameter" && name != "cluster" && name != "filter" && name != "number" && name != "balancer" {
				requireLine(t, s.ExportValue(service, shop{}), service)
			}
		})
	}
}

func TestMisspeltRegistry(t *testing.T) {
	for registry, want := range map[string]string{
		"zookeper://127.0.0.1:1":            `"zookeeper"`,
		"zookeeper://127.0.0.1:1?sesion=3s": `"session"`,
		"127.0.0.1:2181":                    "want scheme://host:port",
		"":                                  "no registry",
		"static://":                         "no address",
		"zookeeper://127.0.0.1:99999":       "port must be",
	} {
		c := ferry.NewClient(registry)
		_, err := c.Refer(&protocol.Interface{Name: service})
		requireLine(t, err, want)
		require.NoError(t, c.Close())
	}
}

func TestPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	for _, transport := range []string{"net", "gnet"} {
		s := ferry.NewServer("memory://"+t.Name(), ferry.Port(port), ferry.Param("transport", transport))
		requireLine(t, s.ExportValue(service, shop{}), service, l.Addr().String(), "address already in use")
		require.NoError(t, s.Close(context.Background()))
	}
}

func TestRegistryThatDoesNotAnswer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // accepts and stays silent
	require.NoError(t, err)
	defer l.Close()
	address := l.Addr().String()
	c := ferry.NewClient("zookeeper://" + address + "?cache=false")
	start := time.Now()
	_, err = c.Refer(&protocol.Interface{Name: service}, ferry.Param("check.timeout", "300ms"))
	requireLine(t, err, service, address)
	require.Less(t, time.Since(start), 5*time.Second)
	require.NoError(t, c.Close())

	s := ferry.NewServer("zookeeper://"+address+"?cache=false", ferry.Param("register.timeout", "300ms"))
	start = time.Now()
	requireLine(t, s.ExportValue(service, shop{}), service, address)
	require.Less(t, time.Since(start), 5*time.Second)
	require.NoError(t, s.Close(context.Background()))
}

func TestNoProvider(t *testing.T) {
	c := ferry.NewClient("memory://" + t.Name())
	defer c.Close()
	_, err := c.Refer(&protocol.Interface{Name: service}, ferry.Param("check.timeout", "50ms"))
	requireLine(t, err, service, "check=false starts without")
	ref, err := c.Refer(&protocol.Interface{Name: service}, ferry.Check(false))
	require.NoError(t, err)
	err = ref.Invoke(context.Background(), newCall("apple"))
	requireLine(t, err, service, "buy", "not sent")
	var e *ferry.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, protocol.NotSent, e.Outcome)
	export(t, "memory://"+t.Name(), "late")
	require.Eventually(t, func() bool { return ref.Invoke(context.Background(), newCall("apple")) == nil }, patience, time.Millisecond,
		"a provider that comes later is found")
}

func TestArgumentThatCannotBeEncoded(t *testing.T) {
	export(t, "memory://"+t.Name(), "ann")
	c := refer(t, "memory://"+t.Name())
	call, err := proxy.Unary[any, string](c.in, service, "buy")
	require.NoError(t, err)
	_, err = call(context.Background(), make(chan int))
	requireLine(t, err, service, "buy", "chan int", "not sent")
	got, err := c.Buy(context.Background(), "apple", 1)
	require.NoError(t, err)
	require.Equal(t, "ann sold apple", got)
}

func TestReplyOverTheLimitNamesBothSizes(t *testing.T) {
	export(t, "memory://"+t.Name(), "ann")
	c := refer(t, "memory://"+t.Name(), ferry.Param("payload", "100000"), ferry.Timeout(patience))
	start := time.Now()
	_, err := c.Buy(context.Background(), "huge", 1)
	requireLine(t, err, service, "buy", "the limit is 100000", "2048", "executed")
	require.Less(t, time.Since(start), patience/2, "at once, not by the timeout")
	_, err = c.Buy(context.Background(), strings.Repeat("x", 100001), 1)
	requireLine(t, err, "too large", "the limit is 100000", "not sent")
	got, err := c.Buy(context.Background(), "apple", 1)
	require.NoError(t, err)
	require.Equal(t, "ann sold apple", got)
}

func TestProviderThatIsGone(t *testing.T) {
	s := export(t, "memory://"+t.Name(), "ann")
	address := s.URLs()[0].Address()
	c := refer(t, "", ferry.Direct("dubbo://"+address))
	require.NoError(t, s.Close(context.Background()))
	var err error
	require.Eventually(t, func() bool { _, err = c.Buy(context.Background(), "apple", 1); return err != nil }, patience, time.Millisecond)
	requireLine(t, err, service, "buy", address)
}

// A port that speaks something else, announces too much, or ends in the middle of an answer: the call fails at once with one
// line that says so, and calls to others go on.
func TestPeerThatSpeaksNoDubbo(t *testing.T) {
	export(t, "memory://"+t.Name(), "ann")
	good := refer(t, "memory://"+t.Name())
	for name, c := range map[string]struct {
		answer string
		want   []string
	}{
		"bad magic":      {"HTTP/1.1 400 Bad Request\r\n\r\n", []string{"not a frame of this protocol: it begins with 48 54", "unknown"}},
		"huge length":    {"\xda\xbb\x02\x14\x00\x00\x00\x00\x00\x00\x00\x00\x7f\xff\xff\xff", []string{"a body of 2147483647 bytes is announced, the limit is", "executed"}},
		"truncated body": {"\xda\xbb\x02\x14\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x40abc", []string{"connection lost", "unknown"}},
		"nothing":        {"", []string{"connection lost", "unknown"}},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			defer l.Close()
			go func() {
				for {
					conn, err := l.Accept()
					if err != nil {
						return
					}
					head := make([]byte, 16)
					_, _ = io.ReadFull(conn, head) // a call, or the end of the connection
					answer := []byte(c.answer)
					if strings.HasPrefix(c.answer, "\xda\xbb") {
						copy(answer[4:12], head[4:12])
					}
					_, _ = conn.Write(answer)
					_ = conn.Close()
				}
			}()
			bad := refer(t, "", ferry.Direct("dubbo://"+l.Addr().String()), ferry.Timeout(patience))
			start := time.Now()
			_, err = bad.Buy(context.Background(), "apple", 1)
			requireLine(t, err, append(c.want, service, "buy", l.Addr().String())...)
			require.Less(t, time.Since(start), patience/2, "at once, not by the timeout")
			_, err = good.Buy(context.Background(), "apple", 1)
			require.NoError(t, err)
		})
	}
}
