package gen

import (
	"strconv"
	"strings"

	"github.com/ferryrpc/ferry/serialize"
)

// emitClientMethod prints one method of the typed client: a call object from the pool, the arguments, Invoke, back.
func emitClientMethod(pr *printer, s *service, m *method) {
	call := callName(s, m)
	pr.P("func (c *%sClient) %s(%s) %s {", serialize.JavaName(s.obj.Name()), m.name, params(pr, m), results(pr, m))
	if m.stream != unary {
		emitClientStream(pr, s, m)
		return
	}
	pr.P("k := take%s()", upperFirst(call))
	var left, right []string
	for i := range m.args {
		n := strconv.Itoa(i)
		left, right = append(left, "k.args.A"+n), append(right, "a"+n)
	}
	if len(m.args) > 0 && m.args[0].message {
		pr.P("if a0 == nil {\na0 = new(%s)\n}", strings.TrimPrefix(pr.typ(m.args[0].typ), "*"))
	}
	if len(left) > 0 {
		pr.P("%s = %s", strings.Join(left, ", "), strings.Join(right, ", "))
	}
	if m.reply == nil {
		pr.P("err := c.in.Invoke(ctx, &k.Invocation)")
		pr.P("k.free()\nreturn err\n}\n")
		return
	}
	pr.P("var reply %s", pr.typ(m.reply.typ))
	pr.P("err := c.in.Invoke(ctx, &k.Invocation)")
	pr.P("if err == nil {\nreply = k.reply.R0\n}")
	pr.P("k.free()\nreturn reply, err\n}\n")
}

// emitTable prints the methods of a service. The table has no initialiser of its own: its functions refer to it, and
// Go would call that a cycle.
func emitTable(pr *printer, s *service) {
	name, low, protocol := s.obj.Name(), serialize.JavaName(s.obj.Name()), pr.use(protocolPkg, "protocol")
	pr.P("// %sMethods are the methods of %sService by index, filled while the package is initialised.", low, name)
	pr.P("var %sMethods [%d]%s.Method\n", low, len(s.methods), protocol)
	pr.P("func new%sMethods() []*%s.Method {", name, protocol)
	pr.P("%sMethods = [%d]%s.Method{", low, len(s.methods), protocol)
	for i, m := range s.methods {
		call := upperFirst(callName(s, m))
		pr.P("{")
		pr.P("Service: %q, Name: %q, Descriptor: %q, Return: %q, Index: %d,", s.wire, m.wire, m.descriptor, m.result, i)
		if m.oneway {
			pr.P("Kind: %s.OneWay,", protocol)
		}
		if m.stream != unary {
			pr.P("Kind: %s.%s,", protocol, m.stream.kind())
		}
		if m.idempotent {
			pr.P("Idempotent: true,")
		}
		if m.rpc != "" {
			pr.P("RPC: %q,", m.rpc)
		} else if len(m.args) > 0 {
			names := make([]string, len(m.args))
			for i, a := range m.args {
				names[i] = strconv.Quote(a.name)
			}
			pr.P("Params: []string{%s},", strings.Join(names, ", "))
		}
		pr.P("New: new%s, Free: free%s, Clone: clone%s, Serve: serve%s,", call, call, call, call)
		pr.P("},")
	}
	pr.P("}")
	pr.P("list := make([]*%s.Method, len(%sMethods))", protocol, low)
	pr.P("for i := range list {\nlist[i] = &%sMethods[i]\n}", low)
	pr.P("return list\n}\n")
	pr.P("var err%sCall = %s.New(%q)\n", name, pr.std("errors"), pr.pkg.Name()+": "+name+": the invocation or the implementation belongs to another interface")
}

