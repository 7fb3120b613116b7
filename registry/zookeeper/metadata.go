package zookeeper

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/ferryrpc/ferry/url"
)

// Limits of what is read of others.
const (
	maxDescription = 4 << 20 // bytes of a description; ZooKeeper's own limit is one MiB
	maxInstance    = 64 << 10
	maxOffers      = 10_000 // services of an application
	maxParams      = 500    // parameters of a service
	noRevision     = "0"    // of an instance that offers nothing yet
)

// A description is what an application says of its services, as /metadata/{application}/{revision} holds it (Dubbo's
// MetadataInfo). All instances that offer the same have the same revision and share it.
type description struct {
	App      string            `json:"app"`
	Revision string            `json:"revision"`
	Services map[string]*offer `json:"services"` // by [group/]interface[:version]:protocol
}

// An offer is one service in one protocol.
type offer struct {
	Name     string            `json:"name"`
	Group    string            `json:"group,omitempty"`
	Version  string            `json:"version,omitempty"`
	Protocol string            `json:"protocol"`
	Port     int               `json:"port"`
	Path     string            `json:"path"`
	Params   map[string]string `json:"params"`

	entry *url.URL // its template
	ports []int    // of all services of the description in this protocol
}

// private are the parameters of a provider that are its process's alone: they do not belong into what instances share.
func private() []string {
	return []string{"pid", "timestamp", "bind.ip", "bind.port", "monitor", "qos.enable", "qos.host", "qos.port", "qos.accept.foreign.ip",
		"category", "check", "interface", "group", "version", "heartbeat.timeout", "validation", "interfaces"}
}

// describe makes the description of an application's services.
func describe(app string, services []*url.URL) *description {
	d := &description{App: app, Services: map[string]*offer{}}
	for _, u := range services {
		o := &offer{Name: u.Interface(), Group: u.Param("group"), Version: u.Param("version"), Protocol: u.Scheme(), Port: u.Port(),
			Path: u.Path(), Params: map[string]string{}}
		hidden := private()
		for key, value := range u.All {
			if !slices.Contains(hidden, key) {
				o.Params[key] = value
			}
		}
		d.Services[u.Service()+":"+o.Protocol] = o
	}
	d.Revision = d.digest()
	return d
}

