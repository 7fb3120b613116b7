package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"time"

	"github.com/ferryrpc/ferry/benchmarks/peers/measure"
	"github.com/ferryrpc/ferry/benchmarks/peers/peer"
)

// order is what the parent gives a child on its command line, as JSON.
type order struct {
	Role      string        `json:"role"` // server or client
	Framework string        `json:"framework"`
	Addr      string        `json:"addr"`
	Registry  string        `json:"registry"` // for frameworks that use one
	Point     point         `json:"point"`
	Warm      time.Duration `json:"warm"`
	Duration  time.Duration `json:"duration"`
	Rate      float64       `json:"rate"` // open loop: messages per second
	Profile   string        `json:"profile,omitempty"`
}

// say is one line of a child to its parent, on file descriptor 3: frameworks print what they like on the other two.
type say struct {
	Err      string         `json:"err,omitempty"`
	Ready    bool           `json:"ready,omitempty"`
	Skip     bool           `json:"skip,omitempty"` // the framework has no such call
	Usage    *measure.Usage `json:"usage,omitempty"`
	Notified int64          `json:"notified,omitempty"`
	// Goroutines that there are when the child has settled.
	Goroutines int         `json:"goroutines,omitempty"`
	Load       *loadResult `json:"load,omitempty"`
}

// ask is one line of the parent to a child, on standard input. When that ends, so does the child.
type ask struct {
	Do       string `json:"do"`       // read or settle (server), or go (client)
	Notified int64  `json:"notified"` // read: wait up to 2 s until so many one-way calls have arrived
}

// childLife bounds a child whose parent hangs, and a framework that loses calls.
const childLife = 4 * time.Minute

// runChild does what text orders and returns the exit code.
func runChild(text string) int {
	out := json.NewEncoder(os.NewFile(3, "parent"))
	var o order
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		out.Encode(say{Err: err.Error()})
		return 1
	}
	time.AfterFunc(childLife, func() {
		out.Encode(say{Err: "the child took too long"})
		os.Exit(1)
	})
	in := json.NewDecoder(bufio.NewReader(os.Stdin))
	f, err := o.framework()
	if err == nil {
		defer o.profiled()()
	}
	if err == nil && o.Role == "server" {
		err = serve(f, o, in, out)
	} else if err == nil {
		err = drive(f, o, in, out)
	}
	if err != nil {
		out.Encode(say{Err: err.Error()})
		return 1
	}
	return 0
}

// profiled starts a CPU profile if one is wanted; what it returns ends it. A profile costs some speed.
func (o order) profiled() (stop func()) {
	if o.Profile == "" {
		return func() {}
	}
	f, err := os.Create(filepath.Join(o.Profile, o.Point.ID+"-"+o.Framework+"-"+o.Role+".pprof"))
	if err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		return func() {}
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
	}
	return func() {
		pprof.StopCPUProfile()
		f.Close()
	}
}

func (o order) framework() (peer.Framework, error) {
	entries, err := peer.Select(o.Framework)
	if err != nil {
		return nil, err
	}
	if r, ok := entries[0].Framework.(peer.Registered); ok {
		return r.In(o.Registry), nil
	}
	return entries[0].Framework, nil
}

// serve runs the server's side: it reads its usage whenever it is asked.
func serve(e peer.Framework, o order, in *json.Decoder, out *json.Encoder) error {
	var s peer.Service
	stop, err := e.Serve(o.Addr, &s)
	if err != nil {
		return fmt.Errorf("peers: serve %s: %w", e.Name(), err)
	}
	defer stop()
	if err := out.Encode(say{Ready: true}); err != nil {
		return err
	}
	for {
		var a ask
		if err := in.Decode(&a); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		for until := time.Now().Add(2 * time.Second); s.Notified() < a.Notified && time.Now().Before(until); {
			time.Sleep(time.Millisecond)
		}
		if a.Do == "settle" {
			settle()
		}
		u, err := measure.Read()
		if err != nil {
			return err
		}
		if err := out.Encode(say{Usage: &u, Notified: s.Notified(), Goroutines: runtime.NumGoroutine()}); err != nil {
			return err
		}
	}
}

// settle gives back what is free. Pools lose what they hold in two collections.
func settle() {
	for range 3 {
		debug.FreeOSMemory()
		time.Sleep(200 * time.Millisecond) // memory goes back to the system, and goroutines end, a little later
	}
}

// drive runs the client's side: warm up, wait for go, measure, and keep the connections until the parent has read the
// server's usage.
func drive(e peer.Framework, o order, in *json.Decoder, out *json.Encoder) error {
	l, err := newLoad(e, o)
	if err == peer.ErrUnsupported {
		return out.Encode(say{Skip: true})
	}
	if err != nil {
		return fmt.Errorf("peers: dial %s: %w", e.Name(), err)
	}
	defer l.close()
	warm, err := l.run(o.Warm)
	if err != nil {
		return fmt.Errorf("peers: warm up %s: %w", e.Name(), err)
	}
	if err := out.Encode(say{Ready: true, Load: &warm}); err != nil {
		return err
	}
	var a ask
	if err := in.Decode(&a); err != nil {
		return err
	}
	before, err := measure.Read()
	if err != nil {
		return err
	}
	res, err := l.run(o.Duration)
	if err != nil {
		return fmt.Errorf("peers: run %s: %w", e.Name(), err)
	}
	after, err := measure.Read()
	if err != nil {
		return err
	}
	used := after.Since(before)
	if err := out.Encode(say{Usage: &used, Load: &res}); err != nil {
		return err
	}
	in.Decode(&a) // returns when the parent closes the pipe
	return nil
}
