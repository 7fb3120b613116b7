package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/registry"
	"github.com/ferryrpc/ferry/url"
)

// world opens fakes by address and remembers them.
type world struct {
	mu     sync.Mutex
	opened []*fake
	hold   map[string]chan struct{} // addresses whose opening waits
	errs   map[string]error
}

func (w *world) refer(ctx context.Context, u *url.URL) (protocol.Reference, error) {
	w.mu.Lock()
	hold, err := w.hold[u.Address()], w.errs[u.Address()]
	w.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if err != nil {
		return nil, err
	}
	f := &fake{url: u}
	w.mu.Lock()
	w.opened = append(w.opened, f)
	w.mu.Unlock()
	return f, nil
}

func (w *world) fails(address string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.errs[address] = err
}

// of returns the references opened to an address.
func (w *world) of(address string) (out []*fake) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range w.opened {
		if f.url.Address() == address {
			out = append(out, f)
		}
	}
	return out
}

func roster(t testing.TB, params string) (*Roster, *world) {
	w := &world{hold: map[string]chan struct{}{}, errs: map[string]error{}}
	d, err := NewDirectory(Config{Env: extension.Env{Logger: slog.New(slog.DiscardHandler)}, Consumer: consumer(params), Refer: w.refer})
	require.NoError(t, err)
	return d, w
}

// live is a list as it comes from the registry.
func live(providers ...string) registry.State {
	s := registry.State{Source: registry.Live, At: time.Now()}
	for _, p := range providers {
		s.URLs = append(s.URLs, url.MustParse(p))
	}
	return s
}

func provider(n int, params string) string {
	return fmt.Sprintf("dubbo://10.0.0.%d:20880/com.example.Greeter?interface=com.example.Greeter&%s", n, params)
}

func addresses(d *Roster) (out []string) {
	for _, t := range d.List(nil).Targets {
		out = append(out, t.Ref.URL().Address())
	}
	return out
}

// in runs f with a roster in a bubble of its own time.
func in(t *testing.T, params string, f func(t *testing.T, d *Roster, w *world)) {
	synctest.Test(t, func(t *testing.T) {
		d, w := roster(t, params)
		f(t, d, w)
		require.NoError(t, d.Close())
		for _, r := range w.opened {
			require.True(t, r.closed.Load(), "%s was left open", r.url)
		}
	})
}

func TestRosterFollowsTheRegistry(t *testing.T) {
	in(t, "timeout=300", func(t *testing.T, d *Roster, w *world) {
		changed := d.Changed()
		d.Update(live(provider(1, "timeout=100&timestamp=1700000000000"), provider(2, "weight=50&sayHello.weight=5"), "override://0.0.0.0/s?category=configurators"))
		synctest.Wait()
		<-changed
		require.Equal(t, []string{"10.0.0.1:20880", "10.0.0.2:20880"}, addresses(d))
		first, second := d.List(nil).Targets[0], d.List(nil).Targets[1]
		require.Equal(t, "300", first.Ref.URL().Param("timeout"))
		require.Equal(t, time.UnixMilli(1700000000000), first.Started)
		require.Equal(t, 100, first.Weight)
		require.Equal(t, 50, second.Weight)
		require.Equal(t, map[string]int{"sayHello": 5}, second.Weights)

		// Another timestamp, pid and weight need no new connection; a new provider does; the order is the list's.
		d.Update(live(provider(1, "timeout=100&timestamp=1700000009999&pid=7"), provider(2, "weight=50&sayHello.weight=5"), provider(3, "")))
		synctest.Wait()
		require.Equal(t, []string{"10.0.0.1:20880", "10.0.0.2:20880", "10.0.0.3:20880"}, addresses(d))
		require.Same(t, first.Ref, d.List(nil).Targets[0].Ref)
		require.NotSame(t, first, d.List(nil).Targets[0], "a provider that restarted warms up again")
		require.Same(t, second, d.List(nil).Targets[1], "an unchanged provider keeps its counters")
		require.Len(t, w.opened, 3)

		// A parameter that matters gives a new reference, and closes the old one; who left is closed.
		d.Update(live(provider(2, "serialization=json"), provider(3, "")))
		synctest.Wait()
		require.Equal(t, []string{"10.0.0.2:20880", "10.0.0.3:20880"}, addresses(d))
		time.Sleep(closeAfter)
		synctest.Wait()
		require.True(t, w.of("10.0.0.1:20880")[0].closed.Load())
		require.True(t, w.of("10.0.0.2:20880")[0].closed.Load())
		require.False(t, w.of("10.0.0.2:20880")[1].closed.Load())
		require.False(t, w.of("10.0.0.3:20880")[0].closed.Load())
	})
}

