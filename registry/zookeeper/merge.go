package zookeeper

import (
	"github.com/ferryrpc/ferry/registry"
	"github.com/ferryrpc/ferry/url"
)

// A choice is the URL by which a provider was passed on, with what its application said of it at that time.
type choice struct {
	parsed
	offered string // empty when no application named it
}

// merge joins what stands under the interface with what applications offer. A provider that is in both lists is passed on
// as the interface has it, which is the more complete. When it leaves, it leaves the two lists one after the other:
// its URL stays what it was until it is in neither, so that nobody takes the end for a change.
func (s *subscription) merge(listed []parsed, offered []*url.URL) []parsed {
	before := s.merged
	s.merged = make(map[string]choice, len(offered))
	texts := make(map[string]parsed, len(offered))
	for _, u := range offered {
		texts[place(u)] = parsed{url: u, text: u.String()}
	}
	for _, p := range listed {
		if registry.Category(p.url) == registry.Providers {
			s.merged[place(p.url)] = choice{p, texts[place(p.url)].text}
		}
	}
	all := listed
	for key, p := range texts {
		if _, both := s.merged[key]; both {
			continue
		}
		if last, ok := before[key]; ok && last.offered == p.text {
			p = last.parsed
		}
		s.merged[key] = choice{p, texts[key].text}
		all = append(all, p)
	}
	return all
}

// place is what a provider is in both lists: a service of one protocol at one address.
func place(u *url.URL) string { return u.Scheme() + "|" + u.Address() + "|" + u.Service() }
