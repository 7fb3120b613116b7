package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/examples/chaos/shop"
	"github.com/ferryrpc/ferry/protocol"
)

// callers is how many goroutines call each method.
const callers = 12

// A record is one call and what its caller was told.
type record struct {
	method     string
	id         string
	idempotent bool
	err        error
	wrong      string // an answer that is not this call's
	took       time.Duration
}

// failed says that the caller got no answer.
func (r *record) failed() bool { return r.err != nil || r.wrong != "" }

// A method is what callers do.
type method struct {
	name       string
	idempotent bool
	call       func(ctx context.Context, id string) (string, error)
}

// A load is the consumer: it calls all methods of all services at a steady rate.
type load struct {
	s          settings
	client     *ferry.Client
	references map[string]*ferry.Reference // by service
	methods    []method
	numbers    atomic.Int64 // of calls

	mu   sync.Mutex // guards the following
	done []record
}

func newLoad(s settings) (*load, error) {
	l := &load{s: s, references: map[string]*ferry.Reference{}}
	options := []ferry.Option{ferry.Param("application", "chaos")}
	switch s.sabotage {
	case "repeat":
		options = append(options, ferry.Retries(2))
	case "failfast":
		options = append(options, ferry.Cluster("failfast"))
	}
	l.client = ferry.NewClient(s.registry, options...)
	for service, i := range interfaces() {
		ref, err := l.client.Refer(i, ferry.Timeout(timeoutOf(s, service)))
		if err != nil {
			l.close()
			return nil, err
		}
		l.references[service] = ref
	}
	c, o, p := shop.NewCatalog(l.references["catalog"]), shop.NewOrders(l.references["orders"]), shop.NewPayments(l.references["payments"])
	with := func(f func(context.Context, string, string) (string, error), argument string) func(context.Context, string) (string, error) {
		return func(ctx context.Context, id string) (string, error) { return f(ctx, id, argument) }
	}
	l.methods = []method{{"price", true, with(c.Price, "figs")}, {"reserve", false, with(c.Reserve, "figs")},
		{"status", true, with(o.Status, "order 7")}, {"place", false, with(o.Place, "figs")},
		{"balance", true, with(p.Balance, "ann")}, {"charge", false, with(p.Charge, "ann")}}
	return l, nil
}

func interfaces() map[string]*protocol.Interface {
	return map[string]*protocol.Interface{"catalog": shop.CatalogService, "orders": shop.OrdersService, "payments": shop.PaymentsService}
}

func (l *load) close() { _ = l.client.Close() } // calls are over by then

// during calls until work has returned and enough calls of each kind were made, and prints a line of the live table per
// second.
func (l *load) during(ctx context.Context, out io.Writer, work func() error) error {
	calling, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	for _, m := range l.methods {
		for range callers {
			wg.Go(func() { l.caller(ctx, calling, m) })
		}
	}
	table := make(chan struct{})
	go func() {
		defer close(table)
		l.table(calling, out)
	}()
	err := work()
	for err == nil && !l.enough() {
		sleep(ctx, 100*time.Millisecond)
		err = ctx.Err()
	}
	stop()
	wg.Wait()
	<-table
	return err
}

// caller makes calls of one method until calling ends; the last one ends by itself.
func (l *load) caller(ctx, calling context.Context, m method) {
	pause := time.Second * time.Duration(len(l.methods)*callers) / time.Duration(l.s.rate)
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		select {
		case <-calling.Done():
			return
		case <-tick.C:
		}
		r := record{method: m.name, idempotent: m.idempotent, id: fmt.Sprintf("%s-%d", m.name, l.numbers.Add(1))}
		begun := time.Now()
		var text string
		text, r.err = m.call(ctx, r.id)
		r.took = time.Since(begun)
		if r.err == nil && text != answer(m.name, r.id) {
			r.wrong = text
		}
		l.mu.Lock()
		l.done = append(l.done, r)
		l.mu.Unlock()
	}
}

func (l *load) records() []record {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.done
}

// enough says whether the promised number of calls of each kind was made.
func (l *load) enough() bool {
	var kinds [2]int
	for _, r := range l.records() {
		if r.idempotent {
			kinds[0]++
		} else {
			kinds[1]++
		}
	}
	return min(kinds[0], kinds[1]) >= l.s.calls
}

// healthy waits until the consumer can call the providers of a service at these addresses.
func (l *load) healthy(ctx context.Context, service string, addresses ...string) error {
	const longest = 15 * time.Second
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	for {
		var seen []string
		missing := slices.Clone(addresses)
		for _, p := range l.references[service].Directory().Providers() {
			if p.Available && !p.SetAside {
				missing = slices.DeleteFunc(missing, func(a string) bool { return a == p.Address })
			}
			seen = append(seen, fmt.Sprintf("%s (connected %v, set aside %v)", p.Address, p.Available, p.SetAside))
		}
		if len(missing) == 0 {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%v of %s is not healthy after %v; known are %s", missing, service, longest, strings.Join(seen, ", "))
		}
		sleep(ctx, 20*time.Millisecond)
	}
}

// retries sums what the client counted.
func (l *load) retries() (n int64) {
	for _, s := range l.client.Monitor().Samples() {
		n += s.Retries
	}
	return n
}

// lists says where the lists of providers come from and how old the oldest is.
func (l *load) lists() string {
	var sources []string
	for _, service := range services() {
		sources = append(sources, l.references[service].Directory().State().Source.String())
	}
	return strings.Join(sources, " ")
}
