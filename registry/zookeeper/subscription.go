package zookeeper

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ferryrpc/ferry/internal/zk"
	"github.com/ferryrpc/ferry/registry"
	"github.com/ferryrpc/ferry/url"
)

// A subscription delivers the lists of one service to one notify. All of it belongs to its goroutine.
type subscription struct {
	r          *Registry
	service    *url.URL
	key        string // in the cache file
	notify     func(registry.State)
	categories []*category
	search     *search // among applications; nil when there is none
	merged     map[string]choice
	wake       chan struct{} // one place: a category changed
	connection int64         // the one that the list was read on
	pace       time.Duration // from a change to reading; more for a list that changes all the time
	took       time.Duration // the last reading

	told bool
	last registry.State // what notify was told
	live bool           // a list has been read from the registry
	at   time.Time      // when
}

// A category is one list of children.
type category struct {
	path    string
	lasting bool // only entries that outlive their processes count: all others are found by application
	rules   bool // somebody waits for its changes to take effect
	watch   *zk.Watch
	changed atomic.Bool
	names   map[string]parsed // the children as they were read last
}

// A parsed is what a node's name says. Names are kept from one reading to the next, so that a change of one among
// thousands costs one parse, and the others keep their URLs.
type parsed struct {
	url  *url.URL // nil when the subscription does not want it
	text string
	err  error
}

