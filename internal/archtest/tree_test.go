// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// module is the module path, and root its directory as tests see it.
const (
	module = "credbroker"
	root   = "../.."
)

// source is one Go file.
type source struct {
	path string // with slashes, from the module's root
	file *ast.File
	text []byte
}

// dir is the directory of the file, "." for the module's root.
func (s source) dir() string { return path.Dir(s.path) }

// test reports whether the file is compiled for tests only.
func (s source) test() bool { return strings.HasSuffix(s.path, "_test.go") }

// support reports whether the file is written for tests of other packages.
func (s source) support() bool { return strings.HasSuffix(s.dir(), "/vaulttest") }

// program reports whether the file belongs to a program, which may look at its
// surroundings.
func (s source) program() bool { return s.file.Name.Name == "main" }

// tree is a set of Go files, sorted by path.
type tree struct {
	fset    *token.FileSet
	sources []source
}

// parse makes a tree of files in memory.
func parse(t *testing.T, files map[string]string) tree {
	t.Helper()
	tr := tree{fset: token.NewFileSet()}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		file, err := parser.ParseFile(tr.fset, name, files[name], parser.ParseComments)
		if err != nil {
			t.Fatalf("parse: %v", err)
		}
		tr.sources = append(tr.sources, source{name, file, []byte(files[name])})
	}
	return tr
}

// load reads every Go file of the module, whatever its build constraints.
func load(t *testing.T) tree {
	t.Helper()
	files := map[string]string{}
	for _, name := range list(t, ".go") {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(text)
	}
	return parse(t, files)
}

// list names the files of the module with a suffix, without what go, git and
// make keep for themselves.
func list(t *testing.T, suffix string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := d.Name()
		if d.IsDir() {
			if name != root && (strings.HasPrefix(base, ".") || base == "testdata" || base == "bin") {
				return filepath.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(base, suffix) {
			rel, err := filepath.Rel(root, name)
			if err != nil {
				return err
			}
			names = append(names, filepath.ToSlash(rel))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// at formats a violation.
func (tr tree) at(pos token.Pos, format string, args ...any) string {
	p := tr.fset.Position(pos)
	return fmt.Sprintf("%s:%d: %s", p.Filename, p.Line, fmt.Sprintf(format, args...))
}

// production calls visit for each file that is not a test.
func (tr tree) production(visit func(source)) {
	for _, s := range tr.sources {
		if !s.test() {
			visit(s)
		}
	}
}

// importPath is the path of an import.
func importPath(spec *ast.ImportSpec) string {
	p, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		return spec.Path.Value
	}
	return p
}

// selectors calls visit for each pkg.Name in a file where pkg is an import,
// with the name as gofmt would write it for an import without a new name.
func (s source) selectors(visit func(sel *ast.SelectorExpr, name string)) {
	imports := map[string]string{}
	for _, spec := range s.file.Imports {
		p := importPath(spec)
		base := path.Base(p)
		local := base
		if spec.Name != nil {
			local = spec.Name.Name
		}
		imports[local] = base
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if id, ok := sel.X.(*ast.Ident); ok {
			if base, ok := imports[id.Name]; ok {
				visit(sel, base+"."+sel.Sel.Name)
			}
		}
		return true
	})
}
