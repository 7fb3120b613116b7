package ferry

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ferryrpc/ferry/exchange"
	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/url"
)

// commonParams are the parameters that several layers read.
type commonParams struct {
	Application     string `url:"application" doc:"name of this program as others see it"`
	Group           string `url:"group" doc:"tells services of one interface apart; a consumer may give a comma list or *"`
	Version         string `url:"version" doc:"version of a service; a consumer may give *"`
	Interface       string `url:"interface" doc:"name of the service; set by the framework"`
	URL             string `url:"url" doc:"call the provider at this URL (several hosts with commas) and ask no registry"`
	Transport       string `url:"transport" doc:"how bytes travel: gnet, net or memory"`
	Filter          string `url:"filter" doc:"filters once per call of a consumer, behind the built-in ones; -name takes one out"`
	ReferenceFilter string `url:"reference.filter" doc:"filters once per attempt of a consumer"`
	ServiceFilter   string `url:"service.filter" doc:"filters around a provider's service"`
	Dynamic         bool   `url:"dynamic" default:"true" doc:"false: the registry keeps the entry when the provider is gone"`
	Enabled         bool   `url:"enabled" default:"true" doc:"false: consumers pass the provider over"`
	Timestamp       int64  `url:"timestamp" doc:"when a provider started, ms since 1970; set by the framework"`
	Weight          int    `url:"weight" default:"100" doc:"share of the calls that a provider gets; 0 is none"`
}

// A Parameter is one URL parameter with all implementations that read it.
type Parameter struct {
	url.Key
	Readers []string // "balancer p2c", …; empty when it concerns everything
}

// Parameters returns all URL parameters of services that the built-in and added implementations declare, by name.
func (x *Extensions) Parameters() []Parameter {
	byName := map[string]*Parameter{}
	note := func(sample any, reader string) {
		for _, k := range url.Declared(sample) {
			p := byName[k.Name]
			if p == nil {
				p = &Parameter{Key: k}
				byName[k.Name] = p
			}
			if p.Doc == "" {
				p.Doc = k.Doc
			}
			if reader != "" && !slices.Contains(p.Readers, reader) {
				p.Readers = append(p.Readers, reader)
			}
		}
	}
	for _, sample := range x.params {
		note(sample, "")
	}
	for _, point := range x.points() {
		point.params(func(name string, sample any) bool { note(sample, point.kind+" "+name); return true })
	}
	out := make([]Parameter, 0, len(byName))
	for _, p := range byName {
		out = append(out, *p)
	}
	slices.SortFunc(out, func(a, b Parameter) int { return strings.Compare(a.Name, b.Name) })
	return out
}

type point struct {
	kind   string
	params func(func(string, any) bool)
}

// points are those whose implementations read a service's URL; registries have their own.
func (x *Extensions) points() []point {
	return []point{{x.Protocols.Kind, x.Protocols.Params}, {x.Clusters.Kind, x.Clusters.Params}, {x.Balancers.Kind, x.Balancers.Params},
		{x.Transports.Kind, x.Transports.Params}, {x.Serializers.Kind, x.Serializers.Params}, {x.ClusterFilters.Kind, x.ClusterFilters.Params},
		{x.ReferenceFilters.Kind, x.ReferenceFilters.Params}, {x.ServiceFilters.Kind, x.ServiceFilters.Params},
		{x.Idempotent.Stores.Kind, x.Idempotent.Stores.Params}}
}

// durations are the parameters that Dubbo writes as plain milliseconds.
func (x *Extensions) durations() map[string]bool {
	out := map[string]bool{}
	for _, p := range x.Parameters() {
		if p.Kind == "duration" {
			out[p.Name] = true
		}
	}
	return out
}

// check refuses parameters that nobody reads, and names of implementations that do not exist.
func (x *Extensions) check(u *url.URL, i *protocol.Interface) error {
	known := dubboKeys()
	for _, p := range x.Parameters() {
		known = append(known, p.Name)
	}
	for _, key := range u.Keys() {
		if slices.Contains(known, key) {
			continue
		}
		method, name, dotted := strings.Cut(key, ".")
		switch {
		case dotted && hasMethod(i, method) && slices.Contains(known, name):
		case dotted && len(i.Methods) == 0 && slices.Contains(known, name):
		case dotted && slices.Contains(known, name):
			return unknown("method", method, methodNames(i), fmt.Sprintf("parameter %s: %s", key, i.Name))
		case dotted && hasMethod(i, method):
			return unknown("parameter", name, known, "method "+method)
		default:
			return unknown("parameter", key, known, "")
		}
	}
	if err := x.checkNames(u, known); err != nil {
		return err
	}
	return x.checkFormats()
}

