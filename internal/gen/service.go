package gen

import (
	"cmp"
	"github.com/ferryrpc/ferry/serialize"
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"
)

// A builder reads one package into its model.
type builder struct {
	*pkg
	info       *types.Info
	typeErrors []types.Error
	docs       map[string]*typeDoc // type declarations by name
}

// build reads everything that is marked, and what that reaches.
func (b *builder) build() {
	b.classes = map[*types.TypeName]*class{}
	docs := make([]*typeDoc, 0, len(b.docs))
	for _, d := range b.docs {
		docs = append(docs, d)
	}
	slices.SortFunc(docs, func(x, y *typeDoc) int {
		return cmp.Or(strings.Compare(x.file.path, y.file.path), cmp.Compare(x.spec.Pos(), y.spec.Pos()))
	})
	for _, doc := range docs {
		b.markedClass(doc)
	}
	for _, doc := range docs {
		if d, ok := find(doc.above, "service"); ok {
			b.readService(doc, d)
		}
	}
	for _, doc := range docs {
		if c, ok := b.classes[b.object(doc)]; ok {
			(&reacher{b, javaPackage(c.java), false, map[types.Type]bool{}}).reach(c.obj.Type())
		}
	}
	for _, doc := range docs { // in source order, so that the output does not depend on who reaches a class first
		if c, ok := b.classes[b.object(doc)]; ok {
			b.readFields(c)
			doc.file.classes = append(doc.file.classes, c)
		}
	}
}

// object returns the type that a declaration declares; nil when it does not type-check at all.
func (b *builder) object(doc *typeDoc) *types.TypeName {
	obj, _ := b.info.Defs[doc.spec.Name].(*types.TypeName)
	return obj
}

// readService reads an interface with //ferry:service.
func (b *builder) readService(doc *typeDoc, d directive) {
	obj := b.object(doc)
	words := strings.Fields(d.args)
	if len(words) == 0 || !javaClass(words[0]) {
		b.errorf(d.pos, "//ferry:service needs the service's name, for instance //ferry:service com.example.%s", doc.spec.Name.Name)
		return
	}
	s := &service{obj: obj, file: doc.file, wire: words[0], settings: b.settings(d, words[1:]), reaches: map[types.Type]bool{}}
	syntax := interfaceSyntax(doc.spec)
	switch {
	case obj == nil:
		return
	case syntax == nil:
		b.errorf(doc.spec.Pos(), "%s is no interface: //ferry:service marks interfaces", obj.Name())
		return
	case doc.spec.TypeParams != nil:
		b.errorf(doc.spec.Pos(), "%s is generic, a service cannot be: write one interface for each type", obj.Name())
		return
	case !obj.Exported():
		b.errorf(doc.spec.Pos(), "%s is not exported, so nobody could call it: begin its name with an upper-case letter", obj.Name())
		return
	}
	for _, f := range b.files {
		for _, other := range f.services {
			if other.wire == s.wire {
				b.errorf(doc.spec.Pos(), "%s is the name of %s already: give each service its own", s.wire, other.obj.Name())
			}
		}
	}
	if !b.readMethods(s, doc, syntax, map[string]bool{}) {
		return
	}
	if len(s.methods) == 0 && len(b.errs) == 0 {
		b.errorf(doc.spec.Pos(), "%s has no methods", obj.Name())
	}
	b.checkOverloads(s)
	doc.file.services = append(doc.file.services, s)
}

// readMethods reads the methods of an interface in source order, those of embedded interfaces in their place.
func (b *builder) readMethods(s *service, doc *typeDoc, syntax *ast.InterfaceType, seen map[string]bool) bool {
	ok := true
	for _, field := range syntax.Methods.List {
		if len(field.Names) == 1 {
			name := field.Names[0]
			fn, _ := b.info.Defs[name].(*types.Func)
			if fn != nil && !seen[name.Name] {
				seen[name.Name] = true
				b.readMethod(s, fn, name.Pos(), doc.methods[name.Name], field.Type.(*ast.FuncType))
			}
			continue
		}
		t := b.info.TypeOf(field.Type)
		if n, isNamed := types.Unalias(t).(*types.Named); isNamed && n.Obj().Pkg() == b.types {
			if inner := b.docs[n.Obj().Name()]; inner != nil && interfaceSyntax(inner.spec) != nil {
				ok = b.readMethods(s, inner, interfaceSyntax(inner.spec), seen) && ok
				continue
			}
		}
		it, isInterface := underlying(t).(*types.Interface)
		if !isInterface {
			b.errorf(field.Pos(), "%s", b.unknownType(field.Type, "an interface"))
			ok = false
			continue
		}
		for fn := range it.Methods() {
			if !seen[fn.Name()] {
				seen[fn.Name()] = true
				b.readMethod(s, fn, field.Pos(), nil, nil)
			}
		}
	}
	return ok
}

func underlying(t types.Type) types.Type {
	if t == nil {
		return nil
	}
	return t.Underlying()
}

// unknownType explains a type that does not type-check, with the compiler's words where there are any.
func (b *builder) unknownType(e ast.Expr, want string) string {
	for _, err := range b.typeErrors {
		if e.Pos() <= err.Pos && err.Pos < e.End() {
			return err.Msg
		}
	}
	return types.ExprString(e) + " is not " + want
}

