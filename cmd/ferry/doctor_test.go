package main

import (
	"context"
	"regexp"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/examples/greeter"
	"github.com/ferryrpc/ferry/zkembed"
)

type polite struct{ greeter.Greeter }

// TestDoctorSaysWhereEachParameterComesFrom has a provider, a consumer and a rule of the registry say different things.
func TestDoctorSaysWhereEachParameterComesFrom(t *testing.T) {
	z, err := zkembed.Start(zkembed.Options{Addr: "127.0.0.1:0"})
	require.NoError(t, err)
	defer func() { require.NoError(t, z.Close()) }()
	registry, service := "zookeeper://"+z.Addr(), greeter.GreeterService.Name
	s := ferry.NewServer(registry, ferry.Param("host", "127.0.0.1"), ferry.Param("token", "secret"))
	require.NoError(t, greeter.ExportGreeter(s, polite{}, ferry.Param("timeout", "700"), ferry.Param("sayHello.timeout", "300"),
		ferry.Param("retries", "5"), ferry.Param("weight", "200")))
	rule := "configVersion: v2.7\nscope: service\nkey: " + service + "\nenabled: true\nconfigs:\n- side: consumer\n  addresses: ['0.0.0.0']\n  parameters:\n    weight: 50\n"
	write(t, z.Addr(), "/dubbo/config/dubbo/"+service+"::.configurators", rule)

	ask := func(words ...string) string {
		code, out, errs := run(append([]string{"doctor", "-registry", registry}, words...)...)
		require.Zero(t, code, errs)
		require.NotContains(t, out, "secret")
		return regexp.MustCompile(` +`).ReplaceAllString(out, " ")
	}
	out := ask(service, "timeout=500")
	for _, line := range []string{
		"::.configurators: in force\n",
		"127.0.0.1:", ", connected\n",
		" timeout 500 consumer (over 700 by provider, 1000 by default)\n",
		" sayHello.timeout 300 provider \n",
		" retries 5 provider (over 2 by default)\n",
		" weight 50 " + service + "::.configurators (over 200 by provider, 100 by default)\n",
	} {
		require.Contains(t, out, line)
	}
	require.NotContains(t, out, " loadbalance ", "nobody has said anything of it")
	require.Contains(t, ask("-all", service), " loadbalance ")
	out = ask("-method", "sayHello", service, "timeout=500")
	require.Contains(t, out, " sayHello.timeout 300 provider (over 500 by consumer, 700 by provider, 1000 by default)\n")
	require.NotContains(t, out, " timeout 500 consumer")

	names, _, err := connect(t, z.Addr()).Children("/dubbo/" + service + "/consumers")
	if err == nil {
		require.Empty(t, names, "whoever looks is no consumer")
	}
	require.NoError(t, s.Close(context.Background()))
	code, out, errs := run("doctor", "-registry", registry, "-wait", "100ms", service)
	require.Equal(t, 1, code, out)
	require.Contains(t, errs, "ferry doctor: ")
	require.Contains(t, errs, "no provider")
}

func TestDoctorOfBadWords(t *testing.T) {
	for _, words := range [][]string{{"doctor"}, {"doctor", "x", "timeout"}, {"doctor", "-registry", "static://127.0.0.1:1", "x", "timeuot=5"}} {
		code, _, errs := run(words...)
		require.Equal(t, 1, code, words)
		require.Contains(t, errs, "ferry doctor: ")
	}
}

func connect(t *testing.T, address string) *zk.Conn {
	t.Helper()
	c, _, err := zk.Connect([]string{address}, 10*time.Second, zk.WithLogger(silent{}))
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// write makes a node with its parents.
func write(t *testing.T, address, path, text string) {
	t.Helper()
	c := connect(t, address)
	for i := 1; i < len(path); i++ {
		if path[i] == '/' {
			if _, err := c.Create(path[:i], nil, 0, zk.WorldACL(zk.PermAll)); err != nil {
				require.ErrorIs(t, err, zk.ErrNodeExists)
			}
		}
	}
	_, err := c.Create(path, []byte(text), 0, zk.WorldACL(zk.PermAll))
	require.NoError(t, err)
}
