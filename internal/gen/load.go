package gen

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"
)

const loadMode = packages.NeedName | packages.NeedFiles | packages.NeedCompiledGoFiles | packages.NeedSyntax |
	packages.NeedTypes | packages.NeedTypesInfo | packages.NeedImports

// fromGo generates for the Go packages that arg names: a folder or a pattern below one.
func fromGo(o Options, arg string) ([]File, error) {
	dir, pattern := arg, "."
	if base, ok := strings.CutSuffix(arg, "..."); ok {
		dir, pattern = filepath.Clean(base), "./..."
	}
	overlay, err := hideGenerated(dir, pattern != ".")
	if err != nil {
		return nil, err
	}
	loaded, err := packages.Load(&packages.Config{Mode: loadMode, Dir: dir, Overlay: overlay}, pattern)
	if err != nil {
		return nil, fmt.Errorf("gen: cannot load %s: %w", arg, err)
	}
	var list []*pkg
	var errs []error
	run := map[string]string{}
	for _, l := range inImportOrder(loaded) {
		if err := brokenSource(l); err != nil {
			errs = append(errs, err)
			continue
		}
		p := newPkg(l, run)
		list, errs = append(list, p), append(errs, p.errs...)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return emitAll(list, o, arg)
}

// emitAll prints the packages, after all of them have been read: one may use the classes of another.
func emitAll(list []*pkg, o Options, arg string) ([]File, error) {
	var files []File
	var errs []error
	marked := false
	for _, p := range list {
		for _, f := range p.files {
			if len(f.services)+len(f.classes) == 0 {
				continue
			}
			marked = true
			out, err := emit(p, f, o)
			files, errs = append(files, out...), append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if !marked {
		return nil, &Error{Msg: arg + ": nothing to generate: put //ferry:service com.example.Greeter above an interface"}
	}
	return files, nil
}

// inImportOrder sorts packages so that a class is known before another package uses it.
func inImportOrder(roots []*packages.Package) []*packages.Package {
	var out []*packages.Package
	packages.Visit(roots, nil, func(p *packages.Package) {
		if slices.Contains(roots, p) {
			out = append(out, p)
		}
	})
	return out
}

// hideGenerated returns an overlay in which earlier output is empty.
func hideGenerated(dir string, below bool) (map[string][]byte, error) {
	overlay := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() {
			if path != dir && !below {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, "_ferry.go") {
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil || !strings.HasPrefix(string(content), Header) {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, content, parser.PackageClauseOnly)
		if err != nil {
			return err
		}
		abs, err := filepath.Abs(path)
		if err != nil {
			return err
		}
		overlay[abs] = []byte("package " + f.Name.Name + "\n")
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("gen: %w", err)
	}
	return overlay, nil
}

// brokenSource returns what keeps the package from being read at all. Errors of types are no obstacle: the package
// may well use what is about to be generated.
func brokenSource(l *packages.Package) error {
	var errs []error
	for _, e := range l.Errors {
		switch {
		case e.Kind == packages.ParseError && len(errs) == 0: // the first is the cause, what follows is confusion
			errs = append(errs, errors.New(shorten(e.Pos)+": "+e.Msg))
		case e.Kind == packages.ListError && len(l.Syntax) == 0:
			errs = append(errs, errors.New("gen: "+strings.TrimSpace(e.Msg)))
		}
	}
	if len(errs) == 0 && l.Types == nil {
		errs = append(errs, fmt.Errorf("gen: %s: no Go package there", l.PkgPath))
	}
	return errors.Join(errs...)
}

// newPkg reads a loaded package into the model, and notes its classes in run. What is wrong with it stands in its errs.
func newPkg(l *packages.Package, run map[string]string) *pkg {
	p := &pkg{types: l.Types, fset: l.Fset, run: run}
	b := &builder{pkg: p, info: l.TypesInfo, typeErrors: l.TypeErrors, docs: map[string]*typeDoc{}}
	for _, syntax := range l.Syntax {
		f := &file{path: l.Fset.Position(syntax.Package).Filename}
		p.dir = filepath.Dir(f.path)
		p.files = append(p.files, f)
		b.readDirectives(f, syntax)
	}
	slices.SortFunc(p.files, func(a, b *file) int { return strings.Compare(a.path, b.path) })
	b.build()
	for obj, c := range p.classes {
		run[qualified(obj)] = c.java
	}
	return p
}

// errorf notes a complaint about the source.
func (p *pkg) errorf(pos token.Pos, format string, args ...any) {
	p.errs = append(p.errs, &Error{Pos: p.fset.Position(pos), Msg: fmt.Sprintf(format, args...)})
}

// interfaceSyntax returns the interface's source, or nil when the type is no interface.
func interfaceSyntax(spec *ast.TypeSpec) *ast.InterfaceType {
	it, _ := ast.Unparen(spec.Type).(*ast.InterfaceType)
	return it
}
