package gen

import (
	"strconv"
	"strings"

	"github.com/ferryrpc/ferry/serialize"
)

// emitAsync prints the client of a service whose methods do not wait.
func emitAsync(pr *printer, s *service) {
	name, low, protocol := s.obj.Name(), serialize.JavaName(s.obj.Name()), pr.use(protocolPkg, "protocol")
	pr.P("// %sAsync calls %s without waiting: its methods return at once, with a Future of the reply. Arguments belong to the", name, s.wire)
	pr.P("// caller again when they do. It is safe for use from any number of goroutines.")
	pr.P("type %sAsync struct{ in %s.Invoker }\n", name, protocol)
	pr.P("// Async%s returns the asynchronous form of a client, or of any other implementation.", name)
	pr.P("func Async%s(s %s) %sAsync {", name, name, name)
	pr.P("if c, ok := s.(*%sClient); ok {\nreturn %sAsync{c.in}\n}", low, name)
	pr.P("return %sAsync{%s.Implementation(s)}\n}\n", name, protocol)
	for _, m := range s.methods {
		if m.stream == unary { // the others do not wait either
			emitAsyncMethod(pr, s, m)
		}
	}
}

func emitAsyncMethod(pr *printer, s *service, m *method) {
	ferry, reply := pr.use(module, "ferry"), "struct{}"
	if m.reply != nil {
		reply = pr.typ(m.reply.typ)
	}
	pr.P("// %s begins a call of %s.", m.name, m.name)
	pr.P("func (c %sAsync) %s(%s) *%s.Future[%s] {", s.obj.Name(), m.name, params(pr, m), ferry, reply)
	pr.P("k := take%s()", upperFirst(callName(s, m)))
	if len(m.args) > 0 && m.args[0].message {
		pr.P("if a0 == nil {\na0 = new(%s)\n}", strings.TrimPrefix(pr.typ(m.args[0].typ), "*"))
	}
	for i, a := range m.args {
		n := strconv.Itoa(i)
		switch {
		case flatType(a.typ):
			pr.P("k.args.A%s = a%s", n, n)
		case m.args[0].message:
			pr.P("k.args.A%s = %s.CloneOf(a%s)", n, pr.use("google.golang.org/protobuf/proto", "proto"), n)
		default:
			pr.P("%s.Copy(&k.args.A%s, &a%s)", pr.use(typesPkg, "serialize"), n, n)
		}
	}
	pr.P("return %s.Start[%s](ctx, c.in, &k.Invocation)\n}\n", ferry, reply)
}
