package gen

import (
	"bytes"
	"cmp"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"go/types"
	"path"
	"slices"
	"strconv"
	"strings"
)

// The packages that generated code imports.
const (
	module      = "github.com/ferryrpc/ferry"
	protocolPkg = module + "/protocol"
	typesPkg    = module + "/serialize"
	hessianPkg  = module + "/serialize/hessian2"
	msgpackPkg  = module + "/serialize/msgpack"
)

// locals are the names that generated functions use for their own variables: no import may have one of them.
var locals = []string{"a", "b", "c", "ctx", "err", "fields", "i", "impl", "k", "m", "n", "ok", "opts", "p", "r", "ref", "reply", "row", "s", "t", "v", "w", "x"}

// A printer collects the text of one generated file and the imports that it needs.
type printer struct {
	buf     bytes.Buffer
	pkg     *types.Package
	names   map[string]string // import path to local name
	taken   map[string]bool
	counter int // for variables of nested loops
}

func newPrinter(pkg *types.Package) *printer {
	p := &printer{pkg: pkg, names: map[string]string{}, taken: map[string]bool{}}
	for _, l := range locals {
		p.taken[l] = true
	}
	return p
}

// P appends one line.
func (p *printer) P(format string, args ...any) {
	fmt.Fprintf(&p.buf, format, args...)
	p.buf.WriteByte('\n')
}

// function begins a function: its loop variables are numbered from one again.
func (p *printer) function(format string, args ...any) {
	p.counter = 0
	p.P(format, args...)
}

// reset prints what empties e, unless it is new: a variable of a loop or an element of a list that was just made.
func (p *printer) reset(e string) {
	if strings.Contains(e, ".") && !strings.Contains(e, "[") {
		p.P("%s = nil", e)
	}
}

// use returns the local name of a package, which is imported from now on.
func (p *printer) use(pkgPath, name string) string {
	if local, ok := p.names[pkgPath]; ok {
		return local
	}
	local := name
	for i := 2; p.taken[local] || p.pkg.Scope().Lookup(local) != nil || types.Universe.Lookup(local) != nil; i++ {
		local = name + strconv.Itoa(i)
	}
	p.names[pkgPath], p.taken[local] = local, true
	return local
}

// std returns the local name of a package whose name is the end of its path.
func (p *printer) std(pkgPath string) string { return p.use(pkgPath, path.Base(pkgPath)) }

// typ returns the source form of a type.
func (p *printer) typ(t types.Type) string {
	return types.TypeString(t, func(pkg *types.Package) string {
		if pkg == p.pkg {
			return ""
		}
		return p.use(pkg.Path(), pkg.Name())
	})
}

// fresh returns a variable name that no enclosing loop uses.
func (p *printer) fresh(prefix string) string {
	p.counter++
	return prefix + strconv.Itoa(p.counter)
}

// source returns the finished file, formatted.
func (p *printer) source(header string) ([]byte, error) {
	var out bytes.Buffer
	fmt.Fprintf(&out, "%s\n\npackage %s\n\n", header, p.pkg.Name())
	if len(p.names) > 0 {
		out.WriteString("import (\n")
		paths := make([]string, 0, len(p.names))
		for pkgPath := range p.names {
			paths = append(paths, pkgPath)
		}
		slices.SortFunc(paths, func(a, b string) int {
			return cmp.Or(cmp.Compare(importGroup(a), importGroup(b)), cmp.Compare(a, b))
		})
		for i, pkgPath := range paths {
			if i > 0 && importGroup(paths[i-1]) != importGroup(pkgPath) {
				out.WriteByte('\n')
			}
			local := p.names[pkgPath]
			if local == path.Base(pkgPath) {
				local = ""
			}
			fmt.Fprintf(&out, "\t%s %q\n", local, pkgPath)
		}
		out.WriteString(")\n\n")
	}
	out.Write(p.buf.Bytes())
	src, err := format.Source(out.Bytes())
	if err != nil {
		return nil, fmt.Errorf("gen: generated code does not parse, which is a defect of ferry gen: %w", err)
	}
	return src, nil
}

// importGroup sorts the standard library before everything else.
func importGroup(pkgPath string) int {
	for i := range len(pkgPath) {
		switch pkgPath[i] {
		case '.':
			return 1
		case '/':
			return 0
		}
	}
	return 0
}

// declared returns the names that a generated file declares at its top level, with methods as Type.Method.
func declared(src []byte) ([]string, error) {
	f, err := parser.ParseFile(token.NewFileSet(), "", src, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, decl := range f.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil {
				out = append(out, d.Name.Name)
			}
		case *ast.GenDecl:
			for _, s := range d.Specs {
				switch s := s.(type) {
				case *ast.TypeSpec:
					out = append(out, s.Name.Name)
				case *ast.ValueSpec:
					for _, n := range s.Names {
						out = append(out, n.Name)
					}
				}
			}
		}
	}
	return out, nil
}