// emitCall prints the pooled object of one method's calls and the functions of its protocol.Method.
func emitCall(pr *printer, s *service, m *method, index int) {
	call, protocol := callName(s, m), pr.use(protocolPkg, "protocol")
	up, args := upperFirst(call), rowName(s, m, "Args")
	pr.P("// %s is one call of %s with all that belongs to it.", call, m.name)
	pr.P("type %s struct {\n%s.Invocation\nargs %s", call, protocol, args)
	if m.reply != nil {
		pr.P("reply %s", rowName(s, m, "Reply"))
	}
	pr.P("}\n")
	pr.P("var %ss %s.Pool\n", call, pr.std("sync"))

	pr.P("func take%s() *%s {", up, call)
	pr.P("k, ok := %ss.Get().(*%s)", call, call)
	pr.P("if !ok {\nk = new(%s)\n}", call)
	pr.P("k.args.call = k")
	if m.reply != nil {
		pr.P("k.Method, k.Args, k.Reply = &%sMethods[%d], &k.args, &k.reply", serialize.JavaName(s.obj.Name()), index)
	} else {
		pr.P("k.Method, k.Args = &%sMethods[%d], &k.args", serialize.JavaName(s.obj.Name()), index)
	}
	pr.P("return k\n}\n")

	pr.P("func (k *%s) free() {\n*k = %s{}\n%ss.Put(k)\n}\n", call, call, call)
	pr.P("func new%s() *%s.Invocation { return &take%s().Invocation }\n", up, protocol, up)

	pr.P("func free%s(c *%s.Invocation) {", up, protocol)
	pr.P("if a, ok := c.Args.(*%s); ok && a.call != nil && c == &a.call.Invocation {\na.call.free()\n}\n}\n", args)

	emitClone(pr, m, up, args)
	emitServe(pr, s, m, up)
}

// emitClone prints the copy of a method's arguments.
func emitClone(pr *printer, m *method, up, args string) {
	protocol := pr.use(protocolPkg, "protocol")
	pr.P("func clone%s(row %s.Row) %s.Row {", up, protocol, protocol)
	if len(m.args) == 0 {
		pr.P("return &%s{}\n}\n", args)
		return
	}
	pr.P("a, ok := row.(*%s)\nif !ok {\nreturn row\n}", args)
	var flat, deep []string
	for i, a := range m.args {
		n := "A" + strconv.Itoa(i)
		if flatType(a.typ) {
			flat = append(flat, n+": a."+n)
		} else {
			deep = append(deep, n)
		}
	}
	pr.P("b := &%s{%s}", args, strings.Join(flat, ", "))
	for _, n := range deep {
		if m.args[0].message {
			pr.P("b.%s = %s.CloneOf(a.%s)", n, pr.use("google.golang.org/protobuf/proto", "proto"), n)
			continue
		}
		pr.P("%s.Copy(&b.%s, &a.%s)", pr.use(typesPkg, "serialize"), n, n)
	}
	pr.P("return b\n}\n")
}

// emitServe prints the function that calls the implementation.
func emitServe(pr *printer, s *service, m *method, up string) {
	pr.P("func serve%s(ctx %s.Context, impl any, c *%s.Invocation) error {", up, pr.std("context"), pr.use(protocolPkg, "protocol"))
	pr.P("x, ok := impl.(%s)\nif !ok {\nreturn err%sCall\n}", s.obj.Name(), s.obj.Name())
	if m.stream != unary {
		emitServeStream(pr, s, m)
		return
	}
	var list []string
	for i := range m.args {
		list = append(list, "a.A"+strconv.Itoa(i))
	}
	if len(list) > 0 {
		pr.P("a, ok := c.Args.(*%s)\nif !ok {\nreturn err%sCall\n}", rowName(s, m, "Args"), s.obj.Name())
	}
	call := "x." + m.name + "(" + strings.Join(append([]string{"ctx"}, list...), ", ") + ")"
	if m.reply == nil {
		pr.P("return %s\n}\n", call)
		return
	}
	pr.P("r, ok := c.Reply.(*%s)\nif !ok {\nreturn err%sCall\n}", rowName(s, m, "Reply"), s.obj.Name())
	pr.P("reply, err := %s\nif err != nil {\nreturn err\n}", call)
	pr.P("r.R0 = reply\nreturn nil\n}\n")
}

func upperFirst(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
