package main

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// tick is how far apart the times are at which messages may be due. Several are due at one tick when the rate is high.
const tick = 100 * time.Microsecond

// grace is how long an open loop goes on serving what was due in its window.
const grace = 2 * time.Second

// open sends messages at times drawn beforehand (exponential gaps with the same seed for all frameworks, so bursts come
// as they do from many independent clients) and counts each from the time when it was due, not from the time when a
// caller was free to send it: a framework that stalls pays for all who wait meanwhile. It returns how many were never begun.
func (l *load) open(d time.Duration) (unserved int64) {
	times := arrivals(l.o.Rate, d)
	due := make(chan time.Duration, len(times)) // so large that the generator never waits
	var wg sync.WaitGroup
	for i := range l.o.Point.Callers {
		c := l.caller(i)
		wg.Go(func() {
			for from := range due {
				if l.failed.Load() != nil || time.Since(l.start) > d+grace {
					continue // drain
				}
				if err := c.exchange(); err != nil {
					l.fail(err)
				}
				c.done(1, from)
			}
		})
	}
	l.generate(times, due)
	close(due)
	wg.Wait()
	return int64(len(times)) - l.calls.Load()
}

// generate puts the times into due as they come. It sleeps in the kernel on a thread of its own, because the runtime's
// timers are as coarse as a millisecond when the process is idle; ticks bound what that costs.
func (l *load) generate(times []time.Duration, due chan<- time.Duration) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) // ns; a refusal makes the sleep less exact, which the latency then shows
	for i := 0; i < len(times); {
		now := time.Since(l.start)
		if wait := times[i] - now; wait > 0 {
			t := unix.NsecToTimespec(int64(wait))
			unix.Nanosleep(&t, nil)
			continue
		}
		due <- times[i]
		i++
	}
}

// arrivals draws the times within d at which messages are due, rate of them per second on average, on whole ticks.
func arrivals(rate float64, d time.Duration) []time.Duration {
	r := rand.New(rand.NewPCG(1, 2))
	times := make([]time.Duration, 0, int(rate*d.Seconds()*1.1)+16)
	var at time.Duration
	for {
		at += time.Duration(r.ExpFloat64() / rate * float64(time.Second))
		if at >= d {
			return times
		}
		times = append(times, at.Truncate(tick)+tick)
	}
}
