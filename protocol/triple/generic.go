package triple

import (
	"fmt"

	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/serialize"
)

// common returns the methods that every service has: $invoke, $invokeAsync and $echo.
func (e *exporter) common(name string) []*method {
	var m *protocol.Method
	switch name {
	case protocol.Echo:
		m = protocol.NewEchoMethod(e.service.Interface.Name)
	case protocol.GenericInvoke, protocol.GenericInvokeAsync:
		m = protocol.NewGenericMethod(e.service.Interface.Name)
	default:
		return nil
	}
	return []*method{{m, newShape(m)}}
}

// resolve turns a $invoke into the call that it names, with typed arguments.
func (r *request) resolve() *failure {
	args, ok := r.call.Args.(*protocol.GenericArgs)
	if !ok {
		return nil
	}
	e := r.exporter
	service := e.url.Service()
	if !e.params.Generic {
		return refusal(Unimplemented, fmt.Sprintf("service %s takes no generic calls (parameter generic.invoke)", service))
	}
	switch form := r.call.Attachments.Value("generic"); form {
	case "", "true", "raw.return":
		r.generic = form != "raw.return"
	default:
		return refusal(Unimplemented, fmt.Sprintf("service %s takes no generic calls in the form %q, only true", service, shorten(form, 32)))
	}
	m := e.service.Interface.FindMethod(args.Method, args.Types)
	if m == nil || m.Streams() {
		return refusal(Unimplemented, fmt.Sprintf("generic call: service %s has no method %q with the parameter types %q", service, shorten(args.Method, 128), args.Types))
	}
	call := m.New()
	want := 0
	if call.Args != nil {
		want = call.Args.Len()
	}
	if want != len(args.Args) {
		return refusal(Internal, fmt.Sprintf("generic call: %s.%s takes %d arguments, the call has %d", service, m.Name, want, len(args.Args)))
	}
	if want > 0 {
		from := make(serialize.Values, len(args.Args))
		for i := range args.Args {
			from[i] = &args.Args[i]
		}
		if err := serialize.Convert(r.format.Serializer, from, call.Args, r.port.protocol.config.Limits); err != nil {
			return refusal(Internal, fmt.Sprintf("generic call: the arguments of %s.%s do not fit: %v", service, m.Name, err))
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

// generalized is the reply of a generic call: objects as maps.
func (r *request) generalized() ([]byte, error) {
	p := r.port.protocol
	if r.call.Reply == nil || r.call.Reply.Len() == 0 {
		return p.wrap(r.format, r.wire, nil, r.method.returnType)
	}
	v, err := serialize.Generic(r.format.Serializer, serialize.Plain(r.format.Serializer), r.call.Reply, p.config.Limits)
	if err != nil {
		return nil, err
	}
	return p.wrap(r.format, r.wire, &v, r.method.returnType)
}
