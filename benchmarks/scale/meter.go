package main

import (
	"sync"
	"time"

	"github.com/ferryrpc/ferry/zkembed"
)

// slot is the time in which requests are counted together.
const slot = 100 * time.Millisecond

// A meter counts the requests that the server gets, pings apart.
type meter struct {
	mu    sync.Mutex // guards the following
	since time.Time
	slots []int
}

func (m *meter) count(r zkembed.Request) zkembed.Fault {
	if r.Op == zkembed.OpPing {
		return zkembed.Fault{}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	i := int(time.Since(m.since) / slot)
	for len(m.slots) <= i && i < 1<<16 {
		m.slots = append(m.slots, 0)
	}
	if i < len(m.slots) {
		m.slots[i]++
	}
	return zkembed.Fault{}
}

// begin counts from now on.
func (m *meter) begin() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.since, m.slots = time.Now(), nil
}

// result returns the number of requests since begin, and the most in a second.
func (m *meter) result() (total, peak int) {
	return m.most(1 << 16 * slot), m.most(time.Second)
}

// most returns the most requests in any time of that length.
func (m *meter) most(length time.Duration) (peak int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	window, width := 0, int(length/slot)
	for i, n := range m.slots {
		window += n
		if i >= width {
			window -= m.slots[i-width]
		}
		peak = max(peak, window)
	}
	return peak
}

// last returns when the last request was.
func (m *meter) last() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slot * time.Duration(len(m.slots))
}

// quiet waits until there was no request for two seconds, and returns when the last one was.
func (m *meter) quiet() time.Duration {
	const silence = 2 * time.Second
	for {
		if last := m.last(); m.passed() > last+silence {
			return last
		}
		time.Sleep(slot)
	}
}

// passed is the time since begin.
func (m *meter) passed() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return time.Since(m.since)
}
