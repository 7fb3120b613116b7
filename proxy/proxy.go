// Package proxy makes typed calls out of an Invoker, and a service out of an implementation, without generated code.
//
// Unary is a typed function for one method; Fill sets the func fields of a struct; Reflect describes the methods of an
// implementation so that it can be exported. All of them use reflection when they are built, and Fill and Reflect on
// every call too: generated code is faster, and the wire is the same.
package proxy

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/serialize"
)

// ErrType means that a Go type cannot be the type of a remote method.
var ErrType = errors.New("proxy: type cannot be called remotely")

// one is a Row of one value.
type one[T any] struct{ v T }

func (*one[T]) Len() int     { return 1 }
func (o *one[T]) At(int) any { return &o.v }

// Unary returns a function that calls one method of a service with one argument. service and method are names on the wire.
func Unary[Req, Res any](in protocol.Invoker, service, method string) (func(context.Context, Req) (Res, error), error) {
	descriptor, err := Descriptor(reflect.TypeFor[Req]())
	if err != nil {
		return nil, fmt.Errorf("%s.%s: %w", service, method, err)
	}
	result, err := Descriptor(reflect.TypeFor[Res]())
	if err != nil {
		return nil, fmt.Errorf("%s.%s: %w", service, method, err)
	}
	m := &protocol.Method{Service: service, Name: method, Descriptor: descriptor, Return: result, Index: -1}
	m.New = func() *protocol.Invocation {
		return &protocol.Invocation{Method: m, Args: new(one[Req]), Reply: new(one[Res])}
	}
	m.Clone = func(args protocol.Row) protocol.Row {
		c := new(one[Req])
		serialize.Copy(c.At(0), args.At(0))
		return c
	}
	return func(ctx context.Context, req Req) (Res, error) {
		args, reply := one[Req]{req}, one[Res]{}
		if err := in.Invoke(ctx, &protocol.Invocation{Method: m, Args: &args, Reply: &reply}); err != nil {
			var zero Res // reply may be half a reply
			return zero, err
		}
		return reply.v, nil
	}, nil
}

// Fill sets each exported func field of the struct that target points to. A field is func(ctx, args…) (reply, error) or
// func(ctx, args…) error, or func(ctx, args…) *Future[reply], which does not wait; it calls the method of its name with a lower first letter, or the one that the tag names:
//
//	SayHello func(ctx context.Context, name string) (string, error) `ferry:"sayHello,idempotent"`
//
// The options are idempotent and oneway.
func Fill(in protocol.Invoker, service string, target any) error {
	v := reflect.ValueOf(target)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return fmt.Errorf("%w: Fill wants a pointer to a struct of funcs, not %T", ErrType, target)
	}
	v = v.Elem()
	filled := 0
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if !f.IsExported() || f.Type.Kind() != reflect.Func {
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("ferry"), ",")
		if name == "" {
			name = serialize.JavaName(f.Name)
		}
		s, err := newShape(f.Type, 0)
		if err != nil {
			return fmt.Errorf("%s.%s: %w", service, f.Name, err)
		}
		m := s.method(service, name, -1)
		for _, o := range strings.Split(options, ",") {
			switch strings.TrimSpace(o) {
			case "":
			case "idempotent":
				m.Idempotent = true
			case "oneway":
				m.Kind = protocol.OneWay
			default:
				return fmt.Errorf("%w: field %s has the unknown option %q, there are idempotent and oneway", ErrType, f.Name, o)
			}
		}
		v.Field(i).Set(reflect.MakeFunc(f.Type, s.caller(in, m)))
		filled++
	}
	if filled == 0 {
		return fmt.Errorf("%w: %T has no exported func field", ErrType, target)
	}
	return nil
}

// Reflect describes the exported methods of impl that have the form of a remote method, so that a server can export it.
// Names get a lower first letter; methods of another form are left out, and it is an error if none is left.
func Reflect(service string, impl any) (*protocol.Interface, error) {
	t := reflect.TypeOf(impl)
	if t == nil {
		return nil, fmt.Errorf("%w: nil", ErrType)
	}
	i := &protocol.Interface{Name: service}
	for n := range t.NumMethod() {
		rm := t.Method(n)
		s, err := newShape(rm.Type, 1)
		if err != nil {
			continue
		}
		m := s.method(service, serialize.JavaName(rm.Name), len(i.Methods))
		for _, other := range i.Methods {
			if other.Name == m.Name && other.Descriptor == m.Descriptor {
				return nil, fmt.Errorf("%w: %T has two methods %s(%s)", ErrType, impl, m.Name, m.Descriptor)
			}
		}
		m.Serve = s.server(n)
		i.Methods = append(i.Methods, m)
	}
	if len(i.Methods) == 0 {
		return nil, fmt.Errorf("%w: %T has no method of the form (ctx, args…) (reply, error)", ErrType, impl)
	}
	return i, nil
}
