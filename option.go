package ferry

import (
	"strconv"
	"time"

	"github.com/ferryrpc/ferry/url"
)

// An Option is a URL parameter with a Go name. Options of a Client or Server hold for all its services, those given with
// a service win over them.
type Option struct{ key, value string }

// Param sets any parameter; README.md has a table of them.
func Param(key, value string) Option { return Option{key, value} }

// Method sets parameters for one method only, by its name on the wire: Method("sayHello", Retries(0)).
func Method(name string, options ...Option) []Option {
	out := make([]Option, len(options))
	for i, o := range options {
		out[i] = Option{name + "." + o.key, o.value}
	}
	return out
}

// Timeout bounds each attempt of a call.
func Timeout(d time.Duration) Option { return Option{"timeout", url.FormatDuration(d)} }

// Retries is how often a failed call is tried again. Setting it allows repeats of calls that may have run.
func Retries(n int) Option { return Option{"retries", strconv.Itoa(n)} }

// Idempotent declares that a repeat of a call has no second effect.
func Idempotent() Option { return Option{"idempotent", "true"} }

// Cluster names what happens when a call fails: failover, failfast, failsafe, failback, forking, broadcast, available.
func Cluster(name string) Option { return Option{"cluster", name} }

// LoadBalance names how a provider is chosen: random, roundrobin, leastactive, consistenthash, shortestresponse, p2c.
func LoadBalance(name string) Option { return Option{"loadbalance", name} }

// Serialization names the format of arguments and replies: hessian2, msgpack, protobuf, json.
func Serialization(name string) Option { return Option{"serialization", name} }

// Group tells services of the same interface apart.
func Group(name string) Option { return Option{"group", name} }

// Version tells versions of a service apart.
func Version(v string) Option { return Option{"version", v} }

// Weight is a provider's share of the calls; 100 is usual, 0 is none.
func Weight(n int) Option { return Option{"weight", strconv.Itoa(n)} }

// Direct makes a client call the provider at a URL (dubbo://host:port, several hosts with commas) without a registry.
func Direct(provider string) Option { return Option{"url", provider} }

// Check says whether it is an error that a service has no provider when it is referred to, as it is by default.
func Check(on bool) Option { return Option{"check", strconv.FormatBool(on)} }

// Host is the address that a server publishes for itself.
func Host(host string) Option { return Option{"host", host} }

// Port is the port that a server listens on; without it, a free one.
func Port(n int) Option { return Option{"port", strconv.Itoa(n)} }

// apply puts options over the parameters of u, the later ones last.
func apply(u *url.URL, options ...[]Option) *url.URL {
	for _, list := range options {
		for _, o := range list {
			if o.key != "" {
				u = u.With(o.key, o.value)
			}
		}
	}
	return u
}
