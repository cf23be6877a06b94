// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strings"
)

// Lengths, in lines.
const (
	maxFunction = 80
	maxFile     = 400
)

func stateRules() []rule {
	long := strings.Repeat("\n", maxFunction)
	return []rule{
		{
			name:  "package variables",
			check: packageVariables,
			plant: map[string]string{
				"broker/a.go": `package broker
					var (
						ErrX        = errors.New("x")
						name        = regexp.MustCompile("x")
						table       = map[string]int{"x": 1}
						_    fmt.Stringer = (*T)(nil)
						cache       map[string]int
						counter     = 0
						changed     = []int{1}
					)
					func f() { changed[0] = 2 }`,
				"cmd/broker/a.go": `package main; var version = "dev"`,
			},
			want: []string{"cache is a package variable", "counter is a package variable", "changed is a table that changes"},
		},
		{
			name:  "no init",
			check: noInit,
			plant: map[string]string{
				"broker/a.go": `package broker; type t int; func init() {}; func (t) init() {}`,
			},
			want: []string{"func init runs before main"},
		},
		{
			name:  "length",
			check: lengths,
			plant: map[string]string{
				"broker/a.go":      "package broker\nfunc f() {" + long + "}\n",
				"broker/b.go":      "package broker\n" + strings.Repeat("\n", maxFile),
				"broker/b_test.go": "package broker\n" + strings.Repeat("\n", maxFile),
			},
			want: []string{"function f has 81 lines", "file has 401 lines"},
		},
		{
			name:  "ignored errors",
			check: ignoredErrors,
			plant: map[string]string{
				"broker/a.go": `package broker
					func f() {
						_ = g()
						// The answer does not matter: it is only a hint.
						_ = g()
						_, _ = h() // nor here
						_, _ = conn.Write(nil)
						_, err := h()
					}`,
			},
			want: []string{"a result is dropped without a word"},
		},
	}
}

func packageVariables(tr tree) []string {
	written := map[string]bool{} // directory and name
	tr.production(func(s source) {
		for _, decl := range s.file.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok {
				for _, name := range assigned(fn) {
					written[s.dir()+" "+name] = true
				}
			}
		}
	})
	var found []string
	tr.production(func(s source) {
		for _, decl := range s.file.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if !ok || gen.Tok != token.VAR {
				continue
			}
			for _, spec := range gen.Specs {
				found = append(found, variables(tr, s, spec.(*ast.ValueSpec), written)...)
			}
		}
	})
	return found
}

func variables(tr tree, s source, spec *ast.ValueSpec, written map[string]bool) []string {
	var found []string
	for i, name := range spec.Names {
		if name.Name == "_" || s.program() && name.Name == "version" {
			continue
		}
		var value ast.Expr
		if i < len(spec.Values) {
			value = spec.Values[i]
		}
		switch {
		case !constant(value):
			found = append(found, tr.at(name.Pos(), "%s is a package variable: hand it in", name.Name))
		case written[s.dir()+" "+name.Name]:
			found = append(found, tr.at(name.Pos(), "%s is a table that changes: hand it in", name.Name))
		}
	}
	return found
}

// constant reports whether the value of a variable is one that Go has no
// constant for: a sentinel error, a regexp, a replacer, an encoding, a table.
func constant(value ast.Expr) bool {
	switch v := value.(type) {
	case *ast.CompositeLit:
		return true
	case *ast.UnaryExpr:
		return constant(v.X)
	case *ast.CallExpr:
		if text, ok := v.Fun.(*ast.Ident); ok && len(v.Args) == 1 {
			// A sentinel of a type of its own, such as sentinel("gone").
			lit, ok := v.Args[0].(*ast.BasicLit)
			return ok && lit.Kind == token.STRING && text.Name != "string"
		}
		sel, ok := v.Fun.(*ast.SelectorExpr)
		if !ok {
			return false
		}
		switch sel.Sel.Name {
		case "New", "Errorf": // errors.New, fmt.Errorf
			id, ok := sel.X.(*ast.Ident)
			return ok && (id.Name == "errors" || id.Name == "fmt")
		case "MustCompile", "NewReplacer", "WithPadding":
			return true
		}
	}
	return false
}

// assigned names what a function assigns to, itself or an element of it,
// without having declared it.
func assigned(fn *ast.FuncDecl) []string {
	local := map[string]bool{}
	var names []string
	target := func(e ast.Expr) {
		for {
			switch x := e.(type) {
			case *ast.IndexExpr:
				e = x.X
				continue
			case *ast.StarExpr:
				e = x.X
				continue
			case *ast.Ident:
				names = append(names, x.Name)
			}
			return
		}
	}
	declare := func(e ast.Expr) {
		if id, ok := e.(*ast.Ident); ok {
			local[id.Name] = true
		}
	}
	ast.Inspect(fn, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			visit := target
			if n.Tok == token.DEFINE {
				visit = declare
			}
			for _, left := range n.Lhs {
				visit(left)
			}
		case *ast.IncDecStmt:
			target(n.X)
		case *ast.RangeStmt:
			if n.Tok == token.DEFINE {
				declare(n.Key)
				declare(n.Value)
			}
		case *ast.Field:
			for _, name := range n.Names {
				declare(name)
			}
		case *ast.ValueSpec:
			for _, name := range n.Names {
				declare(name)
			}
		}
		return true
	})
	return slices.DeleteFunc(names, func(name string) bool { return local[name] })
}

func noInit(tr tree) []string {
	var found []string
	tr.production(func(s source) {
		for _, decl := range s.file.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				found = append(found, tr.at(fn.Pos(), "func init runs before main, where nobody sees it"))
			}
		}
	})
	return found
}

func lengths(tr tree) []string {
	var found []string
	tr.production(func(s source) {
		if n := strings.Count(string(s.text), "\n"); n > maxFile {
			found = append(found, tr.at(s.file.Package, "file has %d lines, more than %d", n, maxFile))
		}
		for _, decl := range s.file.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if n := tr.fset.Position(fn.End()).Line - tr.fset.Position(fn.Pos()).Line + 1; n > maxFunction {
				found = append(found, tr.at(fn.Pos(), "function %s has %d lines, more than %d", fn.Name.Name, n, maxFunction))
			}
		}
	})
	return found
}

// ignoredErrors finds calls whose every result goes to the blank identifier
// without a comment on that line or the one above. Writing to a peer and
// setting its deadline are their own explanation: the next read meets the error.
func ignoredErrors(tr tree) []string {
	plain := regexp.MustCompile(`^(Write(String)?|Set(Read|Write)?Deadline)$`)
	var found []string
	tr.production(func(s source) {
		explained := map[int]bool{}
		for _, group := range s.file.Comments {
			explained[tr.fset.Position(group.Pos()).Line] = true
			explained[tr.fset.Position(group.End()).Line+1] = true
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			assign, ok := n.(*ast.AssignStmt)
			if !ok || len(assign.Rhs) != 1 {
				return true
			}
			call, ok := assign.Rhs[0].(*ast.CallExpr)
			if !ok {
				return true
			}
			if sel, ok := call.Fun.(*ast.SelectorExpr); ok && plain.MatchString(sel.Sel.Name) {
				return true
			}
			for _, left := range assign.Lhs {
				if id, ok := left.(*ast.Ident); !ok || id.Name != "_" {
					return true
				}
			}
			if !explained[tr.fset.Position(assign.Pos()).Line] {
				found = append(found, tr.at(assign.Pos(), "a result is dropped without a word: say why it may be"))
			}
			return true
		})
	})
	return found
}
