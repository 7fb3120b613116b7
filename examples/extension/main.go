// Command extension plays a third party: it adds a balancer, a filter, a format and a protocol of its own to Ferry and
// uses them by URL parameter, as if they had come with it. Two providers and a consumer run in one process, with an
// embedded ZooKeeper between them.
//
//	cd examples/extension && go run .
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/zkembed"

	"example.com/extension/audit"
	"example.com/extension/shop"
)

func main() {
	if err := run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "extension:", err)
		os.Exit(1)
	}
}

func run(out io.Writer) error {
	zk, err := zkembed.Start(zkembed.Options{})
	if err != nil {
		return err
	}
	defer zk.Close()
	registry := "zookeeper://" + zk.Addr() + "?cache=false"

	var served audit.Log
	berlin, err := provide(registry, "berlin", &served)
	if err != nil {
		return err
	}
	defer berlin.Close(context.Background())
	hangzhou, err := provide(registry, "hangzhou", &served)
	if err != nil {
		return err
	}
	defer hangzhou.Close(context.Background())
	for _, s := range []*ferry.Server{berlin, hangzhou} {
		u := s.URLs()[0]
		fmt.Fprintf(out, "%s sells at %s://%s in %s\n", u.Param("zone"), u.Scheme(), u.Address(), u.Param("serialization"))
	}

	var called audit.Log
	x, err := extensions(&called)
	if err != nil {
		return err
	}
	c := ferry.NewClient(registry)
	c.Extensions = x
	defer c.Close()
	if err := consume(out, c, berlin); err != nil {
		return err
	}
	for side, log := range map[string]*audit.Log{"consumer": &called, "providers": &served} {
		if calls, failed := log.Counts(); calls != 13 || failed != 1 {
			return fmt.Errorf("the %s audit counted %d calls, %d failed", side, calls, failed)
		}
	}
	fmt.Fprintln(out, "audit on both sides: 13 calls, 1 failed; the last:", called.Records()[len(called.Records())-1].Method)
	return nil
}

// provide starts a provider of one zone.
func provide(registry, zone string, log *audit.Log) (*ferry.Server, error) {
	x, err := extensions(log)
	if err != nil {
		return nil, err
	}
	s := ferry.NewServer(registry, ferry.Param("protocol", "post"), ferry.Serialization("tsv"), ferry.Param("zone", zone),
		ferry.Param("service.filter", "audit"), ferry.Param("audit.keep", "10"))
	s.Extensions = x
	return s, shop.ExportShop(s, seller{zone})
}

type seller struct{ zone string }

// Quote implements shop.Shop.
func (s seller) Quote(_ context.Context, item string, n int32) (float64, error) {
	if item == "unicorn" {
		return 0, errors.New("unicorns are not for sale")
	}
	return 1.25 * float64(n), nil
}

// Buy implements shop.Shop.
func (s seller) Buy(context.Context, string, int32) (string, error) { return s.zone, nil }

// consume calls the providers from Berlin, first with its own zone's there, then without.
func consume(out io.Writer, c *ferry.Client, berlin *ferry.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	ref, err := c.Refer(shop.ShopService, ferry.LoadBalance("nearest"), ferry.Param("zone", "berlin"), ferry.Param("filter", "audit"))
	if err != nil {
		return err
	}
	if err := connected(ctx, ref, 2); err != nil {
		return err
	}
	s := shop.NewShop(ref)
	if err := buy(ctx, out, s, "with both providers there"); err != nil {
		return err
	}
	_, err = s.Quote(ctx, "unicorn", 1)
	fmt.Fprintln(out, "an error of the service:", err)
	if err := berlin.Close(ctx); err != nil {
		return err
	}
	if err := connected(ctx, ref, 1); err != nil {
		return err
	}
	if err := buy(ctx, out, s, "without the one in Berlin"); err != nil {
		return err
	}
	_, err = shop.ReferShop(c, ferry.LoadBalance("nearest"), ferry.Param("zonne", "berlin"))
	fmt.Fprintln(out, "a misspelt parameter:", err)
	return nil
}

// connected waits until a consumer has so many providers. Refer itself returns with the first, wherever it is.
func connected(ctx context.Context, ref *ferry.Reference, providers int) error {
	for {
		changed := ref.Directory().Changed()
		if len(ref.Directory().Snapshot().Targets) == providers {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", ref.Directory().Snapshot(), ctx.Err())
		}
	}
}

func buy(ctx context.Context, out io.Writer, s shop.Shop, when string) error {
	sold := map[string]int{}
	for range 6 {
		zone, err := s.Buy(ctx, "bolt", 2)
		if err != nil {
			return err
		}
		sold[zone]++
	}
	for _, zone := range slices.Sorted(maps.Keys(sold)) {
		fmt.Fprintf(out, "%s: %s sold %d of 6\n", when, zone, sold[zone])
	}
	return nil
}
