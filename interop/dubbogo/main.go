// Command dubbogo is the dubbo-go side of the interoperability matrix: a provider and a consumer of com.ferry.interop.Gopher
// that behave like the Java programs of interop/java.
//
//	dubbogo provider port=n [registry=host:port] application=name [who=name] [by=application] [tag=name] [calls=true]
//	dubbogo consumer (registry=host:port | url=address;address) [by=application] [rules=true] [tag=name] [balance=name] [generic=true]
//	    [service=name] [direct=host:port]
//
// The consumer reads commands: gopher, anything, calls, generic, limits, proto, json, doomed, types, callcells, genericcells, who, spread,
// picks N, loop [CALLERS], await NAME, more N, stop
package main

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"dubbo.apache.org/dubbo-go/v3/common/extension"
	"dubbo.apache.org/dubbo-go/v3/config"

	// dubbo-go finds its implementations in tables that these packages fill when they are imported.
	_ "dubbo.apache.org/dubbo-go/v3/cluster/cluster/failover"
	_ "dubbo.apache.org/dubbo-go/v3/cluster/loadbalance/consistenthashing"
	_ "dubbo.apache.org/dubbo-go/v3/cluster/loadbalance/random"
	_ "dubbo.apache.org/dubbo-go/v3/cluster/router/condition"
	_ "dubbo.apache.org/dubbo-go/v3/cluster/router/tag"
	_ "dubbo.apache.org/dubbo-go/v3/config_center/configurator"
	_ "dubbo.apache.org/dubbo-go/v3/config_center/parser"
	_ "dubbo.apache.org/dubbo-go/v3/config_center/zookeeper"
	_ "dubbo.apache.org/dubbo-go/v3/filter/accesslog"
	_ "dubbo.apache.org/dubbo-go/v3/filter/echo"
	_ "dubbo.apache.org/dubbo-go/v3/filter/exec_limit"
	_ "dubbo.apache.org/dubbo-go/v3/filter/generic"
	_ "dubbo.apache.org/dubbo-go/v3/filter/graceful_shutdown"
	_ "dubbo.apache.org/dubbo-go/v3/filter/token"
	_ "dubbo.apache.org/dubbo-go/v3/filter/tps"
	_ "dubbo.apache.org/dubbo-go/v3/metadata/mapping/metadata"
	_ "dubbo.apache.org/dubbo-go/v3/metadata/report/zookeeper"
	_ "dubbo.apache.org/dubbo-go/v3/protocol/dubbo"
	_ "dubbo.apache.org/dubbo-go/v3/protocol/triple"
	_ "dubbo.apache.org/dubbo-go/v3/proxy/proxy_factory"
	_ "dubbo.apache.org/dubbo-go/v3/registry/directory"
	_ "dubbo.apache.org/dubbo-go/v3/registry/protocol"
	_ "dubbo.apache.org/dubbo-go/v3/registry/servicediscovery"
	_ "dubbo.apache.org/dubbo-go/v3/registry/zookeeper"
)

const service = "com.ferry.interop.Gopher"

// Citizen is a class of the service.
type Citizen struct {
	Name    string
	Age     int32
	Born    time.Time
	Tags    []string
	Friends []*Citizen
}

// JavaClassName is asked by hessian2.
func (*Citizen) JavaClassName() string { return "com.ferry.interop.Citizen" }

// out is where this program answers.
var out *os.File

// answerApart keeps the answers apart from what dubbo-go logs to the standard output, which is the standard error from here on.
func answerApart() error {
	fd, err := syscall.Dup(1)
	if err != nil {
		return err
	}
	out = os.NewFile(uintptr(fd), "answers")
	return syscall.Dup3(2, 1, 0)
}

func main() {
	if err := answerApart(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	registerClasses()
	extension.SetFilter(courierName, newCourier)
	words := map[string]string{}
	for _, a := range os.Args[2:] {
		k, v, _ := strings.Cut(a, "=")
		words[k] = v
	}
	if err := limit(words["limit"]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	run := consume
	if os.Args[1] == "provider" {
		run = provide
	}
	if err := run(words); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// say prints one line of the protocol between this program and the one that started it.
func say(format string, args ...any) {
	fmt.Fprintln(out, strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", " "))
}

// leave ends the program as an operator does, once the input has ended: dubbo-go shuts down on this signal.
func leave() error { return syscall.Kill(os.Getpid(), syscall.SIGTERM) }

func commands() *bufio.Scanner { return bufio.NewScanner(os.Stdin) }

// limit sets the longest message that dubbo-go takes and sends, in bytes; without a word it is 100 KiB.
func limit(bytes string) error {
	if bytes == "" {
		return nil
	}
	n, err := strconv.Atoi(bytes)
	if err != nil {
		return err
	}
	config.GetRootConfig().Protocols = map[string]*config.ProtocolConfig{"dubbo": {Name: "dubbo",
		Params: map[string]any{"getty-session-param": map[string]any{"max-msg-len": n}}}}
	return nil
}
