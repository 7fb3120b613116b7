// Command chaos runs a shop and breaks it. Catalog, orders and payments are two provider processes each; while calls run,
// the program works through a printed schedule: each service has one provider killed with SIGKILL, one stopped with SIGSTOP
// for twice its timeout and one restarted gracefully, and ZooKeeper is away for a while and comes back. At any time one
// provider of each service is healthy.
//
//	go run ./examples/chaos
//	go run ./examples/chaos -registry zookeeper://127.0.0.1:2181
//
// Providers keep ledgers of what they executed. At the end the program compares them with what callers were told: no
// idempotent call failed, no other call ran twice, no answer and no outcome of a failure was a lie, and every
// registration is back. It ends with exit code 1 and a line for each promise that was broken.
//
// The embedded ZooKeeper comes back without its data, as after the loss of a disk. Before a real one, which -registry names,
// stands a proxy that cuts all connections and refuses new ones, until sessions have expired.
//
// -sabotage shows that the checks can fail: "repeat" repeats every call that may have run, "failfast" repeats none,
// "absent" leaves a provider out at the end, "forget" lets a provider execute without writing it down.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"
)

// settings are the flags.
type settings struct {
	registry string
	duration time.Duration
	outage   time.Duration
	timeout  time.Duration
	session  time.Duration
	rate     int
	calls    int
	sabotage string
}

func main() {
	var s settings
	flag.StringVar(&s.registry, "registry", "", "registry to use; an embedded ZooKeeper when empty")
	flag.DurationVar(&s.duration, "duration", time.Minute, "length of the run")
	flag.DurationVar(&s.outage, "outage", 20*time.Second, "how long ZooKeeper is away")
	flag.DurationVar(&s.timeout, "timeout", 500*time.Millisecond, "timeout of catalog and payments; orders, which calls payments, has twice that")
	flag.DurationVar(&s.session, "session", 6*time.Second, "session timeout asked of ZooKeeper")
	flag.IntVar(&s.rate, "rate", 1000, "calls per second")
	flag.IntVar(&s.calls, "calls", 5000, "least calls of each kind; the run is longer if it takes longer")
	flag.StringVar(&s.sabotage, "sabotage", "", "break a promise: "+strings.Join(sabotages(), ", "))
	provider := flag.String("provider", "", "run as this provider (the program starts these itself)")
	ledger := flag.String("ledger", "", "ledger of the provider")
	flag.Parse()
	var err error
	switch {
	case *provider != "":
		err = provide(s, *provider, *ledger)
	case s.sabotage != "" && !slices.Contains(sabotages(), s.sabotage):
		err = fmt.Errorf("unknown sabotage %q: want %s", s.sabotage, strings.Join(sabotages(), ", "))
	case s.duration <= s.outage || s.outage <= 0 || s.rate <= 0 || s.timeout <= 0:
		err = errors.New("want 0 < outage < duration, and a rate and timeout over 0")
	default:
		err = run(s)
	}
	if err != nil {
		for line := range strings.Lines(err.Error() + "\n") {
			fmt.Fprint(os.Stderr, "chaos: ", line)
		}
		os.Exit(1)
	}
}

func sabotages() []string { return []string{"repeat", "failfast", "absent", "forget"} }

func run(s settings) (err error) {
	dir, err := os.MkdirTemp("", "chaos")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	// Much longer than a good run, so that whatever hangs is an error.
	ctx, cancel := context.WithTimeout(context.Background(), 3*s.duration+time.Minute)
	defer cancel()
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	zk, err := openEnsemble(s, dir)
	if err != nil {
		return err
	}
	defer zk.close()
	s.registry = zk.url()
	f := newFleet(s, dir)
	defer f.kill()
	if err := f.startAll(ctx); err != nil {
		return err
	}
	l, err := newLoad(s)
	if err != nil {
		return err
	}
	defer l.close()
	p := newPlan(s, f, l, zk)
	p.print(os.Stdout)
	if err := l.during(ctx, os.Stdout, func() error { return p.run(ctx, os.Stdout) }); err != nil {
		return err
	}
	return conclude(ctx, s, f, l)
}

// conclude compares promises, answers and ledgers.
func conclude(ctx context.Context, s settings, f *fleet, l *load) error {
	var v verdict
	v.registrations(ctx, s, f, l)
	if err := f.stop(ctx); err != nil { // what was frozen has written everything down by then
		v.broken("a provider did not stop gracefully: %v", err)
	}
	entries, err := f.entries()
	if err != nil {
		return err
	}
	v.calls(l.records(), entries, s.calls)
	v.print(os.Stdout, l)
	return v.err()
}
