package gen

import (
	"cmp"
	"github.com/ferryrpc/ferry/serialize"
	"go/types"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// emit prints what belongs to one source file.
func emit(p *pkg, f *file, o Options) ([]File, error) {
	pr := newPrinter(p.types)
	for _, s := range f.services {
		emitService(pr, p, s)
		if o.Async {
			emitAsync(pr, s)
		}
	}
	for _, c := range f.classes {
		emitClass(pr, p, c)
	}
	content, err := pr.source(Header)
	if err != nil {
		return nil, err
	}
	if err := p.checkDeclared(content, f); err != nil {
		return nil, err
	}
	files := []File{{Path: outputName(f.path), Content: content}}
	if !o.Mock {
		return files, nil
	}
	for _, s := range f.services {
		path := filepath.Join(shorten(p.dir), strings.ToLower(s.obj.Name())+"_mock.go")
		if _, err := os.Stat(path); err == nil || p.types.Scope().Lookup(s.obj.Name()+"Mock") != nil {
			continue
		}
		mock, err := emitMock(p, s)
		if err != nil {
			return nil, err
		}
		files = append(files, File{Path: path, Content: mock, Keep: true})
	}
	return files, nil
}

// checkDeclared complains when the user's own code has a name that the generated file needs.
func (p *pkg) checkDeclared(content []byte, f *file) error {
	names, err := declared(content)
	if err != nil {
		return err
	}
	for _, name := range names {
		if obj := p.types.Scope().Lookup(name); obj != nil {
			return &Error{Pos: p.fset.Position(obj.Pos()), Msg: name + " is declared here, but " +
				filepath.Base(outputName(f.path)) + " needs that name: rename it"}
		}
	}
	return nil
}

// emitService prints everything for one service.
func emitService(pr *printer, p *pkg, s *service) {
	name, low := s.obj.Name(), serialize.JavaName(s.obj.Name())
	protocol := pr.use(protocolPkg, "protocol")
	ferry := pr.use(module, "ferry")

	pr.P("// %sService describes %s to the framework. It is not to be changed.", name, s.wire)
	pr.P("var %sService = &%s.Interface{Name: %q, Methods: new%sMethods()}\n", name, protocol, s.wire, name)

	pr.P("// Refer%s returns a client of %s. It is safe for use from any number of goroutines and lives as long as c.", name, s.wire)
	pr.P("func Refer%s(c *%s.Client, opts ...%s.Option) (%s, error) {", name, ferry, ferry, name)
	pr.P("if err := Register%sTypes(c.Types()); err != nil {\nreturn nil, err\n}", name)
	pr.P("ref, err := c.Refer(%sService, %s)", name, optionList(ferry, s))
	pr.P("if err != nil {\nreturn nil, err\n}")
	pr.P("return New%s(ref), nil\n}\n", name)

	pr.P("// Export%s publishes impl as %s. Its methods are called from many goroutines at once.", name, s.wire)
	pr.P("func Export%s(s *%s.Server, impl %s, opts ...%s.Option) error {", name, ferry, name, ferry)
	pr.P("if err := Register%sTypes(s.Types()); err != nil {\nreturn err\n}", name)
	pr.P("return s.Export(%sService, impl, %s)\n}\n", name, optionList(ferry, s))
	emitShort(pr, s, ferry)

	emitRegister(pr, p, s)

	pr.P("// New%s returns a client that makes its calls through in.", name)
	pr.P("func New%s(in %s.Invoker) %s { return &%sClient{in} }\n", name, protocol, name, low)
	pr.P("type %sClient struct{ in %s.Invoker }\n", low, protocol)
	for _, m := range s.methods {
		emitClientMethod(pr, s, m)
	}
	emitTable(pr, s)
	for i, m := range s.methods {
		emitCall(pr, s, m, i)
		emitRow(pr, p, rowName(s, m, "Args"), m.args, callName(s, m))
		if m.reply != nil {
			emitRow(pr, p, rowName(s, m, "Reply"), []value{*m.reply}, "")
		}
	}
}

// emitShort prints what a program needs that does nothing but call the service, or nothing but serve it.
func emitShort(pr *printer, s *service, ferry string) {
	name, context, errors := s.obj.Name(), pr.use("context", "context"), pr.use("errors", "errors")
	pr.P("// MustRefer%s is Refer%s for a program that cannot do without the service: it panics on an error.", name, name)
	pr.P("func MustRefer%s(c *%s.Client, opts ...%s.Option) %s {", name, ferry, ferry, name)
	pr.P("s, err := Refer%s(c, opts...)\nif err != nil {\npanic(err)\n}\nreturn s\n}\n", name)

	pr.P("// Serve%s is a whole provider: it publishes impl in a registry and serves until the process is told to stop.", name)
	pr.P("func Serve%s(registry string, impl %s, opts ...%s.Option) error {", name, name, ferry)
	pr.P("s := %s.NewServer(registry, opts...)", ferry)
	pr.P("if err := Export%s(s, impl); err != nil {", name)
	pr.P("return %s.Join(err, s.Close(%s.Background()))\n}", errors, context)
	pr.P("return s.Run(%s.Background())\n}\n", context)
}

// optionList prints the options of a call to Refer or Export: those of the directive first, so that the user's win.
func optionList(ferry string, s *service) string {
	if len(s.settings) == 0 {
		return "opts..."
	}
	var list []string
	for _, x := range s.settings {
		list = append(list, ferry+".Param("+strconv.Quote(x.key)+", "+strconv.Quote(x.value)+")")
	}
	return "append([]" + ferry + ".Option{" + strings.Join(list, ", ") + "}, opts...)..."
}

// emitRegister prints the function that makes the classes of a service known by name.
func emitRegister(pr *printer, p *pkg, s *service) {
	name, serialize := s.obj.Name(), pr.use(typesPkg, "serialize")
	var adds []string
	for _, c := range p.registered(s) {
		adds = append(adds, "t.Add("+strconv.Quote(c.java)+", (*"+pr.typ(c.obj.Type())+")(nil))")
	}
	pr.P("// Register%sTypes makes the classes that %s exchanges, and the errors of this package, known to t.", name, s.wire)
	pr.P("// Refer%s and Export%s do so themselves.", name, name)
	if len(adds) == 0 {
		pr.P("func Register%sTypes(*%s.Types) error { return nil }\n", name, serialize)
		return
	}
	pr.P("func Register%sTypes(t *%s.Types) error {", name, serialize)
	for _, add := range adds[:len(adds)-1] {
		pr.P("if err := %s; err != nil {\nreturn err\n}", add)
	}
	pr.P("return %s\n}\n", adds[len(adds)-1])
}

// registered lists the classes that a service's types include, sorted by their names: those that it reaches, and
// every error of the package.
func (p *pkg) registered(s *service) []*class {
	var out []*class
	for _, c := range p.classes {
		if c.thrown || s.reaches[c.obj.Type()] {
			out = append(out, c)
		}
	}
	for t := range s.reaches {
		if n, ok := t.(*types.Named); ok && n.Obj().Pkg() != p.types {
			if java := p.foreignClass(n.Obj()); java != "" {
				out = append(out, &class{obj: n.Obj(), java: java})
			}
		}
	}
	slices.SortFunc(out, func(a, b *class) int { return cmp.Compare(a.java, b.java) })
	return out
}

func callName(s *service, m *method) string {
	return serialize.JavaName(s.obj.Name()) + m.name + "Call"
}

func rowName(s *service, m *method, kind string) string {
	return serialize.JavaName(s.obj.Name()) + m.name + kind
}

// params prints a method's parameter list.
func params(pr *printer, m *method) string {
	list := []string{"ctx " + pr.std("context") + ".Context"}
	for i, a := range m.args {
		list = append(list, "a"+strconv.Itoa(i)+" "+m.argType(pr, a))
	}
	return strings.Join(list, ", ")
}

// results prints a method's result list.
func results(pr *printer, m *method) string {
	switch {
	case m.reply == nil:
		return "error"
	case m.stream.out():
		return sequence(pr, m.reply.typ)
	}
	return "(" + pr.typ(m.reply.typ) + ", error)"
}

// emitMock prints a skeleton that users may change.
func emitMock(p *pkg, s *service) ([]byte, error) {
	pr := newPrinter(p.types)
	name := s.obj.Name()
	pr.P("// %sMock answers every call of %s with nothing. Change it as you like: ferry gen writes it once.", name, name)
	pr.P("type %sMock struct{}\n", name)
	pr.P("var _ %s = %sMock{}\n", name, name)
	for _, m := range s.methods {
		pr.P("// %s implements %s.", m.name, name)
		var list []string
		list = append(list, "ctx "+pr.std("context")+".Context")
		for _, a := range m.args {
			list = append(list, a.name+" "+m.argType(pr, a))
		}
		if m.stream.out() {
			pr.P("func (%sMock) %s(%s) %s {\nreturn func(func(%s, error) bool) {}\n}\n", name, m.name, strings.Join(list, ", "), results(pr, m), pr.typ(m.reply.typ))
			continue
		}
		if m.reply == nil {
			pr.P("func (%sMock) %s(%s) error { return nil }\n", name, m.name, strings.Join(list, ", "))
			continue
		}
		pr.P("func (%sMock) %s(%s) (reply %s, err error) { return reply, nil }\n", name, m.name, strings.Join(list, ", "), pr.typ(m.reply.typ))
	}
	return pr.source("// The skeleton of a " + name + ", for tests and for mock=" + name + "Mock.")
}
