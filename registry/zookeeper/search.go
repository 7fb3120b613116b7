package zookeeper

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/ferryrpc/ferry/registry"
	"github.com/ferryrpc/ferry/url"
)

// A search finds, for one subscription, the instances of all applications that offer its service.
type search struct {
	r       *Registry
	service *url.URL
	wake    func()
	fixed   bool // the applications are named by the consumer

	mu     sync.Mutex // guards the following; taken before r.mu
	mapped bool       // it is known which applications there are
	over   bool
	apps   map[string]*application
}

// newSearch follows the list of applications of a service, or those that the consumer names (provided-by).
func (r *Registry) newSearch(ctx context.Context, service *url.URL, wake func()) *search {
	s := &search{r: r, service: service, wake: wake, apps: map[string]*application{}}
	if named := service.Param("provided-by"); named != "" {
		s.fixed = true
		s.choose([]byte(named))
		return s
	}
	if name := service.Interface(); goodName(name) {
		r.wg.Go(func() { r.follow(ctx, "applications", r.mappingPath(name), s.choose) }) // Add is safe: the caller is one of wg's
	}
	return s
}

// choose makes the applications those of a list.
func (s *search) choose(text []byte) {
	names := parseMapping(text)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	if s.r.closed {
		return
	}
	for name, a := range s.apps {
		if !slices.Contains(names, name) {
			s.r.partLocked(a, s)
			delete(s.apps, name)
		}
	}
	for _, name := range names {
		if s.apps[name] == nil {
			s.apps[name] = s.r.joinLocked(name, s)
		}
	}
	s.mapped = true
	s.wake()
}

// settled says whether all applications have been read.
func (s *search) settled() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.apps {
		if a.state.Load() == nil {
			return false
		}
	}
	return s.mapped
}

// found is what the applications offer of the service, and why some of it may be missing.
func (s *search) found() (list []*url.URL, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(s.apps)) {
		state := s.apps[name].state.Load()
		if state == nil {
			continue
		}
		if err == nil {
			err = state.err
		}
		for _, m := range state.members {
			for _, u := range m.offers {
				if registry.Wants(s.service, u) {
					list = append(list, u)
				}
			}
		}
	}
	slices.SortFunc(list, func(a, b *url.URL) int { return strings.Compare(a.String(), b.String()) })
	return list, err
}

func (s *search) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	for _, a := range s.apps {
		s.r.partLocked(a, s)
	}
	clear(s.apps)
}
