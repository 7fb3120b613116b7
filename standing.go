package ferry

import (
	"strings"

	"github.com/ferryrpc/ferry/monitor"
	"github.com/ferryrpc/ferry/registry"
)

// Standings tells for each service and registry whether it is registered there. The monitor's pages show the same.
func (s *Server) Standings() []monitor.Standing {
	s.mu.Lock()
	exporters := append([]*exported(nil), s.exporters...)
	s.mu.Unlock()
	var out []monitor.Standing
	for _, e := range exporters {
		e.mu.Lock()
		entries := append([]*entry(nil), e.entries...)
		e.mu.Unlock()
		for _, x := range entries {
			e.mu.Lock()
			u := x.published
			e.mu.Unlock()
			if u == nil {
				continue
			}
			st := monitor.Standing{Side: monitor.Provider, Service: u.Service(), Address: u.Address(), Registry: strings.Join(x.place.Addresses(), ",")}
			if o, ok := x.registry.(registry.Observer); ok {
				st.Registered = o.Registered()[u.String()]
			}
			out = append(out, st)
		}
	}
	return out
}

// Standings tells for each reference and registry where its list comes from, how old it is, how many providers it has and
// how many of them are set aside, and what is left of the retry budget.
// The monitor's pages show the same.
func (c *Client) Standings() []monitor.Standing {
	c.mu.Lock()
	refs := append([]*Reference(nil), c.references...)
	c.mu.Unlock()
	var out []monitor.Standing
	for _, ref := range refs {
		for _, s := range ref.sources {
			state := s.directory.State()
			st := monitor.Standing{Side: monitor.Consumer, Service: ref.url.Service(), Registry: strings.Join(s.place.Addresses(), ","),
				Source: state.Source.String(), At: state.At, Err: state.Err}
			budget := s.directory.Budget().State()
			st.RetriesLeft, st.RetriesRefused = budget.Left, budget.Refused
			for _, p := range s.directory.Providers() {
				if p.SetAside {
					st.SetAside++
				}
			}
			for _, u := range state.URLs {
				if registry.Category(u) == registry.Providers {
					st.Providers++
				}
			}
			out = append(out, st)
		}
	}
	return out
}
