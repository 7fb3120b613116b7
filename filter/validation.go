package filter

import (
	"context"
	"fmt"
	"reflect"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/url"
)

// ValidationParams are the parameters of the filter validation.
type ValidationParams struct {
	Validation string `url:"validation" doc:"true: arguments with a method Validate() error are asked before a call is sent or served; or the name of a validator that was added; on the side that sets it"`
	Side       string `url:"side" default:"consumer" doc:"consumer or provider"`
}

// A Validator says what is wrong with the arguments of a call; nil for nothing. It is called from any number of goroutines
// and must not keep the call.
type Validator interface {
	Validate(ctx context.Context, c *protocol.Invocation) error
}

// validationClass is what Java peers get.
const validationClass = "javax.validation.ValidationException"

// NewValidation returns the constructor of the filter that refuses calls whose arguments a Validator does not accept. find
// opens one by name. At a consumer such a call is not sent. At a provider the refusal is the service's answer, as in Dubbo:
// nobody tries it elsewhere, and no mock covers it.
func NewValidation(find func(e extension.Env, name string, u *url.URL) (Validator, error)) func(extension.Env, *url.URL) (protocol.Filter, error) {
	return func(e extension.Env, u *url.URL) (protocol.Filter, error) {
		validators := map[string]Validator{}
		params, err := protocol.DecodePerMethod(u, func(p *ValidationParams) (err error) {
			switch name := p.Validation; {
			case name == "" || name == "false" || validators[name] != nil:
			case name == "true" || name == "default":
				validators[name] = asked{}
			default:
				validators[name], err = find(e, name, u)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		if len(validators) == 0 {
			return pass, nil
		}
		provider := params.Base().Side == "provider"
		return func(next protocol.Invoker) protocol.Invoker {
			return protocol.InvokerFunc(func(ctx context.Context, c *protocol.Invocation) error {
				v := validators[params.For(c.Method).Validation]
				if v == nil {
					return next.Invoke(ctx, c)
				}
				c.Started = c.Started || provider // a validator is the service's own code, and what it says its answer
				if err := v.Validate(ctx, c); err != nil {
					return invalid(c, provider, err)
				}
				c.Started = false
				return next.Invoke(ctx, c)
			})
		}, nil
	}
}

func invalid(c *protocol.Invocation, provider bool, cause error) error {
	e := &protocol.Error{Code: protocol.Application, Outcome: protocol.NotSent, Service: c.Method.Service, Method: c.Method.Name,
		Class: validationClass, Message: "invalid: " + cause.Error(), Cause: cause}
	if provider {
		e.Outcome = protocol.Executed
	}
	return e
}

// asked is the Validator that asks the arguments themselves.
type asked struct{}

// Validate implements Validator.
func (asked) Validate(_ context.Context, c *protocol.Invocation) error {
	if c.Args == nil {
		return nil
	}
	for i := range c.Args.Len() {
		if err := ask(reflect.ValueOf(c.Args.At(i)), 0); err != nil {
			return fmt.Errorf("argument %d: %w", i, err)
		}
	}
	return nil
}

// deepest is how many pointers, lists and maps ask looks into.
const deepest = 8

var askable = reflect.TypeFor[interface{ Validate() error }]()

// ask asks a value if it can be asked, or else what it leads to. Fields are their struct's own affair.
func ask(v reflect.Value, depth int) error {
	switch v.Kind() {
	case reflect.Invalid:
		return nil
	case reflect.Pointer, reflect.Interface, reflect.Map, reflect.Slice:
		if v.IsNil() {
			return nil
		}
	}
	if depth > deepest {
		return nil
	}
	if v.Kind() != reflect.Interface && v.Type().Implements(askable) {
		return v.Interface().(interface{ Validate() error }).Validate()
	}
	if v.CanAddr() && reflect.PointerTo(v.Type()).Implements(askable) {
		return v.Addr().Interface().(interface{ Validate() error }).Validate()
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		return ask(v.Elem(), depth+1)
	case reflect.Slice, reflect.Array:
		if plain(v.Type().Elem()) {
			return nil
		}
		for i := range v.Len() {
			if err := ask(v.Index(i), depth+1); err != nil {
				return fmt.Errorf("element %d: %w", i, err)
			}
		}
	case reflect.Map:
		if plain(v.Type().Elem()) {
			return nil
		}
		for it := v.MapRange(); it.Next(); {
			if err := ask(it.Value(), depth+1); err != nil {
				return fmt.Errorf("entry %v: %w", it.Key(), err)
			}
		}
	}
	return nil
}

// plain says that values of a type cannot be asked and lead nowhere, so that nobody looks at each byte of a megabyte.
func plain(t reflect.Type) bool {
	return (t.Kind() < reflect.Array || t.Kind() == reflect.String) && !reflect.PointerTo(t).Implements(askable)
}