// TestEmptyListKeepsTheLast: the registry says that nobody is there, while they answer. Those that are proved dead leave.
func TestEmptyListKeepsTheLast(t *testing.T) {
	in(t, "", func(t *testing.T, d *Roster, w *world) {
		d.Update(live(provider(1, ""), provider(2, ""), provider(3, "")))
		synctest.Wait()
		d.Update(live())
		time.Sleep(time.Minute)
		require.Len(t, addresses(d), 3)
		require.Contains(t, d.Snapshot().String(), "lists none now")

		w.of("10.0.0.1:20880")[0].away.Store(true)
		time.Sleep(deadAfter - 2*watchEvery)
		require.Len(t, addresses(d), 3, "a short absence proves nothing")
		time.Sleep(4 * watchEvery)
		require.Equal(t, []string{"10.0.0.2:20880", "10.0.0.3:20880"}, addresses(d))
		time.Sleep(closeAfter)
		synctest.Wait()
		require.True(t, w.of("10.0.0.1:20880")[0].closed.Load())

		// Being away now and then proves nothing either.
		third := w.of("10.0.0.3:20880")[0]
		for range 4 {
			third.away.Store(true)
			time.Sleep(deadAfter / 2)
			third.away.Store(false)
			time.Sleep(2 * watchEvery)
		}
		require.Len(t, addresses(d), 2)

		// A call that finds the port closed is proof enough.
		second := w.of("10.0.0.2:20880")[0]
		second.away.Store(true)
		second.does(func(context.Context, *protocol.Invocation) error {
			return &protocol.Error{Code: protocol.Network, Outcome: protocol.NotSent, Cause: syscall.ECONNREFUSED}
		})
		x := join(t, NewAvailable, "", d).(protocol.InvokerFunc)
		second.away.Store(false)
		second.does(func(context.Context, *protocol.Invocation) error {
			second.away.Store(true)
			return &protocol.Error{Code: protocol.Network, Outcome: protocol.NotSent, Cause: syscall.ECONNREFUSED}
		})
		require.Error(t, x(t.Context(), call(method("sayHello", 0), "")))
		time.Sleep(2 * watchEvery)
		require.Equal(t, []string{"10.0.0.3:20880"}, addresses(d))

		// The next list that is not empty is believed.
		d.Update(live(provider(4, "")))
		synctest.Wait()
		require.Equal(t, []string{"10.0.0.4:20880"}, addresses(d))
	})
}

func TestAllOfAKeptListDead(t *testing.T) {
	in(t, "", func(t *testing.T, d *Roster, w *world) {
		d.Update(live(provider(1, "")))
		synctest.Wait()
		w.of("10.0.0.1:20880")[0].away.Store(true)
		d.Update(live())
		time.Sleep(2 * deadAfter)
		require.Empty(t, addresses(d))
		err := join(t, NewFailover, "", d).Invoke(t.Context(), call(method("sayHello", 0), ""))
		require.Equal(t, protocol.Forbidden, protocol.CodeOf(err))
		d.Update(live(provider(1, "")))
		synctest.Wait()
		require.Len(t, addresses(d), 1)
	})
}

// TestUnreachableRegistry: a state without a list is not an empty list.
func TestUnreachableRegistry(t *testing.T) {
	in(t, "", func(t *testing.T, d *Roster, w *world) {
		d.Update(registry.State{Source: registry.Memory, Err: errors.New("zookeeper away")})
		require.Contains(t, d.Snapshot().String(), "no list yet")
		require.Contains(t, d.Snapshot().String(), "zookeeper away")
		d.Update(live(provider(1, "")))
		synctest.Wait()
		d.Update(registry.State{Source: registry.Memory, Err: errors.New("zookeeper away")})
		require.Len(t, addresses(d), 1)
	})
}

// TestOldListServesWhileTheNewOneOpens: a list of other providers replaces the old one when one of them can be called.
func TestOldListServesWhileTheNewOneOpens(t *testing.T) {
	in(t, "", func(t *testing.T, d *Roster, w *world) {
		d.Update(live(provider(1, ""), provider(2, "")))
		synctest.Wait()
		w.hold["10.0.0.3:20880"], w.hold["10.0.0.1:20880"] = make(chan struct{}), make(chan struct{})
		d.Update(live(provider(3, "")))
		synctest.Wait()
		require.Equal(t, []string{"10.0.0.1:20880", "10.0.0.2:20880"}, addresses(d))
		close(w.hold["10.0.0.3:20880"])
		synctest.Wait()
		require.Equal(t, []string{"10.0.0.3:20880"}, addresses(d))
		time.Sleep(closeAfter)
		synctest.Wait()
		require.True(t, w.of("10.0.0.2:20880")[0].closed.Load())

		// A provider that left goes at once, others being there; one whose parameters changed serves until its successor.
		w.hold["10.0.0.3:20880"] = make(chan struct{})
		d.Update(live(provider(3, "a=b"), provider(4, "")))
		synctest.Wait()
		require.Equal(t, []string{"10.0.0.3:20880", "10.0.0.4:20880"}, addresses(d))
		old := w.of("10.0.0.3:20880")[0]
		require.Same(t, old, d.List(nil).Targets[0].Ref)
		close(w.hold["10.0.0.3:20880"])
		synctest.Wait()
		require.NotSame(t, old, d.List(nil).Targets[0].Ref)
		time.Sleep(closeAfter)
		synctest.Wait()
		require.True(t, old.closed.Load())
	})
}

