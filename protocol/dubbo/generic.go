package dubbo

import (
	"strings"

	"github.com/ferryrpc/ferry/exchange"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/serialize"
)

// common returns the methods that every service has: $invoke, $invokeAsync and $echo.
func (r *request) common(k methodKey) []*target {
	var m *protocol.Method
	switch {
	case k.name == protocol.Echo && single(k.descriptor): // dubbo-go names the class of what it sends, Java's Object
		m = protocol.NewEchoMethod(k.service)
	case (k.name == protocol.GenericInvoke || k.name == protocol.GenericInvokeAsync) && k.descriptor == protocol.GenericDescriptor:
		m = protocol.NewGenericMethod(k.service)
	default:
		return nil
	}
	var out []*target
	for _, e := range r.port.table.exporters(k.serviceKey) {
		out = append(out, &target{exporter: e, method: m, accepts: e.accepts()})
	}
	return out
}

// single says whether a descriptor is that of one parameter.
func single(descriptor string) bool {
	one := strings.TrimLeft(descriptor, "[")
	return len(one) == 1 || strings.HasPrefix(one, "L") && strings.IndexByte(one, ';') == len(one)-1
}

// resolve turns a $invoke into the call that it names, with typed arguments.
func (r *request) resolve() error {
	args, ok := r.call.Args.(*protocol.GenericArgs)
	if !ok {
		return nil
	}
	e := r.target.exporter
	service := e.url.Service()
	if !e.params.Generic {
		return refuse(exchange.BadRequest, "service %s takes no generic calls (parameter generic.invoke)", service)
	}
	switch form := r.call.Attachments.Value("generic"); form {
	case "", "true", "raw.return":
		r.generic = form != "raw.return"
	default:
		return refuse(exchange.BadRequest, "service %s takes no generic calls in the form %q, only true", service, name(form))
	}
	m := e.service.Interface.FindMethod(firstLine(args.Method), args.Types)
	if m == nil {
		return refuse(exchange.BadRequest, "generic call: service %s has no method %q with the parameter types %q", service, name(args.Method), args.Types)
	}
	call := m.New()
	want := 0
	if call.Args != nil {
		want = call.Args.Len()
	}
	if want != len(args.Args) {
		return refuse(exchange.BadRequest, "generic call: %s.%s takes %d arguments, the call has %d", service, m.Name, want, len(args.Args))
	}
	if want > 0 {
		from := make(serialize.Values, len(args.Args))
		for i := range args.Args {
			from[i] = &args.Args[i]
		}
		if err := serialize.Convert(r.format, from, call.Args, r.port.protocol.config.Limits); err != nil {
			return refuse(exchange.BadRequest, "generic call: the arguments of %s.%s do not fit: %v", service, m.Name, err)
		}
	}
	call.Attachments = r.call.Attachments
	r.call, r.invoked = call, true
	return nil
}

// genericException is the class in which a generic caller gets every failure of a service: it is sure to have that one, but
// hardly the service's own (GenericFilter).
const genericException = "org.apache.dubbo.rpc.service.GenericException"

type genericFailure struct {
	ExceptionClass   string
	ExceptionMessage string
}

// exception is what the caller is told of a handler's error.
func (r *request) exception(err error) *serialize.Exception {
	x := exception(err, r.call.Method)
	if !r.invoked || r.format.ID() != serialize.Hessian2ID {
		return x
	}
	class := x.Class
	if class == "" {
		class = "java.lang.RuntimeException"
	}
	return &serialize.Exception{Class: genericException, Message: x.Message, Value: &genericFailure{class, x.Message}}
}

// generalized is the reply of a generic call: objects as maps.
func (r *request) generalized() (serialize.Row, error) {
	p := r.port.protocol
	plain := p.known()[r.format.ID()&exchange.MaskID].plain
	if plain == nil {
		plain = serialize.Plain(r.format)
	}
	v, err := serialize.Generic(r.format, plain, r.call.Reply, p.config.Limits)
	return &protocol.AnyRow{Value: v}, err
}
