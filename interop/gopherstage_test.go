package interop

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/internal/zktest"
	"github.com/ferryrpc/ferry/interop/fleet"
)

// A stage is where providers and consumers of either kind find each other: through a ZooKeeper, by interface or by application,
// or, without a ZooKeeper, by the addresses that consumers are told.
type stage struct {
	t           *testing.T
	program     string // dubbo-go's
	zk          *zktest.Server
	application bool
	// Providers are one application, and their instances have one port, or else the application would have two revisions, of
	// which dubbo-go knows one at random.
	port string

	repeats bool     // consumers repeat calls
	watches int      // how many watch an instance of the providers that a consumer of dubbo-go's has taken in
	leaving []func() // of the providers
}

const one, two = "127.0.0.2", "127.0.0.3" // hosts

// rolls has a second provider come and the first one go, and then so again, under calls.
func (s *stage) rolls(providers, consumers kind) error {
	leaveA, leaveB := s.start(providers, "a", one), func() {}
	w := consumers.consume(s)
	return s.end(w,
		func() error { return w.reaches("a", one) },
		func() error { leaveB = s.start(providers, "b", two); return w.reaches("b", two) },
		func() error { leaveA(); return w.goesOn() },
		func() error { s.start(providers, "c", one); return w.reaches("c", one) },
		func() error { leaveB(); return w.goesOn() })
}

// restarts has ZooKeeper go and come back under calls, and a second provider come after it.
func (s *stage) restarts(providers, consumers kind) error {
	return s.restart(true, providers, consumers)
}

// forgets has it come back without its data.
func (s *stage) forgets(providers, consumers kind) error {
	return s.restart(false, providers, consumers)
}

func (s *stage) restart(keep bool, providers, consumers kind) error {
	s.start(providers, "a", one)
	w := consumers.consume(s)
	var before int64
	return s.end(w,
		func() error { return w.reaches("a", one) },
		func() (err error) { before, err = s.registration(); return err },
		func() error { s.zk.Stop(s.t); return w.goesOn() },
		func() error { s.zk.Start(s.t, keep); return eventually(s.listed(one)) },
		func() error { return w.back(before) },
		func() error { s.start(providers, "b", two); return w.reaches("b", two) },
		w.goesOn)
}

// leaves has one of two providers go that consumers know by their addresses.
func (s *stage) leaves(providers, consumers kind) error {
	leave := s.start(providers, "a", one)
	s.start(providers, "b", two)
	w := consumers.consume(s, one+":"+s.port, two+":"+s.port)
	return s.end(w,
		func() error { return w.reaches("a", one) },
		func() error { return w.reaches("b", two) },
		func() error { leave(); return w.goesOn() })
}

// dies has one of two providers killed, as by a power cut, under calls that may be repeated. It is listed for some time yet.
func (s *stage) dies(providers, consumers kind) error {
	s.repeats = true
	victim := providers.victim(s, "a", one)
	s.start(providers, "b", two)
	w := consumers.consume(s)
	return s.end(w,
		func() error { return w.reaches("a", one) },
		func() error { return w.reaches("b", two) },
		func() error {
			err := victim.cmd.Process.Kill()
			<-victim.ended
			return err
		},
		w.goesOn,
		func() error { return eventually(gone(s.listed(one))) },
		w.goesOn)
}

// start starts a provider, which leaves in the end.
func (s *stage) start(providers kind, who, host string) (leave func()) {
	s.t.Helper()
	s.watches = providers.watches()
	leave = sync.OnceFunc(providers.provide(s, who, host))
	s.leaving = append(s.leaving, leave)
	return leave
}

// end takes the steps until one fails, and ends the consumer and then the providers.
func (s *stage) end(w watcher, steps ...func() error) error {
	var err error
	for i := 0; i < len(steps) && err == nil; i++ {
		err = steps[i]()
	}
	err = errors.Join(err, w.end())
	var all sync.WaitGroup
	for _, leave := range s.leaving {
		all.Go(leave)
	}
	all.Wait()
	return err
}

