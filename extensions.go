package ferry

import (
	"github.com/ferryrpc/ferry/cluster"
	"github.com/ferryrpc/ferry/coordination/idempotent"
	"github.com/ferryrpc/ferry/coordination/ordered"
	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/filter"
	"github.com/ferryrpc/ferry/loadbalance"
	"github.com/ferryrpc/ferry/monitor"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/protocol/inproc"
	"github.com/ferryrpc/ferry/registry"
	"github.com/ferryrpc/ferry/serialize"
	"github.com/ferryrpc/ferry/transport"
)

// Extensions are all implementations that the URLs of a Client or Server choose among, by name. Add your own before the
// first Refer or Export. A Client and a Server may share one: they are one application then, and a service that both have
// is called inside the process (see scopeParams).
type Extensions struct {
	Protocols   extension.Point[protocol.Protocol]    // by the scheme of a provider's URL
	Registries  extension.Point[registry.Registry]    // by the scheme of the registry's URL
	Clusters    extension.Point[cluster.Cluster]      // parameter cluster
	Balancers   extension.Point[loadbalance.Balancer] // parameter loadbalance
	Transports  extension.Point[transport.Transport]  // parameters transport and client
	Serializers extension.Point[serialize.Serializer] // parameters serialization and prefer.serialization
	// ClusterFilters run once per call of a consumer, ReferenceFilters once per attempt, ServiceFilters around a provider's
	// service. The parameter lists names behind the built-in ones; -name takes one out.
	ClusterFilters   extension.Point[protocol.Filter] // parameter filter
	ReferenceFilters extension.Point[protocol.Filter] // parameter reference.filter
	ServiceFilters   extension.Point[protocol.Filter] // parameter service.filter
	// Mocks are stand-ins for services, by the name that the parameter mock gives; Extensions.Mock adds one.
	Mocks extension.Point[protocol.Invoker]
	// Validators look at the arguments of calls, by the name that the parameter validation gives.
	Validators extension.Point[filter.Validator]

	// Idempotent is what recorded calls are made of: stores by the name that the parameter idempotent gives, resolvers, and who
	// a caller is.
	Idempotent idempotent.Setup

	// Ordered is what services with ordered calls are made of: stores by the name that the parameter ordered.store gives.
	Ordered ordered.Setup

	// Types maps Java class names to Go types for all formats.
	Types *serialize.Types
	// Monitor counts calls.
	Monitor *monitor.Counters

	local  *inproc.Protocol // nil in a set that Builtin did not make
	params []any            // samples of tagged structs that belong to no named implementation
}

// Declare makes the tagged parameters of a struct known, for an extension that reads more than its own Params sample shows.
func (x *Extensions) Declare(sample any) { x.params = append(x.params, sample) }
