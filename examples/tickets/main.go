// Command tickets sells the tickets of one event from six seller processes through three provider processes, while those are killed and
// frozen, in five ways side by side. The service is the classic mistake:
//
//	num = read; if num > 0 { write num-1 }
//
//	go run ./examples/tickets            with a ZooKeeper of its own, in less than a minute
//	go run ./examples/tickets -for 3s    each way for three seconds
//
// Trouble comes at the worst moment: by turns a provider that has just read the counter is frozen until its session is over and others have
// sold in its place, and one is killed there. What the frozen one then writes is long out of date. A lock does not prevent that, since it is
// taken from who is silent; the fence does, as the counter refuses whoever was overtaken.
//
// A ticket is oversold when two buyers have it, and lost when it is gone and no buyer has it. The program fails when a way that promises not
// to oversell does, when no late write gets through where nothing stops it, or when a ticket is lost that no unknown outcome
// stands for.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/ferryrpc/ferry/zkembed"
)

// stock is more than can be sold, so that the sale goes on while things fail.
const stock = 10_000_000

// A way is one of the five.
type way struct {
	name     string
	options  map[string]string // of the providers' service
	fence    bool              // the counter refuses who was overtaken
	oversold string            // what must be: some, none, or late: as many as late writes put back, and there must be such
	exact    bool              // nothing is lost but what has an unknown outcome
}

func ways() []way {
	lock := map[string]string{"sell.ordered": "lock", "sell.ordered.key": "0"}
	ordered := map[string]string{"sell.ordered": "true", "sell.ordered.key": "0"}
	recorded := map[string]string{"sell.ordered": "true", "sell.ordered.key": "0", "sell.idempotent": "zookeeper", "sell.idempotent.key": "1"}
	return []way{
		{name: "no protection", oversold: "some"},
		{name: "lock", options: lock, oversold: "late"},
		{name: "lock + fence", options: lock, fence: true, oversold: "none"},
		{name: "ordered", options: ordered, fence: true, oversold: "none"},
		{name: "idempotent + ordered", options: recorded, fence: true, oversold: "none", exact: true},
	}
}

// group keeps the providers and keys of one way apart from those of the others.
func (w way) group() string { return strings.ReplaceAll(strings.ReplaceAll(w.name, " ", ""), "+", "-") }

func main() {
	role := flag.String("role", "", "run one process: provider or seller")
	registry := flag.String("registry", "", "for a role")
	box := flag.String("box", "", "for a provider: where the counter is")
	which := flag.Int("way", 0, "for a role")
	id := flag.String("id", "", "for a seller")
	each := flag.Duration("for", 5*time.Second, "how long each way sells")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	switch *role {
	case "provider":
		err = provide(ctx, *registry, *box, ways()[*which])
	case "seller":
		err = sell(ctx, *registry, *id, ways()[*which], *each, os.Stdout)
	default:
		err = demonstrate(ctx, *each, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// demonstrate runs all ways and prints the table.
func demonstrate(ctx context.Context, each time.Duration, out io.Writer) error {
	z, err := zkembed.Start(zkembed.Options{})
	if err != nil {
		return err
	}
	defer z.Close()
	fmt.Fprintf(out, "six sellers, three providers, %v each way; who has just read the counter is frozen for longer than its session, or killed\n\n", each)
	fmt.Fprintf(out, "%-22s %8s %9s %6s %8s %8s %9s %7s %7s %7s %8s\n", "", "sold", "oversold", "lost", "unknown", "calls/s", "p99",
		"killed", "frozen", "late", "refused")
	var wrong []error
	for i, w := range ways() {
		r, err := run(ctx, z.Addr(), i, w, each)
		if err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		fmt.Fprintf(out, "%-22s %8d %9d %6d %8d %8.0f %9v %7d %7d %7d %8d\n", w.name, r.sold, r.oversold, r.lost, r.unknown, r.rate,
			r.p99.Round(100*time.Microsecond), r.killed, r.frozen, r.late, r.refused)
		wrong = append(wrong, r.check(w))
	}
	if err := errors.Join(wrong...); err != nil {
		return err
	}
	fmt.Fprintln(out, "\nlate: writes of the overtaken that were accepted; refused: those that the fence stopped")
	fmt.Fprintln(out, "all ways keep what they promise")
	return nil
}

// check compares a result with what the way promises.
func (r result) check(w way) error {
	switch {
	case r.sold == 0:
		return fmt.Errorf("%s: nothing was sold", w.name)
	case w.oversold == "none" && r.oversold > 0:
		return fmt.Errorf("%s: %d tickets were sold twice", w.name, r.oversold)
	case w.oversold == "some" && r.oversold == 0:
		return fmt.Errorf("%s: no ticket was sold twice: the check sees nothing", w.name)
	case w.oversold == "late" && r.thawed > 0 && r.late == 0:
		return fmt.Errorf("%s: no late write after %d providers had been overtaken: the check sees nothing", w.name, r.thawed)
	case w.exact && r.lost > r.unknown:
		return fmt.Errorf("%s: %d tickets were lost, %d calls have an unknown outcome", w.name, r.lost, r.unknown)
	}
	return nil
}