// registration is the latest change of the consumers' entries.
func (s *stage) registration() (int64, error) {
	conn, _, err := zk.Connect([]string{s.zk.Addr()}, 10*time.Second, zk.WithLogger(quiet{}))
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	_, stat, err := conn.Exists("/dubbo/" + fleet.GopherService.Name + "/consumers")
	return stat.Pzxid, err
}

// listed says whether the registry has the provider on a host.
func (s *stage) listed(host string) func() error {
	return func() error {
		conn, _, err := zk.Connect([]string{s.zk.Addr()}, 10*time.Second, zk.WithLogger(quiet{}))
		if err != nil {
			return err
		}
		defer conn.Close()
		path := "/dubbo/" + fleet.GopherService.Name + "/providers"
		if s.application {
			path = "/services/the-app"
		}
		all, _, err := conn.Children(path)
		address := host + ":" + s.port
		if err == nil && !slices.ContainsFunc(all, func(name string) bool { return strings.Contains(name, url.QueryEscape(address)) || name == address }) {
			err = fmt.Errorf("%s is not among %q", address, all)
		}
		return err
	}
}

// A kind starts programs of Ferry's or dubbo-go's.
type kind interface {
	// provide starts a provider on a host of loopback. leave ends it in good order.
	provide(s *stage, who, host string) (leave func())
	// victim starts one that can be killed.
	victim(s *stage, who, host string) *program
	// watches says how many watch an instance of it that a consumer of dubbo-go's has taken in.
	watches() int
	// consume starts a consumer that calls all the time; addresses are for a stage without a ZooKeeper.
	consume(s *stage, addresses ...string) watcher
}

// A watcher is a consumer that calls all the time.
type watcher interface {
	// reaches waits for an answer of a provider, and until the consumer has taken in that it has come.
	reaches(who, host string) error
	// goesOn waits until many more calls have ended, or one has failed.
	goesOn() error
	// back waits until the consumer has its registry back, if it is one that loses what comes meanwhile; before is the latest
	// registration of a consumer before the registry went.
	back(before int64) error
	// end stops the consumer, and returns a call's failure.
	end() error
}

// ferryKind are programs of Ferry's.
type ferryKind struct{}

func (ferryKind) registry(s *stage) string {
	switch {
	case s.zk == nil:
		return ""
	case s.application:
		return "zookeeper://" + s.zk.Addr() + "?registry-type=service"
	}
	return "zookeeper://" + s.zk.Addr() + "?registry-type=interface"
}

func (k ferryKind) provide(s *stage, who, host string) (leave func()) {
	server := ferry.NewServer(k.registry(s), ferry.Param("application", "the-app"), ferry.Param("host", host), ferry.Param("bind.ip", host), ferry.Param("port", s.port))
	require.NoError(s.t, fleet.PublishGopher(server, who))
	s.t.Cleanup(func() { closeServer(s.t, server) })
	return func() { closeServer(s.t, server) }
}

func (k ferryKind) victim(s *stage, who, host string) *program {
	return process(s.t, "registry="+k.registry(s)+"&session=10000", "who="+who, "host="+host, "bind.ip="+host, "port="+s.port)
}

func (ferryKind) watches() int { return 2 } // its owner does, too

func (k ferryKind) consume(s *stage, addresses ...string) watcher {
	registry := k.registry(s)
	if s.zk == nil {
		registry = "static://" + strings.Join(addresses, ",")
	}
	options := []ferry.Option{ferry.Check(false)}
	if s.repeats {
		options = slices.Concat(options, []ferry.Option{ferry.Retries(2)}, ferry.Method("who", ferry.Param("idempotent", "true")))
	}
	c := client(s.t, registry)
	g, err := fleet.ReferGopher(c, options...)
	require.NoError(s.t, err)
	return &ferryWatcher{c: c, g: g}
}

type ferryWatcher struct {
	c *ferry.Client
	g fleet.Gopher
	l *looper
}

func (w *ferryWatcher) reaches(who, _ string) error {
	if w.l == nil {
		// A failure counts from the first answer on.
		if err := eventually(func() error { _, err := w.g.Who(context.Background()); return err }); err != nil {
			return err
		}
		w.l = loops(w.g, callers)
	}
	return w.until(w.l.reached(who))
}

