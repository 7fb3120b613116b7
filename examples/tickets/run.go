package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"time"

	"github.com/ferryrpc/ferry"
)

// session is how long a provider may be silent; it is frozen for longer.
const (
	session = time.Second
	frozen  = 1500 * time.Millisecond
)

// A result is one line of the table.
type result struct {
	sold, oversold, lost, unknown int
	rate                          float64
	p99                           time.Duration
}

// A process is a provider or a seller.
type process struct {
	cmd *exec.Cmd
	say *json.Decoder // of a seller
}

func start(ctx context.Context, args ...string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.CommandContext(ctx, self, args...)}
	p.cmd.Stderr = os.Stderr
	if _, err := p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.say = json.NewDecoder(out)
	return p, p.cmd.Start()
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may be dead
	_ = p.cmd.Wait()         // it says that it was killed
}

// several starts some processes and returns those that it could start.
func several(ctx context.Context, n int, args func(int) []string) (all []*process, err error) {
	for i := range n {
		p, err := start(ctx, args(i)...)
		if err != nil {
			return all, err
		}
		all = append(all, p)
	}
	return all, nil
}

func killAll(all []*process) {
	for _, p := range all {
		p.kill()
	}
}

// run sells in one way.
func run(ctx context.Context, zookeeper string, i int, w way, each time.Duration) (r result, err error) {
	b := &box{left: stock}
	s := ferry.NewServer("", ferry.Host("127.0.0.1"))
	if err := s.ExportValue(boxService, b); err != nil {
		return r, err
	}
	defer func() {
		done, cancel := context.WithCancel(context.Background())
		cancel()
		_ = s.Close(done) // its callers are gone
	}()
	registry := fmt.Sprintf("zookeeper://%s?session=%d", zookeeper, session.Milliseconds())
	args := []string{"-role", "provider", "-way", strconv.Itoa(i), "-registry", registry, "-box", "dubbo://" + s.URLs()[0].Address()}
	providers, err := several(ctx, 3, func(int) []string { return args })
	defer killAll(providers) // those that stand there then: one is replaced
	if err != nil {
		return r, err
	}
	all, err := several(ctx, sellers, func(n int) []string {
		return []string{"-role", "seller", "-way", strconv.Itoa(i), "-registry", registry, "-id", strconv.Itoa(n), "-for", each.String()}
	})
	defer killAll(all)
	if err != nil {
		return r, err
	}
	broken := make(chan error, 1)
	failing, stop := context.WithCancel(ctx)
	go func() { broken <- disturb(failing, providers, args, each) }()
	sales := make([]Sales, sellers)
	for n, p := range all {
		if err := p.say.Decode(&sales[n]); err != nil {
			stop()
			<-broken
			return r, fmt.Errorf("seller %d: %w", n, err)
		}
	}
	stop()
	if err := <-broken; err != nil {
		return r, err
	}
	return count(b, sales, each), nil
}

// disturb kills one provider and starts it again, and freezes the others in turn for longer than their session, until ctx ends.
func disturb(ctx context.Context, providers []*process, args []string, each time.Duration) error {
	wait := func(d time.Duration) bool {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
			return true
		case <-ctx.Done():
			return false
		}
	}
	for n := 0; wait(each / 10); n = (n + 1) % len(providers) {
		if n == 0 {
			providers[0].kill()
			p, err := start(context.WithoutCancel(ctx), args...)
			if err != nil {
				return err
			}
			providers[0] = p
			continue
		}
		thaw, err := freeze(providers[n].cmd.Process)
		if err != nil {
			return err
		}
		wait(frozen)
		if err := thaw(); err != nil {
			return err
		}
	}
	return nil
}

// count puts the sellers' results together.
func count(b *box, all []Sales, each time.Duration) (r result) {
	seats := map[int64]int{}
	var micros []int
	for _, s := range all {
		r.sold += len(s.Tickets)
		r.unknown += s.Unknown
		micros = append(micros, s.Micros...)
		for _, t := range s.Tickets {
			seats[t]++
		}
	}
	r.oversold = r.sold - len(seats)
	b.mu.Lock()
	gone := int(stock - b.left)
	b.mu.Unlock()
	for t := range seats {
		if t <= b.left {
			gone++ // sold, and on sale again
		}
	}
	r.lost = gone - len(seats)
	slices.Sort(micros)
	if n := len(micros); n > 0 {
		r.p99 = time.Duration(micros[n*99/100]) * time.Microsecond
	}
	r.rate = float64(r.sold) / each.Seconds()
	return r
}
