// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"go/ast"
	"go/build/constraint"
	"regexp"
	"strings"
)

// systemSuffix is how a file's name says for which system it is built.
var systemSuffix = regexp.MustCompile(`_(linux|darwin|windows)(_test)?\.go$`)

func platformRules() []rule {
	return []rule{{
		name:  "tests of one system",
		check: systemTests,
		plant: map[string]string{
			"broker/main_test.go":      "//go:build linux\n\npackage broker\nfunc start() {}\ntype rig struct{}",
			"broker/a_test.go":         "//go:build linux\n\npackage broker\nfunc TestA() { start() }",
			"broker/b_test.go":         "package broker\nfunc TestB() { start() }",
			"broker/c_windows_test.go": "package broker\nfunc TestC() { start() }",
			"broker/d_test.go":         "package broker\nfunc TestD() { start := 1; _ = start }",
			"broker/e_test.go":         "package broker\nvar _ rig",
			"vault/a_test.go":          "package vault\nfunc TestA() { start() }",
		},
		want: []string{
			"broker/b_test.go:1: start is there on some systems only",
			"broker/e_test.go:1: rig is there on some systems only",
		},
	}}
}

// systemTests finds the tests that are built everywhere and use what stands in
// tests that are not. make vet-platforms finds the same, minutes later.
func systemTests(tr tree) []string {
	bound := map[string]bool{} // what is declared for some systems only
	for _, s := range tr.sources {
		if s.test() && system(s) {
			for _, name := range declared(s) {
				bound[s.dir()+" "+name] = true
			}
		}
	}
	for _, s := range tr.sources {
		if !system(s) {
			for _, name := range declared(s) {
				delete(bound, s.dir()+" "+name)
			}
		}
	}
	var found []string
	for _, s := range tr.sources {
		if !s.test() || system(s) {
			continue
		}
		for _, id := range s.file.Unresolved {
			if bound[s.dir()+" "+id.Name] {
				found = append(found, tr.at(s.file.Package, "%s is there on some systems only: say for which this test is, as in //go:build linux", id.Name))
				break
			}
		}
	}
	return found
}

// system reports whether a file is built for some systems only.
func system(s source) bool {
	if systemSuffix.MatchString(s.path) {
		return true
	}
	for _, group := range s.file.Comments {
		for _, c := range group.List {
			if c.Pos() < s.file.Package && constraint.IsGoBuild(c.Text) && !strings.Contains(c.Text, "race") {
				return true
			}
		}
	}
	return false
}

// declared returns the names that a file gives to its package.
func declared(s source) []string {
	var names []string
	for _, d := range s.file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil {
				names = append(names, d.Name.Name)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					names = append(names, spec.Name.Name)
				case *ast.ValueSpec:
					for _, name := range spec.Names {
						names = append(names, name.Name)
					}
				}
			}
		}
	}
	return names
}
