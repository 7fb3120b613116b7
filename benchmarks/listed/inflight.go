package main

import (
	"context"
	"errors"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/benchmarks/echo"
	"github.com/ferryrpc/ferry/protocol"
)

// flight is what became of many calls at once.
type flight struct {
	Limits   string  `json:"limits"`
	Callers  int     `json:"callers"`
	Running  int64   `json:"running"`  // handlers, at most
	Accepted int     `json:"accepted"` // calls that ran, then or later
	Refused  int     `json:"refused"`  // calls over a limit, of the provider or of the send queue, that did not run
	Each     float64 `json:"kib_per_call"`
	Seconds  float64 `json:"seconds"`
}

// limits are those of a measurement: Ferry's own, or such that n calls are taken at once.
func limits(n int, raised bool) map[string]int {
	if !raised {
		return nil
	}
	return map[string]int{"threads": n, "queues": n, "connection.executes": n, "connection.calls": n}
}

// gate is a service whose handlers wait until it is opened.
type gate struct {
	open    chan struct{}
	running atomic.Int64
}

func (g *gate) Echo(_ context.Context, m *echo.Message) (*echo.Message, error) {
	g.running.Add(1)
	<-g.open
	return m, nil
}

// inFlight has n callers call at the same time over one connection, waits until nothing moves any more, and lets the
// handlers go.
func inFlight(n int, limits map[string]int) (flight, error) {
	f := flight{Limits: "default limits", Callers: n}
	options := []ferry.Option{ferry.Timeout(2 * time.Minute), ferry.Param("retries", "0")}
	if limits != nil {
		f.Limits = "limits raised"
	}
	for name, v := range limits {
		options = append(options, ferry.Param(name, strconv.Itoa(v)))
	}
	g := &gate{open: make(chan struct{})}
	s := &ferry.Server{Options: options}
	defer s.Close(context.Background())
	if err := echo.ExportEcho(s, g); err != nil {
		return f, err
	}
	c := ferry.NewClient("static://"+s.URLs()[0].Address(), options...)
	defer c.Close()
	e, err := echo.ReferEcho(c)
	if err != nil {
		return f, err
	}
	before := memory()
	start := time.Now()
	var accepted, refused atomic.Int64
	var other atomic.Pointer[error]
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			_, err := e.Echo(context.Background(), &echo.Message{ID: 7, Name: "a message", Payload: make([]byte, 128)})
			var failure *protocol.Error
			switch {
			case err == nil:
				accepted.Add(1)
			case errors.As(err, &failure) && failure.Code == protocol.LimitExceeded && (failure.Outcome == protocol.NotStarted || failure.Outcome == protocol.NotSent):
				refused.Add(1)
			default:
				other.CompareAndSwap(nil, &err)
			}
		})
	}
	settle(func() int64 { return g.running.Load() + refused.Load() })
	f.Running = g.running.Load()
	used := memory() - before
	close(g.open)
	wg.Wait()
	f.Seconds = time.Since(start).Seconds()
	f.Accepted, f.Refused = int(accepted.Load()), int(refused.Load())
	if err := other.Load(); err != nil {
		return f, *err
	}
	f.Each = float64(used) / 1024 / float64(max(f.Accepted, 1))
	return f, nil
}

// settle returns when value has not changed for a while.
func settle(value func() int64) {
	last, since := value(), time.Now()
	for time.Since(since) < time.Second {
		time.Sleep(20 * time.Millisecond)
		if v := value(); v != last {
			last, since = v, time.Now()
		}
	}
}

// memory is what heap and stacks have in use after a collection.
func memory() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}
