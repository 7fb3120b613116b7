package zookeeper

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/ferryrpc/ferry/internal/zk"
	"github.com/ferryrpc/ferry/url"
)

// An instance is this process as a member of an application, at one address: what its services are (a description,
// which all instances that offer the same share), where it is (a member), and which interfaces it serves (mappings). They
// are proved in this order, so that whoever sees one finds what it leads to.
type instance struct {
	r          *Registry
	app        string
	wake       func()
	registered int64

	services map[string]*url.URL // by text; guarded by r.mu

	// The following belong to the entry's goroutine.
	described string  // the services that the next two were made of
	shared    []*node // the description, at all its places
	own       *node   // the member
	mappings  map[string]*mapping
}

func newInstance(r *Registry, app, path string, service *url.URL, wake func()) *instance {
	i := &instance{r: r, app: app, wake: wake, registered: r.env.Time().UnixMilli(), own: newNode(r, path, true, wake),
		services: map[string]*url.URL{service.String(): service}, mappings: map[string]*mapping{}}
	i.own.holds = func(data []byte) bool { return bytes.Equal(data, i.own.data) }
	return i
}

// addLocked says whether service is new. r.mu must be held.
func (i *instance) addLocked(service *url.URL) bool {
	_, known := i.services[service.String()]
	i.services[service.String()] = service
	return !known
}

// dropLocked returns how many services are left. r.mu must be held.
func (i *instance) dropLocked(service *url.URL) int {
	delete(i.services, service.String())
	return len(i.services)
}

// wanted are the services, in order.
func (i *instance) wanted() []*url.URL {
	i.r.mu.Lock()
	defer i.r.mu.Unlock()
	list := make([]*url.URL, 0, len(i.services))
	for _, u := range i.services {
		list = append(list, u)
	}
	slices.SortFunc(list, func(a, b *url.URL) int { return strings.Compare(a.String(), b.String()) })
	return list
}

// prove implements content.
func (i *instance) prove(ctx context.Context) (*zk.Generation, error) {
	services := i.wanted()
	if len(services) == 0 {
		return nil, i.own.remove(ctx)
	}
	if err := i.describe(services); err != nil {
		return nil, err
	}
	for _, n := range i.shared {
		if _, err := n.prove(ctx); err != nil {
			return nil, err
		}
	}
	gen, err := i.own.prove(ctx)
	if err != nil {
		return nil, err
	}
	for _, u := range services {
		name := u.Interface()
		m := i.mappings[name]
		if m == nil {
			m = &mapping{r: i.r, app: i.app, path: i.r.mappingPath(name), watched: watch(i.wake)}
			i.mappings[name] = m
		}
		if err := m.prove(ctx); err != nil {
			return nil, err
		}
	}
	return gen, nil
}

// describe makes the data of the nodes, unless they are made of these services already.
func (i *instance) describe(services []*url.URL) error {
	var b strings.Builder
	for _, u := range services {
		b.WriteString(u.String() + "\n")
	}
	if b.String() == i.described {
		return nil
	}
	d := describe(i.app, services)
	text, err := json.Marshal(d)
	if err != nil {
		return err
	}
	own, err := json.Marshal(newMember(i.app, d.Revision, services[0], i.registered))
	if err != nil {
		return err
	}
	if paths := i.r.descriptionPaths(i.app, d.Revision); len(i.shared) == 0 || i.shared[0].path != paths[0] {
		for _, n := range i.shared {
			n.stop()
		}
		i.shared = nil
		for _, path := range paths {
			n := newNode(i.r, path, false, i.wake)
			n.holds = func(data []byte) bool { // another version of Ferry may write it in another way
				if bytes.Equal(data, n.data) {
					return true
				}
				there, err := parseDescription(data)
				return err == nil && there.Revision == d.Revision && len(there.Services) == len(d.Services)
			}
			i.shared = append(i.shared, n)
		}
	}
	for _, n := range i.shared {
		n.data = text
	}
	i.own.data, i.described = own, b.String()
	return nil
}

// changed implements content. It is asked by the goroutine that proves.
func (i *instance) changed() bool {
	if i.own.changed() || slices.ContainsFunc(i.shared, (*node).changed) {
		return true
	}
	for _, m := range i.mappings {
		if m.changed() {
			return true
		}
	}
	return false
}

// remove implements content. The description and the mappings stay: other processes may live by them.
func (i *instance) remove(ctx context.Context) error { return i.own.remove(ctx) }

// stop implements content.
func (i *instance) stop() {
	i.own.stop()
	for _, n := range i.shared {
		n.stop()
	}
	for _, m := range i.mappings {
		m.stop()
	}
}

// descriptionPaths are the nodes of a description: where Java has it, and where dubbo-go 3.3 writes it and looks for it. A
// group of one's own has the instances at the latter.
func (r *Registry) descriptionPaths(app, revision string) []string {
	paths := []string{r.root + "/metadata/" + app + "/" + revision}
	if r.services != r.root {
		paths = append(paths, r.root+"/"+app+"/"+revision)
	}
	return paths
}
