// Command peers measures Ferry and the frameworks that users could take instead on the same work, in one run.
//
//	go run .                           every point, every framework: about half an hour
//	QUICK=1 go run .                   three points, under five minutes (also: go run . -quick)
//	go run . -points 128x64,open -frameworks kitex-pb,netrpc-codec,raw-net -reps 5 -d 3s
//	go run . -list                     the names of points and frameworks
//	go run . -growth                   curves over callers, connections and sizes
//	go run . -from results/full.json   makes the table and the chart again from a kept run
//	go run . -quick -readme ../../README.md   also puts the overview between the marks of that file
//
// It writes results/NAME.json (every run, with machine and versions), results/NAME.md (an overview, then a table per
// point) and results/NAME.svg.
//
// # What is measured
//
// The work is a unary echo of {id int64, name string, payload []byte}; "128 B × 64" is a payload of 128 bytes and 64
// goroutines that share one connection, each calling again when its reply is there. Other points have as many connections as
// callers (of one client where a framework's client can have several, which are Ferry and kitex, else a client for each),
// one-way calls, structs of 20 fields, and an open loop, in which messages are due at random times at half the best peer's
// closed-loop rate, and latency counts from the time when a message was due.
//
// For each point the first repetition of every framework runs, then the second of every framework, in an order that
// turns by one; so a disturbance of the machine hits all. A repetition starts a server and a client, two processes of
// this program, lets the client warm up, reads the counters of both while nothing is in flight, lets the client call
// for the set time, waits until the last call has ended, and reads the counters again. CPU is getrusage's of each
// process, allocations are the runtime's, calls per write come from /proc/self/io (kitex writes by sendmsg, which is not
// counted there: TCP segments stand for it). Ferry's servers and callers meet through a ZooKeeper registry that the parent
// keeps; no other framework gets one.
//
// # What it does not show
//
// Client and server share the cores: the CPU per call is the steadier figure, and with many callers latency is mostly
// queueing. Every child has all frameworks linked in, so RSS compares them with each other and is more than a program
// with one of them has. Runs of one program differ by 10 to 25 per cent on a busy machine; a difference of less means
// nothing. It runs on Linux only.
//
// # Parts
//
//	point.go                the loads             main, run.go, process.go   parent: what runs when
//	peer/                   an adapter each       child.go, load.go, openloop.go   child: client and server
//	echo/                   messages and IDL      result.go, report.go, table.go, chart.go   medians and what is written
//	measure/                counters, histogram
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/ferryrpc/ferry/benchmarks/peers/peer"
)

// options are the flags.
type options struct {
	child, points, frameworks, dir, name, from, readme, profile string
	quick, list, growth                                         bool
	reps                                                        int
	duration, warm                                              time.Duration
	rate                                                        float64
}

func main() {
	o := parseFlags()
	if o.child != "" {
		os.Exit(runChild(o.child))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := o.do(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func parseFlags() options {
	var o options
	flag.StringVar(&o.child, "child", "", "used by the program itself: be a client or a server")
	flag.BoolVar(&o.quick, "quick", os.Getenv("QUICK") == "1", "three points and short runs; also by QUICK=1")
	flag.BoolVar(&o.growth, "growth", false, "curves instead of points: more callers, more connections, larger messages")
	flag.BoolVar(&o.list, "list", false, "print the names of points and frameworks")
	flag.StringVar(&o.points, "points", "", "comma-separated points; all without it")
	flag.StringVar(&o.frameworks, "frameworks", "", "comma-separated frameworks; all without it")
	flag.IntVar(&o.reps, "reps", 3, "repetitions at points that a goal is about; others get half as many")
	flag.DurationVar(&o.duration, "d", 0, "measured time of one run (3s, quick 1s)")
	flag.DurationVar(&o.warm, "warm", 0, "warm-up before it (1s, quick 400ms)")
	flag.Float64Var(&o.rate, "rate", 0, "messages per second of the open loop; by itself half of the best peer's rate at "+reference)
	flag.StringVar(&o.dir, "dir", "../results", "where the files go")
	flag.StringVar(&o.name, "name", "", "their name (full, quick)")
	flag.StringVar(&o.from, "from", "", "measure nothing; make table and chart from this JSON file")
	flag.StringVar(&o.readme, "readme", "", "a file to put the overview into, between the lines "+markBegin+" and "+markEnd)
	flag.StringVar(&o.profile, "profile", "", "a folder for CPU profiles of the clients and servers")
	flag.Parse()
	return o.withDefaults()
}

func (o options) withDefaults() options {
	name, d, warm := "full", 3*time.Second, time.Second
	if o.quick {
		name, d, warm = "quick", time.Second, 400*time.Millisecond
	}
	if o.growth {
		name, d, warm = "growth", 500*time.Millisecond, 250*time.Millisecond
		if o.frameworks == "" {
			o.frameworks = growthFrameworks
		}
	}
	if o.name == "" {
		o.name = name
	}
	if o.duration <= 0 {
		o.duration = d
	}
	if o.warm <= 0 {
		o.warm = warm
	}
	o.reps = max(o.reps, 1)
	return o
}

func (o options) do(ctx context.Context) error {
	switch {
	case o.list:
		printNames()
		return nil
	case o.from != "":
		r, err := readReport(o.from)
		if err != nil {
			return err
		}
		o.name = strings.TrimSuffix(o.from[strings.LastIndexByte(o.from, '/')+1:], ".json")
		return o.publish(r)
	}
	points, err := selectPoints(o.points, o.quick)
	if err != nil {
		return err
	}
	if o.growth {
		points = growthPoints()
	}
	frameworks, err := peer.Select(o.frameworks)
	if err != nil {
		return err
	}
	if o.duration+o.warm > time.Minute {
		return fmt.Errorf("peers: -d and -warm together must be at most a minute")
	}
	pl := plan{
		points: points, frameworks: frameworks, reps: o.reps,
		warm: o.warm, duration: o.duration, rate: o.rate, profile: o.profile, progress: os.Stderr,
	}
	m, err := pl.execute(ctx)
	if len(m.runs)+len(m.idle)+len(m.codecs) > 0 {
		err = errors.Join(err, o.publish(newReport(pl, m)), oursFailed(m.runs))
	}
	return err
}

// oursFailed is an error if Ferry failed in a run. A peer that fails is in the report only.
func oursFailed(runs []run) error {
	for _, r := range runs {
		if r.Group == peer.Ours && r.Err != "" {
			return fmt.Errorf("peers: %s failed at %s: %s", r.Framework, r.Point.ID, r.Err)
		}
	}
	return nil
}

// publish writes the files, and prints the overview.
func (o options) publish(r report) error {
	text, picture, details := overview(r), chart(r), details(r)
	if o.growth {
		text, picture, details = growthTable(r), growthChart(r), ""
	}
	if err := r.write(o.dir, o.name, text+"\n"+details, picture); err != nil {
		return err
	}
	fmt.Print(text)
	if o.readme != "" {
		return insert(o.readme, text)
	}
	return nil
}

func printNames() {
	fmt.Println("points:")
	for _, p := range allPoints() {
		fmt.Printf("  %-10s %s\n", p.ID, p.title())
	}
	fmt.Println("frameworks:")
	for _, e := range peer.All() {
		fmt.Printf("  %-18s %s\n", e.Name(), e.Group)
	}
}
