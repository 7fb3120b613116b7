// Command scale holds the registry against a large fleet: thousands of services with dozens of providers each, and hundreds
// of consumers, every process with a session of its own, on one embedded ZooKeeper server. Nothing is simulated but the
// processes: providers and consumers are registries and directories as in a real one, only that all are in this process
// and nobody calls anybody.
//
//	go run ./benchmarks/scale                # 2,000 services × 50 providers, 500 consumers of 20 services each
//	go run ./benchmarks/scale -grow          # the same in four sizes, as a table
//
// It prints what a subscribed service and each of its providers cost in memory, how long it takes from the end of a
// provider's session until the last consumer has it out of its list, and how many requests per second the server gets when
// all processes lose their connection at once, or come back to a server that has lost its data.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"
)

// A size is how large the fleet is.
type size struct {
	services  int // in all
	providers int // of each service
	processes int // that the providers are spread over
	consumers int // processes
	each      int // services that a consumer subscribes to
	session   time.Duration
}

func main() {
	var s size
	flag.IntVar(&s.services, "services", 2000, "services")
	flag.IntVar(&s.providers, "providers", 50, "providers of each service")
	flag.IntVar(&s.processes, "processes", 500, "provider processes; each provides services × providers ÷ processes")
	flag.IntVar(&s.consumers, "consumers", 500, "consumer processes")
	flag.IntVar(&s.each, "each", 20, "services that each consumer subscribes to")
	flag.DurationVar(&s.session, "session", time.Minute, "session timeout")
	grow := flag.Bool("grow", false, "run an eighth, a quarter and half of the consumers and services too")
	flag.Parse()
	sizes := []size{s}
	if *grow {
		sizes = nil
		for _, part := range []int{8, 4, 2, 1} {
			x := s
			x.services, x.processes, x.consumers = s.services/part, s.processes/part, s.consumers/part
			sizes = append(sizes, x)
		}
	}
	var all []figures
	for _, s := range sizes {
		f, err := measure(s, os.Stderr)
		all = append(all, f)
		if err != nil {
			print(os.Stdout, all) // what was measured before it went wrong
			fmt.Fprintln(os.Stderr, "scale:", err)
			os.Exit(1)
		}
	}
	print(os.Stdout, all)
}
