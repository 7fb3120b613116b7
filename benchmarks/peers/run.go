package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/ferryrpc/ferry/benchmarks/peers/codec"
	"github.com/ferryrpc/ferry/benchmarks/peers/peer"
	"github.com/ferryrpc/ferry/zkembed"
)

// bench is a plan at work.
type bench struct {
	plan
	registry *zkembed.Server // nil if no framework uses one
	measured
}

// measured is all that was measured.
type measured struct {
	runs   []run
	idle   []idle
	codecs []codec.Result
}

// plan is what one start of the benchmark does.
type plan struct {
	points     []point
	frameworks []peer.Entry
	reps       int
	warm       time.Duration
	duration   time.Duration
	rate       float64   // of the open loop; 0: half of what the best peer reached at the reference point
	profile    string    // folder for CPU profiles, if any
	progress   io.Writer // one line per run
}

// errSkip means that a framework has no such call.
var errSkip = errors.New("peers: not supported")

// execute does all runs, interleaved: at each point the first repetition of every framework, then the second of every
// framework. The order turns by one each time, so that none always follows the same other. A run that fails is in the
// report with its error, and ends nothing.
func (pl plan) execute(ctx context.Context) (measured, error) {
	b := &bench{plan: pl}
	for _, e := range pl.frameworks {
		if _, ok := e.Framework.(peer.Registered); !ok || b.registry != nil {
			continue
		}
		z, err := zkembed.Start(zkembed.Options{})
		if err != nil {
			return measured{}, fmt.Errorf("peers: registry: %w", err)
		}
		defer z.Close()
		b.registry = z
	}
	for _, p := range pl.points {
		if err := b.point(ctx, p); err != nil {
			return b.measured, err
		}
	}
	return b.measured, nil
}

// point does all repetitions of one point.
func (b *bench) point(ctx context.Context, p point) error {
	switch p.Kind {
	case kindIdle:
		return b.allIdle(ctx)
	case kindCodec:
		var err error
		b.codecs, err = codec.Measure(codecRounds, codecRound)
		return err
	}
	var rate float64
	if p.Kind == kindOpen {
		if rate = b.rate; rate == 0 {
			rate = bestPeerRate(b.runs) / 2
		}
		if rate == 0 {
			return fmt.Errorf("peers: the point %s needs -rate, or %s in the same run", p.ID, reference)
		}
	}
	skip := map[string]bool{}
	for rep := range repetitions(p, b.reps) {
		for i := range b.frameworks {
			e := b.frameworks[(i+rep)%len(b.frameworks)]
			if !p.fits(e) || skip[e.Name()] {
				continue
			}
			r, err := b.once(ctx, e, p, rate)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err == errSkip {
				skip[e.Name()] = true
				continue
			}
			if err != nil {
				r.Err = err.Error()
			}
			r.Framework, r.Group, r.Point, r.Rep, r.Rate = e.Name(), e.Group, p, rep+1, rate
			b.runs = append(b.runs, r)
			fmt.Fprintln(b.progress, r.line())
		}
	}
	return nil
}

// repetitions is n for points that a goal is about, and half of it for the others.
func repetitions(p point, n int) int {
	for _, g := range allGoals() {
		if g.point == p.ID {
			return n
		}
	}
	return (n + 1) / 2
}

// allIdle measures the idle connections of every framework that can have more than one.
func (b *bench) allIdle(ctx context.Context) error {
	for _, e := range b.frameworks {
		if e.Shared || e.Group == peer.Ours && !strings.HasPrefix(e.Name(), "ferry-msgpack") {
			continue // the formats share the transports
		}
		i := b.idle(ctx, e)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		b.measured.idle = append(b.measured.idle, i)
		fmt.Fprintln(b.progress, i.line())
	}
	return nil
}

// order makes the order for a server. Each run has a root of its own in the registry, so that it sees no other's servers.
func (b *bench) order(e peer.Entry, p point, rate float64) (order, error) {
	addr, err := peer.FreeAddr()
	o := order{Role: "server", Framework: e.Name(), Addr: addr, Point: p, Warm: b.warm, Duration: b.duration, Rate: rate, Profile: b.profile}
	if b.registry != nil {
		o.Registry = fmt.Sprintf("zookeeper://%s?group=run%d&file-cache=false", b.registry.Addr(), len(b.runs))
	}
	return o, err
}

// once starts a server and a client, lets the client warm up, and measures both over the same calls: their counters are
// read while nothing is in flight.
func (b *bench) once(ctx context.Context, e peer.Entry, p point, rate float64) (run, error) {
	var r run
	o, err := b.order(e, p, rate)
	if err != nil {
		return r, err
	}
	ctx, cancel := context.WithTimeout(ctx, childLife)
	defer cancel()
	server, err := startProcess(ctx, o)
	if err != nil {
		return r, err
	}
	defer server.stop()
	if _, err := server.listen(); err != nil {
		return r, err
	}
	o.Role = "client"
	client, err := startProcess(ctx, o)
	if err != nil {
		return r, err
	}
	defer client.stop()
	warm, err := client.listen()
	if err != nil {
		return r, err
	}
	if warm.Skip {
		return r, errSkip
	}
	before, err := server.ask(ask{Do: "read", Notified: warm.Load.Notified})
	if err != nil {
		return r, err
	}
	done, err := client.ask(ask{Do: "go"})
	if err != nil {
		return r, err
	}
	sent := warm.Load.Notified + done.Load.Notified
	after, err := server.ask(ask{Do: "read", Notified: sent})
	if err != nil {
		return r, err
	}
	r = newRun(*done.Load, *done.Usage, after.Usage.Since(*before.Usage), e.Sendmsg)
	if lost := sent - after.Notified; lost > 0 {
		return r, fmt.Errorf("peers: %d of %d one-way calls did not arrive", lost, sent)
	}
	return r, nil
}

// bestPeerRate is the calls per second of the fastest peer at the reference point.
func bestPeerRate(runs []run) float64 {
	var best float64
	for _, s := range summarize(runs) {
		if s.Group == peer.Peer && s.Point.ID == reference {
			best = max(best, s.Rate.Median)
		}
	}
	return best
}
