package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// A fleet is the provider processes, two of each service: catalog-1, catalog-2, orders-1 and so on.
type fleet struct {
	s    settings
	self string
	dir  string

	mu      sync.Mutex // guards the following
	running map[string]*process
	ledgers []string // of all processes that ever ran
}

type process struct {
	name    string
	address string // host:port that it serves at
	cmd     *exec.Cmd
	input   io.Closer
	done    chan struct{} // closed when the process was waited for
	err     error         // how it ended; set before done is closed
}

func newFleet(s settings, dir string) *fleet {
	return &fleet{s: s, dir: dir, running: map[string]*process{}}
}

// providers are the names of a service's providers.
func providers(service string) []string { return []string{service + "-1", service + "-2"} }

func (f *fleet) startAll(ctx context.Context) (err error) {
	if f.self, err = os.Executable(); err != nil {
		return err
	}
	for _, service := range services() {
		for _, name := range providers(service) {
			if err := f.start(ctx, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// start runs a provider and returns when it is registered.
func (f *fleet) start(ctx context.Context, name string) error {
	f.mu.Lock()
	path := filepath.Join(f.dir, fmt.Sprintf("%s.%d.ledger", name, len(f.ledgers)))
	f.ledgers = append(f.ledgers, path)
	f.mu.Unlock()
	cmd := exec.CommandContext(ctx, f.self, "-provider", name, "-ledger", path, "-registry", f.s.registry,
		"-timeout", f.s.timeout.String(), "-sabotage", f.s.sabotage)
	cmd.Stderr = os.Stderr
	input, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	output, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	p := &process{name: name, cmd: cmd, input: input, done: make(chan struct{})}
	line, err := bufio.NewReader(output).ReadString('\n')
	go func() { // nothing else is read from output
		p.err = cmd.Wait()
		close(p.done)
	}()
	address, ready := strings.CutPrefix(strings.TrimSpace(line), "ready ")
	if err != nil || !ready {
		p.kill()
		return fmt.Errorf("provider %s did not start: %q", name, line)
	}
	p.address = address
	fmt.Printf("%s serves at %s, process %d\n", name, address, cmd.Process.Pid)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.running[name] = p
	return nil
}

func (f *fleet) get(name string) *process {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.running[name]
}

// addresses are where a service's providers serve now, sorted.
func (f *fleet) addresses(service string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []string
	for name, p := range f.running {
		if strings.HasPrefix(name, service+"-") {
			out = append(out, p.address)
		}
	}
	slices.Sort(out)
	return out
}

// crash ends a provider with SIGKILL.
func (f *fleet) crash(name string) {
	f.get(name).kill()
}

// freeze stops a provider with SIGSTOP, and lets it go on after a while.
func (f *fleet) freeze(ctx context.Context, name string, d time.Duration) error {
	p := f.get(name)
	if err := stopProcess(p.cmd.Process); err != nil {
		return fmt.Errorf("freeze %s: %w", name, err)
	}
	sleep(ctx, d)
	if err := continueProcess(p.cmd.Process); err != nil {
		return fmt.Errorf("thaw %s: %w", name, err)
	}
	return ctx.Err()
}

// shutdown ends a provider as its operator would, and returns when it is gone.
func (f *fleet) shutdown(ctx context.Context, name string) error {
	return f.get(name).terminate(ctx)
}

// stop shuts all providers down.
func (f *fleet) stop(ctx context.Context) error {
	f.mu.Lock()
	running := slices.Collect(maps.Values(f.running))
	clear(f.running)
	f.mu.Unlock()
	errs := make([]error, len(running))
	var wg sync.WaitGroup
	for i, p := range running {
		wg.Go(func() { errs[i] = p.terminate(ctx) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// kill ends what still runs, whatever its state.
func (f *fleet) kill() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.running {
		p.kill()
	}
	clear(f.running)
}

// entries counts executions by "method id".
func (f *fleet) entries() (map[string]int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return readLedgers(f.ledgers)
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill() // fails only if it has ended
	<-p.done
	_ = p.input.Close() // closed already when the process was waited for
}

func (p *process) terminate(ctx context.Context) error {
	const longest = 30 * time.Second // more than the shutdown of a server takes
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	err := terminateProcess(p.cmd.Process)
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		p.kill()
		return fmt.Errorf("%s did not end: %w", p.name, ctx.Err())
	}
	if p.err != nil {
		return fmt.Errorf("%s: %w", p.name, p.err)
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
