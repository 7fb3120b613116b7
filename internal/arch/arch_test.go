package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A source is one parsed file of the main module.
type source struct {
	path, pkg string // pkg is below Module, "" for the root
	file      *ast.File
}

func sources(t *testing.T) (*token.FileSet, []source) {
	root := filepath.Join("..", "..")
	fset := token.NewFileSet()
	var out []source
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			_, nested := os.Stat(filepath.Join(path, "go.mod"))
			if path != root && nested == nil || d.Name() == "testdata" || d.Name() == "build" || strings.HasPrefix(d.Name(), ".") && path != root {
				return filepath.SkipDir
			}
		case strings.HasSuffix(path, ".go"):
			f, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(root, filepath.Dir(path))
			if err != nil {
				return err
			}
			if rel == "." {
				rel = ""
			}
			out = append(out, source{path, filepath.ToSlash(rel), f})
		}
		return nil
	})
	require.NoError(t, err)
	require.Greater(t, len(out), 100)
	return fset, out
}

func TestImportsGoDownOnly(t *testing.T) {
	_, files := sources(t)
	for _, s := range files {
		if strings.HasSuffix(s.path, "_test.go") {
			continue
		}
		for _, imp := range s.file.Imports {
			path, err := strconv.Unquote(imp.Path.Value)
			require.NoError(t, err)
			to, own := strings.CutPrefix(path, Module)
			if !own {
				continue
			}
			ok, known := allowed(s.pkg, strings.TrimPrefix(to, "/"))
			require.True(t, known, "package %q has no rule: add one to rules and a line to DESIGN.md", s.pkg)
			require.True(t, ok, "%s imports %s, which package %q may not", s.path, path, s.pkg)
		}
	}
}

func TestRulesForbidWhatTheyShould(t *testing.T) {
	for _, pair := range [][2]string{{"url", "extension"}, {"protocol", "cluster"}, {"transport/net", "transport/gnet"}, {"exchange", "protocol"},
		{"registry/zookeeper", "zkembed"}, {"protocol/dubbo", "serialize/hessian2"}, {"cluster", ""}, {"internal/zk", "protocol"}} {
		ok, known := allowed(pair[0], pair[1])
		require.True(t, known)
		require.False(t, ok, "%s must not import %s", pair[0], pair[1])
	}
	ok, _ := allowed("cluster", "loadbalance")
	require.True(t, ok)
}

func TestNoInitNoBlankImportNoPanic(t *testing.T) {
	fset, files := sources(t)
	for _, s := range files {
		if strings.HasSuffix(s.path, "_test.go") || strings.HasSuffix(s.path, ".pb.go") {
			continue
		}
		for _, imp := range s.file.Imports {
			require.False(t, imp.Name != nil && imp.Name.Name == "_", "%s: blank import of %s", s.path, imp.Path.Value)
		}
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			require.False(t, f.Recv == nil && f.Name.Name == "init", "%s: init function", s.path)
			if strings.HasPrefix(strings.ToLower(f.Name.Name), "must") {
				continue
			}
			ast.Inspect(f, func(n ast.Node) bool {
				if c, ok := n.(*ast.CallExpr); ok {
					if id, ok := c.Fun.(*ast.Ident); ok && id.Name == "panic" {
						t.Errorf("%s: panic outside a Must function", fset.Position(c.Pos()))
					}
				}
				return true
			})
		}
	}
}

func TestExportedNamesAreDocumented(t *testing.T) {
	fset, files := sources(t)
	for _, s := range files {
		if strings.HasSuffix(s.path, "_test.go") || ast.IsGenerated(s.file) || s.file.Name.Name == "main" {
			continue
		}
		for _, d := range s.file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && (d.Recv == nil || ast.IsExported(receiver(d))) && d.Doc == nil {
					t.Errorf("%s: %s has no doc comment", fset.Position(d.Pos()), d.Name.Name)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if ts, ok := spec.(*ast.TypeSpec); ok && ts.Name.IsExported() && d.Doc == nil && ts.Doc == nil {
						t.Errorf("%s: type %s has no doc comment", fset.Position(ts.Pos()), ts.Name.Name)
					}
				}
			}
		}
	}
}

func receiver(f *ast.FuncDecl) string {
	t := f.Recv.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	switch t := t.(type) {
	case *ast.IndexExpr:
		if id, ok := t.X.(*ast.Ident); ok {
			return id.Name
		}
	case *ast.Ident:
		return t.Name
	}
	return ""
}
