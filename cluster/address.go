package cluster

import (
	"github.com/ferryrpc/ferry/loadbalance"
	"github.com/ferryrpc/ferry/protocol"
)

// All returns all providers of the list, those set aside included, for clusters that do not choose but look for one. Nobody changes
// the slice.
func (s *Snapshot) All() []*loadbalance.Target {
	if len(s.aside) == 0 {
		return s.Targets
	}
	return append(s.Targets[:len(s.Targets):len(s.Targets)], s.aside...)
}

// Address returns the provider at an address as the registry knows it, also when it is set aside, or nil.
func (s *Snapshot) Address(address string) *loadbalance.Target {
	for _, list := range [][]*loadbalance.Target{s.Targets, s.aside} {
		for _, t := range list {
			switch {
			case t.Published != nil:
				if t.Published.Address() == address {
					return t
				}
			case t.Ref.URL() != nil && t.Ref.URL().Address() == address:
				return t
			}
		}
	}
	return nil
}

// NoProvider is the error of a call for which nobody is left. Nothing was sent.
func (s *Snapshot) NoProvider(c *protocol.Invocation) *protocol.Error { return s.noProvider(c) }