// readMethod reads one method. params is nil for methods of embedded interfaces from other packages.
func (b *builder) readMethod(s *service, fn *types.Func, pos token.Pos, ds []directive, syntax *ast.FuncType) {
	before := len(b.errs)
	sig := fn.Type().(*types.Signature)
	m := &method{name: fn.Name(), wire: serialize.JavaName(fn.Name()), pos: pos}
	_, m.oneway = find(ds, "oneway")
	_, m.idempotent = find(ds, "idempotent")
	at := positions(syntax, pos)
	if !fn.Exported() {
		b.errorf(pos, "%s is not exported: methods of a service begin with an upper-case letter", fn.Name())
		return
	}
	b.readParams(s, m, sig, at)
	b.readResults(s, m, sig, at)
	if len(b.errs) > before {
		return
	}
	if d, ok := find(ds, "method"); ok {
		b.applySignature(m, d, at)
	}
	for _, a := range m.args {
		m.descriptor += a.java
	}
	m.result = "V"
	if m.reply != nil {
		m.result = m.reply.java
	}
	s.methods = append(s.methods, m)
}

// A place tells where the parameters and results of a method stand in the source.
type place struct {
	fallback        token.Pos
	params, results []token.Pos
}

func (p place) param(i int) token.Pos  { return pick(p.params, i, p.fallback) }
func (p place) result(i int) token.Pos { return pick(p.results, i, p.fallback) }

func pick(list []token.Pos, i int, fallback token.Pos) token.Pos {
	if i < len(list) {
		return list[i]
	}
	return fallback
}

func positions(syntax *ast.FuncType, fallback token.Pos) place {
	p := place{fallback: fallback}
	if syntax == nil {
		return p
	}
	list := func(fl *ast.FieldList) (out []token.Pos) {
		if fl == nil {
			return nil
		}
		for _, f := range fl.List {
			for range max(1, len(f.Names)) {
				out = append(out, f.Type.Pos())
			}
		}
		return out
	}
	p.params, p.results = list(syntax.Params), list(syntax.Results)
	return p
}

// readParams reads (ctx context.Context, args…).
func (b *builder) readParams(s *service, m *method, sig *types.Signature, at place) {
	params := sig.Params()
	if params.Len() == 0 || !named(params.At(0).Type(), "context", "Context") {
		b.errorf(at.param(0), "%s: the first parameter must be ctx context.Context", m.name)
		return
	}
	if sig.Variadic() {
		b.errorf(at.param(params.Len()-1), "%s: the last parameter is variadic, which Java calls differently: take a slice", m.name)
		return
	}
	for i := 1; i < params.Len(); i++ {
		p := params.At(i)
		t, streamed := streamed(p.Type())
		if streamed {
			m.stream |= streamIn
			if params.Len() > 2 {
				b.errorf(at.param(i), "%s: a stream of requests must be the only parameter behind ctx", m.name)
				return
			}
		}
		if v, ok := b.readValue(s, t, at.param(i), m.name+": parameter "+paramName(p, i)); ok {
			v.name = paramName(p, i)
			m.args = append(m.args, v)
		}
	}
}

func paramName(p *types.Var, i int) string {
	if p.Name() == "" || p.Name() == "_" {
		return "arg" + string(rune('0'+i%10))
	}
	return p.Name()
}

// readResults reads (reply, error) or error.
func (b *builder) readResults(s *service, m *method, sig *types.Signature, at place) {
	res := sig.Results()
	n := res.Len()
	if n == 1 {
		if t, ok := streamed(res.At(0).Type()); ok {
			m.stream |= streamOut
			if v, ok := b.readValue(s, t, at.result(0), m.name+": the reply"); ok {
				m.reply = &v
			}
			return
		}
	}
	if n == 0 || n > 2 || !types.Identical(res.At(n-1).Type(), types.Universe.Lookup("error").Type()) {
		pos := at.fallback
		if n > 0 {
			pos = at.result(n - 1)
		}
		b.errorf(pos, "%s: the results must be error, or a reply and error", m.name)
		return
	}
	if n == 1 {
		if m.stream != unary {
			b.errorf(at.fallback, "%s: a stream of requests is answered by a reply and error, or by iter.Seq2[Reply, error]", m.name)
		}
		return
	}
	if m.oneway {
		b.errorf(at.result(0), "%s is //ferry:oneway, so no reply comes back: let it return error alone", m.name)
		return
	}
	if v, ok := b.readValue(s, res.At(0).Type(), at.result(0), m.name+": the reply"); ok {
		m.reply = &v
	}
}

// readValue checks the type of an argument or reply and finds its Java type.
func (b *builder) readValue(s *service, t types.Type, pos token.Pos, what string) (value, bool) {
	v := value{typ: t}
	if msg := b.checkType(t, map[types.Type]bool{}); msg != "" {
		b.errorf(pos, "%s %s", what, msg)
		return v, false
	}
	(&reacher{b, javaPackage(s.wire), true, s.reaches}).reach(t)
	v.java = b.descriptor(t)
	return v, true
}

// checkOverloads complains about two methods that look the same on the wire.
func (b *builder) checkOverloads(s *service) {
	seen := map[string]*method{}
	for _, m := range s.methods {
		key := m.wire + "(" + m.descriptor + ")"
		if first, ok := seen[key]; ok {
			b.errorf(m.pos, "%s and %s are both %s on the wire: give one another name or other types with //ferry:method", first.name, m.name, key)
			continue
		}
		seen[key] = m
	}
}
