package interop

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/internal/zktest"
	"github.com/ferryrpc/ferry/interop/fleet"
)

// TestGovernance has rules steer consumers of both kinds: as Dubbo's own classes write them, and as people write them into
// the registry.
func TestGovernance(t *testing.T) {
	t.Parallel()
	for _, line := range lines {
		if !wanted(line) {
			continue
		}
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			x := &fleetOf{t: t, peer: java(t, line), zk: zktest.Start(t, zktest.Options{})}
			x.registry = "zookeeper://" + x.zk.Addr()
			x.govern()
		})
	}
}

// A steered consumer says whom its calls reach: sorted names, commas between them.
type steered struct {
	direction      string
	spread, tagged func() string
	first, second  string // its providers' addresses
	gray           string // the second one's in the rule of tags
	app            string // of its providers
	third          func() // starts one more provider that gives itself the tag gray
	gopher         bool   // rules are as dubbo-go reads them: their version is v3.0, and conditions tell the providers apart by host
}

func (x *fleetOf) govern() {
	// Curator makes the folder of the rules as a container, which ZooKeeper deletes when it has been empty for a minute. Dubbo
	// 2.7 remembers that it made it once, and writes no rule any more. So it is never empty here, as in no real fleet.
	require.NoError(x.t, x.write("/dubbo", "/dubbo/config", "/dubbo/config/dubbo", "/dubbo/config/dubbo/another.configurators"))
	first, second := freePort(x.t), freePort(x.t)
	a := x.peer.start(x.t, "Provider", "port="+first, "registry="+x.registry, "application=java-app", "who=java-a")
	b := x.peer.start(x.t, "Provider", "port="+second, "registry="+x.registry, "application=java-app", "who=java-b")
	c := client(x.t, x.registry+"?registry-type=interface")
	calls, err := fleet.ReferCalls(c)
	require.NoError(x.t, err)
	// A Java consumer writes the rules; what it calls does not matter here.
	writer := x.peer.start(x.t, "Consumer", "registry="+x.registry, "application=java-consumer", "whole=true")
	var third *program
	x.steer(writer, steered{fromFerry, func() string { return spreadOf(calls, "") }, func() string { return spreadOf(calls, "gray") },
		"127.0.0.1:" + first, "127.0.0.1:" + second, "127.0.0.1:" + second, "java-app", func() {
			third = x.peer.start(x.t, "Provider", "port="+freePort(x.t), "registry="+x.registry, "application=java-app", "who=java-c", "tag=gray")
		}, false}, "java-a", "java-b", "java-c")
	third.stop()
	control := x.moreOfJava(calls, writer, first, second)
	x.hash(writer, c)
	a.stop()
	b.stop()
	require.NoError(x.t, c.Close())

	writer.stop()

	// A Java consumer of Ferry's providers, which writes its rules itself.
	// Java 3.3 looks at weights only if the first provider of its list says one.
	export := func(who, host string, options ...ferry.Option) *ferry.Server {
		return serve(x.t, x.registry+"?registry-type=interface", who, append(options, ferry.Param("host", host), ferry.Param("bind.ip", "127.0.0.1"), ferry.Param("application", "ferry-app"), ferry.Param("weight", "100"))...)
	}
	var tagged *ferry.Server
	one, two := export("ferry-a", "127.0.0.1"), export("ferry-b", "127.0.0.2")
	writer = x.peer.start(x.t, "Consumer", "registry="+x.registry, "application=java-consumer", "whole=true")
	said := func(command string) func() string {
		return func() string { return strings.TrimPrefix(strings.Join(writer.tell(command), " "), "SPREAD ") }
	}
	// Java takes loopback addresses for ones of IPv6 when it matches tags by address, but not by network, and it connects to
	// 127.0.0.1 whichever of them it is told.
	x.steer(writer, steered{toFerry, said("spread"), said("tagged gray"), one.URLs()[0].Address(), two.URLs()[0].Address(), "127.0.0.2/32", "ferry-app",
		func() { tagged = export("ferry-c", "127.0.0.1", ferry.Param("dubbo.tag", "gray")) }, false}, "ferry-a", "ferry-b", "ferry-c")
	closeServer(x.t, tagged)
	x.moreOfFerry(writer, control, one.URLs()[0].Address(), two.URLs()[0].Address())
	writer.stop()
	closeServer(x.t, one)
	closeServer(x.t, two)
}