// Subscribe delivers the lists that match service until ctx ends. See registry.Registry. The interface * is an error:
// watching everything is for tools, not for consumers.
func (r *Registry) Subscribe(ctx context.Context, service *url.URL, notify func(registry.State)) error {
	if i := service.Interface(); i == "" || i == "*" {
		return fmt.Errorf("zookeeper: subscribe %s: want one interface", brief(service))
	}
	s := &subscription{r: r, service: service, notify: notify, wake: make(chan struct{}, 1)}
	names := registry.Categories(service)
	s.key = service.Service() + "|" + strings.Join(names, ",")
	poke := func() {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
	for _, name := range names {
		c := &category{path: r.servicePath(service) + "/" + name, lasting: name == registry.Providers && !r.byInterface(),
			rules: name == registry.Configurators || name == registry.Routers}
		c.changed.Store(true)
		c.watch = zk.NewWatch(func(zk.Event) {
			c.changed.Store(true)
			poke()
		})
		s.categories = append(s.categories, c)
	}
	return r.begin(func() {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(r.ctx, cancel)()
		if r.byApplication() && slices.Contains(names, registry.Providers) {
			s.search = r.newSearch(ctx, service, poke)
			defer s.search.close()
		}
		s.run(ctx)
	})
}

func (s *subscription) run(ctx context.Context) {
	defer func() {
		for _, c := range s.categories {
			c.watch.Stop()
		}
	}()
	for ctx.Err() == nil {
		began := time.Now()
		err := s.patiently(ctx)
		if err != nil && ctx.Err() == nil {
			s.stale(ctx, err)
			if s.r.online(ctx) {
				pause(ctx, s.r.comeback())
			}
			began = time.Now()
			err = s.read(ctx)
		}
		switch {
		case ctx.Err() != nil:
			return
		case err != nil: // an answer, but not a list
			s.stale(ctx, err)
			pause(ctx, s.r.p.Retry)
			continue
		}
		s.took = time.Since(began)
		if !s.live {
			s.settle(ctx)
		}
		s.live, s.at = true, s.r.env.Time()
		s.connection = s.r.zk.Status().Connection
		s.fresh(ctx)
		select {
		case <-s.wake:
			s.rest(ctx, time.Since(began))
		case <-ctx.Done():
		}
	}
}

// rest waits after a change before the list is read again, since changes come in groups: of this list, when a fleet
// restarts, and of all lists, when the connection was lost. quiet is how long the list had not changed before.
func (s *subscription) rest(ctx context.Context, quiet time.Duration) {
	if !s.r.lostSince(s.connection) {
		if s.pace == 0 || quiet > 2*s.pace {
			s.pace = batch
		} else {
			s.pace = max(min(2*s.pace, calm), min(share*s.took, longestCalm))
		}
		s.linger(ctx)
		return
	}
	short, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	if s.r.online(short); !s.r.zk.Status().Connected && ctx.Err() == nil {
		s.stale(ctx, zk.ErrDisconnected)
	}
	s.r.back(ctx)
}

// linger waits for the list's pace, or less when a rule comes.
func (s *subscription) linger(ctx context.Context) {
	end := timer(s.pace)
	defer end.Stop()
	for {
		if slices.ContainsFunc(s.categories, func(c *category) bool { return c.rules && c.changed.Load() }) {
			pause(ctx, batch)
			return
		}
		select {
		case <-end.C:
			return
		case <-s.wake: // reading looks at what changed anyway
		case <-ctx.Done():
			return
		}
	}
}

// patiently reads, but gives up when the servers do not answer for a while, and the first time as soon as they are known
// not to.
func (s *subscription) patiently(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	if !s.told {
		s.r.wg.Go(func() {
			for ctx.Err() == nil {
				changed := s.r.zk.Changed()
				if s.r.zk.Status().Err != nil {
					cancel()
				}
				select {
				case <-changed:
				case <-ctx.Done():
				}
			}
		})
	}
	return s.read(ctx)
}

// read lists the categories that changed.
func (s *subscription) read(ctx context.Context) error {
	for _, c := range s.categories {
		if !c.changed.Swap(false) {
			continue
		}
		names, err := s.r.list(ctx, c)
		if err != nil {
			c.changed.Store(true)
			return err
		}
		s.parse(c, names)
	}
	return nil
}

// settle waits until the applications are read as well, so that the first list is a whole one, but not for long: what
// stands under the interface is good without them.
func (s *subscription) settle(ctx context.Context) {
	if s.search == nil {
		return
	}
	defer s.search.wake() // which may have been for a list, while this took it
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	for !s.search.settled() {
		select {
		case <-s.wake:
		case <-ctx.Done():
			return
		}
	}
}

// list reads the children of a category, which is made when it is missing, as a list that is not there cannot be watched.
func (r *Registry) list(ctx context.Context, c *category) ([]string, error) {
	leave, err := r.turn(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	if c.lasting {
		return r.listWhenThere(ctx, c)
	}
	names, err := r.zk.Children(ctx, c.path, c.watch)
	for try := 0; errors.Is(err, zk.ErrNoNode) && try < 3; try++ {
		if _, err = r.zk.Create(ctx, zk.Node{Path: c.path, Parents: true}); errors.Is(err, zk.ErrNoAuth) {
			return r.listWhenThere(ctx, c)
		}
		names, err = r.zk.Children(ctx, c.path, c.watch)
	}
	return names, err
}

// listWhenThere is for users who may not or need not write: the watch tells when somebody else makes the category.
func (r *Registry) listWhenThere(ctx context.Context, c *category) ([]string, error) {
	_, found, err := r.zk.Exists(ctx, c.path, c.watch)
	if err != nil || !found {
		return nil, err
	}
	return r.zk.Children(ctx, c.path, c.watch)
}

// parse reads the names that were not there before.
func (s *subscription) parse(c *category, names []string) {
	before := c.names
	c.names = make(map[string]parsed, len(names))
	for _, name := range names {
		p, ok := before[name]
		if !ok {
			p = s.parseName(name)
			if p.url != nil && c.lasting && p.url.Param("dynamic") != "false" {
				p = parsed{}
			}
		}
		c.names[name] = p
	}
}

func (s *subscription) parseName(name string) parsed {
	text, err := url.Decode(name)
	if err != nil {
		return parsed{err: err}
	}
	u, err := url.Parse(text)
	if err != nil {
		return parsed{err: err}
	}
	if !registry.Wants(s.service, u) {
		return parsed{}
	}
	return parsed{url: u, text: text}
}

// fresh tells of what was read.
func (s *subscription) fresh(ctx context.Context) {
	var all []parsed
	var first error
	entries, bad := 0, 0
	for _, c := range s.categories {
		entries += len(c.names)
		for _, p := range c.names {
			if p.err != nil {
				if bad++; first == nil || p.err.Error() < first.Error() { // the same one each time
					first = p.err
				}
			}
			if p.url != nil {
				all = append(all, p)
			}
		}
	}
	var missing error
	if s.search != nil {
		var offered []*url.URL
		offered, missing = s.search.found()
		all = s.merge(all, offered)
	}
	slices.SortFunc(all, func(a, b parsed) int { return strings.Compare(a.text, b.text) })
	state := registry.State{At: s.at}
	texts := make([]string, len(all))
	for i, p := range all {
		state.URLs = append(state.URLs, p.url)
		texts[i] = p.text
	}
	if bad > 0 {
		state.Err = fmt.Errorf("zookeeper: %d of %d entries of %s cannot be read: %w", bad, entries, s.service.Interface(), first)
	}
	if missing != nil {
		state.Err = errors.Join(state.Err, fmt.Errorf("zookeeper: instances of %s: %w", s.service.Interface(), missing))
	}
	if s.r.cache != nil {
		s.r.cache.put(s.key, texts, s.at)
	}
	s.tell(ctx, state)
}

// stale tells that the registry does not answer, with the best list there is.
func (s *subscription) stale(ctx context.Context, err error) {
	state := registry.State{Source: registry.Memory, URLs: s.last.URLs, At: s.at, Err: s.reason(err)}
	if !s.live {
		state.URLs, state.At = nil, time.Time{}
		if s.r.cache != nil {
			if texts, at, ok := s.r.cache.get(s.key); ok {
				state.Source, state.At = registry.File, at
				state.URLs = s.recall(texts)
			}
		}
	}
	s.tell(ctx, state)
}

// recall reads the URLs of the cache file.
func (s *subscription) recall(texts []string) []*url.URL {
	var urls []*url.URL
	for _, text := range texts {
		u, err := url.Parse(text)
		switch {
		case err != nil:
			s.r.cache.warn("zookeeper: cache file has an entry that cannot be read", fmt.Errorf("under %s: %w", s.key, err))
		case registry.Wants(s.service, u):
			urls = append(urls, u)
		}
	}
	return urls
}

// reason says in one line why there is no list.
func (s *subscription) reason(err error) error {
	if status := s.r.zk.Status(); !status.Connected && status.Err != nil {
		err = status.Err
	}
	return fmt.Errorf("zookeeper: list %s at %s: %w", s.service.Interface(), s.r.zk.Addresses(), err)
}

// tell passes a state on, unless notify knows it. The reasons for which an old list is one change all the time during an outage;
// only that the list is too large is news.
func (s *subscription) tell(ctx context.Context, state registry.State) {
	large := errors.Is(state.Err, zk.ErrTooLarge) && !errors.Is(s.last.Err, zk.ErrTooLarge)
	same := s.told && state.Source == s.last.Source && slices.Equal(state.URLs, s.last.URLs) &&
		(state.Err == nil) == (s.last.Err == nil) && (state.Source != registry.Live && !large || sameText(state.Err, s.last.Err))
	if same || ctx.Err() != nil {
		return
	}
	s.told, s.last = true, state
	state.URLs = slices.Clone(state.URLs)
	s.notify(state)
}

func sameText(a, b error) bool {
	return a == nil && b == nil || a != nil && b != nil && a.Error() == b.Error()
}
