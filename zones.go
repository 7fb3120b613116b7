package ferry

import (
	"errors"
	"fmt"
	"strings"

	"github.com/ferryrpc/ferry/cluster"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/url"
)

// RegistryParams are the parameters of a registry's URL that choose among several, as Dubbo does it: a call goes to the
// preferred registry, else to one of the caller's zone, else by weight, and in each case only to one that has a provider
// that can be called.
type RegistryParams struct {
	Preferred bool   `url:"preferred" doc:"of several registries, ask this one first"`
	Zone      string `url:"zone" doc:"where the registry's providers are; callers of the same zone prefer it"`
	Weight    int    `url:"weight" default:"100" doc:"share of the calls among registries that are neither preferred nor in the caller's zone"`
}

// zoneParams are what a consumer says about itself.
type zoneParams struct {
	Zone  string `url:"registry.zone" doc:"zone of this consumer, where a call has no attachment registry_zone; registries of that zone are preferred"`
	Force bool   `url:"registry.zone.force" doc:"fail rather than call another zone, where a call has no attachment registry_zone_force"`
}

// zones is the Invoker over all registries of the reference.
func (ref *Reference) zones(u *url.URL) (protocol.Invoker, error) {
	if len(ref.sources) == 1 {
		return ref.sources[0].mock, nil
	}
	var own zoneParams
	if err := u.Decode(&own); err != nil {
		return nil, err
	}
	list := make([]cluster.Zone, len(ref.sources))
	for i, s := range ref.sources {
		var p RegistryParams
		if err := s.place.Decode(&p); err != nil {
			return nil, fmt.Errorf("registry %s://%s: %w", s.place.Scheme(), s.place.Address(), err)
		}
		list[i] = cluster.Zone{Invoker: s.mock, Available: s.available, Preferred: p.Preferred, Name: p.Zone, Weight: p.Weight,
			Place: s.place.Scheme() + "://" + strings.Join(s.place.Addresses(), ",")}
	}
	return cluster.NewZoneAware(list, own.Zone, own.Force), nil
}

// registries reads one or several URLs, separated by semicolons or, as in Dubbo, by vertical bars.
func registries(list string) ([]*url.URL, error) {
	var out []*url.URL
	for _, text := range splitRegistries(list) {
		u, err := url.Parse(text)
		if err != nil {
			return nil, err
		}
		if strings.ContainsAny(strings.Join(u.Addresses(), ","), ";|") {
			return nil, fmt.Errorf("registry list %s://%s: want scheme://host:port behind each separator", u.Scheme(), u.Address())
		}
		for _, other := range out {
			if other.Equal(u) {
				return nil, fmt.Errorf("registry %s://%s is named twice", u.Scheme(), u.Address())
			}
		}
		out = append(out, u)
	}
	if len(out) > cluster.MostZones {
		return nil, fmt.Errorf("%d registries, at most %d are allowed", len(out), cluster.MostZones)
	}
	if len(out) == 0 {
		return nil, errors.New("no registry in " + list)
	}
	return out, nil
}

// splitRegistries cuts where a separator is followed by another scheme, since a password may have one too.
func splitRegistries(list string) []string {
	var out []string
	begin := 0
	for i := 0; i < len(list); i++ {
		if list[i] != ';' && list[i] != '|' {
			continue
		}
		rest := strings.TrimLeft(list[i+1:], " \t\n;|")
		scheme, _, ok := strings.Cut(rest, "://")
		if rest == "" || ok && !strings.ContainsAny(scheme, ";|?&=/@ ") {
			out = append(out, strings.TrimSpace(list[begin:i]))
			begin = len(list) - len(rest)
			i = begin - 1
		}
	}
	if last := strings.TrimSpace(list[begin:]); last != "" {
		out = append(out, last)
	}
	return out
}
