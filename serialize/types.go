package serialize

import (
	"fmt"
	"reflect"
	"sync"
)

// Types maps Java class names to Go types. A format asks it when the target of a value is an interface, so that the
// wire alone says what the value is, and when a value of a registered type is written. The zero value is ready to use;
// all methods are safe from any number of goroutines. Typed targets do not need it.
type Types struct {
	mu     sync.RWMutex // guards the following
	byName map[string]reflect.Type
	byType map[reflect.Type]string
}

// Add registers the type of sample, a struct or a pointer to one, under a Java class name.
// One name has one type; adding the same pair again is no error.
func (t *Types) Add(class string, sample any) error {
	rt := reflect.TypeOf(sample)
	for rt != nil && rt.Kind() == reflect.Pointer {
		rt = rt.Elem()
	}
	if class == "" || rt == nil {
		return fmt.Errorf("serialize: cannot register type %T as class %q", sample, class)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if old, ok := t.byName[class]; ok && old != rt {
		return fmt.Errorf("serialize: class %s is %v already, cannot also be %v", class, old, rt)
	}
	if t.byName == nil {
		t.byName, t.byType = map[string]reflect.Type{}, map[reflect.Type]string{}
	}
	t.byName[class], t.byType[rt] = rt, class
	return nil
}

// Type returns the Go type of a Java class.
func (t *Types) Type(class string) (reflect.Type, bool) {
	if t == nil {
		return nil, false
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	rt, ok := t.byName[class]
	return rt, ok
}

// Class returns the Java class of a Go type, which must not be a pointer.
func (t *Types) Class(rt reflect.Type) (string, bool) {
	if t == nil {
		return "", false
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	class, ok := t.byType[rt]
	return class, ok
}
