package main

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ferryrpc/ferry/benchmarks/peers/echo"
	"github.com/ferryrpc/ferry/benchmarks/peers/measure"
	"github.com/ferryrpc/ferry/benchmarks/peers/peer"
)

// loadResult is what a client saw in one window.
type loadResult struct {
	Calls    int64         `json:"calls"`
	Notified int64         `json:"notified,omitempty"` // of these, one-way
	Elapsed  time.Duration `json:"elapsed"`
	P50      time.Duration `json:"p50"`
	P90      time.Duration `json:"p90"`
	P99      time.Duration `json:"p99"`
	P999     time.Duration `json:"p999"`
	Unserved int64         `json:"unserved,omitempty"` // open loop: due in the window and not begun 2 s after it
}

// histograms is how many the callers of a load share: few enough to be cheap, enough that they seldom meet.
const histograms = 64

// load drives one framework through one point, for as many windows as run is called.
type load struct {
	o       order
	conns   []peer.Caller
	payload []byte
	step    func(c *caller) error

	start    time.Time // of the running window
	hists    []measure.Histogram
	calls    atomic.Int64
	notified atomic.Int64
	failed   atomic.Pointer[error]
}

// caller is one goroutine of the load.
type caller struct {
	load *load
	hist *measure.Histogram
	conn peer.Caller
	list func() (int, error) // records
	m    echo.Message
	id   int64
	now  time.Duration // since the start of the window: the end of the last call is the start of the next
}

func newLoad(e peer.Framework, o order) (*load, error) {
	l := &load{o: o, payload: echo.Payload(o.Point.Size)}
	if err := l.dial(e); err != nil {
		l.close()
		return nil, err
	}
	var ok = true
	switch o.Point.Kind {
	case kindRecords:
		_, ok = l.conns[0].(peer.Lister)
		l.step = (*caller).records
	case kindOneway:
		_, ok = l.conns[0].(peer.Notifier)
		l.step = (*caller).oneway
	default:
		l.step = (*caller).echo
	}
	if !ok {
		l.close()
		return nil, peer.ErrUnsupported
	}
	return l, nil
}

// dial opens the connections of the point: as many of one client where the framework has that, else a client for each.
func (l *load) dial(e peer.Framework) error {
	n := l.o.Point.Conns
	if many, ok := e.(peer.Many); ok && n > 1 {
		c, err := many.DialMany(l.o.Addr, n)
		if err != nil {
			return err
		}
		for range n {
			l.conns = append(l.conns, c)
		}
		return nil
	}
	for range n {
		c, err := e.Dial(l.o.Addr)
		if err != nil {
			return err
		}
		l.conns = append(l.conns, c)
	}
	return nil
}

func (l *load) close() {
	for _, c := range l.conns {
		c.Close()
	}
}

// run loads the connections for d and returns when the last call has ended.
func (l *load) run(d time.Duration) (loadResult, error) {
	l.hists = make([]measure.Histogram, histograms)
	l.calls.Store(0)
	l.notified.Store(0)
	var unserved int64
	l.start = time.Now()
	switch l.o.Point.Kind {
	case kindOpen:
		unserved = l.open(d)
	case kindIdle:
		l.once()
	default:
		l.closed(d)
	}
	elapsed := time.Since(l.start)
	if err := l.failed.Load(); err != nil {
		return loadResult{}, *err
	}
	all := &l.hists[0]
	for i := 1; i < len(l.hists); i++ {
		all.Merge(&l.hists[i])
	}
	return loadResult{
		Calls: l.calls.Load(), Notified: l.notified.Load(), Elapsed: elapsed, Unserved: unserved,
		P50: all.Quantile(0.5), P90: all.Quantile(0.9), P99: all.Quantile(0.99), P999: all.Quantile(0.999),
	}, nil
}

// closed starts the callers and waits for them.
func (l *load) closed(d time.Duration) {
	var wg sync.WaitGroup
	for i := range l.o.Point.Callers {
		c := l.caller(i)
		wg.Go(func() {
			c.now = time.Since(l.start)
			for c.now < d && l.failed.Load() == nil {
				if err := l.step(c); err != nil {
					l.fail(err)
				}
			}
		})
	}
	wg.Wait()
}

// once makes one call over each connection.
func (l *load) once() {
	for i := range l.conns {
		if err := l.caller(i).echo(); err != nil {
			l.fail(err)
			return
		}
	}
}

func (l *load) caller(i int) *caller {
	c := &caller{load: l, hist: &l.hists[i%len(l.hists)], conn: l.conns[i%len(l.conns)], id: int64(i) << 32}
	if r, ok := c.conn.(peer.Lister); ok && l.o.Point.Kind == kindRecords {
		c.list = r.Records(echo.Sample(l.o.Point.Records))
	}
	return c
}

func (l *load) fail(err error) { l.failed.CompareAndSwap(nil, &err) }

// done counts n calls that ended now and puts the time since from into the histogram.
func (c *caller) done(n int64, from time.Duration) {
	c.now = time.Since(c.load.start)
	c.hist.Add(c.now - from)
	c.load.calls.Add(n)
}

// exchange sends the caller's next message and checks the reply.
func (c *caller) exchange() error {
	c.id++
	c.m = echo.Message{ID: c.id, Name: echo.Name, Payload: c.load.payload}
	if err := c.conn.Echo(&c.m); err != nil {
		return err
	}
	return echo.Check(&c.m, c.id, c.load.payload)
}

func (c *caller) echo() error {
	err := c.exchange()
	c.done(1, c.now)
	return err
}

func (c *caller) records() error {
	n, err := c.list()
	c.done(1, c.now)
	if err == nil && n != c.load.o.Point.Records {
		err = fmt.Errorf("peers: %d records came back of %d", n, c.load.o.Point.Records)
	}
	return err
}

// oneway sends a row of one-way calls and waits for an echo behind them. The histogram has the echoes only.
func (c *caller) oneway() error {
	out := c.conn.(peer.Notifier)
	for range notifies {
		c.id++
		m := echo.Message{ID: c.id, Name: echo.Name, Payload: c.load.payload}
		if err := out.Notify(&m); err != nil {
			return err
		}
	}
	c.load.notified.Add(notifies)
	c.now = time.Since(c.load.start)
	err := c.exchange()
	c.done(notifies+1, c.now)
	return err
}
