package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
)

// A plan is the schedule. Its steps run one after the other, each at its time or when the one before is over; before a
// provider is hurt, the other one of its service must be healthy, and before ZooKeeper goes away, all.
type plan struct {
	steps []step
	zk    *ensemble
	total time.Duration
}

type step struct {
	at   time.Duration
	what string
	do   func(context.Context) error
}

// newPlan spreads the faults: a kill per service, the outage with a freeze per service in it, a restart per service.
func newPlan(s settings, f *fleet, l *load, zk *ensemble) *plan {
	p := &plan{zk: zk, total: s.duration}
	unit := (s.duration - s.outage) / 10
	away := 4 * unit
	for i, service := range services() {
		p.kill(unit*time.Duration(1+i), f, l, service, unit/4)
	}
	p.add(away, "ZooKeeper goes away", func(ctx context.Context) error {
		for _, service := range services() {
			if err := l.healthy(ctx, service, f.addresses(service)...); err != nil {
				return err
			}
		}
		zk.leave()
		return nil
	})
	for i, service := range services() {
		p.freeze(away+s.outage*time.Duration(2+3*i)/10, f, l, service, 2*timeoutOf(s, service))
	}
	p.add(away+s.outage, "ZooKeeper comes back", func(context.Context) error { return zk.back() })
	for i, service := range services() {
		p.restart(away+s.outage+unit*time.Duration(3+2*i)/2, f, l, service)
	}
	if s.sabotage == "absent" {
		name := providers(services()[0])[0]
		p.add(s.duration-unit, "sabotage: "+name+" ends, and is expected all the same", func(ctx context.Context) error {
			return f.shutdown(ctx, name)
		})
	}
	return p
}

func (p *plan) add(at time.Duration, what string, do func(context.Context) error) {
	p.steps = append(p.steps, step{at, what, do})
}

func (p *plan) kill(at time.Duration, f *fleet, l *load, service string, pause time.Duration) {
	name, other := providers(service)[0], providers(service)[1]
	p.add(at, "SIGKILL to "+name+", a new one takes its place", func(ctx context.Context) error {
		if err := l.healthy(ctx, service, f.get(other).address); err != nil {
			return err
		}
		f.crash(name)
		sleep(ctx, pause)
		return f.start(ctx, name)
	})
}

func (p *plan) freeze(at time.Duration, f *fleet, l *load, service string, d time.Duration) {
	name, other := providers(service)[1], providers(service)[0]
	p.add(at, fmt.Sprintf("SIGSTOP to %s for %v", name, d), func(ctx context.Context) error {
		if err := l.healthy(ctx, service, f.get(other).address); err != nil {
			return err
		}
		return f.freeze(ctx, name, d)
	})
}

func (p *plan) restart(at time.Duration, f *fleet, l *load, service string) {
	name, other := providers(service)[1], providers(service)[0]
	p.add(at, "graceful restart of "+name, func(ctx context.Context) error {
		if err := l.healthy(ctx, service, f.get(other).address); err != nil {
			return err
		}
		if err := f.shutdown(ctx, name); err != nil {
			return err
		}
		return f.start(ctx, name)
	})
}

func (p *plan) print(out io.Writer) {
	fmt.Fprintf(out, "two processes each of %s; registry: %s\nschedule:\n", strings.Join(services(), ", "), p.zk.describe)
	for _, s := range p.steps {
		fmt.Fprintf(out, "  %6.1fs  %s\n", s.at.Seconds(), s.what)
	}
	fmt.Fprintf(out, "  %6.1fs  end\n\n", p.total.Seconds())
}

// run works through the schedule and returns at its end, or when a step is impossible.
func (p *plan) run(ctx context.Context, out io.Writer) error {
	begun := time.Now()
	for _, s := range p.steps {
		sleep(ctx, s.at-time.Since(begun))
		if ctx.Err() != nil {
			return ctx.Err()
		}
		fmt.Fprintf(out, "%6.1fs  * %s\n", time.Since(begun).Seconds(), s.what)
		if err := s.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", s.what, err)
		}
	}
	sleep(ctx, p.total-time.Since(begun))
	return ctx.Err()
}