// until waits for what the check wants, unless a call fails, which is what it returns then.
func (w *ferryWatcher) until(check func() error) error {
	var failed error
	err := eventually(func() error {
		if _, failed = w.l.calls(); failed != nil {
			return nil
		}
		return check()
	})
	return errors.Join(err, failed)
}

func (w *ferryWatcher) goesOn() error {
	start, _ := w.l.calls()
	return w.until(func() error {
		if made, _ := w.l.calls(); made < start+enough {
			return fmt.Errorf("%d calls of %d have ended", made-start, enough)
		}
		return nil
	})
}

func (*ferryWatcher) back(int64) error { return nil }

func (w *ferryWatcher) end() error {
	if w.l == nil {
		return w.c.Close()
	}
	return errors.Join(w.l.end(), w.c.Close())
}

const (
	callers = 8    // at a time: one of them is under way when a provider goes
	enough  = 1000 // calls to know that it goes on
)

// gopherKind are programs of dubbo-go's.
type gopherKind struct{}

func (gopherKind) start(s *stage, role string, words ...string) *program {
	if s.zk != nil {
		words = append(words, "registry="+s.zk.Addr())
	}
	if s.application {
		words = append(words, "by=application")
	}
	return launch(s.t, s.t.TempDir(), s.program, append([]string{role}, words...))
}

func (k gopherKind) provide(s *stage, who, host string) (leave func()) {
	return k.victim(s, who, host).stop
}

func (k gopherKind) victim(s *stage, who, host string) *program {
	return k.start(s, "provider", "application=the-app", "who="+who, "host="+host, "port="+s.port)
}

func (gopherKind) watches() int { return 1 }

func (k gopherKind) consume(s *stage, addresses ...string) watcher {
	words := []string{"application=go-consumer"}
	if s.repeats {
		words = append(words, "retries=2")
	}
	if s.zk == nil {
		words = append(words, "url=dubbo://"+strings.Join(addresses, ";dubbo://"))
	}
	return &gopherWatcher{s: s, p: k.start(s, "consumer", words...)}
}

type gopherWatcher struct {
	s     *stage
	p     *program
	loops bool
}

func (w *gopherWatcher) reaches(who, host string) error {
	if !w.loops {
		if err := eventually(func() error {
			if answer := w.p.tell("who"); !slices.ContainsFunc(answer, func(s string) bool { return strings.HasPrefix(s, "WHO ") }) {
				return fmt.Errorf("no answer: %.300q", answer)
			}
			return nil
		}); err != nil {
			return err
		}
		w.p.tell(fmt.Sprint("loop ", callers))
		w.loops = true
	}
	if answer := w.p.tell("await " + who); slices.Contains(answer, "MISSED "+who) {
		return fmt.Errorf("%s has not answered", who)
	}
	if !w.s.application {
		return nil
	}
	// dubbo-go lists the instances first and begins to watch them some time after: one that comes in between is not seen, and
	// one that goes in between leaves it without any.
	x := &gophers{address: w.s.zk.Addr()}
	return errors.Join(eventually(x.watched("services/the-app/"+host+":"+w.s.port, w.s.watches)), w.goesOn())
}

func (w *gopherWatcher) goesOn() error {
	if slices.Contains(w.p.tell(fmt.Sprint("more ", enough)), "FAILED") {
		return errors.New("calls fail")
	}
	return nil
}

func (w *gopherWatcher) back(before int64) error {
	if w.s.application {
		return nil
	}
	return eventually(func() error {
		now, err := w.s.registration()
		if err == nil && now == before {
			err = errors.New("dubbo-go's consumer is not registered again")
		}
		return err
	})
}

func (w *gopherWatcher) end() error {
	defer w.p.stop()
	if !w.loops {
		return nil
	}
	answer := w.p.tell("stop")
	if slices.ContainsFunc(answer, func(line string) bool { return strings.HasPrefix(line, "PANICKED ") }) {
		return fmt.Errorf("LOOP %q", answer)
	}
	return looped(answer)
}
