package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ferryrpc/ferry/cluster"
	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/registry"
	"github.com/ferryrpc/ferry/registry/zookeeper"
	"github.com/ferryrpc/ferry/url"
	"github.com/ferryrpc/ferry/zkembed"
)

const (
	patience = 10 * time.Minute // how long anything may take
	deaths   = 5                // processes that die one after the other
)

// A fleet is all processes and their ZooKeeper.
type fleet struct {
	size
	zk        *zkembed.Server
	dying     *zkembed.Listener // where the processes connect that will die
	want      map[string]int    // providers by service
	load      *meter
	processes []*process
	consumers []*consumer
}

// A process provides services.
type process struct {
	reg  *zookeeper.Registry
	urls []*url.URL
}

// A consumer has a directory for each of its services.
type consumer struct {
	reg   *zookeeper.Registry
	lists []*list
}

// A list is what a consumer knows of a service.
type list struct {
	service   string
	directory *cluster.Roster
	n         atomic.Int64 // providers in the newest list
	live      atomic.Bool  // it was read from the registry
	at        atomic.Int64 // when it was delivered, ns
}

func newFleet(s size) (*fleet, error) {
	zk, err := zkembed.Start(zkembed.Options{MaxQueue: 256 << 20, MaxConns: 1 << 20})
	if err != nil {
		return nil, err
	}
	f := &fleet{size: s, zk: zk, load: &meter{}, want: map[string]int{}}
	if f.dying, err = zk.Listen("127.0.0.1:0"); err != nil {
		return nil, errors.Join(err, zk.Close())
	}
	zk.Intercept(f.load.count)
	return f, nil
}

func (f *fleet) open(address string) (*zookeeper.Registry, error) {
	r, err := zookeeper.New(extension.Env{}, url.MustParse(fmt.Sprintf("zookeeper://%s?cache=false&registry-type=interface&session=%d", address, f.session.Milliseconds())))
	if err != nil {
		return nil, err
	}
	return r.(*zookeeper.Registry), nil
}

// serviceURL has as many parameters as a usual provider.
func serviceURL(service, process, port int) *url.URL {
	name := fmt.Sprintf("com.example.scale.module%02d.Service%04d", service%40, service)
	return url.MustParse(fmt.Sprintf("dubbo://10.%d.%d.%d:%d/%s?interface=%s&application=scale-module%02d&side=provider&dubbo=2.0.2&release=ferry-1"+
		"&generic=false&deprecated=false&dynamic=true&methods=cancel,create,find,list,update&pid=%d&timestamp=1790000000000&timeout=1000&retries=2&weight=100",
		process>>16, process>>8&255, process&255, port, name, name, service%40, 1000+process))
}

// connect gives each process its session.
func (f *fleet) connect() error {
	f.processes, f.consumers = make([]*process, f.size.processes), make([]*consumer, f.size.consumers)
	return each(f.size.processes+f.size.consumers, func(i int) error {
		address := f.zk.Addr()
		if i < deaths {
			address = f.dying.Addr()
		}
		reg, err := f.open(address)
		if err != nil {
			return err
		}
		if i < f.size.processes {
			f.processes[i] = &process{reg: reg}
		} else {
			f.consumers[i-f.size.processes] = &consumer{reg: reg}
		}
		// The answer comes with the session.
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		return reg.Register(ctx, url.MustParse(fmt.Sprintf("consumer://10.8.0.0:%d/scale.Process?interface=scale.Process&category=consumers", i)))
	})
}

// provide publishes everything and returns when all entries are in the registry.
func (f *fleet) provide() error {
	for service := range f.services {
		f.want[serviceURL(service, 0, 1).Interface()] = f.providers
	}
	return each(f.size.processes, func(i int) error {
		p := f.processes[i]
		for n := i; n < f.services*f.providers; n += f.size.processes {
			p.urls = append(p.urls, serviceURL(n/f.providers, i, 20000+n/f.size.processes%40000))
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		return each(len(p.urls), func(n int) error { return p.reg.Register(ctx, p.urls[n]) })
	})
}

var _ protocol.Reference = (*idle)(nil)

// idle stands for a provider that nobody calls.
type idle struct{ u *url.URL }

func (idle) Invoke(context.Context, *protocol.Invocation) error { return nil }
func (i idle) URL() *url.URL                                    { return i.u }
func (idle) Available() bool                                    { return true }
func (idle) Close() error                                       { return nil }

// consume subscribes all and returns when each has all its lists. Everybody has service 0.
func (f *fleet) consume() error {
	err := each(len(f.consumers), func(i int) error {
		services := []int{0}
		for n := 1; n < f.each; n++ {
			services = append(services, 1+(i*(f.each-1)+n)%(f.services-1))
		}
		for _, service := range services {
			if err := f.consumers[i].subscribe(service); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return f.await(f.complete)
}

// complete says that a list is from the registry and whole.
func (f *fleet) complete(l *list) bool {
	return l.live.Load() && int(l.n.Load()) == f.want[l.service]
}

func (c *consumer) subscribe(service int) error {
	u := serviceURL(service, 0, 1)
	u = url.New("consumer", "10.9.9.9", u.Interface()).With("interface", u.Interface()).With("side", "consumer")
	d, err := cluster.NewDirectory(cluster.Config{Consumer: u, Refer: func(_ context.Context, u *url.URL) (protocol.Reference, error) { return idle{u}, nil }})
	if err != nil {
		return err
	}
	l := &list{service: u.Interface(), directory: d}
	c.lists = append(c.lists, l)
	return c.reg.Subscribe(context.Background(), u, func(s registry.State) {
		l.directory.Update(s)
		l.n.Store(int64(len(s.URLs)))
		l.live.Store(s.Source == registry.Live)
		l.at.Store(time.Now().UnixNano())
	})
}

// await waits until all lists are as ok wants them.
func (f *fleet) await(ok func(*list) bool) error {
	deadline := time.Now().Add(patience)
	for _, c := range f.consumers {
		for _, l := range c.lists {
			for !ok(l) {
				if time.Now().After(deadline) {
					return fmt.Errorf("%s has %d providers, live %v, after %v", l.service, l.n.Load(), l.live.Load(), patience)
				}
				time.Sleep(time.Millisecond)
			}
		}
	}
	return nil
}

// latest is when the last list was delivered.
func (f *fleet) latest() time.Time {
	var at int64
	for _, c := range f.consumers {
		for _, l := range c.lists {
			at = max(at, l.at.Load())
		}
	}
	return time.Unix(0, at)
}

// registered waits until all entries are proved.
func (f *fleet) registered() error {
	deadline := time.Now().Add(patience)
	for _, p := range f.processes[deaths:] {
		for !all(p.reg.Registered()) {
			if time.Now().After(deadline) {
				return fmt.Errorf("entries are missing after %v", patience)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	return nil
}

func all(m map[string]bool) bool {
	for _, ok := range m {
		if !ok {
			return false
		}
	}
	return true
}

func (f *fleet) close() error {
	var errs []error
	errs = append(errs, each(len(f.consumers), func(i int) error {
		c := f.consumers[i]
		err := c.reg.Close()
		for _, l := range c.lists {
			err = errors.Join(err, l.directory.Close())
		}
		return err
	}))
	f.zk.Stop() // entries go with the server
	errs = append(errs, each(len(f.processes), func(i int) error { return f.processes[i].reg.Close() }))
	return errors.Join(append(errs, f.zk.Close())...)
}

// each runs f for 0 to n-1, some at a time.
func each(n int, f func(int) error) error {
	const atOnce = 64
	errs := make([]error, n)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(n, atOnce) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				errs[i] = f(i)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
