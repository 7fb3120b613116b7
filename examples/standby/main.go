// Command standby runs two processes of which one works and the other one stands by, and kills and freezes the active one.
//
//	go run ./examples/standby                                  with a ZooKeeper of its own, in about five seconds
//	go run ./examples/standby -node a -zookeeper zookeeper://host:2181/standby    one node, for servers of yours
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"time"

	"github.com/ferryrpc/ferry/coordination/leader"
	"github.com/ferryrpc/ferry/coordination/lock"
	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/zkembed"
)

func main() {
	node := flag.String("node", "", "run one node of this name; without it, the whole demonstration")
	address := flag.String("zookeeper", "", "ZooKeeper for -node")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	if *node != "" {
		err = run(ctx, *node, *address, os.Stdout)
	} else {
		err = demonstrate(ctx, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run is one node: it stands by until it leads, and works as long as it does.
func run(ctx context.Context, name, address string, out io.Writer) error {
	locks, err := lock.Open(extension.Env{}, address)
	if err != nil {
		return err
	}
	defer locks.Close()
	latch, err := leader.Join(locks, "/active", leader.LatchOptions{
		Options: leader.Options{ID: name},
		OnGain: func(ctx context.Context, epoch lock.Fence) {
			fmt.Fprintf(out, "%s active in epoch %d\n", name, epoch.Token)
		},
		OnLoss: func(epoch lock.Fence, cause error) {
			fmt.Fprintf(out, "%s standby: %v\n", name, cause)
		},
	})
	if err != nil {
		return err
	}
	<-ctx.Done()
	return latch.Close()
}

// A node is a process that run runs in.
type node struct {
	name string
	cmd  *exec.Cmd
}

func start(ctx context.Context, name, address string, lines chan<- string) (*node, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	n := &node{name, exec.CommandContext(ctx, self, "-node", name, "-zookeeper", address)}
	n.cmd.Stderr = os.Stderr
	pipe, err := n.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := n.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		for s := bufio.NewScanner(pipe); s.Scan(); {
			lines <- s.Text()
		}
	}()
	return n, nil
}

func (n *node) kill() error {
	if err := n.cmd.Process.Kill(); err != nil {
		return err
	}
	_ = n.cmd.Wait() // it says that it was killed
	return nil
}

// demonstrate starts two nodes and takes the active one away, twice.
func demonstrate(ctx context.Context, out io.Writer) error {
	z, err := zkembed.Start(zkembed.Options{})
	if err != nil {
		return err
	}
	defer z.Close()
	address := "zookeeper://" + z.Addr() + "/standby?session=1000"
	lines := make(chan string, 100)
	began := time.Now()
	await := func(text string) error {
		for {
			select {
			case line := <-lines:
				fmt.Fprintf(out, "%5.2fs  %s\n", time.Since(began).Seconds(), line)
				if strings.HasPrefix(line, text) {
					return nil
				}
			case <-time.After(10 * time.Second):
				return fmt.Errorf("standby: nobody said %q", text)
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	say := func(text string) { fmt.Fprintf(out, "%5.2fs  -- %s\n", time.Since(began).Seconds(), text) }

	a, err := start(ctx, "a", address, lines)
	if err != nil {
		return err
	}
	defer func() { _ = a.kill() }() // it may be dead
	if err := await("a active"); err != nil {
		return err
	}
	b, err := start(ctx, "b", address, lines)
	if err != nil {
		return err
	}
	defer func() { _ = b.kill() }() // as above
	if err := standing(ctx, address, 2); err != nil {
		return err
	}

	say("a is killed; its session ends a second later")
	if err := a.kill(); err != nil {
		return err
	}
	if err := await("b active"); err != nil {
		return err
	}
	say("a is started again")
	if a, err = start(ctx, "a", address, lines); err != nil {
		return err
	}
	if err := standing(ctx, address, 2); err != nil {
		return err
	}
	say("b is frozen for longer than its session")
	thaw, err := freeze(b.cmd.Process)
	if err != nil {
		return err
	}
	if err := await("a active"); err != nil {
		return err
	}
	say("b goes on, and sees at once that it leads no more")
	if err := thaw(); err != nil {
		return err
	}
	return await("b standby")
}

// standing waits until n nodes are in the line.
func standing(ctx context.Context, address string, n int) error {
	locks, err := lock.Open(extension.Env{}, address)
	if err != nil {
		return err
	}
	defer locks.Close()
	mutex, err := locks.Mutex("/active", lock.Options{})
	if err != nil {
		return err
	}
	for {
		line, err := mutex.Participants(ctx)
		if err != nil || len(line) == n {
			return err
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