// steer puts each kind of rule into force and takes it away again.
func (x *fleetOf) steer(writer *program, s steered, first, second, third string) {
	both := first + "," + second
	service := fleet.CallsService.Name
	until := func(get func() string, want string) error {
		return eventually(func() error {
			if got := get(); got != want {
				return fmt.Errorf("calls reach %s, not %s", got, want)
			}
			return nil
		})
	}
	require.NoError(x.t, until(s.spread, both))
	port := s.second[strings.LastIndex(s.second, ":")+1:]
	for _, rule := range []struct{ name, key, text, untagged, tagged string }{
		{"condition of a service", service + "::.condition-router", "scope: service\nforce: true\nruntime: true\nenabled: true\npriority: 1\nkey: " + service +
			"\nconditions:\n- method=who => port=" + port + "\n", second, second},
		{"tags of an application", s.app + ".tag-router", "force: false\nruntime: true\nenabled: true\npriority: 1\nkey: " + s.app + "\ntags:\n- name: gray\n  addresses: ['" +
			s.gray + "']\n", first, second},
		{"override of a service", service + "::.configurators", "configVersion: v2.7\nscope: service\nkey: " + service + "\nenabled: true\nconfigs:\n- side: consumer\n" +
			"  addresses: ['0.0.0.0']\n  providerAddresses: ['" + s.first + "']\n  parameters:\n    weight: 0\n", second, second},
	} {
		writer.tell("rule " + rule.key + " " + base64.StdEncoding.EncodeToString([]byte(rule.text)))
		got, err := x.content("/dubbo/config/dubbo/" + rule.key)
		if err = want(rule.text, got, err); err == nil {
			err = errors.Join(until(s.spread, rule.untagged), until(s.tagged, rule.tagged))
		}
		writer.tell("rule " + rule.key)
		governed(x, rule.name+", written by Java", s.direction, errors.Join(err, until(s.spread, both)))
	}
	for name, params := range map[string]string{"override of weight": "weight=0", "override that disables": "disabled=true"} {
		entry := "/dubbo/" + service + "/configurators/" + url.QueryEscape("override://"+s.first+"/"+service+"?category=configurators&dynamic=false&enabled=true&"+params)
		require.NoError(x.t, x.write(entry))
		err := until(s.spread, second)
		require.NoError(x.t, x.erase(entry))
		governed(x, name+", an entry of the registry", s.direction, errors.Join(err, until(s.spread, both)))
	}
	s.third()
	governed(x, "tag that a provider gives itself", s.direction, errors.Join(until(s.tagged, third), until(s.spread, both)))
}

func governed(x *fleetOf, name, direction string, err error) {
	x.t.Helper()
	judge(x.t, "governance/"+name, x.peer, direction, err)
}

// hash compares the picks of both kinds of consumers among the same providers, one of them Ferry's.
func (x *fleetOf) hash(java *program, c *ferry.Client) {
	const n = 100
	s := serve(x.t, x.registry+"?registry-type=interface", "ferry")
	calls, err := fleet.ReferCalls(c, ferry.Param("loadbalance", "consistenthash"))
	require.NoError(x.t, err)
	ours := func() (picks []string, err error) {
		for i := range n {
			who, e := calls.WhoFor(context.Background(), fmt.Sprint("key-", i))
			picks, err = append(picks, who), errors.Join(err, e)
		}
		return picks, err
	}
	err = eventually(func() error {
		mine, err := ours()
		theirs := strings.TrimPrefix(strings.Join(java.tell(fmt.Sprint("picks ", n)), ""), "PICKS ")
		if got := strings.Join(mine, ","); err == nil && got != theirs {
			err = fmt.Errorf("Ferry picks %s, Java %s", got, theirs)
		}
		for _, who := range []string{"java-a", "java-b", "ferry"} {
			if err == nil && !slices.Contains(mine, who) {
				err = fmt.Errorf("%s gets no call", who)
			}
		}
		return err
	})
	governed(x, "consistent hash picks alike", fromFerry, err)
	closeServer(x.t, s)
}

// content is a node's data.
func (x *fleetOf) content(path string) (string, error) {
	conn, _, err := zk.Connect([]string{x.zk.Addr()}, 10*time.Second, zk.WithLogger(quiet{}))
	if err != nil {
		return "", err
	}
	defer conn.Close()
	data, _, err := conn.Get(path)
	return string(data), err
}

// write makes empty nodes.
func (x *fleetOf) write(paths ...string) error {
	conn, _, err := zk.Connect([]string{x.zk.Addr()}, 10*time.Second, zk.WithLogger(quiet{}))
	if err != nil {
		return err
	}
	defer conn.Close()
	for _, path := range paths {
		if _, e := conn.Create(path, nil, 0, zk.WorldACL(zk.PermAll)); e != nil {
			err = errors.Join(err, e)
		}
	}
	return err
}

func (x *fleetOf) erase(path string) error {
	conn, _, err := zk.Connect([]string{x.zk.Addr()}, 10*time.Second, zk.WithLogger(quiet{}))
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.Delete(path, -1)
}