// checkNames finds misspelt names before anything is opened; known are the parameters. A method's own (sayHello.cluster)
// are names too, but not what only ends alike (prefer.serialization).
func (x *Extensions) checkNames(u *url.URL, known []string) error {
	lists := map[string][]string{"cluster": x.Clusters.Names(), "loadbalance": x.Balancers.Names(), "transport": x.Transports.Names(),
		"client": x.Transports.Names(), "serialization": x.Serializers.Names(), "protocol": x.Protocols.Names()}
	for key, value := range u.All {
		name := key
		if !slices.Contains(known, key) {
			_, name, _ = strings.Cut(key, ".")
		}
		if names := lists[name]; names != nil && value != "" && !slices.Contains(names, value) {
			return unknown("value", value, names, "parameter "+key)
		}
	}
	return nil
}

// checkFormats refuses formats that a frame could not tell apart: it has five bits for their ids. One that wants
// parameters of its own is looked at when it is opened with them.
func (x *Extensions) checkFormats() error {
	byID := map[byte]string{}
	for _, name := range x.Serializers.Names() {
		s, err := x.Serializers.OpenNamed(extension.Env{}, name, &url.URL{})
		if err != nil {
			continue
		}
		switch other, taken := byID[s.ID()]; {
		case s.ID() > exchange.MaskID:
			return fmt.Errorf("serialization %s has the id %d, a frame has room for 0 to %d", name, s.ID(), exchange.MaskID)
		case taken:
			return fmt.Errorf("serializations %s and %s have the same id %d", other, name, s.ID())
		}
		byID[s.ID()] = name
	}
	return nil
}

// checkRegistry does for a registry's URL what check does for a service's.
func (x *Extensions) checkRegistry(u *url.URL) error {
	known := append(dubboKeys(), "application", "protocol")
	for _, k := range url.Declared(RegistryParams{}) {
		known = append(known, k.Name)
	}
	x.Registries.Params(func(name string, sample any) bool {
		for _, k := range url.Declared(sample) {
			known = append(known, k.Name)
		}
		return true
	})
	if u.Scheme() == "static" { // its parameters are those of its providers
		for _, p := range x.Parameters() {
			known = append(known, p.Name)
		}
	}
	for _, key := range u.Keys() {
		if !slices.Contains(known, key) {
			return unknown("parameter", key, known, "registry "+u.WithoutUser().Scheme()+"://"+u.Address())
		}
	}
	return nil
}

func unknown(kind, name string, known []string, where string) error {
	if where != "" {
		where += ": "
	}
	if near, ok := url.Nearest(name, known); ok {
		return fmt.Errorf("%sunknown %s %q, did you mean %q?", where, kind, name, near)
	}
	return fmt.Errorf("%sunknown %s %q", where, kind, name)
}

func hasMethod(i *protocol.Interface, name string) bool {
	return slices.Contains(methodNames(i), name)
}

func methodNames(i *protocol.Interface) []string {
	names := make([]string, len(i.Methods))
	for n, m := range i.Methods {
		names[n] = m.Name
	}
	return names
}

// dubboKeys are Dubbo's own parameters that are known here and have no effect, so that a URL copied from a Java
// configuration is not refused.
func dubboKeys() []string {
	return []string{"anyhost", "pid", "revision", "release", "dubbo", "side", "category", "deprecated", "methods", "generic", "bind.port",
		"metadata-type", "service-name-mapping", "qos.enable", "qos.port", "qos.accept.foreign.ip", "owner", "organization", "module",
		"environment", "logger", "monitor", "stub", "local", "async", "sent", "callbacks", "onconnect",
		"ondisconnect", "codec", "dispatcher", "threadpool", "threadname", "corethreads", "alive", "iothreads", "buffer", "charset", "layer",
		"simplified", "register-mode", "registry-type", "migration.step", "init", "default", "provided-by",
		"remote.application", "delay", "export", "document", "parameters", "executor-management-mode", "file-cache", "stubevent", "reference.filter",
		"listener", "exporter.listener", "invoker.listener", "merger", "interfaces", "telnet", "contextpath", "optimizer", "extension"}
}
