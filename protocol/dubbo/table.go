package dubbo

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/ferryrpc/ferry/exchange"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/serialize"
)

// A table is all that a port serves. Adding and removing a service costs the same whether ten are there or ten thousand.
type table struct {
	// byPrefix finds methods by the encoded prefix of a request, the serialization id before it. Its lists never change;
	// new ones take their place.
	byPrefix *index[[]*target]
	// last is what was found last in each format, which is mostly what is asked for next.
	last    [exchange.MaskID + 1]atomic.Pointer[link[[]*target]]
	formats [exchange.MaskID + 1]atomic.Pointer[serialize.Serializer]

	mu       sync.RWMutex // guards the following and changes of the above
	byName   map[methodKey][]*target
	services map[serviceKey][]*exporter
	accepted [exchange.MaskID + 1]int // how many services accept a format
}

// A serviceKey's service is a path or an interface; mostly they are the same.
type serviceKey struct{ service, version string }

type methodKey struct {
	serviceKey
	name, descriptor string
}

// A target is one method of one exported service.
type target struct {
	exporter *exporter
	method   *protocol.Method
	accepts  uint32 // bit n: serialization id n is accepted
	seen     [exchange.MaskID + 1]atomic.Pointer[attachments]
	guess    guess // size of an answer
}

// attachments are decoded attachments with the bytes they came from. Most calls of a method carry the same.
type attachments struct {
	raw   []byte
	pairs protocol.Attachments
}

func newTable() *table {
	return &table{byPrefix: newIndex[[]*target](), byName: map[methodKey][]*target{}, services: map[serviceKey][]*exporter{}}
}

// format returns an accepted format by its id, or nil.
func (t *table) format(id byte) serialize.Serializer {
	if s := t.formats[id&exchange.MaskID].Load(); s != nil {
		return *s
	}
	return nil
}

// targets finds methods by their parts.
func (t *table) targets(k methodKey) []*target {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.byName[k]
}

// exporters are the services of a name and version, one for each group.
func (t *table) exporters(k serviceKey) []*exporter {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.services[k]
}

// add puts a service on the port.
func (t *table) add(e *exporter) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, other := range t.services[serviceKey{e.path, e.version}] {
		if other.group == e.group && other.path == e.path {
			return fmt.Errorf("dubbo: %s is exported at %s already", e.url.Service(), e.url.Address())
		}
	}
	for _, s := range e.formats {
		id := s.ID() & exchange.MaskID
		t.accepted[id]++
		t.formats[id].Store(&s)
	}
	for _, name := range e.names() {
		key := serviceKey{name, e.version}
		t.services[key] = with(t.services[key], e)
		for _, m := range e.service.Interface.Methods {
			tg := &target{exporter: e, method: m, accepts: e.accepts()}
			mk := methodKey{key, m.Name, m.Descriptor}
			t.byName[mk] = with(t.byName[mk], tg)
			for _, s := range e.formats {
				t.byPrefix.update(prefixKey(s, key, m), func(old []*target) ([]*target, bool) { return with(old, tg), true })
			}
		}
	}
	return nil
}

// remove takes a service away.
func (t *table) remove(e *exporter) {
	t.mu.Lock()
	defer t.mu.Unlock()
	of := func(tg *target) bool { return tg.exporter == e }
	for _, name := range e.names() {
		key := serviceKey{name, e.version}
		cut(t.services, key, func(other *exporter) bool { return other == e })
		for _, m := range e.service.Interface.Methods {
			cut(t.byName, methodKey{key, m.Name, m.Descriptor}, of)
			for _, s := range e.formats {
				t.byPrefix.update(prefixKey(s, key, m), func(old []*target) ([]*target, bool) {
					rest := without(old, of)
					return rest, len(rest) > 0
				})
			}
		}
	}
	for _, s := range e.formats {
		id := s.ID() & exchange.MaskID
		if t.accepted[id]--; t.accepted[id] == 0 {
			t.formats[id].Store(nil)
		}
	}
}

// with is a list with one more at its end. Lists that others may be reading never change.
func with[V any](list []V, v V) []V { return append(list[:len(list):len(list)], v) }

func without[V any](list []V, out func(V) bool) []V {
	return slices.DeleteFunc(slices.Clone(list), out)
}

// cut takes some out of the list of a key, and the key out of the map when nothing is left.
func cut[K comparable, V any](lists map[K][]V, key K, out func(V) bool) {
	if rest := without(lists[key], out); len(rest) > 0 {
		lists[key] = rest
	} else {
		delete(lists, key)
	}
}

// prefixKey is a request's prefix behind its serialization id.
func prefixKey(s serialize.Serializer, k serviceKey, m *protocol.Method) string {
	return string([]byte{s.ID()}) + string(appendPrefix(s, protocolVersion, k.service, k.version, m.Name, m.Descriptor))
}

// describe lists what is served, for the error of a caller who asks for something else.
func (t *table) describe(k methodKey) string {
	t.mu.RLock()
	defer t.mu.RUnlock()
	exporters := t.services[k.serviceKey]
	if len(exporters) == 0 {
		var versions []string
		for other := range t.services {
			if other.service == k.service {
				versions = append(versions, other.version)
			}
		}
		if len(versions) > 0 {
			slices.Sort(versions)
			return fmt.Sprintf("service %s version %q is not here, have %s", k.service, name(k.version), strings.Join(versions, ", "))
		}
		return fmt.Sprintf("service %q is not here", name(k.service))
	}
	for _, m := range exporters[0].service.Interface.Methods {
		if m.Name == k.name {
			return fmt.Sprintf("%s.%s has parameters %q, the call has %q", k.service, m.Name, m.Descriptor, name(k.descriptor))
		}
	}
	return fmt.Sprintf("service %s has no method %q", k.service, name(k.name))
}
