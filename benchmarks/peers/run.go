package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/ferryrpc/ferry/benchmarks/peers/peer"
)

// plan is what one start of the benchmark does.
type plan struct {
	points     []point
	frameworks []peer.Entry
	reps       int
	warm       time.Duration
	duration   time.Duration
	rate       float64   // of the open loop; 0: half of what the best peer reached at the reference point
	progress   io.Writer // one line per run
}

// errSkip means that a framework has no such call.
var errSkip = errors.New("peers: not supported")

// execute does all runs, interleaved: at each point the first repetition of every framework, then the second of every
// framework. The order turns by one each time, so that none always follows the same other. A run that fails is in the
// report with its error, and ends nothing.
func (pl plan) execute(ctx context.Context) ([]run, error) {
	var runs []run
	for _, p := range pl.points {
		rate := pl.rate
		if p.Kind == kindOpen && rate == 0 {
			rate = bestPeerRate(runs) / 2
		}
		if p.Kind == kindOpen && rate == 0 {
			return runs, fmt.Errorf("peers: the point %s needs -rate, or %s in the same run", p.ID, reference)
		}
		skip := map[string]bool{}
		for rep := range pl.reps {
			for i := range pl.frameworks {
				e := pl.frameworks[(i+rep)%len(pl.frameworks)]
				if !p.fits(e) || skip[e.Name()] {
					continue
				}
				r, err := pl.once(ctx, e, p, rate)
				if ctx.Err() != nil {
					return runs, ctx.Err()
				}
				if err == errSkip {
					skip[e.Name()] = true
					continue
				}
				if err != nil {
					r.Err = err.Error()
				}
				r.Framework, r.Group, r.Point, r.Rep = e.Name(), e.Group, p, rep+1
				runs = append(runs, r)
				fmt.Fprintln(pl.progress, r.line())
			}
		}
	}
	return runs, nil
}

// once starts a server and a client, lets the client warm up, and measures both over the same calls: their counters are
// read while nothing is in flight.
func (pl plan) once(ctx context.Context, e peer.Entry, p point, rate float64) (run, error) {
	var r run
	addr, err := peer.FreeAddr()
	if err != nil {
		return r, err
	}
	o := order{Role: "server", Framework: e.Name(), Addr: addr, Point: p, Warm: pl.warm, Duration: pl.duration, Rate: rate}
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
	r.Rate = rate
	if p.Kind != kindOpen {
		r.Rate = 0
	}
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
