package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/examples/quickstart/hello"
)

type greeter struct{ name string }

// SayHello implements hello.Greeter.
func (g greeter) SayHello(_ context.Context, name string) (*hello.Greeting, error) {
	return &hello.Greeting{Text: "Hello, " + name, Provider: g.name}, nil
}

// provide is a provider's process: it serves until its standard input is closed, which happens when the parent ends.
func provide(registry, name string) error {
	s := ferry.NewServer(registry)
	if err := hello.ExportGreeter(s, greeter{name}); err != nil {
		return err
	}
	fmt.Println("ready", s.URLs()[0].Address())
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	return s.Run(ctx)
}

// providers are the child processes by name.
type providers map[string]*child

type child struct {
	cmd   *exec.Cmd
	input io.Closer
}

func startProviders(ctx context.Context, registry string, names ...string) (providers, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := providers{}
	for _, name := range names {
		cmd := exec.CommandContext(ctx, self, "-provider", name, "-registry", registry)
		cmd.Stderr = os.Stderr
		input, err := cmd.StdinPipe()
		if err != nil {
			return p, err
		}
		output, err := cmd.StdoutPipe()
		if err != nil {
			return p, err
		}
		if err := cmd.Start(); err != nil {
			return p, err
		}
		p[name] = &child{cmd, input}
		line, err := bufio.NewReader(output).ReadString('\n')
		address, ready := strings.CutPrefix(line, "ready ")
		if err != nil || !ready {
			return p, fmt.Errorf("provider %s did not start: %q", name, line)
		}
		fmt.Printf("provider %s at %s, process %d\n", name, strings.TrimSpace(address), cmd.Process.Pid)
	}
	return p, nil
}

// kill ends a provider as a crash would.
func (p providers) kill(name string) {
	fmt.Printf("provider %s is killed with SIGKILL\n", name)
	_ = p[name].cmd.Process.Kill()
}

// stop asks all providers to shut down, and waits for them.
func (p providers) stop() {
	for _, c := range p {
		_ = c.input.Close()
	}
	for _, c := range p {
		_ = c.cmd.Wait()
	}
}
