package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/ferryrpc/ferry"
)

// session is how long a provider may be silent; it is frozen for longer, at least.
const (
	session = time.Second
	frozen  = 1500 * time.Millisecond
)

// A result is one line of the table.
type result struct {
	sold, oversold, lost, unknown int
	killed, frozen, thawed        int // providers; thawed: overtaken, and then went on for a while
	late, refused                 int // writes of the overtaken
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
	bad := &trouble{box: b, providers: providers, args: args}
	broken := make(chan error, 1)
	failing, stop := context.WithCancel(ctx)
	go func() { broken <- bad.run(failing, each) }()
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
	r = count(b, sales, each)
	r.frozen, r.killed, r.thawed = bad.frozen, bad.killed, bad.thawed
	return r, nil
}

// A trouble is what happens to the providers of one way.
type trouble struct {
	box       *box
	providers []*process
	args      []string // of a new one

	frozen, killed, thawed int // thawed: those that were overtaken, and then went on for a while
}

// run kills and freezes whoever has just read the counter, until there is no time left for the next.
func (b *trouble) run(ctx context.Context, each time.Duration) error {
	for n, end := 0, time.Now().Add(each-frozen); time.Now().Before(end) && wait(ctx, each/20); n++ {
		var err error
		if n%3 == 0 {
			err = b.kill(ctx)
		} else {
			err = b.freeze(ctx, each)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// catch does something to the next reader, and returns which of the providers that was; -1 when ctx ended before.
func (b *trouble) catch(ctx context.Context, do func(*process) error) (i int, err error) {
	caught := make(chan struct{})
	i = -1
	b.box.set(func(reader int) {
		defer close(caught)
		i = slices.IndexFunc(b.providers, func(p *process) bool { return p.cmd.Process.Pid == reader })
		if i >= 0 {
			err = do(b.providers[i])
		}
	}, nil)
	select {
	case <-caught:
	case <-ctx.Done():
	}
	b.box.set(nil, nil) // after that nobody will be caught
	return i, err
}

// freeze stops a reader until its session is over and another has just sold in its place.
func (b *trouble) freeze(ctx context.Context, each time.Duration) error {
	var thaw func() error
	i, err := b.catch(ctx, func(p *process) (err error) { thaw, err = freeze(p.cmd.Process); return err })
	if err != nil || i < 0 {
		return err
	}
	b.frozen++
	wait(ctx, frozen)
	sold := make(chan struct{})
	var once sync.Once
	thawed := func() { once.Do(func() { err = thaw() }) }
	b.box.set(nil, func() { thawed(); close(sold) })
	select {
	case <-sold:
		if wait(ctx, each/20) {
			b.thawed++
		}
	case <-ctx.Done():
		b.box.set(nil, nil)
		thawed()
	}
	return err
}

// kill ends a reader and starts another provider.
func (b *trouble) kill(ctx context.Context) error {
	i, err := b.catch(ctx, func(p *process) error { return p.cmd.Process.Kill() })
	if err != nil || i < 0 {
		return err
	}
	b.killed++
	_ = b.providers[i].cmd.Wait() // it says that it was killed
	p, err := start(context.WithoutCancel(ctx), b.args...)
	if err == nil {
		b.providers[i] = p
	}
	return err
}

// wait says whether the time has passed before the end of ctx.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
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
	r.late, r.refused = b.late, b.refused
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
