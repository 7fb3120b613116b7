package gen

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"strconv"
	"strings"
)

// checkType says what is wrong with a type that is to travel, as the end of a sentence; empty means nothing is.
func (b *builder) checkType(t types.Type, seen map[types.Type]bool) string {
	if seen[t] || isTime(t) || isBigInt(t) || isAny(t) || hasMethod(t, "MarshalHessian2") && b.ownStruct(t) == nil {
		return ""
	}
	seen[t] = true
	switch u := t.Underlying().(type) {
	case *types.Basic:
		return checkBasic(u)
	case *types.Pointer:
		switch u.Elem().Underlying().(type) {
		case *types.Pointer, *types.Slice, *types.Map, *types.Interface:
			return "is a pointer to a pointer, slice, map or interface: leave the outer pointer out"
		}
		return b.checkType(u.Elem(), seen)
	case *types.Slice:
		if isBytes(t) {
			return ""
		}
		return b.checkType(u.Elem(), seen)
	case *types.Map:
		if k, ok := u.Key().Underlying().(*types.Basic); !ok || checkBasic(k) != "" {
			return "has " + u.Key().String() + " as map key: use a string, a boolean or a number"
		}
		return b.checkType(u.Elem(), seen)
	case *types.Struct:
		return b.checkStruct(t)
	case *types.Array:
		return b.checkType(u.Elem(), seen)
	case *types.Chan:
		return "is a channel, which cannot travel: return a slice, or make it a method of its own"
	case *types.Signature:
		return "is a function, which cannot travel"
	case *types.Interface:
		return "is an interface with methods: use a struct, or any"
	}
	return "has a type that cannot travel"
}

func checkBasic(t *types.Basic) string {
	if _, ok := scalarDescriptor(t); ok {
		return ""
	}
	switch {
	case t.Kind() == types.Invalid:
		return "has a type that is not known: check its name and the imports"
	}
	return "is " + t.Name() + ", which cannot travel"
}

func (b *builder) checkStruct(t types.Type) string {
	n, ok := types.Unalias(t).(*types.Named)
	switch {
	case !ok:
		return "is a struct without a name: declare a type for it"
	case named(t, "math/big", "Int"):
		return "is a big.Int: use *big.Int"
	case n.TypeArgs().Len() > 0:
		return "is a generic struct: declare a struct of its own for it"
	case n.Obj().Pkg() == b.types && !n.Obj().Exported():
		return "is of the unexported type " + n.Obj().Name() + ", which no caller could make: begin its name with an upper-case letter"
	case n.Obj().Pkg() == b.types && b.docs[n.Obj().Name()] == nil:
		return "is a struct declared inside a function: declare it at the top of the file"
	case n.Obj().Pkg() != b.types && hidden(n):
		return "is a " + types.TypeString(n, nil) + ", which has no exported fields: nothing of it would travel"
	}
	return ""
}

// hidden says whether a struct has no field that could travel.
func hidden(n *types.Named) bool {
	st := n.Underlying().(*types.Struct)
	for f := range st.Fields() {
		if f.Exported() || f.Embedded() {
			return false
		}
	}
	return st.NumFields() > 0
}

// ownStruct returns the struct of this package that t is, or nil.
func (p *pkg) ownStruct(t types.Type) *types.TypeName {
	n, ok := types.Unalias(t).(*types.Named)
	if !ok || n.Obj().Pkg() != p.types || isTime(t) {
		return nil
	}
	if _, ok := n.Underlying().(*types.Struct); !ok {
		return nil
	}
	return n.Obj()
}

// descriptor returns the JVM descriptor of a type that passed checkType.
func (p *pkg) descriptor(t types.Type) string {
	switch {
	case isTime(t):
		return "Ljava/util/Date;"
	case isBigInt(t):
		return "Ljava/math/BigInteger;"
	case isBytes(t):
		return "[B"
	case named(t, hessianPkg, "Decimal"):
		return "Ljava/math/BigDecimal;"
	case named(t, hessianPkg, "UUID"):
		return "Ljava/util/UUID;"
	case named(t, hessianPkg, "LocalDate"), named(t, hessianPkg, "LocalTime"), named(t, hessianPkg, "LocalDateTime"):
		return "Ljava/time/" + types.Unalias(t).(*types.Named).Obj().Name() + ";"
	}
	if class := p.enumClass(t); class != "" {
		return "L" + strings.ReplaceAll(class, ".", "/") + ";"
	}
	switch u := t.Underlying().(type) {
	case *types.Basic:
		d, _ := scalarDescriptor(u)
		return d
	case *types.Pointer:
		d := p.descriptor(u.Elem())
		if w, ok := wrappers[d]; ok {
			return w
		}
		return d
	case *types.Slice:
		return "Ljava/util/List;"
	case *types.Array:
		if e, ok := u.Elem().Underlying().(*types.Basic); ok && e.Kind() == types.Uint8 {
			return "[B"
		}
		return "Ljava/util/List;"
	case *types.Map:
		return "Ljava/util/Map;"
	case *types.Struct:
		if class := p.classOf(t); class != "" {
			return "L" + strings.ReplaceAll(class, ".", "/") + ";"
		}
	}
	return "Ljava/lang/Object;"
}

