package ferry

import (
	"fmt"

	"github.com/ferryrpc/ferry/cluster"
	"github.com/ferryrpc/ferry/coordination/idempotent"
	"github.com/ferryrpc/ferry/coordination/ordered"
	"github.com/ferryrpc/ferry/exchange"
	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/filter"
	"github.com/ferryrpc/ferry/loadbalance"
	"github.com/ferryrpc/ferry/monitor"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/protocol/dubbo"
	"github.com/ferryrpc/ferry/protocol/inproc"
	"github.com/ferryrpc/ferry/protocol/triple"
	"github.com/ferryrpc/ferry/registry/memory"
	"github.com/ferryrpc/ferry/registry/static"
	"github.com/ferryrpc/ferry/registry/zookeeper"
	"github.com/ferryrpc/ferry/serialize"
	"github.com/ferryrpc/ferry/serialize/hessian2"
	"github.com/ferryrpc/ferry/serialize/json"
	"github.com/ferryrpc/ferry/serialize/msgpack"
	"github.com/ferryrpc/ferry/serialize/protobuf"
	gnettransport "github.com/ferryrpc/ferry/transport/gnet"
	memorytransport "github.com/ferryrpc/ferry/transport/memory"
	nettransport "github.com/ferryrpc/ferry/transport/net"
	"github.com/ferryrpc/ferry/url"
)

// Builtin returns a fresh set of all implementations that come with Ferry. This file is the only one that knows them.
func Builtin() *Extensions {
	x := &Extensions{Types: &serialize.Types{}, Monitor: &monitor.Counters{}}
	x.kinds()
	x.addProtocols()
	x.addRegistries()
	x.addTransports()
	x.addSerializers()
	x.addClusters()
	x.addBalancers()
	x.addFilters()
	x.addStores()
	for _, sample := range []any{dubbo.Params{}, exchange.Params{}, exchange.ServerParams{}, cluster.SelectParams{}, cluster.OutlierParams{}, cluster.MockParams{}, cluster.TagParams{},
		loadbalance.BalancerParams{}, loadbalance.WeightParams{}, serverParams{}, checkParams{}, commonParams{}, proxyParams{}, zoneParams{}, scopeParams{}, monitor.ReporterParams{}, ordered.Params{}} {
		x.Declare(sample)
	}
	return x
}

// kinds names the points. The default of a filter point is its chain, outermost first.
func (x *Extensions) kinds() {
	x.Protocols.Kind = "protocol"
	x.Registries.Kind = "registry"
	x.Idempotent.Stores.Kind, x.Idempotent.Stores.Key = "idempotent store", "idempotent"
	x.Idempotent.Formats = &x.Serializers
	x.Mocks.Kind, x.Mocks.Key = "mock", "mock"
	x.Validators.Kind, x.Validators.Key = "validator", "validation"
	x.Clusters.Kind, x.Clusters.Key, x.Clusters.Default = "cluster", "cluster", "failover"
	x.Balancers.Kind, x.Balancers.Key, x.Balancers.Default = "balancer", "loadbalance", "random"
	x.Transports.Kind, x.Transports.Key, x.Transports.Default = "transport", "transport", "net"
	x.Serializers.Kind, x.Serializers.Key, x.Serializers.Default = "serialization", "serialization", "hessian2"
	x.ClusterFilters.Kind, x.ClusterFilters.Key, x.ClusterFilters.Default = "filter", "filter", "metrics,attachments,validation,cache"
	x.ReferenceFilters.Kind, x.ReferenceFilters.Key, x.ReferenceFilters.Default = "filter", "reference.filter", "timeout,sendtoken,actives"
	x.ServiceFilters.Kind, x.ServiceFilters.Key, x.ServiceFilters.Default = "filter", "service.filter", "metrics,recover,token,executes,tps,accesslog,validation,cache,ordered,idempotent"
	x.Ordered.Stores.Kind, x.Ordered.Stores.Key, x.Ordered.Formats = "store", "ordered.store", &x.Serializers
}

// must is for names that are written in this file.
func must(err error) {
	if err != nil {
		panic(fmt.Sprintf("ferry: builtin: %v", err))
	}
}

func add[T any](p *extension.Point[T], name string, params any, open func(extension.Env, *url.URL) (T, error)) {
	must(p.Add(name, params, open))
}

func (x *Extensions) addProtocols() {
	add(&x.Protocols, "dubbo", dubbo.Params{}, func(e extension.Env, _ *url.URL) (protocol.Protocol, error) {
		return dubbo.New(dubbo.Config{Env: e, Transports: &x.Transports, Serializers: &x.Serializers,
			ClientTransport: clientTransport, ServerTransport: serverTransport(e)}), nil
	})
	add(&x.Protocols, "tri", triple.Params{}, func(e extension.Env, _ *url.URL) (protocol.Protocol, error) {
		return triple.New(triple.Config{Env: e, Serializers: &x.Serializers})
	})
	local := inproc.New()
	x.local = local
	add(&x.Protocols, "inproc", inproc.Params{}, func(extension.Env, *url.URL) (protocol.Protocol, error) { return kept{local}, nil })
}

// kept is a Protocol that several clients and servers have; none of them closes it.
type kept struct{ protocol.Protocol }

// Close does nothing.
func (kept) Close() error { return nil }

