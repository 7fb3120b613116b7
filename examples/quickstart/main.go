// Command quickstart shows a whole Ferry system in one run: an embedded ZooKeeper, three providers and a consumer that
// makes 30,000 calls from 64 goroutines. Half-way one provider is killed with SIGKILL, and no call is lost.
//
//	go run ./examples/quickstart
//	go run ./examples/quickstart -registry zookeeper://127.0.0.1:2181
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/ferryrpc/ferry/zkembed"
)

func main() {
	registry := flag.String("registry", "", "registry to use; an embedded ZooKeeper when empty")
	calls := flag.Int("calls", 30000, "calls to make")
	callers := flag.Int("callers", 64, "goroutines that call")
	name := flag.String("provider", "", "run as the provider of this name (the program starts these itself)")
	flag.Parse()
	var err error
	if *name != "" {
		err = provide(*registry, *name)
	} else {
		err = run(*registry, *calls, *callers)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

func run(registry string, calls, callers int) error {
	if registry == "" {
		zk, err := zkembed.Start(zkembed.Options{})
		if err != nil {
			return err
		}
		defer zk.Close()
		registry = "zookeeper://" + zk.Addr()
		fmt.Println("embedded ZooKeeper at", registry)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	providers, err := startProviders(ctx, registry, "A", "B", "C")
	defer providers.stop()
	if err != nil {
		return err
	}
	report, err := consume(ctx, registry, calls, callers, func() { providers.kill("B") })
	if err != nil {
		return err
	}
	report.print(os.Stdout)
	if report.lost > 0 {
		return fmt.Errorf("%d calls lost, the first: %w", report.lost, report.first)
	}
	return nil
}
