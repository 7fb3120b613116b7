package interop

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// looped reads what a consumer program says of its loop: no failure, and each provider called.
func looped(answer []string, providers ...string) error {
	for _, line := range answer {
		words := strings.SplitN(line, " ", 5)
		if words[0] != "LOOP" || len(words) < 4 {
			continue
		}
		if failed, err := strconv.Atoi(words[2]); err != nil || failed > 0 {
			return fmt.Errorf("%s", line)
		}
		for _, p := range providers {
			if !strings.Contains(words[3], p+"=") {
				return fmt.Errorf("%s was not called: %s", p, line)
			}
		}
		return nil
	}
	return fmt.Errorf("no account of the loop: %q", answer)
}

// gone says whether a check that something is listed fails.
func gone(listed func() error) func() error {
	return func() error {
		if listed() == nil {
			return errors.New("the dead one is still listed")
		}
		return nil
	}
}

// restarted reports a cell in which a Java consumer's loop saw Ferry providers come and go. A call that the consumer itself did not send is
// none of Ferry's, and is said.
func (x *fleetOf) restarted(name string, answer []string, providers ...string) {
	x.t.Helper()
	err := looped(answer, providers...)
	for _, line := range answer {
		if n, ok := strings.CutPrefix(line, "UNSENT "); ok && err == nil {
			note(x.peer.cell("discovery/"+name), x.peer.name, toFerry, "ok but for "+n+" calls, peer limitation: Java closes a connection of its own under a call that has chosen it, and does not send it")
			return
		}
	}
	x.report(name, toFerry, err)
}

// survived reports a cell in which a provider of Ferry's died under the loop of a dubbo-go consumer. A panic inside dubbo-go is none of
// Ferry's, and is said.
func survived(t *testing.T, name string, answer []string, providers ...string) {
	t.Helper()
	err := looped(answer, providers...)
	for _, line := range answer {
		if n, ok := strings.CutPrefix(line, "PANICKED "); ok && err == nil {
			note(name, gopher.name, toFerry, "ok but for "+n+" calls, peer limitation: dubbo-go 3.3.0 panics in a call that failed whose provider it has just forgotten")
			return
		}
	}
	report(t, name, gopher.name, toFerry, err)
}

// A looper calls who all the time.
type looper struct {
	cancel  context.CancelFunc
	callers sync.WaitGroup

	mu     sync.Mutex // guards the following
	recent []string   // the last answers
	seen   map[string]int
	made   int
	failed int
	err    error // the first one
}

// A caller is what a looper calls.
type caller interface {
	Who(context.Context) (string, error)
}

func loop(calls caller) *looper { return loops(calls, 1) }

// loops has n callers.
func loops(calls caller, n int) *looper {
	ctx, cancel := context.WithCancel(context.Background())
	l := &looper{cancel: cancel, seen: map[string]int{}}
	for range n {
		l.callers.Go(func() {
			for ctx.Err() == nil {
				l.call(calls)
				time.Sleep(time.Millisecond)
			}
		})
	}
	return l
}

func (l *looper) call(calls caller) {
	who, err := calls.Who(context.Background())
	if err == nil && who == "" { // what dubbo-go answers without having made the call, when it ends
		err = errors.New("the answer is empty")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.made++
	if err != nil {
		if l.failed++; l.err == nil {
			l.err = err
		}
	}
	const keep = 100
	l.seen[who]++
	if l.recent = append(l.recent, who); len(l.recent) > keep {
		l.recent = l.recent[1:]
	}
}

// reached says whether a provider has answered.
func (l *looper) reached(who string) func() error {
	return func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.seen[who] == 0 {
			return fmt.Errorf("%s has not answered", who)
		}
		return l.err
	}
}

// calls says how many calls have ended, and the first failure.
func (l *looper) calls() (made int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.made, l.err
}

// only says whether the last hundred answers came from one provider, and no call has failed.
func (l *looper) only(who string) func() error {
	return func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, r := range l.recent {
			if r != who && l.err == nil {
				return fmt.Errorf("%s still answers", r)
			}
		}
		return l.err
	}
}

// end stops the loop and returns the first failure.
func (l *looper) end() error {
	l.cancel()
	l.callers.Wait()
	if l.err != nil {
		return fmt.Errorf("%d calls of %d failed, first this: %w", l.failed, l.made, l.err)
	}
	return nil
}
