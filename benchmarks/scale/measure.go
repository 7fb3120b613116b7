package main

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/ferryrpc/ferry/url"
)

// figures are what was measured.
type figures struct {
	size
	session, entry, service float64         // bytes per session, registered entry, subscribed service
	deaths                  []time.Duration // each until the last consumer knows, sorted
	start, cut, ended, lost wave
	whole                   float64 // bytes that the process took from the system, at most
}

// A wave is what a mass of processes did at once.
type wave struct {
	requests, peak int
	lists          time.Duration // until the last list was right again
	quiet          time.Duration // until the last request
}

// heap is the memory in use.
func heap() float64 {
	runtime.GC()
	runtime.GC() // what the first one queued for finalizers and pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc + m.StackInuse)
}

// taken is the memory that the process has from the system.
func taken() float64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.Sys - m.HeapReleased)
}

func measure(s size, progress io.Writer) (figures, error) {
	fmt.Fprintf(progress, "%d services × %d providers in %d processes, %d consumers × %d services\n", s.services, s.providers, s.processes, s.consumers, s.each)
	r := figures{size: s}
	f, err := newFleet(s)
	if err != nil {
		return r, err
	}
	for _, step := range []struct {
		what string
		do   func(*figures) error
	}{{"all start", f.measureStart}, {"processes die", f.measureDeaths}, {"all connections are cut", f.measureCut}, {"all sessions end", f.measureEnd},
		{"the server loses its data", f.measureLoss}} {
		if err == nil {
			begun := time.Now()
			err = step.do(&r)
			r.whole = max(r.whole, taken())
			fmt.Fprintf(progress, "  %s: %v, %.1f GiB\n", step.what, time.Since(begun).Round(time.Millisecond), taken()/(1<<30))
		}
	}
	if e := f.close(); err == nil {
		err = e
	}
	return r, err
}

// measureStart fills the registry and lets all consumers come at once.
func (f *fleet) measureStart(r *figures) error {
	empty := heap()
	if err := f.connect(); err != nil {
		return err
	}
	connected := heap()
	r.session = (connected - empty) / float64(f.size.processes+f.size.consumers)
	if err := f.provide(); err != nil {
		return err
	}
	r.entry = (heap() - connected) / float64(f.services*f.providers)
	connected = heap()
	f.load.begin()
	begun := time.Now()
	if err := f.consume(); err != nil {
		return err
	}
	r.start.lists = time.Since(begun)
	r.start.requests, r.start.peak = f.load.result()
	r.service = (heap() - connected) / float64(f.size.consumers*f.each)
	return nil
}

// measureDeaths ends the sessions of a few processes, one after the other, which serve what all consumers have among them,
// and which never come back.
func (f *fleet) measureDeaths(r *figures) error {
	f.dying.Refuse()
	for _, p := range f.processes[:deaths] {
		begun := time.Now()
		for _, s := range f.zk.Sessions() {
			if slices.ContainsFunc(s.Ephemerals, func(path string) bool { return strings.Contains(path, url.Encode(p.urls[0].Host()+":")) }) {
				f.zk.Expire(s.ID)
			}
		}
		for _, u := range p.urls {
			f.want[u.Interface()]--
		}
		err := f.await(f.complete)
		r.deaths = append(r.deaths, time.Since(begun))
		if err := errors.Join(err, p.reg.Close()); err != nil { // or it would come back with the listener
			return err
		}
	}
	slices.Sort(r.deaths)
	return nil
}

// measureCut cuts all connections. Sessions live, so that nothing is lost, but everybody comes back and looks.
func (f *fleet) measureCut(r *figures) error {
	return f.wave(&r.cut, func() error { f.zk.Cut(); return nil })
}

// measureEnd ends all sessions, as when the ensemble was away for longer than they last: everything has to be made again.
func (f *fleet) measureEnd(r *figures) error {
	return f.wave(&r.ended, func() error {
		for _, s := range f.zk.Sessions() {
			f.zk.Expire(s.ID)
		}
		return nil
	})
}

// measureLoss has the server away for a while and come back without its data.
func (f *fleet) measureLoss(r *figures) error {
	return f.wave(&r.lost, func() error {
		f.zk.Stop()
		time.Sleep(3 * time.Second)
		return f.zk.Restart(false)
	})
}

// wave does something to everybody and waits until all is as it was, and quiet.
func (f *fleet) wave(w *wave, strike func() error) error {
	f.load.begin()
	if err := strike(); err != nil {
		return err
	}
	begun := time.Now()
	f.load.begin()
	for over := false; !over; over = f.load.last() == w.quiet { // it is quiet too while all wait for something
		w.quiet = f.load.quiet()
		if err := errors.Join(f.registered(), f.await(f.complete)); err != nil {
			return err
		}
	}
	w.lists = f.latest().Sub(begun)
	w.requests, w.peak = f.load.result()
	return nil
}

func print(out io.Writer, all []figures) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(what string, value func(*figures) string) {
		fmt.Fprint(w, what)
		for i := range all {
			fmt.Fprint(w, "\t", value(&all[i]))
		}
		fmt.Fprintln(w)
	}
	kib := func(b float64) string { return fmt.Sprintf("%.1f KiB", b/1024) }
	seconds := func(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }
	line("services × providers", func(f *figures) string { return fmt.Sprintf("%d × %d", f.services, f.providers) })
	line("provider processes, consumers × services", func(f *figures) string { return fmt.Sprintf("%d, %d × %d", f.processes, f.consumers, f.each) })
	line("memory of an entry, server's node included", func(f *figures) string { return kib(f.entry) })
	line("memory of a session", func(f *figures) string { return kib(f.session) })
	line("memory of a subscribed service with its providers", func(f *figures) string { return kib(f.service) })
	line("  per provider", func(f *figures) string { return kib(f.service / float64(f.providers)) })
	line("memory of everything together", func(f *figures) string { return fmt.Sprintf("%.1f GiB", f.whole/(1<<30)) })
	wavy := func(what, then string, w func(*figures) *wave) {
		line(what+": requests", func(f *figures) string { return fmt.Sprint(w(f).requests) })
		line("  most in a second", func(f *figures) string { return fmt.Sprint(w(f).peak) })
		line("  "+then, func(f *figures) string { return seconds(w(f).lists) })
	}
	wavy("all consumers start", "until all have their lists", func(f *figures) *wave { return &f.start })
	line("a process's session ends: until the last consumer knows", func(f *figures) string {
		if len(f.deaths) == 0 {
			return "-"
		}
		return seconds(f.deaths[len(f.deaths)/2]) + ", at most " + seconds(f.deaths[len(f.deaths)-1])
	})
	line("all connections cut: requests", func(f *figures) string { return fmt.Sprint(f.cut.requests) })
	line("  most in a second", func(f *figures) string { return fmt.Sprint(f.cut.peak) })
	line("  until the last one", func(f *figures) string { return seconds(f.cut.quiet) })
	wavy("all sessions end", "until all lists are whole", func(f *figures) *wave { return &f.ended })
	wavy("server back without data", "until all lists are whole", func(f *figures) *wave { return &f.lost })
	_ = w.Flush() // standard output takes it or nobody reads it
}
