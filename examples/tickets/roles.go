package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/coordination/lock"
	"github.com/ferryrpc/ferry/coordination/ordered"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/proxy"
)

const (
	boxService    = "com.example.tickets.Box"
	officeService = "com.example.tickets.Office"
	event         = "concert"
	sellers       = 6
	clerks        = 4 // calls in flight of each seller
)

// A box is the counter. It is in the process of the demonstration, since it must outlive the providers.
type box struct {
	mu      sync.Mutex // guards the following
	left    int64
	gate    lock.Gate
	late    int              // accepted writes that put tickets back, since others had sold after the read
	refused int              // writes of whom the fence showed to be overtaken
	trap    func(reader int) // nil, or what becomes of the next reader before he has the answer
	then    func()           // nil, or what follows the next accepted write
}

// Read returns how many tickets are left. The reader is a process.
func (b *box) Read(_ context.Context, reader int64, fence string) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.present(fence); err != nil {
		return 0, err
	}
	if b.trap != nil {
		b.trap(int(reader))
		b.trap = nil
	}
	return b.left, nil
}

// set says what comes next; both may be nil.
func (b *box) set(trap func(reader int), then func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.trap, b.then = trap, then
}

// Write sets how many are left.
func (b *box) Write(_ context.Context, left int64, fence string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.present(fence); err != nil {
		b.refused++
		return err
	}
	if left >= b.left {
		b.late++
	}
	b.left = left
	if b.then != nil {
		b.then()
		b.then = nil
	}
	return nil
}

func (b *box) present(fence string) error {
	if fence == "" {
		return nil
	}
	f, err := lock.ParseFence(fence)
	if err != nil {
		return err
	}
	return b.gate.Present(f)
}

// An office is a provider's service.
type office struct {
	box   boxClient
	fence bool
}

type boxClient struct {
	Read  func(ctx context.Context, reader int64, fence string) (int64, error)
	Write func(ctx context.Context, left int64, fence string) error
}

var errSoldOut = errors.New("sold out")

// Sell sells a ticket and returns its number. Read and write are two calls, and between them anything may happen. A look at ctx before
// the write would make the gap narrower and not close it, so there is none.
func (o *office) Sell(ctx context.Context, _, order string) (int64, error) {
	fence := ""
	if turn, ok := ordered.From(ctx); ok && o.fence {
		fence = turn.Fence.String()
	}
	ctx = context.WithoutCancel(ctx)
	num, err := o.box.Read(ctx, int64(os.Getpid()), fence)
	switch {
	case err != nil:
		return 0, fmt.Errorf("order %s: %w", order, err)
	case num <= 0:
		return 0, errSoldOut
	}
	if err := o.box.Write(ctx, num-1, fence); err != nil {
		return 0, fmt.Errorf("order %s: %w", order, err)
	}
	return num, nil
}

// provide is a provider process.
func provide(ctx context.Context, registry, boxURL string, w way) error {
	c := ferry.NewClient("", ferry.Direct(boxURL), ferry.Timeout(5*time.Second))
	defer c.Close()
	ref, err := c.Refer(&protocol.Interface{Name: boxService})
	if err != nil {
		return err
	}
	o := &office{fence: w.fence}
	if err := proxy.Fill(ref, boxService, &o.box); err != nil {
		return err
	}
	options := []ferry.Option{ferry.Host("127.0.0.1"), ferry.Group(w.group())}
	for k, v := range w.options {
		options = append(options, ferry.Param(k, v))
	}
	s := ferry.NewServer(registry, options...)
	if err := s.ExportValue(officeService, o); err != nil {
		return err
	}
	go func() { // the end of the demonstration is the end of its pipe
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	return s.Run(ctx)
}

// Sales are what a seller says at its end.
type Sales struct {
	Tickets []int64 // numbers of those that it has sold
	Unknown int     // calls whose outcome it does not know
	Failed  int     // calls that were not carried out
	Micros  []int   // how long the calls took that sold one
}

// sell is a seller process.
func sell(ctx context.Context, registry, id string, w way, d time.Duration, out io.Writer) error {
	c := ferry.NewClient(registry, ferry.Timeout(time.Second), ferry.Group(w.group()), ferry.Param("check.timeout", "15000"))
	defer c.Close()
	ref, err := c.Refer(&protocol.Interface{Name: officeService})
	if err != nil {
		return err
	}
	var stub struct {
		Sell func(ctx context.Context, event, order string) (int64, error)
	}
	if err := proxy.Fill(ref, officeService, &stub); err != nil {
		return err
	}
	var mu sync.Mutex // guards the following
	var s Sales
	var wg sync.WaitGroup
	end := time.Now().Add(d)
	for clerk := range clerks {
		wg.Go(func() {
			for n := 0; time.Now().Before(end) && ctx.Err() == nil; n++ {
				began := time.Now()
				ticket, err := stub.Sell(ctx, event, fmt.Sprintf("%s-%d-%d", id, clerk, n))
				took := time.Since(began)
				mu.Lock()
				switch {
				case err == nil:
					s.Tickets, s.Micros = append(s.Tickets, ticket), append(s.Micros, int(took.Microseconds()))
				case protocol.OutcomeOf(err) == protocol.OutcomeUnknown || protocol.CodeOf(err) == protocol.Application:
					s.Unknown++ // also errors of the service itself: its write may have been carried out
				default:
					s.Failed++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return json.NewEncoder(out).Encode(s)
}
