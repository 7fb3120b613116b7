package gen

import (
	"go/types"
	"strconv"
	"strings"
)

// streams says in which directions a method has more than one message.
type streams uint8

const (
	unary     streams = 0
	streamIn  streams = 1 // many requests
	streamOut streams = 2 // many replies
)

func streamsOf(in, out bool) (s streams) {
	if in {
		s |= streamIn
	}
	if out {
		s |= streamOut
	}
	return s
}

func (s streams) in() bool  { return s&streamIn != 0 }
func (s streams) out() bool { return s&streamOut != 0 }

// kind is the name of a protocol.Kind.
func (s streams) kind() string {
	switch s {
	case streamIn:
		return "ClientStream"
	case streamOut:
		return "ServerStream"
	}
	return "BidiStream"
}

// streamed takes the type of the messages out of iter.Seq2[T, error].
func streamed(t types.Type) (types.Type, bool) {
	if n, ok := types.Unalias(t).(*types.Named); ok && named(n, "iter", "Seq2") && n.TypeArgs().Len() == 2 &&
		types.Identical(n.TypeArgs().At(1), types.Universe.Lookup("error").Type()) {
		return n.TypeArgs().At(0), true
	}
	return t, false
}

// sequence prints the type of a stream of messages.
func sequence(pr *printer, t types.Type) string {
	return pr.std("iter") + ".Seq2[" + pr.typ(t) + ", error]"
}

// argType prints the type of a method's argument as the Go interface has it.
func (m *method) argType(pr *printer, a value) string {
	if m.stream.in() {
		return sequence(pr, a.typ)
	}
	return pr.typ(a.typ)
}

// rowOf and valueOf print the functions that put a message into its row, and take it out.
func rowOf(pr *printer, row, field string, v value) string {
	return "func(v " + pr.typ(v.typ) + ") " + pr.use(protocolPkg, "protocol") + ".Row { return &" + row + "{" + field + ": v} }"
}

func valueOf(pr *printer, row, field string, v value) string {
	return "func(r *" + row + ") " + pr.typ(v.typ) + " { return r." + field + " }"
}

// emitClientStream prints the body of a typed client's streaming method. Its calls are not pooled: a goroutine may still
// send when the caller has the end.
func emitClientStream(pr *printer, s *service, m *method) {
	protocol, up := pr.use(protocolPkg, "protocol"), upperFirst(callName(s, m))
	args, reply := rowName(s, m, "Args"), rowName(s, m, "Reply")
	switch m.stream {
	case streamOut:
		pr.P("return %s.CallServerStream(ctx, c.in, func() *%s.Invocation {\nk := take%s()", protocol, protocol, up)
		if len(m.args) > 0 && m.args[0].message {
			pr.P("if a0 == nil {\na0 = new(%s)\n}", strings.TrimPrefix(pr.typ(m.args[0].typ), "*"))
		}
		for i := range m.args {
			pr.P("k.args.A%d = a%d", i, i)
		}
		pr.P("return &k.Invocation\n}, %s)\n}\n", valueOf(pr, reply, "R0", *m.reply))
	case streamIn:
		pr.P("k := take%s()", up)
		pr.P("var reply %s", pr.typ(m.reply.typ))
		pr.P("err := %s.CallClientStream(ctx, c.in, &k.Invocation, a0, %s)", protocol, rowOf(pr, args, "A0", m.args[0]))
		pr.P("if err == nil {\nreply = k.reply.R0\n}\nreturn reply, err\n}\n")
	default:
		pr.P("return %s.CallBidiStream(ctx, c.in, new%s, a0, %s, %s)\n}\n", protocol, up, rowOf(pr, args, "A0", m.args[0]), valueOf(pr, reply, "R0", *m.reply))
	}
}

// emitServeStream prints the rest of the function that calls the implementation of a streaming method.
func emitServeStream(pr *printer, s *service, m *method) {
	protocol, args, reply := pr.use(protocolPkg, "protocol"), rowName(s, m, "Args"), rowName(s, m, "Reply")
	incoming := ""
	if m.stream.in() {
		incoming = ", " + protocol + ".Incoming(c.Stream, " + valueOf(pr, args, "A0", m.args[0]) + ")"
	}
	if m.stream == streamIn {
		pr.P("r, ok := c.Reply.(*%s)\nif !ok {\nreturn err%sCall\n}", reply, s.obj.Name())
		pr.P("reply, err := x.%s(ctx%s)\nif err != nil {\nreturn err\n}", m.name, incoming)
		pr.P("r.R0 = reply\nreturn nil\n}\n")
		return
	}
	if m.stream == streamOut && len(m.args) > 0 {
		pr.P("a, ok := c.Args.(*%s)\nif !ok {\nreturn err%sCall\n}", args, s.obj.Name())
		var list strings.Builder
		for i := range m.args {
			list.WriteString(", a.A" + strconv.Itoa(i))
		}
		incoming = list.String()
	}
	pr.P("return %s.SendAll(c.Stream, x.%s(ctx%s), %s)\n}\n", protocol, m.name, incoming, rowOf(pr, reply, "R0", *m.reply))
}