// digest is a text that changes with the description. Dubbo writes the same things into it; nobody computes another's.
func (d *description) digest() string {
	h := md5.New()
	fmt.Fprintf(h, "%q", d.App)
	for _, key := range slices.Sorted(maps.Keys(d.Services)) {
		o := d.Services[key]
		fmt.Fprintf(h, "%q %d %q", key, o.Port, o.Path)
		for _, p := range slices.Sorted(maps.Keys(o.Params)) {
			fmt.Fprintf(h, "%q=%q", p, o.Params[p])
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// parseDescription reads what an application says of its services.
func parseDescription(data []byte) (*description, error) {
	if len(data) > maxDescription {
		return nil, fmt.Errorf("a description of %d bytes, over %d", len(data), maxDescription)
	}
	var d description
	if err := json.Unmarshal(data, &d); err != nil {
		return nil, err
	}
	return &d, d.check()
}

func (d *description) check() error {
	if d.App == "" {
		return errors.New("a description without an application")
	}
	if len(d.Services) > maxOffers {
		return fmt.Errorf("%d services, over %d", len(d.Services), maxOffers)
	}
	for key, o := range d.Services {
		if o == nil || o.Name == "" || o.Protocol == "" || o.Port > 65535 || len(o.Params) > maxParams {
			return fmt.Errorf("service %q of %s is not complete", key, d.App)
		}
		var err error
		if o.entry, err = o.template(d.App); err != nil {
			return err
		}
	}
	ports := map[string][]int{}
	for _, o := range d.Services {
		if !slices.Contains(ports[o.Protocol], o.Port) {
			ports[o.Protocol] = append(ports[o.Protocol], o.Port)
		}
	}
	for _, o := range d.Services {
		o.ports = ports[o.Protocol]
	}
	return nil
}

// template is an offer as the entry of an instance under its interface would say it, but for what is the instance's own.
func (o *offer) template(app string) (*url.URL, error) {
	u := url.New(o.Protocol, "127.0.0.1:1", strings.TrimPrefix(o.Path, "/"))
	for _, key := range slices.Sorted(maps.Keys(o.Params)) {
		u = u.With(key, o.Params[key])
	}
	u = u.Without("group", "version").With("interface", o.Name)
	for key, value := range map[string]string{"group": o.Group, "version": o.Version, "application": app} {
		if u.Param(key) == "" && value != "" {
			u = u.With(key, value)
		}
	}
	again, err := url.Parse(u.String())
	if err == nil && !again.Equal(u) {
		err = errors.New("it cannot be written as a URL")
	}
	if err != nil {
		return nil, fmt.Errorf("service %s of %s: %w", o.Name, app, err)
	}
	return u, nil
}

// at is a template filled in by an instance. The port of the service goes before the one that the instance names for the
// protocol, since there may be several. But the ports are no part of dubbo-go's revisions: where no service is at the
// instance's port, another instance of the same revision has written the description.
func (o *offer) at(i *member) *url.URL {
	port := i.Port
	end, known := i.endpoints[o.Protocol]
	switch {
	case o.Port > 0 && (!known || slices.Contains(o.ports, end)):
		port = o.Port
	case known:
		port = end
	}
	u := o.entry.WithAddress(net.JoinHostPort(i.Address, strconv.Itoa(port)))
	if t := i.Payload.Metadata["timestamp"]; t != "" && u.Param("timestamp") == "" {
		u = u.With("timestamp", t)
	}
	return u
}

// A member is one process of an application, as /services/{application}/{host:port} holds it: what Curator's service
// discovery writes, with Dubbo's payload.
type member struct {
	Name       string  `json:"name"`
	ID         string  `json:"id"`
	Address    string  `json:"address"`
	Port       int     `json:"port"`
	SSLPort    *int    `json:"sslPort"`
	Payload    payload `json:"payload"`
	Registered int64   `json:"registrationTimeUTC"`
	Type       string  `json:"serviceType"`
	URI        any     `json:"uriSpec"`

	endpoints map[string]int // ports by protocol
}

type payload struct {
	Class    string            `json:"@class"`
	ID       string            `json:"id"`
	Name     string            `json:"name"`
	Metadata map[string]string `json:"metadata"`
}

// Dubbo's keys in a member's metadata.
const (
	keyRevision  = "dubbo.metadata.revision"
	keyStorage   = "dubbo.metadata.storage-type"
	keyEndpoints = "dubbo.endpoints"
	keyService   = "dubbo.metadata-service.url-params"
	remote       = "remote"
)

// An endpoint is one entry of keyEndpoints.
type endpoint struct {
	Port     int    `json:"port"`
	Protocol string `json:"protocol"`
}

// newMember makes the entry of an instance; first is one of its services.
func newMember(app, revision string, first *url.URL, registered int64) *member {
	id := net.JoinHostPort(first.Host(), strconv.Itoa(first.Port()))
	ends, _ := json.Marshal([]endpoint{{first.Port(), first.Scheme()}}) // numbers and texts can always be written
	m := map[string]string{keyRevision: revision, keyStorage: remote, keyEndpoints: string(ends)}
	if t := first.Param("timestamp"); t != "" {
		m["timestamp"] = t
	}
	return &member{Name: app, ID: id, Address: first.Host(), Port: first.Port(), Registered: registered, Type: "DYNAMIC",
		Payload: payload{Class: "org.apache.dubbo.registry.zookeeper.ZookeeperInstance", ID: id, Name: app, Metadata: m}}
}

// parseMember reads an instance of somebody.
func parseMember(data []byte) (*member, error) {
	if len(data) > maxInstance {
		return nil, fmt.Errorf("an instance of %d bytes, over %d", len(data), maxInstance)
	}
	var m member
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, err
	}
	if strings.ContainsAny(m.Address, "/?#@,&= \x00") || m.Address == "" || m.Port <= 0 || m.Port > 65535 {
		return nil, fmt.Errorf("no address: %q, port %d", m.Address, m.Port)
	}
	if text := m.Payload.Metadata[keyEndpoints]; text != "" {
		var ends []endpoint
		if err := json.Unmarshal([]byte(text), &ends); err != nil {
			return nil, fmt.Errorf("%s: %w", keyEndpoints, err)
		}
		m.endpoints = map[string]int{}
		for _, e := range ends {
			m.endpoints[e.Protocol] = e.Port
		}
	}
	return &m, nil
}

// revision is what the member offers; empty when that is nothing.
func (m *member) revision() string {
	if r := m.Payload.Metadata[keyRevision]; r != noRevision {
		return r
	}
	return ""
}

// goodName says whether a name, of an application or a revision, can be a node's.
func goodName(name string) bool {
	return name != "" && len(name) <= 200 && name != "." && name != ".." && !strings.ContainsAny(name, "/,\x00")
}
