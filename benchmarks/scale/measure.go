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
	session, entry, service float64 // bytes per session, registered entry, subscribed service
	death                   time.Duration
	cut, lost               wave
	start                   wave
}

// A wave is what a mass of processes did at once.
type wave struct {
	requests, peak int
	entries, lists time.Duration // until all entries and all lists were right again
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
	}{{"all start", f.measureStart}, {"a process dies", f.measureDeath}, {"all connections are cut", f.measureCut}, {"the server loses its data", f.measureLoss}} {
		if err == nil {
			begun := time.Now()
			err = step.do(&r)
			fmt.Fprintf(progress, "  %s: %v\n", step.what, time.Since(begun).Round(time.Millisecond))
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

// measureDeath ends the session of process 0, which serves a service that all consumers have, and which never comes back.
func (f *fleet) measureDeath(r *figures) error {
	p := f.processes[0]
	f.dying.Refuse()
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
	r.death = time.Since(begun)
	return errors.Join(err, p.reg.Close()) // or it would come back with the listener
}

// measureCut cuts all connections. Sessions live, so that nothing is lost, but everybody comes back and looks.
func (f *fleet) measureCut(r *figures) error {
	return f.wave(&r.cut, func() error { f.zk.Cut(); return nil })
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
	if err := f.registered(); err != nil {
		return err
	}
	w.entries = time.Since(begun)
	if err := f.await(f.complete); err != nil {
		return err
	}
	w.lists = time.Since(begun)
	w.quiet = f.load.quiet()
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
	line("all consumers start: requests", func(f *figures) string { return fmt.Sprint(f.start.requests) })
	line("  most in a second", func(f *figures) string { return fmt.Sprint(f.start.peak) })
	line("  until all have their lists", func(f *figures) string { return seconds(f.start.lists) })
	line("a process's session ends: until the last consumer knows", func(f *figures) string { return seconds(f.death) })
	line("all connections cut: requests", func(f *figures) string { return fmt.Sprint(f.cut.requests) })
	line("  most in a second", func(f *figures) string { return fmt.Sprint(f.cut.peak) })
	line("  until the last one", func(f *figures) string { return seconds(f.cut.quiet) })
	line("server back without data: requests", func(f *figures) string { return fmt.Sprint(f.lost.requests) })
	line("  most in a second", func(f *figures) string { return fmt.Sprint(f.lost.peak) })
	line("  until all entries are proved", func(f *figures) string { return seconds(f.lost.entries) })
	line("  until all lists are whole", func(f *figures) string { return seconds(f.lost.lists) })
	_ = w.Flush() // standard output takes it or nobody reads it
}
