package zookeeper

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/ferryrpc/ferry/registry"
	"github.com/ferryrpc/ferry/url"
)

// published is a URL that was given to Register, with what keeps it in the tree.
type published struct {
	url      *url.URL
	node     *entry // under the interface; nil when it is not there
	instance *entry // of its application; nil when it has none
}

// Register publishes service until Unregister or Close. See registry.Registry. A URL with dynamic=false becomes a
// persistent node, and is not published with its application: an instance is there only as long as its process.
func (r *Registry) Register(ctx context.Context, service *url.URL) error {
	service = service.WithoutUser()
	if service.Interface() == "" || service.Interface() == "*" {
		return fmt.Errorf("zookeeper: register %s: no interface", brief(service))
	}
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return ErrClosed
	}
	p := r.publishLocked(service)
	r.mu.Unlock()
	err := r.await(ctx, p)
	if err != nil && r.checks(service) {
		r.mu.Lock()
		if r.published[service.String()] == p {
			r.withdrawLocked(p)
		}
		r.mu.Unlock()
	}
	if err != nil {
		return fmt.Errorf("zookeeper: register %s: %w", brief(service), err)
	}
	return nil
}

// publishLocked wants service to be in the tree. r.mu must be held.
func (r *Registry) publishLocked(service *url.URL) *published {
	text := service.String()
	p := &published{url: service} // never changed once it is in the map, as others wait for an earlier one without the lock
	lasting := service.Param("dynamic") == "false"
	app := r.application(service)
	provider := registry.Category(service) == registry.Providers && service.Port() > 0
	if provider && app != "" && !lasting && r.byApplication() {
		p.instance = r.instanceLocked(app, service)
	}
	if r.byInterface() || p.instance == nil {
		if p.node = r.entries[text]; p.node == nil {
			path := r.entryPath(service)
			p.node = r.newEntryLocked(text, path, !lasting, func(wake func()) content { return newNode(r, path, !lasting, wake) })
		} else {
			p.node.wantLocked(true)
		}
	}
	r.published[text] = p
	return p
}

// instanceLocked adds a service to those of its instance. r.mu must be held.
func (r *Registry) instanceLocked(app string, service *url.URL) *entry {
	address := net.JoinHostPort(service.Host(), strconv.Itoa(service.Port()))
	path := r.services + "/" + url.Encode(app) + "/" + address
	e := r.entries[path]
	if e == nil {
		e = r.newEntryLocked(path, path, true, func(wake func()) content { return newInstance(r, app, path, service, wake) })
	}
	if i := e.content.(*instance); i.addLocked(service) || !e.want {
		e.renewLocked()
	}
	return e
}

// withdrawLocked takes it back. r.mu must be held.
func (r *Registry) withdrawLocked(p *published) {
	delete(r.published, p.url.String())
	if p.node != nil {
		p.node.wantLocked(false)
	}
	if p.instance == nil {
		return
	}
	if i := p.instance.content.(*instance); i.dropLocked(p.url) > 0 {
		p.instance.renewLocked()
	} else {
		p.instance.wantLocked(false)
	}
}

// application is the name under which a service's process is known; empty when it has none that can be a node.
func (r *Registry) application(service *url.URL) string {
	app := service.Param("application")
	if app == "" {
		app = r.p.Application
	}
	if !goodName(app) {
		return ""
	}
	return app
}

// await waits until p is proved, or refused by the servers' final word. Where a service is published both ways, missing
// rights to publish its application do not count.
func (r *Registry) await(ctx context.Context, p *published) error {
	if p.node != nil {
		if err := p.node.await(ctx); err != nil {
			return err
		}
	}
	if p.instance == nil {
		return nil
	}
	err := p.instance.await(ctx)
	if p.node != nil && refused(err) {
		r.log().Warn("zookeeper: published by interface only", "service", brief(p.url), "cause", err)
		return nil
	}
	return err
}

func (r *Registry) checks(service *url.URL) bool {
	if text, ok := service.Lookup("check"); ok {
		return text == "true"
	}
	return r.p.Check
}

// Unregister takes service away. When ctx ends first it goes on trying.
func (r *Registry) Unregister(ctx context.Context, service *url.URL) error {
	service = service.WithoutUser()
	r.mu.Lock()
	p := r.published[service.String()]
	if p == nil {
		r.mu.Unlock()
		return nil
	}
	r.withdrawLocked(p)
	shared := p.instance != nil && p.instance.want
	r.mu.Unlock()
	var err error
	if p.node != nil {
		err = p.node.gone(ctx)
	}
	if p.instance != nil && shared {
		if e := p.instance.await(ctx); !refused(e) && !errors.Is(e, errUnregistered) {
			err = errors.Join(err, e)
		}
	} else if p.instance != nil {
		err = errors.Join(err, p.instance.gone(ctx))
	}
	if err != nil {
		return fmt.Errorf("zookeeper: unregister %s: %w", brief(service), err)
	}
	return nil
}

// gone waits until the entry is no more.
func (e *entry) gone(ctx context.Context) error {
	select {
	case <-e.done:
		return nil
	case <-ctx.Done():
		return e.cause(context.Cause(ctx))
	}
}

// Registered returns each registered URL with whether its entries are proved to be there and ours.
func (r *Registry) Registered() map[string]bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make(map[string]bool, len(r.published))
	for text, p := range r.published {
		out[text] = (p.node == nil || p.node.proved) && (p.instance == nil || p.instance.proved || p.node != nil && refused(p.instance.err))
	}
	return out
}
