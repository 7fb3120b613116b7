package protocol

import (
	"fmt"
	"maps"
	"reflect"
	"strings"
	"sync/atomic"

	"github.com/ferryrpc/ferry/url"
)

const (
	slotCount = 64   // methods found by their Index alone
	mostNames = 1024 // methods without an Index that are remembered; the rest share one value
)

// Slots keeps one value per method of a service: counters, limits, prepared pickers. Get takes no lock and, once a
// method was seen, does not allocate. Make it with NewSlots.
type Slots[T any] struct {
	open  func(m *Method) *T
	slots [slotCount]atomic.Pointer[slot[T]]
	names atomic.Pointer[map[string]*T] // copied when written
	other atomic.Pointer[T]
}

type slot[T any] struct {
	method *Method
	value  *T
}

// NewSlots returns Slots that are filled by open at the first call of each method. When two calls meet there, open may
// run twice, and one of its results is dropped. Methods beyond the first 1024 that have no Index share one value.
func NewSlots[T any](open func(m *Method) *T) *Slots[T] { return &Slots[T]{open: open} }

// Get returns the value of m.
func (s *Slots[T]) Get(m *Method) *T {
	if uint(m.Index) < slotCount {
		if e := s.slots[m.Index].Load(); e != nil && (e.method == m || e.method.Key() == m.Key()) {
			return e.value
		}
	}
	return s.find(m)
}

func (s *Slots[T]) find(m *Method) *T {
	if uint(m.Index) < slotCount {
		p := &s.slots[m.Index]
		if p.Load() == nil {
			p.CompareAndSwap(nil, &slot[T]{m, s.open(m)})
		}
		if e := p.Load(); e.method.Key() == m.Key() {
			return e.value
		}
	}
	for {
		old := s.names.Load()
		var known map[string]*T
		if old != nil {
			known = *old
		}
		if v, ok := known[m.Key()]; ok {
			return v
		}
		if len(known) >= mostNames {
			if v := s.other.Load(); v != nil {
				return v
			}
			s.other.CompareAndSwap(nil, s.open(&Method{Service: m.Service, Name: "(other)", Index: -1}))
			return s.other.Load()
		}
		next := make(map[string]*T, len(known)+1)
		maps.Copy(next, known)
		v := s.open(m)
		next[strings.Clone(m.Key())] = v
		if s.names.CompareAndSwap(old, &next) {
			return v
		}
	}
}

// PerMethod holds the parameters that a struct's tags declare, for a service and for each method that has its own
// (sayHello.timeout=…). It is decoded when something is built; For is for calls.
type PerMethod[T any] struct {
	base  T
	named map[string]*T
	slots *Slots[T]
}

// DecodePerMethod reads T from the URL, as (*url.URL).Decode does, once for the service and once for each method that
// the URL names. check may refuse values, or be nil.
func DecodePerMethod[T any](u *url.URL, check func(*T) error) (*PerMethod[T], error) {
	decode := func(u *url.URL, into *T) error {
		if err := u.Decode(into); err != nil {
			return err
		}
		if check != nil {
			return check(into)
		}
		return nil
	}
	p := &PerMethod[T]{}
	if err := decode(u, &p.base); err != nil {
		return nil, err
	}
	for _, k := range url.Declared(reflect.New(reflect.TypeFor[T]()).Interface()) {
		for _, key := range u.Keys() {
			name, ok := strings.CutSuffix(key, "."+k.Name)
			if !ok || name == "" || p.named[name] != nil || declares[T](key) {
				continue
			}
			v := new(T)
			if err := decode(u.ForMethod(name), v); err != nil {
				return nil, fmt.Errorf("method %s: %w", name, err)
			}
			if p.named == nil {
				p.named = map[string]*T{}
			}
			p.named[name] = v
		}
	}
	p.slots = NewSlots(func(m *Method) *T {
		if v, ok := p.named[m.Key()]; ok {
			return v
		}
		return &p.base
	})
	return p, nil
}

// declares says whether key itself is a parameter of T, so that a dotted key (hash.nodes) is not taken for a method's.
func declares[T any](key string) bool {
	for _, k := range url.Declared(reflect.New(reflect.TypeFor[T]()).Interface()) {
		if k.Name == key {
			return true
		}
	}
	return false
}

// For returns the parameters that are in force for m; they must not be changed.
func (p *PerMethod[T]) For(m *Method) *T {
	if p.named == nil {
		return &p.base
	}
	return p.slots.Get(m)
}

// Base returns the parameters of the service itself.
func (p *PerMethod[T]) Base() *T { return &p.base }

// Any says whether a value, of the service or of a method, meets cond.
func (p *PerMethod[T]) Any(cond func(*T) bool) bool {
	if cond(&p.base) {
		return true
	}
	for _, v := range p.named {
		if cond(v) {
			return true
		}
	}
	return false
}
