// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"go/ast"
	"path"
	"regexp"
	"strings"
)

// spdx is the first line of every Go file.
const spdx = "// SPDX-License-Identifier: Apache-2.0\n"

func proseRules() []rule {
	return []rule{
		{
			name:  "licence line",
			check: licenceLine,
			plant: map[string]string{"broker/a.go": "package broker", "broker/b.go": spdx + "package broker"},
			want:  []string{"broker/a.go:1: the first line"},
		},
		{
			name:  "package comments",
			check: packageComments,
			plant: map[string]string{
				"broker/a.go":      "package broker",
				"broker/a_test.go": "// Package broker is tested.\npackage broker",
				"vault/a.go":       "// Package vault keeps keys.\npackage vault",
				"cmd/broker/a.go":  "// The client.\npackage main",
			},
			want: []string{"package broker has no comment", `comment of cmd/broker does not begin with "Command broker "`},
		},
		{
			name:  "documented names",
			check: documentedNames,
			plant: map[string]string{
				"broker/a.go": `package broker
					type T struct{}
					// U is fine.
					type U struct{}
					func (U) M() {}
					func (t) N() {}
					func F() {}
					// The constants.
					const (A = 1)
					const B = 2
					var ErrC = errors.New("c") // when c
					// F of another name.
					func G() {}`,
			},
			want: []string{"T has no comment", "M has no comment", "F has no comment", "B has no comment", `comment of G does not begin with its name`},
		},
		{
			name:  "loose ends",
			check: looseEnds,
			plant: map[string]string{"broker/a.go": "package broker\n\n// TODO: finish this.\n\n// nothing to do\n"},
			want:  []string{"broker/a.go:3: TODO"},
		},
		{
			name:  "names of packages",
			check: packageNames,
			plant: map[string]string{"internal/utils/a.go": "package utils", "vault/a.go": "package vault"},
			want:  []string{"package utils says nothing"},
		},
	}
}

func licenceLine(tr tree) []string {
	var found []string
	for _, s := range tr.sources {
		if !strings.HasPrefix(string(s.text), spdx) {
			found = append(found, tr.at(s.file.FileStart, "the first line is not %q", strings.TrimSpace(spdx)))
		}
	}
	return found
}

// packageComments wants one comment for each package, outside its tests, that
// begins as go doc expects.
func packageComments(tr tree) []string {
	type about struct {
		source
		begins string
	}
	comments := map[string][]about{}
	var dirs []string
	for _, s := range tr.sources {
		if comments[s.dir()] == nil {
			dirs = append(dirs, s.dir())
			comments[s.dir()] = []about{{s, ""}}
		}
		if s.file.Doc != nil && !s.test() {
			comments[s.dir()] = append(comments[s.dir()], about{s, s.file.Doc.Text()})
		}
	}
	var found []string
	for _, dir := range dirs {
		first, rest := comments[dir][0], comments[dir][1:]
		begins := "Package " + first.file.Name.Name + " "
		if first.program() {
			begins = "Command " + path.Base(dir) + " "
		}
		switch {
		case len(rest) == 0:
			found = append(found, tr.at(first.file.Package, "package %s has no comment", dir))
		case len(rest) > 1:
			found = append(found, tr.at(rest[1].file.Package, "package %s has more than one comment", dir))
		case !strings.HasPrefix(rest[0].begins, begins):
			found = append(found, tr.at(rest[0].file.Package, "the comment of %s does not begin with %q", dir, begins))
		}
	}
	return found
}

func documentedNames(tr tree) []string {
	var found []string
	tr.production(func(s source) {
		if s.program() {
			return
		}
		for _, decl := range s.file.Decls {
			switch decl := decl.(type) {
			case *ast.FuncDecl:
				if decl.Name.IsExported() && exportedReceiver(decl) {
					found = append(found, documented(tr, decl.Name, decl.Doc)...)
				}
			case *ast.GenDecl:
				found = append(found, documentedSpecs(tr, decl)...)
			}
		}
	})
	return found
}

func documentedSpecs(tr tree, decl *ast.GenDecl) []string {
	var found []string
	grouped := decl.Lparen.IsValid()
	for _, spec := range decl.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			if spec.Name.IsExported() {
				doc := spec.Doc
				if doc == nil {
					doc = decl.Doc
				}
				found = append(found, documented(tr, spec.Name, doc)...)
			}
		case *ast.ValueSpec:
			if !spec.Names[0].IsExported() || spec.Doc != nil || spec.Comment != nil || decl.Doc != nil {
				continue
			}
			if grouped {
				found = append(found, tr.at(spec.Pos(), "neither %s nor its group has a comment", spec.Names[0].Name))
			} else {
				found = append(found, documented(tr, spec.Names[0], nil)...)
			}
		}
	}
	return found
}

func documented(tr tree, name *ast.Ident, doc *ast.CommentGroup) []string {
	switch {
	case doc == nil:
		return []string{tr.at(name.Pos(), "%s has no comment", name.Name)}
	case !regexp.MustCompile(`^(A |An |The )?` + name.Name + `\b`).MatchString(doc.Text()):
		return []string{tr.at(name.Pos(), "the comment of %s does not begin with its name", name.Name)}
	}
	return nil
}

// exportedReceiver reports whether a function is no method, or one of an
// exported type.
func exportedReceiver(fn *ast.FuncDecl) bool {
	if fn.Recv == nil {
		return true
	}
	t := fn.Recv.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	if index, ok := t.(*ast.IndexExpr); ok {
		t = index.X
	}
	id, ok := t.(*ast.Ident)
	return ok && id.IsExported()
}

func looseEnds(tr tree) []string {
	loose := regexp.MustCompile(`\b(TODO|FIXME|XXX|HACK)\b`)
	var found []string
	for _, s := range tr.sources {
		for _, group := range s.file.Comments {
			for _, comment := range group.List {
				if word := loose.FindString(comment.Text); word != "" {
					found = append(found, tr.at(comment.Pos(), "%s: finish it, or open an issue", word))
				}
			}
		}
	}
	return found
}

func packageNames(tr tree) []string {
	vague := regexp.MustCompile(`^(util|common|helper|type|manager|misc|base|shared)s?$`)
	var found []string
	for _, s := range tr.sources {
		if vague.MatchString(s.file.Name.Name) {
			found = append(found, tr.at(s.file.Package, "package %s says nothing about its duty", s.file.Name.Name))
		}
	}
	return found
}
