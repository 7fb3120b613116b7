// Command standby runs two processes of which one works and the other one stands by, and kills and freezes each of them in turn.
//
//	go run ./examples/standby                                  with a ZooKeeper of its own, in about six seconds
//	go run ./examples/standby -node a -zookeeper zookeeper://host:2181/standby    one node, for servers of yours
package main

import (
	"bufio"
	"context"
	"errors"
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

// A stage is where the demonstration takes place.
type stage struct {
	address string
	out     io.Writer
	began   time.Time
	lines   chan string // what the nodes say
	nodes   map[string]*node
}

func (s *stage) print(text string) {
	fmt.Fprintf(s.out, "%5.2fs  %s\n", time.Since(s.began).Seconds(), text)
}

// start starts a node and waits until n are in the line.
func (s *stage) start(ctx context.Context, name string, n int) (err error) {
	s.print("-- " + name + " is started")
	if s.nodes[name], err = start(ctx, name, s.address, s.lines); err != nil {
		return err
	}
	return standing(ctx, s.address, n)
}

func (s *stage) kill(name, then string) error {
	s.print("-- " + name + " is killed; " + then)
	return s.nodes[name].kill()
}

// freeze stops a node until wait returns.
func (s *stage) freeze(name, then string, wait func() error) error {
	s.print("-- " + name + " is frozen for longer than its session; " + then)
	thaw, err := freeze(s.nodes[name].cmd.Process)
	if err != nil {
		return err
	}
	err = wait()
	s.print("-- " + name + " goes on")
	return errors.Join(err, thaw())
}

// await waits until a node says something that begins with text.
func (s *stage) await(ctx context.Context, text string) error {
	for {
		select {
		case line := <-s.lines:
			s.print(line)
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

// silent waits for longer than a session, in which no node may say anything: who leads goes on.
func (s *stage) silent(ctx context.Context) error {
	select {
	case line := <-s.lines:
		return fmt.Errorf("standby: %q, though the active one was left alone", line)
	case <-time.After(session * 3 / 2):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// session is how long a node may be silent.
const session = time.Second

// demonstrate starts two nodes and takes the standby away, twice, and the active one, twice.
func demonstrate(ctx context.Context, out io.Writer) error {
	z, err := zkembed.Start(zkembed.Options{})
	if err != nil {
		return err
	}
	defer z.Close()
	s := &stage{address: fmt.Sprintf("zookeeper://%s/standby?session=%d", z.Addr(), session.Milliseconds()), out: out, began: time.Now(),
		lines: make(chan string, 100), nodes: map[string]*node{}}
	defer func() {
		for _, n := range s.nodes {
			_ = n.kill() // it may be dead
		}
	}()
	for _, step := range []func() error{
		func() error { return s.start(ctx, "a", 1) },
		func() error { return s.await(ctx, "a active") },
		func() error { return s.start(ctx, "b", 2) },

		func() error { return s.kill("b", "a does not notice") },
		func() error { return s.silent(ctx) },
		func() error { return s.start(ctx, "b", 2) },
		func() error { return s.freeze("b", "a does not notice", func() error { return s.silent(ctx) }) },
		func() error { return standing(ctx, s.address, 2) },

		func() error { return s.kill("a", "its session ends a second later") },
		func() error { return s.await(ctx, "b active") },
		func() error { return s.start(ctx, "a", 2) },
		func() error {
			return s.freeze("b", "it will see that it leads no more", func() error { return s.await(ctx, "a active") })
		},
		func() error { return s.await(ctx, "b standby") },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
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
