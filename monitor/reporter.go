package monitor

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/url"
)

// ReporterParams are the parameters of a Reporter.
type ReporterParams struct {
	Interval time.Duration `url:"monitor.interval" default:"60000" doc:"time between two reports to the monitor"`
}

// A Reporter hands the samples of a set to a Monitor, in a goroutine of its own, every interval and once more at Close.
type Reporter struct {
	set      *Counters
	monitor  Monitor
	env      extension.Env
	interval time.Duration
	stop     chan struct{}
	once     sync.Once
	done     sync.WaitGroup
}

// NewReporter starts a Reporter. A report that fails is logged, and the next one carries its counts, since they are sums.
func NewReporter(e extension.Env, u *url.URL, set *Counters, m Monitor) (*Reporter, error) {
	var p ReporterParams
	if err := u.Decode(&p); err != nil {
		return nil, err
	}
	if p.Interval <= 0 {
		return nil, fmt.Errorf("monitor: monitor.interval=%s: want a time over 0", p.Interval)
	}
	r := &Reporter{set: set, monitor: m, env: e, interval: p.Interval, stop: make(chan struct{})}
	r.done.Go(r.run)
	return r, nil
}

func (r *Reporter) run() {
	tick := time.NewTicker(r.interval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			r.report()
		case <-r.stop:
			r.report()
			return
		}
	}
}

// report hands over one list of samples. What the monitor does wrong stays here.
func (r *Reporter) report() {
	samples := r.set.Samples()
	if len(samples) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), min(r.interval, 10*time.Second))
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			r.env.Log().Error("monitor: the monitor panicked", "panic", fmt.Sprint(p))
		}
	}()
	if err := r.monitor.Collect(ctx, samples); err != nil {
		r.env.Log().Warn("monitor: report failed", "error", err)
	}
}

// Close makes the last report and waits for it.
func (r *Reporter) Close() error {
	r.once.Do(func() { close(r.stop) })
	r.done.Wait()
	return nil
}