func TestProvidersThatCannotBeOpened(t *testing.T) {
	in(t, "", func(t *testing.T, d *Roster, w *world) {
		w.fails("10.0.0.1:20880", fmt.Errorf("%w: thrift", extension.ErrUnknown))
		w.fails("10.0.0.2:20880", errors.New("bad certificate"))
		d.Update(live(provider(1, ""), provider(2, "")))
		synctest.Wait()
		err := join(t, NewFailover, "", d).Invoke(t.Context(), call(method("sayHello", 0), ""))
		require.Equal(t, protocol.NoProvider, protocol.CodeOf(err))
		require.ErrorContains(t, err, "the registry gave 2 addresses")
		require.ErrorContains(t, err, "unknown protocol removed 1")
		require.ErrorContains(t, err, "failure to open removed 1")
		require.ErrorContains(t, err, "bad certificate")

		w.fails("10.0.0.1:20880", nil)
		w.fails("10.0.0.2:20880", nil)
		time.Sleep(3 * time.Second)
		require.Equal(t, []string{"10.0.0.2:20880"}, addresses(d), "a failure is tried again, an unknown protocol is not")
	})
}

func TestReady(t *testing.T) {
	in(t, "", func(t *testing.T, d *Roster, w *world) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := d.Ready(ctx)
		require.ErrorIs(t, err, ErrNoProvider)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "no list yet")

		w.hold["10.0.0.1:20880"] = make(chan struct{})
		d.Update(live(provider(1, "")))
		done := make(chan error)
		go func() { done <- d.Ready(context.Background()) }()
		synctest.Wait()
		select {
		case <-done:
			t.Fatal("ready without a provider")
		default:
		}
		close(w.hold["10.0.0.1:20880"])
		require.NoError(t, <-done)

		w.of("10.0.0.1:20880")[0].away.Store(true)
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorContains(t, d.Ready(ctx), "1 not connected")
	})
}

// TestOpeningIsBounded: a thousand providers are opened sixteen at a time, and Close does not wait for those that hang.
func TestOpeningIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		running, most := 0, 0
		d, err := NewDirectory(Config{Consumer: consumer(""), Refer: func(ctx context.Context, u *url.URL) (protocol.Reference, error) {
			mu.Lock()
			running++
			most = max(most, running)
			mu.Unlock()
			<-ctx.Done()
			return nil, ctx.Err()
		}})
		require.NoError(t, err)
		s := live()
		for i := range 1000 {
			s.URLs = append(s.URLs, url.MustParse(fmt.Sprintf("dubbo://10.1.%d.%d:1/s", i>>8, i&255)))
		}
		d.Update(s)
		synctest.Wait()
		require.Equal(t, openers, most)
		require.NoError(t, d.Close())
		require.Equal(t, openers, running, "after Close nothing is opened")
		err = join(t, NewFailover, "", d).Invoke(t.Context(), call(method("sayHello", 0), ""))
		require.Equal(t, protocol.Closed, protocol.CodeOf(err))
	})
}

func TestTwiceListedAddress(t *testing.T) {
	in(t, "", func(t *testing.T, d *Roster, w *world) {
		d.Update(live(provider(1, "timestamp=1700000000000&v=old"), provider(1, "timestamp=1700000005000&v=new"), provider(1, "timestamp=1600000000000&v=older")))
		synctest.Wait()
		require.Len(t, addresses(d), 1)
		require.Equal(t, "new", d.List(nil).Targets[0].Ref.URL().Param("v"))
	})
}

// TestLeavingWhileOpening: what is no longer listed is closed as soon as it is open, and what waits is never opened.
func TestLeavingWhileOpening(t *testing.T) {
	in(t, "", func(t *testing.T, d *Roster, w *world) {
		gate := make(chan struct{})
		var list []string
		for i := range openers + 5 {
			list = append(list, provider(i+1, ""))
			w.hold[fmt.Sprintf("10.0.0.%d:20880", i+1)] = gate
		}
		d.Update(live(list...))
		synctest.Wait()
		d.Update(live(list[0]))
		close(gate)
		synctest.Wait()
		require.Equal(t, []string{"10.0.0.1:20880"}, addresses(d))
		require.Len(t, w.opened, openers, "those in the queue were dropped")
		time.Sleep(closeAfter)
		synctest.Wait()
		for _, r := range w.opened {
			require.Equal(t, r.url.Address() != "10.0.0.1:20880", r.closed.Load(), r.url.Address())
		}
	})
}
