package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/benchmarks/echo"
	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/registry"
	"github.com/ferryrpc/ferry/url"
)

const callers = 64

// variant is what calls cost with so many providers or services.
type variant struct {
	Count int     `json:"count"`
	Rate  float64 `json:"per_second"` // median
	Ratio float64 `json:"ratio"`      // to the first variant: median of pairs of rounds
	Low   float64 `json:"ratio_low"`  // a quarter is below
	High  float64 `json:"ratio_high"` // a quarter is above
}

func (v variant) ratio() string { return fmt.Sprintf("%.2f (%.2f – %.2f)", v.Ratio, v.Low, v.High) }

// A setup is a client with what must be closed after it.
type setup struct {
	echo  echo.Echo
	close func()
}

// compare measures all counts in turns.
func compare(counts []int, open func(n int) (setup, error), rounds int, round time.Duration) ([]variant, error) {
	var setups []setup
	defer func() {
		for _, s := range setups {
			s.close()
		}
	}()
	for _, n := range counts {
		s, err := open(n)
		if err != nil {
			return nil, err
		}
		setups = append(setups, s)
	}
	rates := make([][]float64, len(counts))
	for i := range rounds + 1 {
		for j := range setups {
			k := (i + j) % len(setups)
			r, err := rate(setups[k].echo, round)
			if err != nil {
				return nil, err
			}
			if i > 0 { // the first round warms up
				rates[k] = append(rates[k], r)
			}
		}
	}
	out := make([]variant, len(counts))
	for i, n := range counts {
		ratios := make([]float64, rounds)
		for j := range ratios {
			ratios[j] = rates[i][j] / rates[0][j]
		}
		slices.Sort(ratios)
		out[i] = variant{n, slices.Sorted(slices.Values(rates[i]))[rounds/2], ratios[rounds/2], ratios[rounds/4], ratios[rounds-1-rounds/4]}
	}
	return out, nil
}

// rate is the calls per second of one round.
func rate(e echo.Echo, d time.Duration) (float64, error) {
	var stop atomic.Bool
	var calls atomic.Int64
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	timer := time.AfterFunc(d, func() { stop.Store(true) })
	defer timer.Stop()
	start := time.Now()
	for range callers {
		wg.Go(func() {
			m := &echo.Message{ID: 7, Name: "a message", Payload: make([]byte, 128)}
			n := int64(0)
			for ; !stop.Load(); n++ {
				if _, err := e.Echo(context.Background(), m); err != nil {
					failed.Store(&err)
					return
				}
			}
			calls.Add(n)
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return 0, *err
	}
	return float64(calls.Load()) / time.Since(start).Seconds(), nil
}

// list is a registry with fixed entries.
type list struct{ urls []*url.URL }

func (*list) Register(context.Context, *url.URL) error   { return nil }
func (*list) Unregister(context.Context, *url.URL) error { return nil }
func (*list) Close() error                               { return nil }

func (l *list) Subscribe(_ context.Context, _ *url.URL, notify func(registry.State)) error {
	go notify(registry.State{URLs: l.urls, Source: registry.Live, At: time.Now()})
	return nil
}

// withProviders lists n providers. Three are there and have the tag of all calls; the others are never called, and not
// connected to, as the references are lazy.
func withProviders(n int) (setup, error) {
	const real = 3
	var urls []*url.URL
	var servers []*ferry.Server
	stop := func() {
		for _, s := range servers {
			_ = s.Close(context.Background())
		}
	}
	for range real {
		s := &ferry.Server{}
		servers = append(servers, s)
		if err := echo.ExportEcho(s, echo.Server{}); err != nil {
			stop()
			return setup{}, err
		}
		urls = append(urls, s.URLs()[0].With("dubbo.tag", "called"))
	}
	for i := real; i < n; i++ {
		address := fmt.Sprintf("127.%d.%d.%d:%d", 1+i>>16, i>>8&255, i&255, 20880)
		urls = append(urls, urls[0].WithAddress(address).Without("dubbo.tag"))
	}
	x := ferry.Builtin()
	x.Registries.Add("list", nil, func(extension.Env, *url.URL) (registry.Registry, error) { return &list{urls}, nil })
	c := ferry.NewClient("list://entries", ferry.Timeout(10*time.Second), ferry.Param("lazy", "true"), ferry.Param("dubbo.tag", "called"))
	c.Extensions = x
	e, err := echo.ReferEcho(c)
	if err != nil {
		stop()
		return setup{}, errors.Join(err, c.Close())
	}
	return setup{e, func() { _ = c.Close(); stop() }}, nil
}

// withServices exports and refers to n services, told apart by their versions, over one connection.
func withServices(n int) (setup, error) {
	s := &ferry.Server{}
	for i := range n {
		if err := echo.ExportEcho(s, echo.Server{}, ferry.Version("1.0."+strconv.Itoa(i))); err != nil {
			return setup{}, errors.Join(err, s.Close(context.Background()))
		}
	}
	c := ferry.NewClient("static://"+s.URLs()[0].Address(), ferry.Timeout(10*time.Second))
	stop := func() { _ = c.Close(); _ = s.Close(context.Background()) }
	var e echo.Echo
	for i := range n {
		var err error
		if e, err = echo.ReferEcho(c, ferry.Version("1.0."+strconv.Itoa(i))); err != nil {
			stop()
			return setup{}, err
		}
	}
	return setup{e, stop}, nil
}
