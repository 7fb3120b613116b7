package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/examples/chaos/shop"
)

// services are what each kind of provider exports.
func services() []string { return []string{"catalog", "orders", "payments"} }

// timeoutOf is the timeout of a service's calls. That of orders leaves time for its own call to payments.
func timeoutOf(s settings, service string) time.Duration {
	if service == "orders" {
		return 2 * s.timeout
	}
	return s.timeout
}

// provide is a provider's process: it serves until it is told to stop or its standard input ends, as it does when the
// parent is gone.
func provide(s settings, name, path string) error {
	forget := int64(0)
	if s.sabotage == "forget" {
		forget = 100
	}
	l, err := openLedger(path, forget)
	if err != nil {
		return err
	}
	server := ferry.NewServer(s.registry, ferry.Param("application", "chaos"))
	client := ferry.NewClient(s.registry, ferry.Param("application", "chaos"))
	if err := export(s, server, client, name, l); err != nil {
		return errors.Join(err, server.Close(context.Background()), client.Close())
	}
	fmt.Println("ready", server.URLs()[0].Address())
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // its end is what counts
		cancel()
	}()
	return errors.Join(server.Run(ctx), client.Close())
}

func export(s settings, server *ferry.Server, client *ferry.Client, name string, l *ledger) error {
	switch service, _, _ := strings.Cut(name, "-"); service {
	case "catalog":
		return shop.ExportCatalog(server, catalog{l})
	case "orders":
		p, err := shop.ReferPayments(client, ferry.Timeout(timeoutOf(s, "payments")), ferry.Check(false))
		if err != nil {
			return err
		}
		return shop.ExportOrders(server, orders{l, p})
	case "payments":
		return shop.ExportPayments(server, payments{l})
	}
	return fmt.Errorf("provider %q: want one of %s", name, strings.Join(services(), ", "))
}

// answer is what callers compare with.
func answer(method, id string) string { return method + " " + id }

func (l *ledger) done(method, id string) (string, error) {
	return answer(method, id), l.write(method, id)
}

type catalog struct{ *ledger }

// Price implements shop.Catalog.
func (c catalog) Price(_ context.Context, id, _ string) (string, error) { return c.done("price", id) }

// Reserve implements shop.Catalog.
func (c catalog) Reserve(_ context.Context, id, _ string) (string, error) {
	return c.done("reserve", id)
}

type orders struct {
	*ledger
	payments shop.Payments
}

// Status implements shop.Orders.
func (o orders) Status(_ context.Context, id, _ string) (string, error) { return o.done("status", id) }

// Place implements shop.Orders.
func (o orders) Place(ctx context.Context, id, _ string) (string, error) {
	text, err := o.done("place", id)
	if err == nil {
		_, err = o.payments.Charge(ctx, id, "account of the order")
	}
	return text, err
}

type payments struct{ *ledger }

// Balance implements shop.Payments.
func (p payments) Balance(_ context.Context, id, _ string) (string, error) {
	return p.done("balance", id)
}

// Charge implements shop.Payments.
func (p payments) Charge(_ context.Context, id, _ string) (string, error) {
	return p.done("charge", id)
}
