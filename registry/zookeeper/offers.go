package zookeeper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/ferryrpc/ferry/serialize"
	"github.com/ferryrpc/ferry/url"
)

const (
	askTime     = 3 * time.Second // for asking one provider for its description
	mostAsked   = 3               // providers that are asked for one description
	metadataAPI = "org.apache.dubbo.metadata.MetadataService"
)

// AskWith implements registry.Asker.
func (r *Registry) AskWith(ask func(ctx context.Context, service *url.URL, revision string) (any, error)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ask = ask
}

// readOffers finds the description of each member, and forgets those that nobody has any more.
func (a *application) readOffers(ctx context.Context) error {
	used := map[string][]*seat{}
	for _, s := range a.members {
		if s.member == nil || s.err != nil && s.paper == nil {
			continue
		}
		if revision := s.member.revision(); revision != "" {
			used[revision] = append(used[revision], s)
		}
	}
	for revision, p := range a.shared {
		if used[revision] == nil {
			p.stop()
			delete(a.shared, revision)
		}
	}
	for revision, seats := range used {
		p := a.shared[revision]
		if p == nil {
			p = &sharedPaper{watched: watch(a.change)}
			a.shared[revision] = p
		}
		if p.text == nil {
			p.fired.Store(false)
			if err := a.fetch(ctx, p, revision, seats); err != nil {
				return err
			}
		}
		for _, s := range seats {
			a.offer(s, p)
		}
	}
	return nil
}

// fetch reads a description where the registry has it, or else asks those who wrote it.
func (a *application) fetch(ctx context.Context, p *sharedPaper, revision string, seats []*seat) error {
	if !goodName(revision) {
		p.err = fmt.Errorf("revision %q of %s is no name", revision, a.name)
		return nil
	}
	leave, err := a.r.turn(ctx)
	if err != nil {
		return err
	}
	var data []byte
	for _, path := range a.r.descriptionPaths(a.name, revision) {
		if len(data) == 0 && err == nil {
			data, _, _, err = a.r.get(ctx, path, p.Watch)
		}
	}
	leave()
	if err != nil {
		return err
	}
	if len(data) > 0 {
		p.text, p.err = parseDescription(data)
	} else if p.text, p.err = nil, fmt.Errorf("revision %s is not described", revision); seats[0].member.Payload.Metadata[keyStorage] != remote {
		p.text, p.err = a.ask(ctx, revision, seats)
	}
	if p.err != nil {
		p.text, p.err = nil, fmt.Errorf("application %s: %w", a.name, p.err)
	}
	return nil
}

// ask calls Dubbo's MetadataService of one or another of the providers.
func (a *application) ask(ctx context.Context, revision string, seats []*seat) (d *description, err error) {
	a.r.mu.Lock()
	ask := a.r.ask
	a.r.mu.Unlock()
	if ask == nil {
		return nil, fmt.Errorf("revision %s is described by its providers alone", revision)
	}
	for _, s := range seats[:min(len(seats), mostAsked)] {
		var u *url.URL
		if u, err = s.member.metadataService(a.name); err != nil {
			continue
		}
		limited, cancel := context.WithTimeout(ctx, askTime)
		var answer any
		answer, err = ask(limited, u, revision)
		cancel()
		if err != nil {
			err = fmt.Errorf("ask %s: %w", u.Address(), err)
			continue
		}
		if d, err = descriptionOf(answer); err == nil {
			return d, nil
		}
	}
	return nil, err
}

// metadataService is where an instance says what it offers.
func (m *member) metadataService(app string) (*url.URL, error) {
	var params map[string]string
	if text := m.Payload.Metadata[keyService]; text != "" {
		if err := json.Unmarshal([]byte(text), &params); err != nil {
			return nil, fmt.Errorf("%s: %w", keyService, err)
		}
	}
	port, scheme := params["port"], params["protocol"]
	if port == "" {
		port = strconv.Itoa(m.Port)
	}
	if scheme == "" {
		scheme = "dubbo"
	}
	version := params["version"]
	if version == "" {
		version = "1.0.0"
	}
	return url.Parse(url.New(scheme, net.JoinHostPort(m.Address, port), metadataAPI).With("interface", metadataAPI).
		With("group", app).With("version", version).String())
}

// offer gives a member what its description says.
func (a *application) offer(s *seat, p *sharedPaper) {
	if s.paper == p && s.offers != nil {
		return
	}
	s.paper, s.offers, s.err = p, nil, p.err
	if p.text == nil {
		return
	}
	for _, key := range slices.Sorted(maps.Keys(p.text.Services)) {
		s.offers = append(s.offers, p.text.Services[key].at(s.member))
	}
}

// descriptionOf reads what a MetadataService answers.
func descriptionOf(answer any) (*description, error) {
	v, err := serialize.Generalize(answer)
	if err != nil {
		return nil, err
	}
	m, ok := v.(map[any]any)
	if !ok {
		return nil, fmt.Errorf("answered with %T and no description", answer)
	}
	services, ok := m["services"].(map[any]any)
	if !ok {
		return nil, errors.New("answered without services")
	}
	d := &description{App: text(m["app"]), Revision: text(m["revision"]), Services: map[string]*offer{}}
	for key, value := range services {
		s, _ := value.(map[any]any)
		o := &offer{Name: text(s["name"]), Group: text(s["group"]), Version: text(s["version"]), Protocol: text(s["protocol"]),
			Path: text(s["path"]), Params: map[string]string{}}
		switch port := s["port"].(type) {
		case int32:
			o.Port = int(port)
		case int64:
			o.Port = int(port)
		}
		params, _ := s["params"].(map[any]any)
		for k, p := range params {
			o.Params[text(k)] = text(p)
		}
		d.Services[text(key)] = o
	}
	return d, d.check()
}

func text(v any) string {
	s, _ := v.(string)
	return s
}
