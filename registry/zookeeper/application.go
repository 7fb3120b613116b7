package zookeeper

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ferryrpc/ferry/internal/zk"
	"github.com/ferryrpc/ferry/url"
)

// maxMembers bounds the instances of an application.
const maxMembers = 100_000

// An application is what is known of the instances of one, for all subscriptions of this registry that look at it. One
// goroutine reads it anew when something changed; readers take the last state.
type application struct {
	r      *Registry
	name   string
	path   string
	cancel context.CancelFunc
	wake   chan struct{} // one place: something changed
	state  atomic.Pointer[roll]

	users map[*search]struct{} // guarded by r.mu

	// The following belong to the goroutine.
	list    watched
	listed  bool
	members map[string]*seat        // by node
	shared  map[string]*sharedPaper // by revision
}

// A roll is one state of an application: its members with what they offer.
type roll struct {
	members []*seat
	err     error // why one or more cannot be used
}

// A seat is one member as it was read last.
type seat struct {
	watched
	node   string
	read   bool
	member *member
	err    error
	offers []*url.URL // by interface, group and version, of the member's revision
	paper  *sharedPaper
}

// A sharedPaper is one description.
type sharedPaper struct {
	watched
	text *description // nil when it is not there yet
	err  error
}

// joinLocked lets a search follow an application. r.mu must be held.
func (r *Registry) joinLocked(name string, s *search) *application {
	a := r.applications[name]
	if a == nil {
		ctx, cancel := context.WithCancel(r.ctx)
		a = &application{r: r, name: name, path: r.services + "/" + url.Encode(name), cancel: cancel, wake: make(chan struct{}, 1),
			users: map[*search]struct{}{}, members: map[string]*seat{}, shared: map[string]*sharedPaper{}}
		a.list = watch(a.change)
		r.applications[name] = a
		r.wg.Go(func() { a.run(ctx) })
	}
	a.users[s] = struct{}{}
	return a
}

// partLocked ends that. r.mu must be held.
func (r *Registry) partLocked(a *application, s *search) {
	delete(a.users, s)
	if len(a.users) == 0 {
		a.cancel()
		delete(r.applications, a.name)
	}
}

// change has the goroutine read again.
func (a *application) change() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

func (a *application) run(ctx context.Context) {
	defer a.close()
	for ctx.Err() == nil {
		err := a.read(ctx)
		if ctx.Err() != nil {
			return
		}
		connection := a.r.zk.Status().Connection
		again := a.publish(err)
		var retry <-chan time.Time
		if again {
			t := time.NewTimer(a.r.p.Retry)
			defer t.Stop()
			retry = t.C
		}
		select {
		case <-a.wake:
			if a.r.lostSince(connection) {
				a.r.back(ctx)
			} else {
				pause(ctx, batch)
			}
		case <-retry:
		case <-ctx.Done():
		}
	}
}

func (a *application) close() {
	a.list.stop()
	for _, s := range a.members {
		s.stop()
	}
	for _, p := range a.shared {
		p.stop()
	}
}

// publish makes what was read the state, tells the searches, and says whether to try again soon. When the list itself
// cannot be read the members stay as they were.
func (a *application) publish(err error) (again bool) {
	next := &roll{err: err}
	for _, node := range slices.Sorted(maps.Keys(a.members)) {
		s := *a.members[node]
		next.members = append(next.members, &s)
		if s.err != nil && next.err == nil {
			next.err = s.err
		}
	}
	a.state.Store(next)
	a.r.mu.Lock()
	users := slices.Collect(maps.Keys(a.users))
	a.r.mu.Unlock()
	for _, s := range users {
		s.wake()
	}
	return next.err != nil
}

// read reads what changed.
func (a *application) read(ctx context.Context) error {
	if !a.listed || a.list.changed() {
		a.list.fired.Store(false)
		names, err := a.names(ctx)
		if err != nil {
			a.listed = false
			return err
		}
		a.listed = true
		a.seat(names)
	}
	for _, s := range a.members {
		if s.read && s.err == nil && !s.changed() {
			continue
		}
		s.fired.Store(false)
		if err := a.readMember(ctx, s); err != nil {
			return err
		}
	}
	return a.readOffers(ctx)
}

// names lists the nodes of the instances. A list that is not there is watched until it is: consumers do not make it.
func (a *application) names(ctx context.Context) ([]string, error) {
	leave, err := a.r.turn(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	names, err := a.r.zk.Children(ctx, a.path, a.list.Watch)
	for errors.Is(err, zk.ErrNoNode) {
		var found bool
		if _, found, err = a.r.zk.Exists(ctx, a.path, a.list.Watch); err != nil || !found {
			return nil, err
		}
		names, err = a.r.zk.Children(ctx, a.path, a.list.Watch)
	}
	return names, err
}

// seat makes the members those of the list.
func (a *application) seat(names []string) {
	for node, s := range a.members {
		if !slices.Contains(names, node) {
			s.stop()
			delete(a.members, node)
		}
	}
	for _, node := range names {
		if !strings.Contains(node, ":") {
			continue // dubbo-go's descriptions, where a group holds everything
		}
		if a.members[node] == nil && len(a.members) < maxMembers {
			a.members[node] = &seat{node: node, watched: watch(a.change)}
		}
	}
}

// readMember reads what an instance says of itself.
func (a *application) readMember(ctx context.Context, s *seat) error {
	leave, err := a.r.turn(ctx)
	if err != nil {
		return err
	}
	defer leave()
	data, _, found, err := a.r.get(ctx, a.path+"/"+s.node, s.Watch)
	if err != nil {
		return err
	}
	s.read, s.member, s.err, s.paper, s.offers = true, nil, nil, nil, nil
	if !found {
		return nil // the list will say so
	}
	if s.member, s.err = parseMember(data); s.err != nil {
		s.err = fmt.Errorf("instance %s of %s: %w", s.node, a.name, s.err)
	}
	return nil
}
