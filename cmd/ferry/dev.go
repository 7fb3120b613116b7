package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/ferryrpc/ferry/zkembed"
)

// runDev serves an embedded ZooKeeper until the process is told to stop. It is for development: nothing is kept.
func runDev(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("ferry dev", flag.ContinueOnError)
	flags.SetOutput(out)
	addr := flags.String("addr", "127.0.0.1:2181", "address to listen on; port 0 takes a free one")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("ferry dev: unexpected argument %q", flags.Arg(0))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return dev(ctx, *addr, out)
}

func dev(ctx context.Context, addr string, out io.Writer) error {
	s, err := zkembed.Start(zkembed.Options{Addr: addr})
	if err != nil {
		return fmt.Errorf("ferry dev: %w", err)
	}
	fmt.Fprintf(out, "embedded ZooKeeper for development, kept in memory only: zookeeper://%s\n", s.Addr())
	<-ctx.Done()
	return s.Close()
}
