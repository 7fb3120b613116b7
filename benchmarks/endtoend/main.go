// Command endtoend measures a typed call with every layer in place: a generated stub, a reference made through a registry,
// filters, cluster, balancer and the dubbo protocol, client and server in two processes on loopback, one connection.
//
//	go run ./benchmarks/endtoend -callers 64 -size 128 -serialization hessian2
//
// It prints calls per second, p50 and p99, CPU time per call on both sides, and allocations per call of both sides, as
// medians over several rounds with their lowest and highest value.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/benchmarks/echo"
)

type settings struct {
	callers, size, rounds    int
	round                    time.Duration
	serialization, transport string
	profile                  string
}

func main() {
	var s settings
	serve := flag.Bool("serve", false, "run as the server (the program starts it itself)")
	flag.IntVar(&s.callers, "callers", 64, "goroutines that call")
	flag.IntVar(&s.size, "size", 128, "bytes of payload")
	flag.IntVar(&s.rounds, "rounds", 5, "measured rounds")
	flag.DurationVar(&s.round, "round", 2*time.Second, "length of a round")
	flag.StringVar(&s.serialization, "serialization", "hessian2", "hessian2, msgpack or json")
	flag.StringVar(&s.transport, "transport", "", "transport of the server: gnet or net; the default when empty")
	flag.StringVar(&s.profile, "profile", "", "folder for CPU profiles of both processes")
	flag.Parse()
	run := client
	if *serve {
		run = server
	}
	err := profiled(s, *serve, run)
	if err != nil {
		fmt.Fprintln(os.Stderr, "endtoend:", err)
		os.Exit(1)
	}
}

// profiled runs one side and writes its CPU profile if one is wanted.
func profiled(s settings, serve bool, run func(settings) error) error {
	if s.profile == "" {
		return run(s)
	}
	name := "client.pprof"
	if serve {
		name = "server.pprof"
	}
	f, err := os.Create(filepath.Join(s.profile, name))
	if err != nil {
		return err
	}
	defer f.Close()
	if err := pprof.StartCPUProfile(f); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()
	return run(s)
}

// server serves and answers each line on its standard input with what it has used so far.
func server(s settings) error {
	options := []ferry.Option{ferry.Serialization(s.serialization)}
	if s.transport != "" {
		options = append(options, ferry.Param("transport", s.transport))
	}
	srv := &ferry.Server{Options: options}
	if err := echo.ExportEcho(srv, echo.Server{}); err != nil {
		return err
	}
	defer srv.Close(context.Background())
	fmt.Println(srv.URLs()[0].Address())
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		u := used()
		fmt.Println(u.cpu.Nanoseconds(), u.mallocs)
	}
	return nil
}

// usage is what a process has used since its start.
type usage struct {
	cpu     time.Duration
	mallocs uint64
}

func used() usage {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return usage{cpuTime(), m.Mallocs}
}

// A remote is the server's process.
type remote struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func start(s settings) (*remote, string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, "", err
	}
	r := &remote{cmd: exec.Command(self, "-serve", "-serialization", s.serialization, "-transport", s.transport, "-profile", s.profile)}
	r.cmd.Stderr = os.Stderr
	if r.in, err = r.cmd.StdinPipe(); err != nil {
		return nil, "", err
	}
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		return nil, "", err
	}
	r.out = bufio.NewReader(out)
	if err := r.cmd.Start(); err != nil {
		return nil, "", err
	}
	address, err := r.out.ReadString('\n')
	return r, strings.TrimSpace(address), err
}

func (r *remote) used() (u usage, err error) {
	if _, err = fmt.Fprintln(r.in, "used"); err != nil {
		return u, err
	}
	var ns int64
	_, err = fmt.Fscanln(r.out, &ns, &u.mallocs)
	u.cpu = time.Duration(ns)
	return u, err
}

func client(s settings) error {
	r, address, err := start(s)
	if err != nil {
		return err
	}
	defer func() { _ = r.in.Close(); _ = r.cmd.Wait() }()
	c := ferry.NewClient("static://"+address+"?serialization="+s.serialization, ferry.Timeout(10*time.Second))
	defer c.Close()
	e, err := echo.ReferEcho(c)
	if err != nil {
		return err
	}
	if _, err := measure(s, e, r); err != nil { // warms everything up
		return err
	}
	var results []result
	for range s.rounds {
		res, err := measure(s, e, r)
		if err != nil {
			return err
		}
		results = append(results, res)
	}
	report(s, results)
	return nil
}

// A result is one round.
type result struct{ rate, p50, p99, cpu, mallocs float64 }

func measure(s settings, e echo.Echo, r *remote) (result, error) {
	before, mine := usage{}, used()
	before, err := r.used()
	if err != nil {
		return result{}, err
	}
	times := make([][]time.Duration, s.callers)
	var stop atomic.Bool
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	begun := time.Now()
	timer := time.AfterFunc(s.round, func() { stop.Store(true) })
	defer timer.Stop()
	for i := range s.callers {
		times[i] = make([]time.Duration, 0, 1<<18)
		wg.Go(func() {
			m := &echo.Message{ID: int64(i), Name: "a message", Payload: make([]byte, s.size)}
			last := time.Now()
			for !stop.Load() {
				got, err := e.Echo(context.Background(), m)
				if err != nil || got.ID != m.ID || len(got.Payload) != s.size {
					broken := fmt.Errorf("reply %v: %w", got, err) // err itself must not escape: it would count as the call's
					failed.Store(&broken)
					return
				}
				now := time.Now()
				times[i] = append(times[i], now.Sub(last))
				last = now
			}
		})
	}
	wg.Wait()
	elapsed := time.Since(begun)
	if err := failed.Load(); err != nil {
		return result{}, fmt.Errorf("a call failed: %w", *err)
	}
	after, err := r.used()
	if err != nil {
		return result{}, err
	}
	now := used()
	all := slices.Concat(times...)
	slices.Sort(all)
	n := float64(len(all))
	return result{rate: n / elapsed.Seconds(), p50: micros(all[len(all)/2]), p99: micros(all[len(all)*99/100]),
		cpu:     micros(after.cpu-before.cpu+now.cpu-mine.cpu) / n,
		mallocs: float64(after.mallocs-before.mallocs+now.mallocs-mine.mallocs) / n}, nil
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }

func report(s settings, results []result) {
	fmt.Printf("%d bytes, %d callers, one connection, %s, %d rounds of %v: median (lowest to highest)\n", s.size, s.callers, s.serialization, s.rounds, s.round)
	row := func(name, format string, value func(result) float64) {
		var v []float64
		for _, r := range results {
			v = append(v, value(r))
		}
		slices.Sort(v)
		fmt.Printf("%-28s "+format+" ("+format+" to "+format+")\n", name, v[len(v)/2], v[0], v[len(v)-1])
	}
	row("calls/s", "%.0f", func(r result) float64 { return r.rate })
	row("p50 µs", "%.1f", func(r result) float64 { return r.p50 })
	row("p99 µs", "%.1f", func(r result) float64 { return r.p99 })
	row("CPU µs per call, both sides", "%.2f", func(r result) float64 { return r.cpu })
	row("allocations, both sides", "%.2f", func(r result) float64 { return r.mallocs })
}