// enumClass returns the Java class of a type that is an enum by //ferry:class, or nothing.
func (p *pkg) enumClass(t types.Type) string {
	n, ok := types.Unalias(t).(*types.Named)
	if !ok || n.Obj().Pkg() == nil {
		return ""
	}
	if _, isStruct := n.Underlying().(*types.Struct); isStruct {
		return ""
	}
	if c := p.classes[n.Obj()]; c != nil {
		return c.java
	}
	if n.Obj().Pkg() != p.types && (p.run[qualified(n.Obj())] != "" || hasMethod(t, "JavaClassName")) {
		return p.foreignClass(n.Obj())
	}
	return ""
}

// classOf returns the Java class of a struct, or nothing when a struct of another package says none.
func (p *pkg) classOf(t types.Type) string {
	if obj := p.ownStruct(t); obj != nil {
		return p.classes[obj].java
	}
	n, ok := types.Unalias(t).(*types.Named)
	if !ok {
		return ""
	}
	return p.foreignClass(n.Obj())
}

// qualified is the name of a type with the path of its package.
func qualified(obj *types.TypeName) string {
	if obj.Pkg() == nil {
		return obj.Name()
	}
	return obj.Pkg().Path() + "." + obj.Name()
}

// foreignClass finds the Java class of another package's type: in this run, by the directive in its source, or in the
// code that was generated for it.
func (p *pkg) foreignClass(obj *types.TypeName) string {
	if java := p.run[qualified(obj)]; java != "" {
		return java
	}
	pos := p.fset.Position(obj.Pos())
	if java := markedAs(pos, obj.Name()); java != "" {
		return java
	}
	syntax, err := parser.ParseFile(token.NewFileSet(), strings.TrimSuffix(pos.Filename, ".go")+"_ferry.go", nil, parser.SkipObjectResolution)
	if err != nil {
		return ""
	}
	for _, decl := range syntax.Decls {
		if f, ok := decl.(*ast.FuncDecl); ok && f.Name.Name == "JavaClassName" && receiver(f) == obj.Name() {
			return returned(f)
		}
	}
	return ""
}

// receiver is the name of the type that a method belongs to.
func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil || len(f.Recv.List) != 1 {
		return ""
	}
	return strings.TrimPrefix(types.ExprString(f.Recv.List[0].Type), "*")
}

// returned is the string that a function of one return statement gives.
func returned(f *ast.FuncDecl) string {
	if len(f.Body.List) == 1 {
		if r, ok := f.Body.List[0].(*ast.ReturnStmt); ok && len(r.Results) == 1 {
			if text, err := strconv.Unquote(types.ExprString(r.Results[0])); err == nil {
				return text
			}
		}
	}
	return ""
}

// markedAs looks for the directive of a type in its source.
func markedAs(pos token.Position, name string) string {
	syntax, err := parser.ParseFile(token.NewFileSet(), pos.Filename, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return ""
	}
	for _, decl := range syntax.Decls {
		gd, ok := decl.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, s := range gd.Specs {
			spec, ok := s.(*ast.TypeSpec)
			if !ok || spec.Name.Name != name {
				continue
			}
			for _, g := range []*ast.CommentGroup{spec.Doc, gd.Doc} {
				if class := classDirective(g); class != "" {
					return class
				}
			}
		}
	}
	return ""
}

func classDirective(g *ast.CommentGroup) string {
	if g == nil {
		return ""
	}
	for _, c := range g.List {
		if d, ok := parseDirective(c); ok && (d.name == "class" || d.name == "error") {
			return d.args
		}
	}
	return ""
}

// hasMethod says whether *t has that method itself, not by embedding another type.
func hasMethod(t types.Type, name string) bool {
	n, ok := types.Unalias(t).(*types.Named)
	if !ok {
		return false
	}
	for m := range n.Methods() {
		if m.Name() == name {
			return true
		}
	}
	return false
}
