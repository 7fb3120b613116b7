package ferry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/ferryrpc/ferry/cluster"
	"github.com/ferryrpc/ferry/loadbalance"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/registry"
	"github.com/ferryrpc/ferry/url"
)

// scopeParams decide about calls inside the process. By default a consumer whose Client shares its Extensions with a
// Server calls the services of that Server without a network, through the same filters, and when they are gone those of
// the registry. The rules are Dubbo's (InjvmProtocol.isInjvmRefer): not with a url of its own, not for the cluster broadcast,
// which means many providers, and not for generic calls.
type scopeParams struct {
	Scope string `url:"scope" doc:"consumer: local calls only inside the process, remote never; provider: local serves only there, remote not there, none nowhere"`
	Injvm string `url:"injvm" doc:"false: neither call nor serve inside the process; true: a consumer calls only there"`
}

func (p *scopeParams) read(u *url.URL) error {
	if err := u.Decode(p); err != nil {
		return err
	}
	switch p.Scope {
	case "", "local", "remote", "none":
	default:
		return unknown("value", p.Scope, []string{"local", "remote", "none"}, "parameter scope")
	}
	switch p.Injvm {
	case "", "true", "false":
		return nil
	}
	return unknown("value", p.Injvm, []string{"true", "false"}, "parameter injvm")
}

// shares says whether a provider can be called inside the process beside what it exports.
func (p *scopeParams) shares() bool { return p.Scope != "remote" && p.Injvm != "false" }

// local is the way from a consumer to a provider in the same process.
type local struct {
	src       *source
	x         *Extensions
	open      func(context.Context, *url.URL) (protocol.Reference, error)
	broadcast bool
	stale     atomic.Bool // the cluster's parameters changed
	current   atomic.Pointer[inside]

	mu     sync.Mutex // makes inside one at a time, and guards the following
	closed bool
	gone   []io.Closer // clusters before current
}

// inside is the cluster over the one provider in the process, at one version of what it exports.
type inside struct {
	version uint64
	url     *url.URL         // of the provider; nil when there is none
	invoker protocol.Invoker // nil when there is none
}

// newLocal returns nil when calls of the consumer never stay inside the process.
func (r *running) newLocal(i *protocol.Interface, u *url.URL, s *source) (*local, error) {
	var p scopeParams
	if err := p.read(u); err != nil {
		return nil, err
	}
	if r.x.local == nil || p.Injvm != "" || p.Scope != "" || u.Param("url") != "" || u.Param("proxy") == "generic" {
		return nil, nil // what is local alone has a directory of its own, see Client.places
	}
	return &local{src: s, x: r.x, open: r.providers(i), broadcast: u.Param("cluster") == "broadcast"}, nil
}

// within makes calls stay inside the process while there is a provider there.
func (s *source) within(remote protocol.Invoker) protocol.Invoker {
	if s.local == nil {
		return remote
	}
	return protocol.InvokerFunc(func(ctx context.Context, c *protocol.Invocation) error {
		if n := s.local.find(); n != nil && fits(c) {
			err := n.invoker.Invoke(ctx, c)
			if !leftBetween(err) {
				return err
			}
		}
		return remote.Invoke(ctx, c)
	})
}

// serves says whether a call can stay inside.
func (l *local) serves(c *protocol.Invocation) bool { return fits(c) && l.find() != nil }

// fits says whether a call is one that inproc makes as a network would: generic arguments are not converted there.
func fits(c *protocol.Invocation) bool {
	if _, generic := c.Args.(*protocol.GenericArgs); generic {
		return false
	}
	return c.Method.Kind == protocol.Unary || c.Method.Kind == protocol.OneWay
}

// leftBetween says that the provider was withdrawn between choice and call, so that nothing ran.
func leftBetween(err error) bool {
	var e *protocol.Error
	return err != nil && errors.As(err, &e) && e.Code == protocol.NoProvider && e.Outcome == protocol.NotSent
}

// find returns the way to the provider in this process, or nil. It costs two atomic loads while nothing changes.
func (l *local) find() *inside {
	n := l.current.Load()
	if n == nil || n.version != l.x.local.Version() || l.stale.Load() {
		n = l.renew()
	}
	if n.invoker == nil {
		return nil
	}
	return n
}

func (l *local) renew() *inside {
	l.mu.Lock()
	defer l.mu.Unlock()
	version := l.x.local.Version()
	old := l.current.Load()
	if old != nil && old.version == version && !l.stale.Load() {
		return old
	}
	changed := l.stale.Swap(false)
	next := &inside{version: version}
	own := l.src.own
	if !l.broadcast && !l.closed {
		next.url = l.x.local.Match(func(u *url.URL) bool { return registry.Match(own, u) })
	}
	if old != nil && old.url == next.url && !changed { // something else came or went
		next.invoker = old.invoker
		l.current.Store(next)
		return next
	}
	if next.url != nil {
		if err := l.join(next); err != nil {
			l.src.running.env.Log().Warn("ferry: the provider in this process is not used", "service", own.Service(), "cause", err)
			next.invoker = nil
		}
	}
	l.current.Store(next)
	l.retireLocked(old)
	return next
}

// join puts reference filters and a cluster of one around the provider.
func (l *local) join(n *inside) error {
	merged := l.src.rules.merged(n.url)
	ref, err := l.open(context.Background(), merged.WithScheme("inproc"))
	if err != nil {
		return err
	}
	only := &single{cluster.NewSnapshot(l.src.own.Service(), &loadbalance.Target{Ref: ref, Weight: 100, Published: n.url})}
	n.invoker, err = l.src.newCluster(merged, only)
	if err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	return nil
}

// retireLocked keeps a cluster for what still runs in it, such as repeats of failback.
func (l *local) retireLocked(old *inside) {
	if old == nil {
		return
	}
	c, ok := old.invoker.(io.Closer)
	if !ok {
		return
	}
	l.gone = append(l.gone, c)
	if len(l.gone) > mostRetired {
		oldest := l.gone[0]
		l.gone = l.gone[1:]
		l.src.announced.Go(func() { _ = oldest.Close() })
	}
}

func (l *local) close() error {
	l.mu.Lock()
	l.closed = true
	l.retireLocked(l.current.Swap(&inside{version: l.x.local.Version()}))
	all := l.gone
	l.gone = nil
	l.mu.Unlock()
	var errs []error
	for _, c := range all {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// single is a Directory of one list.
type single struct{ list *cluster.Snapshot }

// List implements cluster.Directory.
func (d *single) List(*protocol.Invocation) *cluster.Snapshot { return d.list }

// Close implements cluster.Directory.
func (d *single) Close() error { return nil }
