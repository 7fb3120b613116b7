package cluster

import (
	"cmp"
	"context"
	"errors"
	"math/bits"
	"math/rand/v2"
	"strings"

	"github.com/ferryrpc/ferry/protocol"
)

// The attachments with which a caller names the zone of one call (Dubbo, RegistryConstants).
const (
	ZoneAttachment      = "registry_zone"
	ZoneForceAttachment = "registry_zone_force"
)

// A Zone is the service as one of several registries offers it.
type Zone struct {
	// Invoker is the cluster over the registry's providers.
	Invoker protocol.Invoker
	// Available says whether one of them can be called now. It runs on every call.
	Available func(c *protocol.Invocation) bool
	// Preferred, Name and Weight are the registry's parameters; Place is its address, for errors.
	Preferred   bool
	Name, Place string
	Weight      int
}

// zoneAware chooses a registry for each call.
type zoneAware struct {
	zones []Zone
	own   string
	force bool
}

// NewZoneAware returns the Invoker over several registries (Dubbo, ZoneAwareClusterInvoker): a call goes to the first
// preferred registry that has a provider, else to the first of the caller's zone, else to one by weight, else to any. The
// caller's zone is the call's attachment registry_zone, or own; where registry_zone_force, or force, is true, a call that
// no preferred registry takes rather fails than goes to another zone. There are at most MostZones. A registry that has nobody left when the call arrives there is passed over, since
// nothing was sent then.
func NewZoneAware(zones []Zone, own string, force bool) protocol.Invoker {
	return &zoneAware{zones: zones, own: own, force: force}
}

// Invoke implements protocol.Invoker.
func (z *zoneAware) Invoke(ctx context.Context, c *protocol.Invocation) error {
	name, force := z.own, z.force
	if v, ok := c.Attachments.Get(ZoneAttachment); ok {
		name = v
	}
	if v, ok := c.Attachments.Get(ZoneForceAttachment); ok {
		force = v == "true"
	}
	force = force && name != ""
	var passed uint64 // registries that turned out to have nobody
	var last error
	for {
		i := z.choose(c, name, force, passed)
		if i < 0 && !force { // its error, or its mock, says more than ours could
			i = bits.TrailingZeros64(^passed)
		}
		if i < 0 || i >= len(z.zones) {
			return z.nobody(c, name, force, last)
		}
		last = z.zones[i].Invoker.Invoke(ctx, c)
		if last == nil || protocol.OutcomeOf(last) != protocol.NotSent || !errors.Is(last, ErrNoProvider) {
			return last
		}
		passed |= 1 << i
	}
}

// MostZones is how many registries a consumer may have: their indexes are bits.
const MostZones = 63

// choose returns the index of the registry for a call, or -1.
func (z *zoneAware) choose(c *protocol.Invocation, name string, force bool, passed uint64) int {
	all := z.zones
	can := func(i int) bool { return passed&(1<<i) == 0 && all[i].Available(c) }
	for i := range all {
		if all[i].Preferred && can(i) {
			return i
		}
	}
	if name != "" {
		for i := range all {
			if all[i].Name == name && can(i) {
				return i
			}
		}
	}
	if force {
		return -1
	}
	sum, first := 0, -1
	for i := range all {
		if can(i) {
			if first < 0 {
				first = i
			}
			sum += max(all[i].Weight, 0)
		}
	}
	if sum == 0 {
		return first
	}
	at := rand.IntN(sum)
	for i := range all {
		if !can(i) {
			continue
		}
		if at -= max(all[i].Weight, 0); at < 0 {
			return i
		}
	}
	return first // one became unavailable in between
}

// nobody is the error of a call that no registry has a provider for. last is what the last one said, if one was asked.
func (z *zoneAware) nobody(c *protocol.Invocation, name string, force bool, last error) error {
	e := &protocol.Error{Code: protocol.NoProvider, Outcome: protocol.NotSent, Service: c.Method.Service, Method: c.Method.Name,
		Cause: cmp.Or(last, ErrNoProvider)}
	places := make([]string, len(z.zones))
	for i, r := range z.zones {
		places[i] = r.Place
	}
	e.Message = "no provider in any of the registries " + strings.Join(places, "; ")
	if force {
		e.Message = "no provider in zone " + name + ", which the call must not leave (" + ZoneForceAttachment + "); registries: " + strings.Join(places, "; ")
	}
	return e
}