func (x *Extensions) addRegistries() {
	add(&x.Registries, "zookeeper", zookeeper.Params{}, zookeeper.New)
	add(&x.Registries, "memory", nil, memory.New)
	add(&x.Registries, "static", static.Params{}, static.New)
}

func (x *Extensions) addTransports() {
	add(&x.Transports, "net", nettransport.Params{}, nettransport.New)
	add(&x.Transports, "gnet", gnettransport.Params{}, gnettransport.New)
	add(&x.Transports, "memory", memorytransport.Params{}, memorytransport.New)
}

func (x *Extensions) addSerializers() {
	formats := map[string]serialize.Serializer{"hessian2": hessian2.New(x.Types), "msgpack": msgpack.New(x.Types),
		"protobuf": protobuf.New(x.Types), "json": json.New(x.Types)}
	for name, s := range formats {
		add(&x.Serializers, name, nil, func(extension.Env, *url.URL) (serialize.Serializer, error) { return s, nil })
	}
}

func (x *Extensions) addClusters() {
	add(&x.Clusters, "failover", cluster.FailoverParams{}, cluster.NewFailover)
	add(&x.Clusters, "failfast", nil, cluster.NewFailfast)
	add(&x.Clusters, "failsafe", nil, cluster.NewFailsafe)
	add(&x.Clusters, "failback", cluster.FailbackParams{}, cluster.NewFailback)
	add(&x.Clusters, "forking", cluster.ForkingParams{}, cluster.NewForking)
	add(&x.Clusters, "broadcast", cluster.BroadcastParams{}, cluster.NewBroadcast)
	add(&x.Clusters, "available", nil, cluster.NewAvailable)
	add(&x.Clusters, "ordered", ordered.ClusterParams{}, func(e extension.Env, u *url.URL) (cluster.Cluster, error) {
		inner, err := cluster.NewFailover(e, u)
		if err != nil {
			return nil, err
		}
		return ordered.NewCluster(e, u, inner)
	})
}

func (x *Extensions) addBalancers() {
	add(&x.Balancers, "random", loadbalance.WeightParams{}, loadbalance.NewRandom)
	add(&x.Balancers, "roundrobin", loadbalance.WeightParams{}, loadbalance.NewRoundRobin)
	add(&x.Balancers, "leastactive", loadbalance.WeightParams{}, loadbalance.NewLeastActive)
	add(&x.Balancers, "consistenthash", loadbalance.ConsistentHashParams{}, loadbalance.NewConsistentHash)
	add(&x.Balancers, "shortestresponse", loadbalance.WeightParams{}, loadbalance.NewShortestResponse)
	add(&x.Balancers, "p2c", loadbalance.P2CParams{}, loadbalance.NewP2C)
}

func (x *Extensions) addFilters() {
	metrics := filter.NewMetrics(x.Monitor)
	add(&x.ClusterFilters, "metrics", filter.MetricsParams{}, metrics)
	add(&x.ClusterFilters, "attachments", nil, filter.NewAttachments)
	for _, p := range []*extension.Point[protocol.Filter]{&x.ClusterFilters, &x.ServiceFilters} {
		add(p, "validation", filter.ValidationParams{}, filter.NewValidation(x.Validators.OpenNamed))
		add(p, "cache", filter.CacheParams{}, filter.NewCache(copier{x}))
	}
	add(&x.ReferenceFilters, "metrics", filter.MetricsParams{}, metrics)
	add(&x.ReferenceFilters, "timeout", filter.TimeoutParams{}, filter.NewTimeout)
	add(&x.ReferenceFilters, "sendtoken", filter.TokenParams{}, filter.NewSendToken)
	add(&x.ReferenceFilters, "actives", filter.ActivesParams{}, filter.NewActives)
	add(&x.ServiceFilters, "metrics", filter.MetricsParams{}, metrics)
	add(&x.ServiceFilters, "recover", nil, filter.NewRecover)
	add(&x.ServiceFilters, "context", nil, filter.NewContext)
	add(&x.ServiceFilters, "token", filter.TokenParams{}, filter.NewToken)
	add(&x.ServiceFilters, "executes", filter.ExecutesParams{}, filter.NewExecutes)
	add(&x.ServiceFilters, "tps", filter.TPSParams{}, filter.NewTPS)
	add(&x.ServiceFilters, "accesslog", filter.AccessLogParams{}, filter.NewAccessLog)
	add(&x.ServiceFilters, "ordered", ordered.HostParams{}, x.Ordered.NewFilter)
	add(&x.ServiceFilters, "idempotent", idempotent.Params{}, x.Idempotent.NewFilter)
}

// addStores adds the records' stores that need no client of the user's.
func (x *Extensions) addStores() {
	add(&x.Idempotent.Stores, "memory", idempotent.MemoryParams{}, func(_ extension.Env, u *url.URL) (idempotent.Store, error) {
		var p idempotent.MemoryParams
		if err := u.Decode(&p); err != nil {
			return nil, err
		}
		return idempotent.NewMemory(p.Bytes), nil
	})
	add(&x.Idempotent.Stores, "zookeeper", nil, idempotent.NewZooKeeper)
}

// clientTransport is what consumers use when no parameter says otherwise: on one connection both are equally fast, and
// net waits for nobody's event loop.
const clientTransport = "net"

// serverTransport is what providers use: gnet has no TLS.
func serverTransport(e extension.Env) string {
	if e.TLS != nil {
		return "net"
	}
	return defaultServerTransport
}
