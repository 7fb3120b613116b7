package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/registry"
)

// A verdict is what the run has shown.
type verdict struct {
	problems []string
	lines    []string
}

func (v *verdict) broken(format string, args ...any) {
	v.problems = append(v.problems, fmt.Sprintf(format, args...))
}

func (v *verdict) note(format string, args ...any) {
	v.lines = append(v.lines, fmt.Sprintf(format, args...))
}

// calls compares what callers were told with what providers wrote down. executed counts by "method id".
func (v *verdict) calls(records []record, executed map[string]int, least int) {
	t := count(records)
	v.note("%d idempotent calls: %d failed", t.idempotent, t.failedIdempotent)
	v.note("%d other calls: failed %d not sent, %d not started, %d unknown, %d executed", t.calls-t.idempotent,
		t.failed[protocol.NotSent], t.failed[protocol.NotStarted], t.failed[protocol.OutcomeUnknown], t.failed[protocol.Executed])
	if few := min(t.idempotent, t.calls-t.idempotent); few < least {
		v.broken("only %d calls of a kind, want %d", few, least)
	}
	lies := map[string][]string{}
	tell := func(what string, r *record) {
		lies[what] = append(lies[what], fmt.Sprintf("%s (%v)", r.id, r.err))
	}
	for i := range records {
		r := &records[i]
		v.call(r, executed[r.method+" "+r.id], tell)
	}
	for _, what := range slices.Sorted(maps.Keys(lies)) {
		v.broken("%d %s, the first: %s", len(lies[what]), what, lies[what][0])
	}
	v.twice(executed)
}

// call holds one call against its number of executions.
func (v *verdict) call(r *record, n int, tell func(string, *record)) {
	if r.wrong != "" {
		tell("calls got the answer of another", r)
		return
	}
	if r.idempotent && r.err != nil {
		tell("idempotent calls failed", r)
	}
	outcome := protocol.OutcomeOf(r.err)
	switch {
	case r.err == nil && n == 0:
		tell("calls were answered that no ledger knows", r)
	case r.err != nil && n == 0 && outcome == protocol.Executed:
		tell("calls failed as executed that no ledger knows", r)
	case r.err != nil && n > 0 && (outcome == protocol.NotSent || outcome == protocol.NotStarted):
		tell("calls failed as not run, but ran", r)
	}
}

// twice looks for repeats where none may be, those that providers made among themselves included.
func (v *verdict) twice(executed map[string]int) {
	var twice []string
	total := 0
	for line, n := range executed {
		method, id, _ := strings.Cut(line, " ")
		if harmless(method) {
			continue
		}
		total++
		if n > 1 {
			twice = append(twice, fmt.Sprintf("%s %s (%d times)", method, id, n))
		}
	}
	v.note("%d executions of calls that are not idempotent in the ledgers, %d of them more than once", total, len(twice))
	if len(twice) > 0 {
		v.broken("%d calls that are not idempotent were executed more than once, one of them: %s", len(twice), slices.Min(twice))
	}
}

func harmless(method string) bool {
	return method == "price" || method == "status" || method == "balance"
}

// registrations waits until a new consumer finds exactly the providers that run, and so does the one that was there all
// the time. Entries of providers that were killed last until their session ends.
func (v *verdict) registrations(ctx context.Context, s settings, f *fleet, l *load) {
	ctx, cancel := context.WithTimeout(ctx, 3*s.session+10*time.Second)
	defer cancel()
	begun := time.Now()
	c := ferry.NewClient(s.registry, ferry.Param("application", "chaos"), ferry.Check(false))
	defer c.Close()
	fresh := map[string]*ferry.Reference{}
	for service, i := range interfaces() {
		var err error
		if fresh[service], err = c.Refer(i); err != nil {
			v.broken("look for %s: %v", service, err)
			return
		}
	}
	right := 0
	for _, service := range services() {
		for who, refs := range map[string]map[string]*ferry.Reference{"a new consumer": fresh, "the consumer": l.references} {
			if err := lists(ctx, refs[service], f.addresses(service)); err != nil {
				v.broken("%s of %s: %v", who, service, err)
			} else {
				right++
			}
		}
	}
	v.note("registrations: %d of %d lists have exactly the providers that run, %v after the end", right, 2*len(services()),
		time.Since(begun).Round(time.Millisecond))
}

// lists waits until a reference's list is live and has the addresses.
func lists(ctx context.Context, ref *ferry.Reference, want []string) error {
	for {
		var have []string
		state := ref.Directory().State()
		for _, u := range state.URLs {
			if registry.Category(u) == registry.Providers {
				have = append(have, u.Address())
			}
		}
		slices.Sort(have)
		if state.Source == registry.Live && slices.Equal(have, want) {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("the registry lists %v (%v), want %v", have, state.Source, want)
		}
		sleep(ctx, 20*time.Millisecond)
	}
}

func (v *verdict) print(out io.Writer, l *load) {
	t := count(l.records())
	fmt.Fprintf(out, "\n%d calls, %d retries, p50 %v, p99 %v, longest %v\n", t.calls, l.retries(), t.quantile(0.5), t.quantile(0.99), t.quantile(1))
	for _, line := range v.lines {
		fmt.Fprintln(out, line)
	}
	if len(v.problems) == 0 {
		fmt.Fprintln(out, "PASSED: every promise was kept")
	}
}

// err is nil when every promise was kept.
func (v *verdict) err() error {
	var errs []error
	for _, p := range v.problems {
		errs = append(errs, errors.New("FAILED: "+p))
	}
	return errors.Join(errs...)
}
