package ferry

import (
	"context"
	"fmt"
	"reflect"
	"sync"

	"github.com/ferryrpc/ferry/cluster"
	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/proxy"
	"github.com/ferryrpc/ferry/serialize"
	"github.com/ferryrpc/ferry/url"
)

// Mock registers an implementation of a service that answers where the parameter mock names it. mock=true asks for
// com.example.GreeterMock or GreeterMock. impl is the service's Go interface, for instance what "ferry gen -mock" wrote; its
// methods are called from many goroutines at once.
func (x *Extensions) Mock(name string, impl any) error {
	in := &standIn{impl: impl}
	return x.Mocks.Add(name, nil, func(extension.Env, *url.URL) (protocol.Invoker, error) { return in, nil })
}

// A standIn calls the methods of an implementation: by generated code, or by reflection for calls without such.
type standIn struct {
	impl    any
	once    sync.Once
	methods *protocol.Interface
	err     error
}

// Invoke implements protocol.Invoker.
func (s *standIn) Invoke(ctx context.Context, c *protocol.Invocation) (err error) {
	if c.Method.Serve != nil {
		return c.Method.Serve(ctx, s.impl, c)
	}
	s.once.Do(func() { s.methods, s.err = proxy.Reflect(c.Method.Service, s.impl) })
	if s.err != nil {
		return s.failure(c, s.err.Error())
	}
	for _, m := range s.methods.Methods {
		if m.Name == c.Method.Name && (c.Method.Descriptor == "" || m.Descriptor == c.Method.Descriptor) {
			defer func() {
				if r := recover(); r != nil {
					err = s.failure(c, fmt.Sprintf("panic: %v", r))
				}
			}()
			return m.Serve(ctx, s.impl, c)
		}
	}
	return s.failure(c, "it has no such method")
}

func (s *standIn) failure(c *protocol.Invocation, why string) error {
	return &protocol.Error{Code: protocol.Unknown, Outcome: protocol.NotSent, Service: c.Method.Service, Method: c.Method.Name,
		Message: fmt.Sprintf("mock %T: %s", s.impl, why)}
}

// mockConfig is what mocks need of the extensions.
func (r *running) mockConfig(u *url.URL) (cluster.MockConfig, error) {
	format, err := r.x.Serializers.OpenNamed(r.env, "hessian2", u)
	if err != nil {
		return cluster.MockConfig{}, err
	}
	return cluster.MockConfig{
		Find: func(name string) (protocol.Invoker, bool) {
			in, err := r.x.Mocks.OpenNamed(r.env, name, u)
			return in, err == nil
		},
		Convert: func(value, into any) error {
			return serialize.Convert(format, serialize.Values{&value}, serialize.Values{into}, serialize.Limits{})
		},
		Throw: func(class string) (error, bool) {
			t, ok := r.x.Types.Type(class)
			if !ok {
				return nil, false
			}
			err, ok := reflect.New(t).Interface().(error)
			return err, ok
		},
	}, nil
}
