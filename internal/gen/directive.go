package gen

import (
	"go/ast"
	"go/token"
	"strings"
)

// A directive is one comment line //ferry:name args.
type directive struct {
	name, args string
	pos        token.Pos
}

// A typeDoc is a type declaration with the directives above it and above the methods of an interface.
type typeDoc struct {
	file    *file
	spec    *ast.TypeSpec
	above   []directive
	methods map[string][]directive
}

// The directives, by what they stand above.
var (
	typeDirectives   = []string{"service", "class", "error"}
	methodDirectives = []string{"method", "oneway", "idempotent"}
)

// readDirectives collects the type declarations of a file with their directives, and complains about directives that
// stand above nothing they could mark.
func (b *builder) readDirectives(f *file, syntax *ast.File) {
	used := map[*ast.Comment]bool{}
	take := func(groups ...*ast.CommentGroup) []directive {
		var out []directive
		for _, g := range groups {
			if g == nil {
				continue
			}
			for _, c := range g.List {
				if d, ok := parseDirective(c); ok && !used[c] {
					used[c] = true
					out = append(out, d)
				}
			}
		}
		return out
	}
	for _, decl := range syntax.Decls {
		gd, ok := decl.(*ast.GenDecl)
		if !ok || gd.Tok != token.TYPE {
			continue
		}
		for _, s := range gd.Specs {
			spec := s.(*ast.TypeSpec)
			doc := &typeDoc{file: f, spec: spec, methods: map[string][]directive{}}
			if len(gd.Specs) == 1 {
				doc.above = take(gd.Doc, spec.Doc)
			} else {
				doc.above = take(spec.Doc)
			}
			b.checkNames(doc.above, typeDirectives, "a type")
			if it := interfaceSyntax(spec); it != nil {
				for _, m := range it.Methods.List {
					if len(m.Names) == 1 {
						doc.methods[m.Names[0].Name] = take(m.Doc)
						b.checkNames(doc.methods[m.Names[0].Name], methodDirectives, "a method")
					}
				}
			}
			b.docs[spec.Name.Name] = doc
		}
	}
	for _, g := range syntax.Comments {
		for _, c := range g.List {
			if d, ok := parseDirective(c); ok && !used[c] {
				b.errorf(d.pos, "//ferry:%s marks nothing here: put it directly above a type, or above a method of a service", d.name)
			}
		}
	}
}

// parseDirective reads a comment as a directive.
func parseDirective(c *ast.Comment) (directive, bool) {
	text, ok := strings.CutPrefix(c.Text, "//ferry:")
	if !ok {
		return directive{}, false
	}
	name, args, _ := strings.Cut(strings.TrimRight(text, "\r"), " ")
	return directive{name: name, args: strings.TrimSpace(args), pos: c.Pos()}, true
}

// checkNames complains about directives that are not known at their place.
func (b *builder) checkNames(ds []directive, known []string, place string) {
	for _, d := range ds {
		found := false
		for _, k := range known {
			found = found || k == d.name
		}
		if !found {
			b.errorf(d.pos, "no directive //ferry:%s for %s: there are //ferry:%s", d.name, place, strings.Join(known, ", //ferry:"))
		}
	}
}

// find returns the directive of that name.
func find(ds []directive, name string) (directive, bool) {
	for _, d := range ds {
		if d.name == name {
			return d, true
		}
	}
	return directive{}, false
}

// settings reads key=value words.
func (b *builder) settings(d directive, words []string) []setting {
	var out []setting
	for _, w := range words {
		key, value, ok := strings.Cut(w, "=")
		if !ok || key == "" {
			b.errorf(d.pos, "%q is no setting: write key=value, for instance version=1.0.0", w)
			continue
		}
		out = append(out, setting{key, value})
	}
	return out
}

// A signature is what //ferry:method says: the wire name and, where given, the Java types.
type signature struct {
	name   string
	types  []string // JVM descriptors; nil when no list was given
	listed bool
	result string // JVM descriptor, empty when not given
}

// parseSignature reads sayHello, sayHello(int,java.lang.String) or sayHello(int) java.util.List.
func parseSignature(text string) (signature, string) {
	name, rest, listed := strings.Cut(text, "(")
	s := signature{name: strings.TrimSpace(name), listed: listed}
	if !javaIdentifier(s.name) {
		return s, "write a method name, for instance //ferry:method sayHello(int,java.lang.String)"
	}
	if !listed {
		return s, ""
	}
	list, result, closed := strings.Cut(rest, ")")
	if !closed {
		return s, "the list of Java types has no closing parenthesis"
	}
	if list = strings.TrimSpace(list); list != "" {
		for _, t := range strings.Split(list, ",") {
			d, ok := javaDescriptor(strings.TrimSpace(t))
			if !ok || d == "V" {
				return s, "\"" + strings.TrimSpace(t) + "\" is no Java type: write int, java.lang.String, com.example.User or java.lang.String[]"
			}
			s.types = append(s.types, d)
		}
	}
	if result = strings.TrimSpace(result); result != "" {
		d, ok := javaDescriptor(result)
		if !ok {
			return s, "\"" + result + "\" is no Java type for the result"
		}
		s.result = d
	}
	return s, ""
}
